//! All that is to be said of a file, for those who want to know what is wrong with it and not only whether.

use crate::keys::{self, find};
use crate::load::{Configuration, read};
use crate::options::Options;
use crate::parser::{ParseError, Source};
use crate::problem::{Problem, Problems};
use crate::survey::{Finding, survey};
use crate::value::{Map, Node, Position, Value};
use std::collections::{BTreeMap, BTreeSet};

/// What is said of an error that only stands for a key that is not there yet.
const NOT_YET: &str = "is not supported by petrel yet";
/// What is said of a key that nobody knows.
const UNKNOWN: &str = "unknown field ";

/// All that is to be said of a file, right or wrong.
#[derive(Clone, Debug)]
pub struct Inspection {
    /// The options, as far as they could be read.
    pub options: Options,
    /// `sha256:` and the digest of the file.
    pub digest: String,
    /// The `petrel.conf` beside it, when there is one.
    pub petrel_file: Option<String>,
    /// Errors, warnings and notices.
    pub problems: Problems,
    /// What the file uses.
    pub findings: Vec<Finding>,
    /// Keys at top level, by their first names, of which something could not be read. What follows from them is not
    /// known; a key that is not there yet, or that nobody knows, takes nothing from the others.
    pub unread: BTreeSet<&'static str>,
    /// Where each account stands.
    accounts: BTreeMap<String, Position>,
}

impl Inspection {
    /// Where a key is used first. `path`: from top level, by first names, for example `tls.ca_file`.
    pub fn place(&self, path: &str) -> Option<&Position> {
        self.findings.iter().find(|finding| finding.path == path).map(|finding| &finding.position)
    }

    /// Where an account stands.
    pub fn place_of_account(&self, name: &str) -> Option<&Position> {
        self.accounts.get(name).or_else(|| self.place("accounts"))
    }

    /// Whether all of these keys at top level, by their first names, could be read or are not there.
    pub fn is_read(&self, keys: &[&str]) -> bool {
        keys.iter().all(|key| !self.unread.contains(key))
    }
}

impl Problem {
    /// Whether it says no more than that a key is not there yet.
    pub fn is_not_yet(&self) -> bool {
        self.text.contains(NOT_YET)
    }
}

/// Reads the file `path`, all that it includes, and `petrel.conf` beside it, and tells of every key.
///
/// # Errors
/// When a file cannot be read or parsed. What is wrong with options is in the result.
pub fn inspect(path: &str, source: &mut dyn Source) -> Result<Inspection, ParseError> {
    let (map, read) = read(path, source)?;
    let Configuration { options, digest, petrel_file, problems, .. } = read;
    let unread = unread(&map, &problems.errors);
    let accounts = accounts(&map);
    Ok(Inspection { options, digest, petrel_file, problems, findings: survey(&map), unread, accounts })
}

fn unread(map: &Map, errors: &[Problem]) -> BTreeSet<&'static str> {
    let mut unread = BTreeSet::new();
    for error in errors.iter().filter(|error| !error.is_not_yet() && !error.text.starts_with(UNKNOWN)) {
        let holders = map.iter().filter(|(_, node)| error.place.iter().any(|place| holds(node, place)));
        unread.extend(holders.filter_map(|(name, _)| find(keys::TOP, name)).map(|key| key.name()));
    }
    unread
}

/// Whether something within a value, or the value itself, stands there.
fn holds(node: &Node, position: &Position) -> bool {
    node.position == *position
        || match &node.value {
            Value::Array(elements) => elements.iter().any(|node| holds(node, position)),
            Value::Map(map) => map.values().any(|node| holds(node, position)),
            _ => false,
        }
}

fn accounts(map: &Map) -> BTreeMap<String, Position> {
    let is_accounts = |name: &str| find(keys::TOP, name).is_some_and(|key| key.name() == "accounts");
    let blocks = map.iter().filter(|(name, _)| is_accounts(name)).filter_map(|(_, node)| match &node.value {
        Value::Map(accounts) => Some(accounts),
        _ => None,
    });
    blocks.flatten().map(|(name, node)| (name.clone(), node.position.clone())).collect()
}
