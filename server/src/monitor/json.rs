//! JSON as Go's encoder writes it.

use serde::{Serialize, Serializer};

/// Two blanks a level; `<`, `>`, `&` and the line separators escaped.
pub fn pretty(value: &impl Serialize) -> String {
    escape(serde_json::to_string_pretty(value))
}

/// Three blanks a level, as upstream writes what it did not mean to be an endpoint.
pub fn pretty_by_three(value: &impl Serialize) -> String {
    let mut encoded = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"   ");
    let written = value.serialize(&mut serde_json::Serializer::with_formatter(&mut encoded, formatter));
    escape(written.map(|()| String::from_utf8_lossy(&encoded).into_owned()))
}

/// Without blanks, escaped alike.
pub fn compact(value: &impl Serialize) -> String {
    escape(serde_json::to_string(value))
}

/// These characters stand in strings only, so the whole text can be replaced in.
fn escape(encoded: serde_json::Result<String>) -> String {
    // The shapes here have string keys and no failing serializers.
    let text = encoded.unwrap_or_else(|error| format!("{{\"error\":{:?}}}", error.to_string()));
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return text;
    }
    text.replace('<', "\\u003c")
        .replace('>', "\\u003e")
        .replace('&', "\\u0026")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// A float that is written without `.0` when it is whole, as Go does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Float(pub f64);

/// Whole numbers up to here have all their digits.
const WHOLE_MAX: f64 = 1e15;

impl Serialize for Float {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.fract() == 0.0 && self.0.abs() < WHOLE_MAX {
            // Exact below the bound.
            serializer.serialize_i64(self.0 as i64)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn markup_is_escaped_and_indented_by_two() {
        let value = json!({"name": "<a>&\u{2028}\"", "list": [], "block": {}});
        assert_eq!(
            pretty(&value),
            "{\n  \"block\": {},\n  \"list\": [],\n  \"name\": \"\\u003ca\\u003e\\u0026\\u2028\\\"\"\n}"
        );
    }

    #[test]
    fn whole_floats_have_no_point() {
        assert_eq!(compact(&[Float(2.0), Float(1.5), Float(0.0), Float(-3.0)]), "[2,1.5,0,-3]");
    }
}
