//! The report as a reader or a program wants it.

use super::plan::{Accounts, Plan, Tls};
use super::report::{Line, Report};
use std::fmt::Write;

impl Report {
    /// One JSON object on one line.
    pub fn to_json(&self) -> String {
        // Nothing in a report can fail to be JSON: its keys are names.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Text for people.
    pub fn to_text(&self) -> String {
        let mut out = String::new();
        let verdict = if self.starts { "the server would start" } else { "the server would not start" };
        line(&mut out, format_args!("{}: {verdict}", self.file));
        self.section(&mut out, "Errors", &self.errors);
        if !self.unchecked.is_empty() {
            let keys = self.unchecked.join(", ");
            line(&mut out, format_args!("\nNot looked at before these are right: what rests on {keys}"));
        }
        for (title, lines) in [
            ("Warnings", &self.warnings),
            ("Not yet, each of these stops the start", &self.not_yet),
            ("Ignored", &self.ignored),
            ("Works", &self.works),
        ] {
            self.section(&mut out, title, lines);
        }
        if let Some(plan) = &self.server {
            line(
                &mut out,
                format_args!(
                    "\nThe server {}",
                    if self.starts { "would" } else { "would, with what could be read" }
                ),
            );
            for text in sentences(plan) {
                line(&mut out, format_args!("  {text}"));
            }
        }
        out
    }

    fn section(&self, out: &mut String, title: &str, lines: &[Line]) {
        if lines.is_empty() {
            return;
        }
        line(out, format_args!("\n{title}"));
        // A block that stops the start is enough: what stands in it is no further reason.
        let is_inside = |key: &str| {
            let mut above = key;
            std::iter::from_fn(|| {
                above = above.rsplit_once('.')?.0;
                Some(above)
            })
            .any(|above| self.not_yet.iter().any(|other| other.key.as_deref() == Some(above)))
        };
        for entry in lines {
            if entry.key.as_deref().is_some_and(is_inside) {
                continue;
            }
            let place = match (&entry.file, entry.line) {
                (Some(file), Some(number)) if *file != self.file => format!("{file}:{number}  "),
                (_, Some(number)) => format!("line {number}  "),
                _ => String::new(),
            };
            let mut text = entry.key.clone().unwrap_or_default();
            if let Some(count) = entry.count.filter(|count| *count > 1) {
                let _ = write!(text, " ({count} times)");
            }
            match &entry.text {
                Some(said) if text.is_empty() => text.clone_from(said),
                Some(said) => {
                    let _ = write!(text, ": {said}");
                }
                None => {}
            }
            line(out, format_args!("  {place}{text}"));
        }
    }
}

/// Writing into a string cannot fail.
fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    let _ = out.write_fmt(text);
    out.push('\n');
}

fn sentences(plan: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    for listener in &plan.listeners {
        let host = &listener.host;
        let host = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let port = if listener.port == -1 { "a free port".to_owned() } else { listener.port.to_string() };
        lines.push(format!("listen for {} on {host}:{port}", listener.purpose));
    }
    lines.push(plan.tls.as_ref().map_or_else(|| "not encrypt".to_owned(), encryption));
    lines.extend(people(&plan.accounts));
    let limits = &plan.limits;
    let subscriptions = match limits.subscriptions_max {
        0 => "unlimited subscriptions".to_owned(),
        number => format!("{number} subscriptions"),
    };
    lines.push(format!(
        "take {} connections, {subscriptions} each, messages of {} bytes, control lines of {} bytes, {} bytes \
         queued for a client",
        limits.connections_max,
        limits.payload_bytes_max,
        limits.control_line_bytes_max,
        limits.pending_bytes_max
    ));
    lines.push(format!("run on {}", plan.runs_on));
    lines.push(format!("log to {}", plan.log));
    lines
}

fn encryption(tls: &Tls) -> String {
    let certificates = counted(tls.certificates, "certificate");
    let mut text = format!("encrypt with {certificates}, from TLS {}, {}", tls.version_min, tls.begins);
    for (holds, words) in [
        (tls.optional, ", clients may do without"),
        (tls.verify, ", clients must present a certificate"),
        (tls.maps_users, " that says which user they are"),
    ] {
        if holds {
            text.push_str(words);
        }
    }
    text
}

fn people(accounts: &Accounts) -> Vec<String> {
    let system = match &accounts.system_account {
        Some(name) => format!("system account {name}"),
        None => "no system account".to_owned(),
    };
    let configured = counted(accounts.accounts, "account");
    let mut lines = vec![format!("know {configured} beside the global one, {system}")];
    if accounts.users() > 0 {
        lines.push(format!(
            "know {}: {} with plain passwords, {} with bcrypt, {} with nkeys, {} without a secret; {} with \
             permissions of their own",
            counted(accounts.users(), "user"),
            accounts.users_plain,
            accounts.users_bcrypt,
            accounts.users_nkey,
            accounts.users_without_secret,
            accounts.users_with_permissions
        ));
    }
    if accounts.token {
        lines.push("ask for a token".to_owned());
    }
    if accounts.open {
        lines.push("let everybody in".to_owned());
    }
    if let Some(user) = &accounts.no_auth_user {
        lines.push(format!("take clients without credentials for {user:?}"));
    }
    if accounts.exports + accounts.imports + accounts.mappings > 0 {
        lines.push(format!(
            "pass messages by {}, {} and {}",
            counted(accounts.exports, "export"),
            counted(accounts.imports, "import"),
            counted(accounts.mappings, "mapping")
        ));
    }
    lines
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
