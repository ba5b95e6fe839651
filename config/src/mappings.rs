//! `mappings { }`, of the global account and of others (reference: security.md, section 9).

use crate::keys;
use crate::options::{Mapping, MappingDestination};
use crate::reader::Reader;
use crate::subject::is_valid;
use crate::value::{Node, Value, in_order};
use petrel_protocol::transform::Transform;
use std::collections::{BTreeMap, HashSet};

const WEIGHT_PERCENT_MAX: u8 = 100;

/// Reads the block: destinations by source.
pub(crate) fn mappings(reader: &mut Reader, node: &Node) -> Vec<Mapping> {
    let Some(map) = reader.map(node) else { return Vec::new() };
    let mut mappings = Vec::with_capacity(map.len());
    for (source, entry) in in_order(map) {
        if !is_valid(source) {
            reader.error(&node.position, format!("Subject {source:?} is not a valid subject"));
            continue;
        }
        let Some(destinations) = destinations(reader, entry) else { continue };
        if let Some(error) = wrong(source, &destinations) {
            let to = match (&entry.value, destinations.first()) {
                (Value::String(_), Some(only)) => format!("to {:?} ", only.subject),
                _ => String::new(),
            };
            reader.error(&entry.position, format!("Error adding mapping for {source:?} {to}: {error}"));
            continue;
        }
        mappings.push(Mapping { source: source.clone(), destinations });
    }
    mappings
}

fn destinations(reader: &mut Reader, node: &Node) -> Option<Vec<MappingDestination>> {
    match &node.value {
        Value::String(subject) => Some(vec![MappingDestination {
            subject: subject.clone(),
            weight_percent: WEIGHT_PERCENT_MAX,
            cluster: String::new(),
        }]),
        Value::Array(elements) => {
            let found: Vec<Option<MappingDestination>> =
                elements.iter().map(|element| destination(reader, element)).collect();
            found.into_iter().collect()
        }
        _ => destination(reader, node).map(|destination| vec![destination]),
    }
}

fn destination(reader: &mut Reader, node: &Node) -> Option<MappingDestination> {
    let Value::Map(map) = &node.value else {
        reader.error(&node.position, "Expected an entry for the mapping destination");
        return None;
    };
    let errors_before = reader.problems.errors.len();
    let (mut subject, mut percent, mut cluster) = (None, None, None);
    let unknown = |written: &str| format!("Unknown field {written:?} for mapping destination");
    reader.block_saying(map, keys::MAPPING, unknown, |reader, entry| {
        let placed = Node { position: node.position.clone(), ..entry.node.clone() };
        match entry.key {
            "destination" => subject = reader.string(&placed),
            "cluster" => cluster = reader.string(&placed),
            "weight" => percent = weight(reader, entry.node),
            other => unreachable!("mapping key {other} is supported but not read"),
        }
    });
    let subject = subject.unwrap_or_default();
    if reader.problems.errors.len() > errors_before {
        return None;
    }
    let Some(weight_percent) = percent else {
        reader.error(&node.position, format!("Missing weight for mapping destination {subject:?}"));
        return None;
    };
    Some(MappingDestination { subject, weight_percent, cluster: cluster.unwrap_or_default() })
}

fn weight(reader: &mut Reader, node: &Node) -> Option<u8> {
    let (number, shown) = match &node.value {
        Value::Integer(number) => (Some(*number), number.to_string()),
        Value::String(text) => {
            let digits = text.strip_suffix('%').unwrap_or(text);
            let number: Option<i64> = digits.parse().ok();
            (number, number.map_or_else(|| format!("{digits:?}"), |number| number.to_string()))
        }
        other => {
            reader.error(&node.position, format!("Unknown entry type for weight of {}", other.shown()));
            return None;
        }
    };
    let percent = number.and_then(|number| u8::try_from(number).ok());
    let percent = percent.filter(|percent| *percent <= WEIGHT_PERCENT_MAX);
    if percent.is_none() {
        reader.error(&node.position, format!("Invalid weight {shown} for mapping destination"));
    }
    percent
}

/// What is wrong with the destinations of a source, in the order in which upstream looks.
fn wrong(source: &str, destinations: &[MappingDestination]) -> Option<String> {
    let mut subjects = HashSet::new();
    let mut totals: BTreeMap<&str, u32> = BTreeMap::new();
    for destination in destinations {
        if !subjects.insert(&destination.subject) {
            return Some(format!("duplicate entry for {:?}", destination.subject));
        }
        let total = totals.entry(&destination.cluster).or_default();
        *total += u32::from(destination.weight_percent);
        if *total > u32::from(WEIGHT_PERCENT_MAX) {
            return Some("total weight needs to be <= 100".to_owned());
        }
        if let Err(error) = Transform::new(source, &destination.subject) {
            return Some(error.to_string());
        }
    }
    None
}
