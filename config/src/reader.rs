//! From values to typed options, collecting what is wrong instead of stopping at the first.

use crate::duration::parse_duration;
use crate::keys::{Key, Kind, State, find};
use crate::problem::{Problem, Problems};
use crate::value::{Map, Node, Position, Value, in_order};
use petrel_protocol::quote::go_quote;
use std::time::Duration;

/// Reads values and remembers what was wrong with them.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) problems: Problems,
}

impl Reader {
    pub(crate) fn error(&mut self, position: &Position, text: impl Into<String>) {
        self.problems.errors.push(Problem::new(Some(position.clone()), text));
    }

    /// A warning about a field, in upstream's words.
    pub(crate) fn warn_field(&mut self, position: &Position, key: &str, why: &str) {
        let text = format!("invalid use of field {key:?}: {why}");
        self.problems.warnings.push(Problem::new(Some(position.clone()), text));
    }

    pub(crate) fn warn(&mut self, position: &Position, text: impl Into<String>) {
        self.problems.warnings.push(Problem::new(Some(position.clone()), text));
    }

    pub(crate) fn notice(&mut self, position: &Position, text: impl Into<String>) {
        self.problems.notices.push(Problem::new(Some(position.clone()), text));
    }

    /// An error at `place`; of some, upstream does not say where they are: then there is no `position`.
    pub(crate) fn error_at(
        &mut self,
        position: Option<&Position>,
        place: &Position,
        text: impl Into<String>,
    ) {
        let (position, place) = (position.cloned(), Some(place.clone()));
        self.problems.errors.push(Problem { position, place, text: text.into() });
    }

    /// Hands every supported key of a block to `read`, in the order of the file; tells of all others.
    pub(crate) fn block(
        &mut self,
        map: &Map,
        table: &'static [Key],
        read: impl FnMut(&mut Reader, &Entry<'_>),
    ) {
        self.block_saying(map, table, unknown_field, read);
    }

    /// The same, with words of its own for fields that nobody knows.
    pub(crate) fn block_saying(
        &mut self,
        map: &Map,
        table: &'static [Key],
        unknown: impl Fn(&str) -> String,
        read: impl FnMut(&mut Reader, &Entry<'_>),
    ) {
        let manner = Manner { unknown: &unknown, is_unfit: &is_of_another_kind };
        self.block_in(&manner, map, table, read);
    }

    /// The same in a manner of its own, also about what is not read.
    pub(crate) fn block_in(
        &mut self,
        manner: &Manner<'_>,
        map: &Map,
        table: &'static [Key],
        mut read: impl FnMut(&mut Reader, &Entry<'_>),
    ) {
        for (written, node) in in_order(map) {
            let Some(key) = find(table, written) else {
                if !node.used {
                    self.error(&node.position, (manner.unknown)(written));
                }
                continue;
            };
            let entry = Entry { key: key.name(), written: &written.to_lowercase(), node };
            if key.state != State::Supported && (manner.is_unfit)(self, key, &entry) {
                continue;
            }
            match key.state {
                State::Supported => read(self, &entry),
                State::Harmless(ignored) => {
                    self.notice(&node.position, format!("{written:?} is ignored: {ignored}"));
                }
                State::NotYet(_) if says_off(&node.value) => {}
                State::NotYet(_) if is_switched_off(key, &node.value) => {
                    self.unknown_inside(key, &node.value)
                }
                State::NotYet(missing) => {
                    self.error(
                        &node.position,
                        format!(
                            "{written:?} is not supported by petrel yet: without it {missing}; remove it to start all the same"
                        ),
                    );
                    self.unknown_inside(key, &node.value);
                }
            }
        }
    }

    /// Tells of fields that nobody knows in a block that is not read yet.
    fn unknown_inside(&mut self, key: &'static Key, value: &Value) {
        for map in key.blocks_in(value) {
            for (written, node) in in_order(map) {
                match find(key.block, written) {
                    Some(inner) => self.unknown_inside(inner, &node.value),
                    None if node.used => {}
                    None => self.error(&node.position, unknown_field(written)),
                }
            }
        }
    }

    fn mismatch(&mut self, node: &Node, wanted: &str) {
        let kind = node.value.kind();
        self.error(&node.position, format!("interface conversion: interface {{}} is {kind}, not {wanted}"));
    }

    pub(crate) fn string(&mut self, node: &Node) -> Option<String> {
        match &node.value {
            Value::String(text) => Some(text.clone()),
            _ => {
                self.mismatch(node, "string");
                None
            }
        }
    }

    pub(crate) fn integer(&mut self, node: &Node) -> Option<i64> {
        match node.value {
            Value::Integer(number) => Some(number),
            _ => {
                self.mismatch(node, "int64");
                None
            }
        }
    }

    pub(crate) fn boolean(&mut self, node: &Node) -> Option<bool> {
        match node.value {
            Value::Boolean(boolean) => Some(boolean),
            _ => {
                self.mismatch(node, "bool");
                None
            }
        }
    }

    pub(crate) fn map<'n>(&mut self, node: &'n Node) -> Option<&'n Map> {
        match &node.value {
            Value::Map(map) => Some(map),
            _ => {
                self.mismatch(node, "map[string]interface {}");
                None
            }
        }
    }

    pub(crate) fn array<'n>(&mut self, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::Array(elements) => Some(elements),
            _ => {
                self.mismatch(node, "[]interface {}");
                None
            }
        }
    }

    /// A number that must fit 32 bits.
    pub(crate) fn integer_32(&mut self, entry: &Entry<'_>) -> Option<i64> {
        let number = self.integer(entry.node)?;
        if number > i64::from(i32::MAX) {
            self.error(&entry.node.position, format!("{} value is too big", entry.written));
            return None;
        }
        Some(number)
    }

    /// A duration in words, or seconds as a number, which warns.
    pub(crate) fn duration(&mut self, entry: &Entry<'_>) -> Option<Duration> {
        if let Value::String(text) = &entry.node.value {
            return self.duration_text(entry, text);
        }
        let why = format!("{} should be converted to a duration", entry.written);
        self.warn_field(&entry.node.position, entry.written, &why);
        let seconds = self.integer(entry.node)?;
        match u64::try_from(seconds) {
            Ok(seconds) => Some(Duration::from_secs(seconds)),
            Err(_) => {
                self.negative(entry);
                None
            }
        }
    }

    /// A duration in words only.
    pub(crate) fn duration_in_words(&mut self, entry: &Entry<'_>) -> Option<i64> {
        let text = self.string(entry.node)?;
        match parse_duration(&text) {
            Ok(nanoseconds) => Some(nanoseconds),
            Err(error) => {
                let text = format!("error parsing {}: {error}", entry.written);
                self.error(&entry.node.position, text);
                None
            }
        }
    }

    fn duration_text(&mut self, entry: &Entry<'_>, text: &str) -> Option<Duration> {
        match parse_duration(text).map(u64::try_from) {
            Ok(Ok(nanoseconds)) => Some(Duration::from_nanos(nanoseconds)),
            Ok(Err(_)) => {
                self.negative(entry);
                None
            }
            Err(error) => {
                self.error(&entry.node.position, format!("error parsing {}: {error}", entry.written));
                None
            }
        }
    }

    /// Upstream takes negative durations and then does nothing but fire timers.
    pub(crate) fn negative(&mut self, entry: &Entry<'_>) {
        self.error(&entry.node.position, format!("{} must not be negative", entry.written));
    }
}

/// The elements of an array of exports or imports; `plural` names them in the error of what is no array.
pub(crate) fn elements<'n>(reader: &mut Reader, node: &'n Node, plural: &str) -> &'n [Node] {
    let Value::Array(elements) = &node.value else {
        let text = format!("{plural} should be an array, got {}", node.value.kind());
        reader.error(&node.position, text);
        return &[];
    };
    elements
}

/// Reads the block of one of them; false when something is wrong with it.
pub(crate) fn item(
    reader: &mut Reader,
    node: &Node,
    noun: &str,
    table: &'static [Key],
    read: impl FnMut(&mut Reader, &Entry<'_>),
) -> bool {
    let Value::Map(map) = &node.value else {
        let kind = node.value.kind();
        reader.error(&node.position, format!("{noun} Items should be a map with type entry, got {kind}"));
        return false;
    };
    let errors_before = reader.problems.errors.len();
    reader.block(map, table, read);
    reader.problems.errors.len() == errors_before
}

/// A supported key and its value.
pub(crate) struct Entry<'n> {
    /// The key's first name.
    pub(crate) key: &'static str,
    /// The name that the file uses, in lower case.
    pub(crate) written: &'n str,
    pub(crate) node: &'n Node,
}

/// How a block speaks of what is not read.
pub(crate) struct Manner<'m> {
    /// What is said of a field that nobody knows.
    pub(crate) unknown: &'m dyn Fn(&str) -> String,
    /// Whether a key that is ignored, or not there yet, has a value that upstream does not take; says so.
    pub(crate) is_unfit: &'m dyn Fn(&mut Reader, &'static Key, &Entry<'_>) -> bool,
}

/// The values of keys that are ignored must be of their kind, too.
fn is_of_another_kind(reader: &mut Reader, key: &'static Key, entry: &Entry<'_>) -> bool {
    match (key.state, key.kind) {
        (State::Harmless(_), Kind::Text) => reader.string(entry.node).is_none(),
        (State::Harmless(_), Kind::Integer | Kind::Size) => reader.integer(entry.node).is_none(),
        (State::Harmless(_), Kind::Boolean) => reader.boolean(entry.node).is_none(),
        _ => false,
    }
}

/// What is said of a field that nobody knows.
fn unknown_field(written: &str) -> String {
    format!("unknown field {}", go_quote(written.as_bytes()))
}

/// Whether a block has a switch, and that is off: `jetstream { enabled: false }`.
pub(crate) fn is_switched_off(key: &'static Key, value: &Value) -> bool {
    let Value::Map(map) = value else { return false };
    map.iter().any(|(written, node)| {
        find(key.block, written).is_some_and(|inner| inner.name() == "enabled")
            && matches!(node.value, Value::Boolean(false))
    })
}

/// Whether the value of a key that is not there yet says that it is not wanted.
pub(crate) fn says_off(value: &Value) -> bool {
    match value {
        Value::Boolean(on) => !on,
        Value::Integer(number) => *number == 0,
        Value::String(word) => word.is_empty() || word.eq_ignore_ascii_case("disabled"),
        _ => false,
    }
}
