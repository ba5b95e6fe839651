//! What a file says, before anybody knows which keys mean what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where something stands: `file:line:column` in messages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The file as it was named.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: usize,
    /// The column in bytes. As upstream counts: from 0 on the first line, from 1 on the others.
    pub column: usize,
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// A block: keys as they were written, and what they are set to. The last of several equal keys wins.
pub type Map = BTreeMap<String, Node>;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where its key stands; for an element of an array, where the element stands, or ends if it is a container.
    pub position: Position,
    /// Whether a variable referred to it: it may then have a name that is no option.
    pub used: bool,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A point in time, `YYYY-MM-DDTHH:MM:SSZ` as written.
    DateTime(String),
    Array(Vec<Node>),
    Map(Map),
}

impl Value {
    /// The kind, in the words that upstream's messages use (those of Go).
    pub fn kind(&self) -> &'static str {
        match self {
            Value::String(_) => "string",
            Value::Integer(_) => "int64",
            Value::Float(_) => "float64",
            Value::Boolean(_) => "bool",
            Value::DateTime(_) => "time.Time",
            Value::Array(_) => "[]interface {}",
            Value::Map(_) => "map[string]interface {}",
        }
    }

    /// The value as upstream's messages show it; containers, of which those show addresses, in words.
    pub(crate) fn shown(&self) -> String {
        match self {
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(boolean) => boolean.to_string(),
            Value::DateTime(text) => format!("{} +0000 UTC", text.replace('T', " ").trim_end_matches('Z')),
            Value::Array(elements) if elements.is_empty() => "[]".to_owned(),
            Value::Array(_) => "an array".to_owned(),
            Value::Map(map) if map.is_empty() => "map[]".to_owned(),
            Value::Map(_) => "a map".to_owned(),
        }
    }
}

/// The entries of a block in the order of the file.
pub(crate) fn in_order(map: &Map) -> Vec<(&String, &Node)> {
    let mut entries: Vec<(&String, &Node)> = map.iter().collect();
    entries.sort_by(|(_, left), (_, right)| left.position.cmp(&right.position));
    entries
}
