//! What permissions and mappings cost a message, beside a server without them: CPU by turns.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Figure, load};
use crate::server::Server;

/// Permissions and mappings may cost this much more CPU a message.
const RATIO_MAX: f64 = 1.10;

const PLAIN: &str = "authorization { users [ { user: u, password: p } ] }\n";
/// Every subject of the load is looked for in lists of several entries, and delivered under a deny list.
const PERMISSIONS: &str = r#"
authorization { users [ { user: u, password: p, permissions: {
  publish: { allow: ["orders.>", "bench.>", "_INBOX.>"], deny: ["orders.secret.>", "bench.*.secret"] }
  subscribe: { allow: ["orders.>", "bench.>", "_INBOX.>"], deny: ["bench.*.secret", "private"] }
} } ] }
"#;
/// Every subject of the load is mapped, to itself.
const MAPPINGS: &str = r#"
authorization { users [ { user: u, password: p } ] }
mappings { "bench.*.*": "bench.$1.$2", "orders.*": "sales.$1" }
"#;

/// Measures both beside the plain server.
pub(super) fn measure(binary: &Path, quick: bool) -> Result<Vec<Figure>> {
    let (rounds, duration) = if quick { (1, "500ms") } else { (5, "2s") };
    let options = format!(
        "fan --size 128 --subjects 1000 --distribution zipf --wildcard-receivers 50 --user u --password p --warmup 500ms \
         --duration {duration}"
    );
    let mut figures = Vec::new();
    for (name, config) in [("permissions", PERMISSIONS), ("mappings", MAPPINGS)] {
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let plain = cpu(binary, PLAIN, &options)?;
            ratios.push(cpu(binary, config, &options)? / plain);
        }
        ratios.sort_by(f64::total_cmp);
        let title = format!("CPU a message with {name}, over that without");
        figures.push(Figure::new(title, ratios[ratios.len() / 2], RATIO_MAX, "x"));
    }
    Ok(figures)
}

fn cpu(binary: &Path, config: &str, options: &str) -> Result<f64> {
    let server = Server::configured(binary, Some(&[0]), config)?;
    let report = load(&server, options)?;
    Ok(report.server_use.context("the server's CPU is not seen")?.cpu_s_per_million)
}
