//! What a file uses, key by key, and what petrel does about each.

use crate::keys::{self, Key, Kind, State, find};
use crate::reader::says_off;
use crate::value::{Map, Node, Position, Value, in_order};
use std::collections::BTreeMap;

/// What becomes of a key of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in force, or says that something is off which is not there anyway.
    Works,
    /// It stops the start; the sentence says what would be missing.
    NotYet(&'static str),
    /// It is ignored without harm; the sentence says why.
    Ignored(&'static str),
    /// Nobody knows it. It stops the start.
    Unknown,
    /// It is no option: a variable refers to it.
    Variable,
}

/// A key, as often as it is used. Places in arrays and names of the file's own (accounts, subjects) do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// From top level, for example `accounts.<name>.users.nkey`; known keys by their first names.
    pub path: String,
    /// What becomes of it.
    pub outcome: Outcome,
    /// Where it is used first.
    pub position: Position,
    /// How often it is used, at least once.
    pub count: usize,
}

/// Looks at every key of a file, in the order in which each is used first.
pub(crate) fn survey(map: &Map) -> Vec<Finding> {
    let mut survey = Survey::default();
    survey.block(map, keys::TOP, "", None);
    survey.findings
}

#[derive(Default)]
struct Survey {
    findings: Vec<Finding>,
    /// Which finding a path is.
    places: BTreeMap<String, usize>,
}

impl Survey {
    /// `missing`: the block as a whole is not there yet.
    fn block(&mut self, map: &Map, table: &'static [Key], above: &str, missing: Option<&'static str>) {
        for (written, node) in in_order(map) {
            let Some(key) = find(table, written) else {
                let outcome = if node.used { Outcome::Variable } else { Outcome::Unknown };
                self.add(format!("{above}{written}"), outcome, node);
                continue;
            };
            let path = format!("{above}{}", key.name());
            let (outcome, missing) = match (key.state, missing) {
                (State::NotYet(_), None) if says_off(&node.value) => (Outcome::Works, None),
                (State::NotYet(missing), _) => (Outcome::NotYet(missing), Some(missing)),
                (_, Some(missing)) => (Outcome::NotYet(missing), Some(missing)),
                (State::Harmless(why), None) => (Outcome::Ignored(why), None),
                (State::Supported, None) => (Outcome::Works, None),
            };
            self.add(path.clone(), outcome, node);
            self.inside(&path, key, node, missing);
        }
    }

    fn inside(&mut self, path: &str, key: &'static Key, node: &Node, missing: Option<&'static str>) {
        let is_named = key.kind == Kind::NamedBlocks && matches!(node.value, Value::Map(_));
        let above = if is_named { format!("{path}.<name>.") } else { format!("{path}.") };
        for map in key.blocks_in(&node.value) {
            self.block(map, key.block, &above, missing);
        }
    }

    fn add(&mut self, path: String, outcome: Outcome, node: &Node) {
        if let Some(place) = self.places.get(&path) {
            let known = &mut self.findings[*place];
            known.count += 1;
            // One use may be switched off and another not.
            if known.outcome == Outcome::Works {
                known.outcome = outcome;
            }
            return;
        }
        self.places.insert(path.clone(), self.findings.len());
        self.findings.push(Finding { path, outcome, position: node.position.clone(), count: 1 });
    }
}
