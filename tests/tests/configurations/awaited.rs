//! What petrel does not do yet, by the place where it is seen.
//!
//! What stands here must differ from what was recorded: when it no longer does, the test fails until the row is taken
//! out. Nothing is skipped, and the table cannot grow old.

use libtest_mimic::{Failed, Trial};
use serde_json::Value;

/// Something that petrel does not do yet.
pub struct Row {
    /// The file's name; `*` for all of them.
    pub configuration: &'static str,
    /// Where it is seen, as a JSON pointer into what is recorded; empty for all of it.
    pub path: &'static str,
    /// What is awaited.
    pub what: &'static str,
}

const fn row(configuration: &'static str, path: &'static str, what: &'static str) -> Row {
    Row { configuration, path, what }
}

/// Everything that is awaited.
const AWAITED: &[Row] = &[
    row("jetstream", "", "JetStream"),
    row("leafnodes", "", "leafnodes"),
    row("tasks_cluster", "", "clusters"),
    row("websocket", "", "WebSocket"),
];

impl Row {
    /// Whether a difference at `path` is what this row is about.
    pub fn covers(&self, path: &str) -> bool {
        path.strip_prefix(self.path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Whether what is awaited could be seen at all: it was recorded, and there is something to look at.
    pub fn can_be_seen(&self, expected: &Value, found: &Value) -> bool {
        let parent = self.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.path.is_empty()
            || expected.pointer(self.path).is_some() && found.pointer(parent).is_some_and(Value::is_object)
    }
}

/// What a configuration waits for.
pub fn rows(name: &str) -> Vec<&'static Row> {
    AWAITED.iter().filter(|row| row.configuration == "*" || row.configuration == name).collect()
}

/// The test that every row names a configuration.
pub fn trial(names: &[String]) -> Trial {
    let unknown: Vec<&str> = AWAITED
        .iter()
        .map(|row| row.configuration)
        .filter(|row| *row != "*" && !names.iter().any(|name| name == row))
        .collect();
    Trial::test("awaited::names", move || {
        if unknown.is_empty() {
            return Ok(());
        }
        Err(Failed::from(format!("the table of what is awaited names {unknown:?}, which are no files")))
    })
}
