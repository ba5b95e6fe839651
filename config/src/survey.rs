//! What a file uses, key by key, and what petrel does about each.

use crate::keys::{self, Key, Kind, State, find};
use crate::reader::{is_switched_off, says_off};
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
    survey.block(map, keys::TOP, "", Above::InForce);
    survey.findings
}

/// What is so of a block as a whole.
#[derive(Clone, Copy)]
enum Above {
    /// Its keys count.
    InForce,
    /// It is not there yet, and so none of its keys is.
    NotYet(&'static str),
    /// It is switched off, and so its keys do not count.
    Off,
}

#[derive(Default)]
struct Survey {
    findings: Vec<Finding>,
    /// Which finding a path is.
    places: BTreeMap<String, usize>,
}

impl Survey {
    fn block(&mut self, map: &Map, table: &'static [Key], path: &str, above: Above) {
        for (written, node) in in_order(map) {
            let Some(key) = find(table, written) else {
                let outcome = if node.used { Outcome::Variable } else { Outcome::Unknown };
                self.add(format!("{path}{written}"), outcome, node);
                continue;
            };
            let path = format!("{path}{}", key.name());
            let (outcome, inside) = match (key.state, above) {
                (_, Above::Off) => (Outcome::Ignored("its block is switched off"), Above::Off),
                (State::NotYet(_), Above::InForce) if says_off(&node.value) => (Outcome::Works, above),
                (State::NotYet(_), Above::InForce) if is_switched_off(key, &node.value) => {
                    (Outcome::Works, Above::Off)
                }
                (State::NotYet(missing), _) | (_, Above::NotYet(missing)) => {
                    (Outcome::NotYet(missing), Above::NotYet(missing))
                }
                (State::Harmless(why), Above::InForce) => (Outcome::Ignored(why), above),
                (State::Supported, Above::InForce) => (Outcome::Works, above),
            };
            self.add(path.clone(), outcome, node);
            self.inside(&path, key, node, inside);
        }
    }

    fn inside(&mut self, path: &str, key: &'static Key, node: &Node, above: Above) {
        let is_named = key.kind == Kind::NamedBlocks && matches!(node.value, Value::Map(_));
        let path = if is_named { format!("{path}.<name>.") } else { format!("{path}.") };
        for map in key.blocks_in(&node.value) {
            self.block(map, key.block, &path, above);
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
