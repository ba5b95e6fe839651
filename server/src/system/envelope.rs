//! What goes around an answer: who answers, and whether it went well.

use super::unique::UniqueIds;
use crate::monitor::time::rfc3339;
use crate::monitor::{About, json};
use crate::version;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// Whether a block of metadata is left out.
fn is_empty(metadata: &&BTreeMap<String, String>) -> bool {
    metadata.is_empty()
}

/// This server, as answers and events show it.
#[derive(Serialize)]
pub struct ServerInfo<'a> {
    name: &'a str,
    host: &'a str,
    id: &'a str,
    ver: &'static str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    tags: &'a [String],
    #[serde(skip_serializing_if = "is_empty")]
    metadata: &'a BTreeMap<String, String>,
    feature_flags: BTreeMap<&'static str, bool>,
    jetstream: bool,
    flags: u64,
    seq: u64,
    time: String,
}

/// What became of a request.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No answer is due.
    Silent,
    /// JSON that stands for itself.
    Bare(String),
    /// JSON under `data`.
    Data(String),
    /// JSON under `statsz`.
    Statistics(String),
    /// What was asked for was done.
    Done,
    /// The body cannot be read.
    BadRequest(String),
    /// The endpoint says no.
    Failed(String),
    /// What was asked for was not done.
    Refused(String),
}

#[derive(Serialize)]
struct Error<'a> {
    code: u16,
    description: &'a str,
}

/// Writes the envelopes of one server: it counts them.
pub struct Stationery {
    sequence: u64,
    ids: UniqueIds,
}

impl Stationery {
    /// Begins at 1.
    pub fn new() -> Stationery {
        Stationery { sequence: 0, ids: UniqueIds::new() }
    }

    /// This server, as JSON. Each call counts.
    pub fn server(&mut self, about: &About) -> String {
        self.sequence += 1;
        json::compact(&ServerInfo {
            name: &about.server_name,
            host: &about.advertised.0,
            id: &about.server_id,
            ver: version::UPSTREAM,
            tags: &about.options.server_tags,
            metadata: &about.options.server_metadata,
            feature_flags: about.options.feature_flags.effective(),
            jetstream: false,
            flags: 0,
            seq: self.sequence,
            time: rfc3339(Timestamp::now()),
        })
    }

    /// The text of an answer; `None`: there is none.
    pub fn answer(&mut self, about: &About, outcome: &Outcome) -> Option<String> {
        let (code, description) = match outcome {
            Outcome::Silent => return None,
            Outcome::Bare(text) => return Some(text.clone()),
            Outcome::Data(data) => {
                return Some(format!("{{\"server\":{},\"data\":{data}}}", self.server(about)));
            }
            Outcome::Statistics(statistics) => {
                return Some(format!("{{\"server\":{},\"statsz\":{statistics}}}", self.server(about)));
            }
            Outcome::Done => return Some(format!("{{\"server\":{}}}", self.server(about))),
            Outcome::BadRequest(text) => (400, text),
            Outcome::Failed(text) | Outcome::Refused(text) => (500, text),
        };
        let error = json::compact(&Error { code, description });
        let data = if matches!(outcome, Outcome::Failed(_)) { "\"data\":null," } else { "" };
        Some(format!("{{\"server\":{},{data}\"error\":{error}}}", self.server(about)))
    }

    /// The text of an event of a type; `rest` are the fields behind those that all have, as a JSON object.
    pub fn event(&mut self, about: &About, kind: &str, rest: &str) -> String {
        let (id, timestamp) = (self.ids.next(), rfc3339(Timestamp::now()));
        let server = self.server(about);
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        format!(
            "{{\"type\":\"io.nats.server.advisory.v1.{kind}\",\"id\":\"{id}\",\"timestamp\":\"{timestamp}\",\
             \"server\":{server},{rest}"
        )
    }
}
