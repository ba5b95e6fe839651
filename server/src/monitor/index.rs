//! `/`: a page with links to the endpoints.

use crate::version::{PETREL, UPSTREAM};

/// What is linked: the path below the base path, and what stands there.
const LINKS: &[(&str, &str)] = &[
    ("varz", "General"),
    ("jsz", "JetStream"),
    ("connz", "Connections"),
    ("accountz", "Accounts"),
    ("accstatz", "Account statistics"),
    ("subsz", "Subscriptions"),
    ("routez", "Routes"),
    ("leafz", "Leafnodes"),
    ("gatewayz", "Gateways"),
    ("raftz", "Raft groups"),
    ("healthz", "Health probe"),
    ("metrics", "Metrics for Prometheus"),
    ("debug/vars", "Variables"),
];

/// The page. `base` is the path of this page, which has a slash at its end only where it is the root. Links are relative,
/// so that they lead there also behind a proxy that has the whole below a path of its own.
pub fn page(base: &str) -> String {
    let base = match base.rsplit('/').next() {
        None | Some("") => ".".to_owned(),
        Some(last) => format!("./{last}"),
    };
    let links: String = LINKS
        .iter()
        .map(|(path, title)| {
            format!("    <li><a href=\"{base}/{path}\">{title}</a> <code>/{path}</code></li>\n")
        })
        .collect();
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\">\n\
         <title>petrel</title>\n\
         <style>body {{ font-family: system-ui, sans-serif; margin: 2rem }} code {{ color: #777 }}</style>\n\
         </head>\n\
         <body>\n\
         <h1>petrel {PETREL}</h1>\n\
         <p>Compatible with nats-server {UPSTREAM}.</p>\n\
         <ul>\n{links}</ul>\n\
         </body>\n\
         </html>\n"
    )
}
