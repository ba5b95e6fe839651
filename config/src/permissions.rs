//! `permissions { }` (reference: security.md, section 5).

use crate::duration::parse_duration;
use crate::keys;
use crate::options::{Permissions, ResponsePermission, SubjectPermission};
use crate::reader::{Entry, Reader};
use crate::subject::{is_valid, split_queue};
use crate::value::{Node, Position, Value};
use std::time::Duration;

/// Whether entries may carry a queue group.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queues {
    Allowed,
    Refused,
}

/// Reads the block; `None` when it is none.
pub(crate) fn permissions(reader: &mut Reader, node: &Node) -> Option<Permissions> {
    let Value::Map(map) = &node.value else {
        let text = format!("Expected permissions to be a map/struct, got {}", node.value.shown());
        reader.error(&node.position, text);
        return None;
    };
    let mut found = Permissions::default();
    reader.block_saying(map, keys::PERMISSIONS, unknown_permission, |reader, entry| match entry.key {
        "publish" => found.publish = subjects(reader, entry.node, Queues::Refused),
        "subscribe" => found.subscribe = subjects(reader, entry.node, Queues::Allowed),
        "allow_responses" => found.responses = responses(reader, entry.node),
        other => unreachable!("permissions key {other} is supported but not read"),
    });
    if found.responses.is_some() {
        // Who may answer may publish nothing else, unless the file says what.
        found.publish.get_or_insert_default().allow.get_or_insert_default();
    }
    Some(found)
}

fn unknown_permission(written: &str) -> String {
    format!("Unknown field {written:?} parsing permissions")
}

/// A subject, an array of them, or a block with allow and deny. What stands directly is allowed.
fn subjects(reader: &mut Reader, node: &Node, queues: Queues) -> Option<SubjectPermission> {
    let mut found = SubjectPermission::default();
    let Value::Map(map) = &node.value else {
        // Upstream does not say where such a subject stands.
        found.allow = subject_list(reader, node, None, queues).filter(|list| !list.is_empty());
        return Some(found);
    };
    let unknown = |written: &str| {
        format!(
            "Unknown field name {written:?} parsing subject permissions, only 'allow' or 'deny' are permitted"
        )
    };
    reader.block_saying(map, keys::SUBJECTS, unknown, |reader, entry| {
        let node = entry.node;
        let list = subject_list(reader, node, Some(&node.position), queues);
        match entry.key {
            // An empty list is none.
            "allow" => found.allow = list.filter(|list| !list.is_empty()),
            "deny" => found.deny = list.unwrap_or_default(),
            other => unreachable!("subject permissions key {other} is supported but not read"),
        }
    });
    Some(found)
}

fn subject_list(
    reader: &mut Reader,
    node: &Node,
    position: Option<&Position>,
    queues: Queues,
) -> Option<Vec<String>> {
    let subjects = match &node.value {
        Value::String(subject) => vec![subject.clone()],
        Value::Array(elements) => {
            let mut subjects = Vec::with_capacity(elements.len());
            for element in elements {
                let Value::String(subject) = &element.value else {
                    reader.error(&element.position, "Subject in permissions array cannot be cast to string");
                    return None;
                };
                subjects.push(subject.clone());
            }
            subjects
        }
        other => {
            let kind = other.kind();
            let text =
                format!("Expected subject permissions to be a subject, or array of subjects, got {kind}");
            reader.error_at(position, &node.position, text);
            return None;
        }
    };
    match subjects.iter().find_map(|subject| wrong(subject, queues)) {
        Some(text) => {
            reader.error_at(position, &node.position, text);
            None
        }
        None => Some(subjects),
    }
}

/// What is wrong with an entry.
fn wrong(entry: &str, queues: Queues) -> Option<String> {
    let no_subject = |subject: &str| Some(format!("subject {} is not a valid subject", quoted(subject)));
    if is_valid(entry) {
        return None;
    }
    match split_queue(entry) {
        Some((subject, queue)) if queues == Queues::Allowed => {
            if !is_valid(subject) {
                no_subject(subject)
            } else if !is_valid(queue) {
                Some(format!("queue {} is not a valid queue", quoted(queue)))
            } else {
                None
            }
        }
        _ => no_subject(entry),
    }
}

/// A text as Go quotes it; of the control characters these are what makes a subject invalid.
fn quoted(text: &str) -> String {
    format!("{text:?}").replace("\\u{c}", "\\f")
}

/// `allow_responses`.
fn responses(reader: &mut Reader, node: &Node) -> Option<ResponsePermission> {
    let map = match &node.value {
        Value::Boolean(true) => return Some(ResponsePermission::DEFAULT),
        Value::Boolean(false) => return None,
        Value::Map(map) => map,
        _ => {
            let text = "error parsing response permissions, expected a boolean or a map";
            reader.error(&node.position, text);
            return None;
        }
    };
    let mut found = ResponsePermission::DEFAULT;
    reader.block_saying(map, keys::RESPONSES, unknown_permission, |reader, entry| match entry.key {
        "max" => match reader.integer(entry.node) {
            Some(0) | None => {}
            Some(max) if max < 0 => found.max = None,
            Some(max) => found.max = Some(u32::try_from(max).unwrap_or(u32::MAX)),
        },
        "expires" => match expiry(reader, entry) {
            Some(0) | None => {}
            Some(nanoseconds) => found.expires = u64::try_from(nanoseconds).ok().map(Duration::from_nanos),
        },
        other => unreachable!("responses key {other} is supported but not read"),
    });
    Some(found)
}

/// Nanoseconds.
fn expiry(reader: &mut Reader, entry: &Entry<'_>) -> Option<i64> {
    let Value::String(text) = &entry.node.value else {
        reader.error(&entry.node.position, "error parsing expires, not a duration string");
        return None;
    };
    match parse_duration(text) {
        Ok(nanoseconds) => Some(nanoseconds),
        Err(error) => {
            reader.error(&entry.node.position, format!("error parsing expires: {error}"));
            None
        }
    }
}
