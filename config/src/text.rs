//! Bytes to text.

use std::fmt::Write;

/// The text of bytes; each byte that is not part of valid UTF-8 becomes one replacement character, as Go
/// does it (Rust's own conversion joins some).
pub(crate) fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// Appends a JSON string as Go's encoder writes it: `<`, `>`, `&` and the two line separators are escaped too.
pub(crate) fn append_json_string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            // Go escapes what stands for a byte that is not UTF-8, and leaves a real replacement character
            // alone; here the two are one.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{fffd}' | '\0'..='\x1f' => {
                // Writing into a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bad_byte_is_replaced() {
        assert_eq!(lossy(b"a\xe9\xa9b\xc3\xa9"), "a\u{fffd}\u{fffd}b\u{e9}");
    }

    #[test]
    fn strings_are_escaped_as_go_does() {
        let mut out = String::new();
        append_json_string("a\"\\\n\r\t\u{8}\u{c}\u{1}<>&\u{2028}\u{7f}\u{e9}", &mut out);
        assert_eq!(out, "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u003c\\u003e\\u0026\\u2028\u{7f}\u{e9}\"");
    }
}
