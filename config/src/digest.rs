//! The digest of a configuration: SHA-256 over its canonical JSON (reference: config.md, section 2).

use crate::text::append_json_string;
use crate::value::{Map, Value};
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// `sha256:` and 64 hexadecimal digits.
pub fn digest(map: &Map) -> String {
    let mut json = String::new();
    append_map(map, &mut json);
    json.push('\n');
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(json.as_bytes()) {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Maps are ordered by their keys' bytes.
fn append_map(map: &Map, out: &mut String) {
    out.push('{');
    for (index, (key, node)) in map.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        append_json_string(key, out);
        out.push(':');
        append_value(&node.value, out);
    }
    out.push('}');
}

fn append_value(value: &Value, out: &mut String) {
    match value {
        Value::String(text) | Value::DateTime(text) => append_json_string(text, out),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::Float(number) => out.push_str(&go_float(*number)),
        Value::Boolean(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
        Value::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                append_value(&element.value, out);
            }
            out.push(']');
        }
        Value::Map(map) => append_map(map, out),
    }
}

/// A float as Go's JSON encoder writes it: with an exponent only when it is very small or large.
fn go_float(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude == 0.0 || (1e-6..1e21).contains(&magnitude) {
        return format!("{number}");
    }
    let text = format!("{number:e}");
    match text.split_once('e') {
        Some((mantissa, exponent)) if !exponent.starts_with('-') => format!("{mantissa}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_written_as_go_does() {
        for (number, text) in [
            (1.5, "1.5"),
            (1.0, "1"),
            (0.0, "0"),
            (-0.25, "-0.25"),
            (0.000_001, "0.000001"),
            (0.000_000_15, "1.5e-7"),
            (1e20, "100000000000000000000"),
            (1.25e21, "1.25e+21"),
        ] {
            assert_eq!(go_float(number), text);
        }
    }
}
