//! Shapes of JSON answers, and those that were recorded of upstream: sections `== name`, then a line `path type` for
//! each field.

use serde_json::Value;
use std::collections::BTreeMap;

/// The configuration that upstream was recorded with.
pub const CONFIGURATION: &str = include_str!("../golden/accounts.conf");

/// Numbers that may have a fraction.
const FLOATS: &[&str] = &["cpu", "auth_timeout", "tls_timeout", "cache_hit_rate", "avg_fanout"];

/// Blocks whose fields differ by what runs and what was asked.
const OPAQUE: &[&str] = &["memstats", "http_req_stats"];

/// Path to type.
pub type Shape = BTreeMap<String, String>;

/// The shape of an answer.
pub fn shape(value: &Value) -> Shape {
    let mut shape = Shape::new();
    flatten(value, "", "", &mut shape);
    shape
}

fn flatten(value: &Value, path: &str, name: &str, shape: &mut Shape) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Number(_) if FLOATS.contains(&name) => "number",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !path.is_empty() {
        shape.insert(path.to_owned(), kind.to_owned());
    }
    match value {
        Value::Array(elements) => {
            elements.iter().for_each(|element| flatten(element, &format!("{path}[]"), name, shape));
        }
        Value::Object(fields) if !OPAQUE.contains(&name) => {
            for (field, inner) in fields {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                flatten(inner, &path, field, shape);
            }
        }
        _ => {}
    }
}

/// The sections of a recording, in their order.
pub fn sections(text: &str) -> Vec<(String, Shape)> {
    let mut sections: Vec<(String, Shape)> = Vec::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("== ") {
            sections.push((name.to_owned(), Shape::new()));
        } else if let (Some((path, kind)), Some((_, shape))) = (line.split_once(' '), sections.last_mut()) {
            shape.insert(path.to_owned(), kind.to_owned());
        }
    }
    sections
}

/// Whether two shapes are one, petrel's own block aside.
pub fn compare(name: &str, found: &Shape, recorded: &Shape) {
    let is_compared = |path: &String| !path.contains("petrel");
    let found: BTreeMap<_, _> = found.iter().filter(|(path, _)| is_compared(path)).collect();
    let recorded: BTreeMap<_, _> = recorded.iter().filter(|(path, _)| is_compared(path)).collect();
    assert_eq!(found, recorded, "{name}");
}
