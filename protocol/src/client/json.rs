//! JSON by the rules of Go's `encoding/json`, which decide what upstream accepts in CONNECT and INFO.
//!
//! What differs from a strict reader into Rust types, and is kept because clients can see it: names of fields
//! match in any case (`ſ` and the Kelvin sign fold to `s` and `k`), of a field named twice the last counts,
//! `null` leaves a field as it was, bytes that are not UTF-8 and lone surrogates become U+FFFD, an integer has
//! neither fraction nor exponent. Values of unknown fields are checked for their syntax only, without recursion.

use crate::utf8;

/// How deep values may nest; Go refuses more.
const NESTING_MAX: usize = 10_000;

/// What is wrong with a text. One kind of consequence, so one word is enough; the offset helps in a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JsonError {
    /// What was expected or found.
    pub(super) what: &'static str,
    /// Where, in bytes from the start.
    pub(super) offset: usize,
}

pub(super) type Outcome<T> = Result<T, JsonError>;

/// A position in a text.
pub(super) struct Reader<'a> {
    text: &'a [u8],
    offset: usize,
}

/// Reads a text that is one object, or `null` (which says nothing). `field` is called for each field with its
/// folded name and has to read the value, or skip it with [`Reader::skip_value`].
pub(super) fn document(text: &[u8], field: impl FnMut(&str, &mut Reader<'_>) -> Outcome<()>) -> Outcome<()> {
    let mut reader = Reader { text, offset: 0 };
    reader.object(field)?;
    reader.blanks();
    if reader.offset == text.len() { Ok(()) } else { reader.fail("something behind the value") }
}

impl Reader<'_> {
    fn fail<T>(&self, what: &'static str) -> Outcome<T> {
        Err(JsonError { what, offset: self.offset })
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.offset).copied()
    }

    /// Where the next value begins; moves there.
    pub(super) fn position(&mut self) -> usize {
        self.blanks();
        self.offset
    }

    /// Where what was read last ends.
    pub(super) fn position_behind(&self) -> usize {
        self.offset
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.offset += 1;
        }
    }

    /// Skips blanks and, if it comes next, `byte`.
    fn eat(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.peek() == Some(byte);
        self.offset += usize::from(found);
        found
    }

    fn word(&mut self, word: &'static str) -> bool {
        self.blanks();
        let found = self.text[self.offset..].starts_with(word.as_bytes());
        self.offset += if found { word.len() } else { 0 };
        found
    }

    /// An object or `null`; see [`document`].
    pub(super) fn object(&mut self, mut field: impl FnMut(&str, &mut Self) -> Outcome<()>) -> Outcome<()> {
        if self.word("null") {
            return Ok(());
        }
        if !self.eat(b'{') {
            return self.fail("an object expected");
        }
        if self.eat(b'}') {
            return Ok(());
        }
        loop {
            let name = fold(&self.string_literal()?);
            if !self.eat(b':') {
                return self.fail("a colon expected");
            }
            field(&name, self)?;
            if self.eat(b'}') {
                return Ok(());
            }
            if !self.eat(b',') {
                return self.fail("a comma or closing brace expected");
            }
        }
    }

    /// An array or `null`; `element` has to read each element.
    pub(super) fn array(&mut self, mut element: impl FnMut(&mut Self) -> Outcome<()>) -> Outcome<()> {
        if self.word("null") {
            return Ok(());
        }
        if !self.eat(b'[') {
            return self.fail("an array expected");
        }
        if self.eat(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.eat(b']') {
                return Ok(());
            }
            if !self.eat(b',') {
                return self.fail("a comma or closing bracket expected");
            }
        }
    }

    /// A string, or `None` for `null`.
    pub(super) fn string(&mut self) -> Outcome<Option<String>> {
        if self.word("null") { Ok(None) } else { self.string_literal().map(Some) }
    }

    /// A truth value, or `None` for `null`.
    pub(super) fn boolean(&mut self) -> Outcome<Option<bool>> {
        if self.word("null") {
            Ok(None)
        } else if self.word("true") {
            Ok(Some(true))
        } else if self.word("false") {
            Ok(Some(false))
        } else {
            self.fail("true or false expected")
        }
    }

    /// An integer of the given range, or `None` for `null`.
    pub(super) fn integer(&mut self, range: std::ops::RangeInclusive<i128>) -> Outcome<Option<i128>> {
        if self.word("null") {
            return Ok(None);
        }
        self.blanks();
        let start = self.offset;
        self.number()?;
        let literal = std::str::from_utf8(&self.text[start..self.offset]).unwrap_or_default();
        match literal.parse() {
            Ok(value) if range.contains(&value) => Ok(Some(value)),
            _ => self.fail("an integer in range expected"),
        }
    }

    /// Bytes as Go takes them: base64 in a string, or an array of numbers up to 255, or `null`.
    pub(super) fn bytes(&mut self) -> Outcome<()> {
        self.blanks();
        if self.peek() != Some(b'"') {
            return self.array(|reader| reader.integer(0..=255).map(drop));
        }
        let mut text = self.string_literal()?.into_bytes();
        text.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        match data_encoding::BASE64.decode(&text) {
            Ok(_) => Ok(()),
            Err(_) => self.fail("base64 expected"),
        }
    }

    /// Any value: only its syntax is checked.
    pub(super) fn skip_value(&mut self) -> Outcome<()> {
        // The closing bytes of what is open, innermost last.
        let mut open: Vec<u8> = Vec::new();
        loop {
            self.blanks();
            match self.peek() {
                Some(opening @ (b'{' | b'[')) => {
                    let closing = if opening == b'{' { b'}' } else { b']' };
                    self.open(&open)?;
                    if !self.eat(closing) {
                        open.push(closing);
                        if closing == b'}' {
                            self.name_and_colon()?;
                        }
                        continue;
                    }
                }
                Some(b'"') => drop(self.string_literal()?),
                Some(b'-' | b'0'..=b'9') => self.number()?,
                _ if self.word("null") || self.word("true") || self.word("false") => {}
                _ => return self.fail("a value expected"),
            }
            if !self.after_value(&mut open)? {
                return Ok(());
            }
        }
    }

    /// Steps behind an opening byte, if nesting allows one more level.
    fn open(&mut self, open: &[u8]) -> Outcome<()> {
        // One level more is the object that the skipped value stands in.
        if open.len() + 1 >= NESTING_MAX {
            return self.fail("nested too deep");
        }
        self.offset += 1;
        Ok(())
    }

    /// Behind a value inside `open`: closes what ends here; whether another value has to follow.
    fn after_value(&mut self, open: &mut Vec<u8>) -> Outcome<bool> {
        while let Some(closing) = open.last().copied() {
            if self.eat(b',') {
                if closing == b'}' {
                    self.name_and_colon()?;
                }
                return Ok(true);
            }
            if !self.eat(closing) {
                return self.fail("a comma or closing bracket expected");
            }
            open.pop();
        }
        Ok(false)
    }

    fn name_and_colon(&mut self) -> Outcome<()> {
        self.string_literal()?;
        if self.eat(b':') { Ok(()) } else { self.fail("a colon expected") }
    }

    /// Moves behind a number of JSON's grammar.
    fn number(&mut self) -> Outcome<()> {
        self.offset += usize::from(self.peek() == Some(b'-'));
        match self.peek() {
            Some(b'0') => self.offset += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.fail("a number expected"),
        }
        if self.peek() == Some(b'.') {
            self.offset += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.offset += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.offset += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// At least one digit.
    fn digits(&mut self) -> Outcome<()> {
        let start = self.offset;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.offset += 1;
        }
        if self.offset > start { Ok(()) } else { self.fail("a digit expected") }
    }

    fn string_literal(&mut self) -> Outcome<String> {
        if !self.eat(b'"') {
            return self.fail("a string expected");
        }
        let mut string = String::new();
        loop {
            match self.peek() {
                None => return self.fail("an unclosed string"),
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(string);
                }
                Some(b'\\') => {
                    self.offset += 1;
                    string.push(self.escape()?);
                }
                Some(0x00..=0x1f) => return self.fail("a control character in a string"),
                Some(_) => match utf8::first_char(&self.text[self.offset..]) {
                    Some((character, width)) => {
                        string.push(character);
                        self.offset += width;
                    }
                    None => {
                        string.push(char::REPLACEMENT_CHARACTER);
                        self.offset += 1;
                    }
                },
            }
        }
    }

    /// What stands behind a backslash.
    fn escape(&mut self) -> Outcome<char> {
        let character = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.offset += 1;
                return self.unicode_escape();
            }
            _ => return self.fail("an unknown escape"),
        };
        self.offset += 1;
        Ok(character)
    }

    /// Four hexadecimal digits, and a second escape when both make a surrogate pair.
    fn unicode_escape(&mut self) -> Outcome<char> {
        let Some(first) = self.code_unit(self.offset) else { return self.fail("four digits expected") };
        self.offset += 4;
        if let Some(character) = char::from_u32(u32::from(first)) {
            return Ok(character);
        }
        if self.text[self.offset..].starts_with(b"\\u")
            && let Some(second) = self.code_unit(self.offset + 2)
            && let Some(Ok(character)) = char::decode_utf16([first, second]).next()
        {
            self.offset += 6;
            return Ok(character);
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn code_unit(&self, offset: usize) -> Option<u16> {
        self.text.get(offset..offset + 4)?.iter().try_fold(0, |unit, byte| {
            let digit = char::from(*byte).to_digit(16)?;
            Some(unit << 4 | u16::try_from(digit).ok()?)
        })
    }
}

/// The lists of `import` and `export`, of which a client's connection uses nothing but their types.
pub(super) fn subject_permission(value: &mut Reader<'_>) -> Outcome<()> {
    value.object(|name, value| match name {
        "allow" | "deny" => value.array(|element| element.string().map(drop)),
        _ => value.skip_value(),
    })
}

/// A name in the form in which fields are looked up: ASCII in lower case, and the two characters beyond ASCII
/// that fold into it.
fn fold(name: &str) -> String {
    name.chars()
        .map(|character| match character {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            other => other.to_ascii_lowercase(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(text: &[u8]) -> Option<Vec<String>> {
        let mut names = Vec::new();
        document(text, |name, reader| {
            names.push(name.to_owned());
            reader.skip_value()
        })
        .ok()?;
        Some(names)
    }

    fn string(text: &[u8]) -> Option<String> {
        let mut reader = Reader { text, offset: 0 };
        let string = reader.string_literal().ok()?;
        (reader.offset == text.len()).then_some(string)
    }

    #[test]
    fn only_an_object_or_null_is_a_document() {
        assert_eq!(names(b" { } \r\n"), Some(vec![]));
        assert_eq!(names(b"null"), Some(vec![]));
        assert_eq!(
            names(br#"{"Name":1,"nAM\u0045":[{}]}"#),
            Some(vec!["name".to_owned(), "name".to_owned()])
        );
        for text in [
            "",
            "[]",
            "1",
            "true",
            "\"x\"",
            "{}x",
            "{} {}",
            "{",
            "{\"a\":1,}",
            "{a:1}",
            "{'a':1}",
            "{\"a\" 1}",
            "\u{feff}{}",
            "\0{}",
            "nul",
            "nulll",
            "{,}",
        ] {
            assert_eq!(names(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn two_characters_beyond_ascii_fold_into_it() {
        assert_eq!(fold("Verboſe_N\u{212a}ey_É"), "verbose_nkey_É");
    }

    #[test]
    fn strings_replace_what_is_no_character() {
        assert_eq!(string(br#""a\"\\\/\b\f\n\r\t\u00e9""#).unwrap(), "a\"\\/\x08\x0c\n\r\t\u{e9}");
        assert_eq!(string(b"\"\xff\xe2\x82\"").unwrap(), "\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(string(br#""\ud83d\ude00""#).unwrap(), "\u{1f600}");
        assert_eq!(string(br#""\ud83dx""#).unwrap(), "\u{fffd}x");
        assert_eq!(string(br#""\ud83d\u0041""#).unwrap(), "\u{fffd}A");
        assert_eq!(string(br#""\ude00\ud83d""#).unwrap(), "\u{fffd}\u{fffd}");
        for text in [&b"\"a"[..], b"\"\x01\"", b"\"\t\"", b"\"\\x\"", b"\"\\u12\"", b"\"\\u12g4\"", b"\"\\"] {
            assert_eq!(string(text), None, "{text:?}");
        }
    }

    #[test]
    fn integers_have_no_fraction_and_a_range() {
        let integer = |text: &str| Reader { text: text.as_bytes(), offset: 0 }.integer(-5..=5).ok().flatten();
        assert_eq!(integer(" 3"), Some(3));
        assert_eq!(integer("-5"), Some(-5));
        assert_eq!(integer("-0"), Some(0));
        for text in
            ["6", "-6", "1.0", "1e0", "\"1\"", "true", "99999999999999999999999999999999999999999999999999"]
        {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_and_needs_no_stack() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
        assert!(names(nested(NESTING_MAX - 1).as_bytes()).is_some());
        assert!(names(nested(NESTING_MAX).as_bytes()).is_none());
    }

    proptest! {
        /// serde_json is an independent judge of the syntax; it is stricter about surrogates and UTF-8 (which
        /// these inputs have none of) and about numbers beyond floating point.
        #[test]
        fn syntax_agrees_with_serde_json(text in r#"[{}\[\],:" a1e.\-+0\\ntrufls]{0,24}"#) {
            let document_text = format!("{{\"a\":{text}}}");
            let theirs = serde_json::from_str::<serde_json::Value>(&document_text);
            if !theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range")) {
                prop_assert_eq!(names(document_text.as_bytes()).is_some(), theirs.is_ok(), "{}", document_text);
            }
        }

        #[test]
        fn what_serde_json_writes_is_read(value in "\\PC{0,20}", number in any::<i64>()) {
            let text = serde_json::to_vec(&serde_json::json!({ "s": value, "n": number, "l": [value, number, null] })).unwrap();
            let mut seen = None;
            document(&text, |name, reader| {
                match name {
                    "s" => seen = reader.string()?,
                    "n" => {
                        let read = reader.integer(i128::from(i64::MIN)..=i128::from(i64::MAX))?;
                        assert_eq!(read, Some(i128::from(number)));
                    }
                    _ => reader.skip_value()?,
                }
                Ok(())
            })
            .unwrap();
            prop_assert_eq!(seen, Some(value));
        }
    }
}
