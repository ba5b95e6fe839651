//! 10,000 users in 1,000 accounts: how long a start and a reload take.

use std::fmt::Write;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Figure;
use crate::server::Server;

const ACCOUNTS: usize = 1_000;
const USERS_PER_ACCOUNT: usize = 10;
const START_S_MAX: f64 = 2.0;
const RELOAD_S_MAX: f64 = 1.0;
/// Reloads are seen at monitoring: how often it is asked.
const LOOK: Duration = Duration::from_millis(5);
const RELOAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Accounts with exports and imports in a chain, users with permissions.
fn accounts(tag: &str) -> String {
    let mut text = String::from("accounts {\n");
    for account in 0..ACCOUNTS {
        let _ = write!(
            text,
            "  A{account} {{\n    exports [ {{ stream: \"events.{account}.>\" }}, {{ service: \"ask.{account}\" }} ]\n"
        );
        if account > 0 {
            let other = account - 1;
            let _ = writeln!(
                text,
                "    imports [ {{ stream: {{ account: A{other}, subject: \"events.{other}.>\" }} }} ]"
            );
        }
        text.push_str("    users [\n");
        for user in 0..USERS_PER_ACCOUNT {
            let _ = writeln!(
                text,
                "      {{ user: u{account}_{user}, password: \"secret {tag} {user}\", permissions: {{ publish: \
                 [\"events.{account}.>\", \"_INBOX.>\"], subscribe: {{ allow: \">\", deny: \"private.>\" }} }} }}"
            );
        }
        text.push_str("    ]\n  }\n");
    }
    text + "}\n"
}

/// Measures a start and a reload that changes all passwords.
pub(super) fn measure(binary: &Path, _quick: bool) -> Result<Vec<Figure>> {
    let (first, second) = (accounts("one"), accounts("two"));
    let started = Instant::now();
    let server = Server::configured(binary, None, &first)?;
    let start_s = started.elapsed().as_secs_f64();
    let digest = |page: &str| {
        let page: serde_json::Value = serde_json::from_str(page).unwrap_or_default();
        page["config_digest"].as_str().unwrap_or_default().to_owned()
    };
    let before = digest(&server.page("/varz")?);
    let asked = Instant::now();
    server.reload(&second)?;
    while digest(&server.page("/varz")?) == before {
        if asked.elapsed() > RELOAD_TIMEOUT {
            bail!("the reload has not come into force:\n{}", server.log_end());
        }
        thread::sleep(LOOK);
    }
    let reload_s = asked.elapsed().as_secs_f64();
    let resident_mb = server.memory()?.resident_bytes as f64 / 1e6;
    Ok(vec![
        Figure::new("start with 10,000 users in 1,000 accounts", start_s, START_S_MAX, "s"),
        Figure::new("reload of it, all passwords changed", reload_s, RELOAD_S_MAX, "s"),
        Figure::new("memory with it", resident_mb, 256.0, "MB"),
    ])
}
