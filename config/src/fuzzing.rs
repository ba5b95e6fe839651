//! Bodies of the fuzz targets: each takes any bytes and panics when the crate contradicts itself or a plain account
//! of the same rules. `fuzz/` runs them under libFuzzer, `fuzz/bounded` on stable.

use crate::mappings::mappings;
use crate::permissions::permissions;
use crate::reader::Reader;
use crate::value::{Map, Node, Position, Value};
use crate::{Source, inspect, load};
use petrel_protocol::transform::Transform;
use std::collections::{BTreeMap, HashSet};

/// A file that may include itself, and an environment that holds it.
struct Bytes<'a>(&'a [u8]);

impl Source for Bytes<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        if path == "c.conf" { Ok(self.0.to_vec()) } else { Err("no such file".to_owned()) }
    }

    fn read_if_there(&mut self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        (name == "E").then(|| String::from_utf8_lossy(self.0).into_owned())
    }
}

/// A whole file. Checked: it can be loaded if and only if its inspection finds no error, with the same options;
/// whatever is wrong is said in words; an option that nobody knows never starts a server.
pub fn configuration(input: &[u8]) {
    let loaded = load("c.conf", &mut Bytes(input));
    let shown = input.escape_ascii();
    match (inspect("c.conf", &mut Bytes(input)), loaded) {
        (Err(error), Err(told)) => assert_eq!(error.to_string(), told.to_string(), "{shown}"),
        (Ok(inspection), Ok(configuration)) => {
            assert!(inspection.problems.errors.is_empty(), "{shown}");
            assert_eq!(inspection.options, configuration.options, "{shown}");
            assert_eq!(inspection.digest, configuration.digest, "{shown}");
            let stops = |finding: &crate::Finding| {
                matches!(finding.outcome, crate::Outcome::NotYet(_) | crate::Outcome::Unknown)
            };
            if let Some(finding) = inspection.findings.iter().find(|finding| stops(finding)) {
                // Within what is switched off, and below what is no block, nothing is read.
                assert!(finding.path.contains('.'), "{} in {shown}", finding.path);
            }
        }
        (Ok(inspection), Err(_)) => {
            assert!(!inspection.problems.errors.is_empty(), "{shown}");
            assert!(inspection.problems.errors.iter().all(|problem| !problem.text.is_empty()), "{shown}");
        }
        (Err(_), Ok(_)) => panic!("loaded, but cannot be inspected: {shown}"),
    }
}

/// One entry of a permission to subscribe, and of one to publish. Checked: it is taken if and only if the rules,
/// written down plainly, say so.
pub fn permissions_entry(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let is_subject = |text: &str| {
        let tokens: Vec<&str> = text.split('.').collect();
        let (last, before) = tokens.split_last().expect("a split has a part");
        tokens.iter().all(|token| !token.is_empty())
            && !text.bytes().any(|byte| b" \t\n\r\x0c".contains(&byte))
            && !before.contains(&">")
            && !last.is_empty()
    };
    let words: Vec<&str> = text.split_whitespace().collect();
    let is_pair = words.len() == 2 && words.iter().all(|word| is_subject(word));
    for (key, expected) in [("subscribe", is_subject(text) || is_pair), ("publish", is_subject(text))] {
        let mut reader = Reader::default();
        let entry = BTreeMap::from([(key.to_owned(), node(Value::String(text.to_owned())))]);
        let read = permissions(&mut reader, &node(Value::Map(entry))).expect("it is a block");
        assert_eq!(reader.problems.errors.is_empty(), expected, "{key} {text:?}: {:?}", reader.problems);
        if expected {
            let list = if key == "publish" { read.publish } else { read.subscribe };
            assert_eq!(list.and_then(|list| list.allow), Some(vec![text.to_owned()]));
        }
    }
}

/// Mappings: a line is a source or, behind a `+`, a destination of the source before it: a byte of weight, a byte
/// of cluster, the subject. Checked: what is taken are transforms, each destination once, no cluster above 100 %;
/// and each source is taken or told to be wrong.
pub fn mapping_lines(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let mut map = Map::new();
    let mut source = String::new();
    for line in text.split('\n') {
        let Some(destination) = line.strip_prefix('+') else {
            source = line.to_owned();
            map.insert(source.clone(), node(Value::Array(Vec::new())));
            continue;
        };
        let mut letters = destination.chars();
        let weight = letters.next().map_or(0, |letter| i64::from(u32::from(letter)));
        let cluster = letters.next().unwrap_or('a').to_string();
        let entry = BTreeMap::from([
            ("dest".to_owned(), node(Value::String(letters.as_str().to_owned()))),
            ("weight".to_owned(), node(Value::Integer(weight))),
            ("cluster".to_owned(), node(Value::String(cluster))),
        ]);
        if let Some(Value::Array(list)) = map.get_mut(&source).map(|node| &mut node.value) {
            list.push(node(Value::Map(entry)));
        }
    }
    let count = map.len();
    let mut reader = Reader::default();
    let read = mappings(&mut reader, &node(Value::Map(map)));
    assert!(read.len() + reader.problems.errors.len() >= count, "{text:?}");
    assert_eq!(read.len() == count, reader.problems.errors.is_empty(), "{text:?}: {:?}", reader.problems);
    for mapping in &read {
        let mut subjects = HashSet::new();
        let mut totals: BTreeMap<&str, u32> = BTreeMap::new();
        for destination in &mapping.destinations {
            assert!(subjects.insert(&destination.subject), "{text:?}");
            *totals.entry(&destination.cluster).or_default() += u32::from(destination.weight_percent);
            assert!(Transform::new(&mapping.source, &destination.subject).is_ok(), "{text:?}");
        }
        assert!(totals.values().all(|total| *total <= 100), "{text:?}");
    }
}

fn node(value: Value) -> Node {
    Node { value, position: Position { file: "c.conf".into(), line: 1, column: 0 }, used: false }
}
