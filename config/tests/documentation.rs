//! docs/reference/configuration.md is what the tables of keys say. `PETREL_WRITE_DOCS=1 cargo test -p petrel-config
//! --test documentation` writes it.

use petrel_config::keys::{Key, Kind, State, TOP};
use std::fmt::Write;
use std::path::Path;

const BEFORE: &str = "# Configuration

The server reads the files of nats-server 2.15.2. This page lists every key that nats-server knows and what becomes of
it; it is generated from the tables that the server itself reads by (`config/src/keys`). `petrel config check FILE` says
the same of one file, and what else would keep the server from starting with it on that machine, as that user: what a
start would say of files, certificates, ports, CPUs and limits.

Keys are matched in any case. A key that is *not there yet* stops the start, unless its value says that it is off. A key
that is *ignored* gets a line in the log. A key that nobody knows stops the start.

A duration is a text such as `\"1m30s\"`; a size an integer, maybe with a suffix (`64MB`; `k m g t p e` are powers of 1000,
`kb mb gb` and `kib mib gib` of 1024).
";

const BEHIND: &str = "
## What differs on purpose

* Negative durations and limits below -1 are refused.
* A size that overflows is refused.
* A mapping without a destination is refused.
* Cipher suites and key exchange groups that rustls does not have are refused by name, those for which nats-server wants
  `allow_insecure_cipher_suites` among them.
* Blocks nest at most 512 deep, files include each other at most 32 deep, and a configuration has at most 1,000,000
  values.
";

struct Page {
    text: String,
    /// Tables that stand on the page already, by the names of their keys.
    told: Vec<(Vec<&'static str>, String)>,
}

fn names(table: &'static [Key]) -> Vec<&'static str> {
    table.iter().map(Key::name).collect()
}

/// A link to a heading as Markdown renderers make it.
fn anchor(path: &str) -> String {
    path.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, '_' | '-')).collect()
}

impl Page {
    fn table(&mut self, path: &str, table: &'static [Key], is_missing: bool) {
        let title = if path.is_empty() { "Top level".to_owned() } else { format!("`{path}`") };
        write!(self.text, "\n## {title}\n\n| key | value | meaning | state |\n|---|---|---|---|\n").unwrap();
        self.told.push((names(table), path.to_owned()));
        for key in table {
            let aliases: Vec<String> = key.names[1..].iter().map(|name| format!("`{name}`")).collect();
            let aliases =
                if aliases.is_empty() { String::new() } else { format!(" ({})", aliases.join(", ")) };
            let state = match key.state {
                State::Supported if !is_missing => "works".to_owned(),
                State::Harmless(why) if !is_missing => format!("ignored: {why}"),
                State::NotYet(missing) if !is_missing => format!("not there yet: {missing}"),
                _ => "not there yet".to_owned(),
            };
            let (name, kind, about) = (key.name(), key.kind.words(), key.about);
            writeln!(self.text, "| `{name}`{aliases} | {kind} | {about}{} | {state} |", self.see(path, key))
                .unwrap();
        }
        for key in table.iter().filter(|key| !key.block.is_empty()) {
            if !self.told.iter().any(|(told, _)| *told == names(key.block)) {
                let is_missing = is_missing || matches!(key.state, State::NotYet(_));
                self.table(&below(path, key), key.block, is_missing);
            }
        }
    }

    fn see(&self, path: &str, key: &Key) -> String {
        if key.block.is_empty() {
            return String::new();
        }
        let told = self.told.iter().find(|(told, _)| *told == names(key.block));
        let there = told.map_or_else(|| below(path, key), |(_, there)| there.clone());
        format!(" ([keys](#{}))", anchor(&there))
    }
}

fn below(path: &str, key: &Key) -> String {
    let separator = if path.is_empty() { "" } else { "." };
    let name = if key.kind == Kind::NamedBlocks { ".NAME" } else { "" };
    format!("{path}{separator}{}{name}", key.name())
}

#[test]
fn the_page_is_what_the_tables_say() {
    let mut page = Page { text: BEFORE.to_owned(), told: Vec::new() };
    page.table("", TOP, false);
    page.text.push_str(BEHIND);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/configuration.md");
    if std::env::var_os("PETREL_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page.text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page.text,
        "write it anew: PETREL_WRITE_DOCS=1 cargo test -p petrel-config --test documentation"
    );
}
