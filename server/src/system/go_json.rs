//! What is wrong with a JSON text, in the words of Go's `encoding/json`: requests with a broken body are answered with
//! them.

/// How deep values may nest.
const NESTING_MAX: usize = 10_000;

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// The first element of an array, or its end.
    ElementOrEnd,
    /// The first key of an object, or its end.
    KeyOrEnd,
    Key,
    /// A comma or the end of what is open; nothing when nothing is.
    After,
}

/// What is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Array,
    Object,
}

struct Scanner<'a> {
    text: &'a [u8],
    offset: usize,
}

const UNEXPECTED_END: &str = "unexpected end of JSON input";

/// The first error of a text; `None`: it is well formed.
pub fn syntax_error(text: &[u8]) -> Option<String> {
    Scanner { text, offset: 0 }.check().err()
}

impl Scanner<'_> {
    fn check(&mut self) -> Result<(), String> {
        let mut open: Vec<Open> = Vec::new();
        let mut next = Next::Value;
        loop {
            self.blanks();
            let Some(byte) = self.peek() else {
                return if open.is_empty() && next == Next::After {
                    Ok(())
                } else {
                    Err(UNEXPECTED_END.into())
                };
            };
            next = match (next, byte) {
                (Next::Value | Next::ElementOrEnd, b'[') => self.open(&mut open, Open::Array)?,
                (Next::Value | Next::ElementOrEnd, b'{') => self.open(&mut open, Open::Object)?,
                (Next::ElementOrEnd, b']') | (Next::KeyOrEnd, b'}') => self.close(&mut open),
                (Next::Value | Next::ElementOrEnd, _) => {
                    self.scalar()?;
                    Next::After
                }
                (Next::Key | Next::KeyOrEnd, b'"') => {
                    self.string()?;
                    self.colon()?;
                    Next::Value
                }
                (Next::Key | Next::KeyOrEnd, _) => {
                    return self.fail("looking for beginning of object key string");
                }
                (Next::After, b',') if !open.is_empty() => {
                    self.offset += 1;
                    if open.last() == Some(&Open::Array) { Next::Value } else { Next::Key }
                }
                (Next::After, b']') if open.last() == Some(&Open::Array) => self.close(&mut open),
                (Next::After, b'}') if open.last() == Some(&Open::Object) => self.close(&mut open),
                (Next::After, _) => {
                    return self.fail(match open.last() {
                        None => "after top-level value",
                        Some(Open::Array) => "after array element",
                        Some(Open::Object) => "after object key:value pair",
                    });
                }
            };
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.offset).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.offset += 1;
        }
    }

    /// The character at hand is wrong.
    fn fail<T>(&self, place: &str) -> Result<T, String> {
        let Some(byte) = self.peek() else { return Err(UNEXPECTED_END.into()) };
        let shown = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            b'\\' => r"'\\'".to_owned(),
            b'\n' => r"'\n'".to_owned(),
            b'\r' => r"'\r'".to_owned(),
            b'\t' => r"'\t'".to_owned(),
            0x07 => r"'\a'".to_owned(),
            0x08 => r"'\b'".to_owned(),
            0x0b => r"'\v'".to_owned(),
            0x0c => r"'\f'".to_owned(),
            0x20..0x7f => format!("'{}'", char::from(byte)),
            0x00..0x20 | 0x7f => format!(r"'\x{byte:02x}'"),
            0x80..0xa1 | 0xad => format!(r"'\u{:04x}'", u32::from(byte)),
            _ => format!("'{}'", char::from(byte)),
        };
        Err(format!("invalid character {shown} {place}"))
    }

    fn open(&mut self, open: &mut Vec<Open>, what: Open) -> Result<Next, String> {
        if open.len() == NESTING_MAX {
            return Err("exceeded max depth".into());
        }
        self.offset += 1;
        open.push(what);
        Ok(if what == Open::Array { Next::ElementOrEnd } else { Next::KeyOrEnd })
    }

    fn close(&mut self, open: &mut Vec<Open>) -> Next {
        self.offset += 1;
        open.pop();
        Next::After
    }

    fn colon(&mut self) -> Result<(), String> {
        self.blanks();
        if self.peek() != Some(b':') {
            return self.fail("after object key");
        }
        self.offset += 1;
        Ok(())
    }

    fn scalar(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.fail("looking for beginning of value"),
        }
    }

    fn word(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                return self.fail(&format!("in literal {word} (expecting '{}')", char::from(expected)));
            }
            self.offset += 1;
        }
        Ok(())
    }

    fn digits(&mut self, place: &str) -> Result<(), String> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.fail(place);
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.offset += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        if self.peek() == Some(b'-') {
            self.offset += 1;
        }
        match self.peek() {
            Some(b'0') => self.offset += 1,
            _ => self.digits("in numeric literal")?,
        }
        if self.peek() == Some(b'.') {
            self.offset += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.offset += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.offset += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    fn string(&mut self) -> Result<(), String> {
        self.offset += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.offset += 1;
                    self.escape()?;
                }
                Some(0x20..) => self.offset += 1,
                _ => return self.fail("in string literal"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"') => {
                self.offset += 1;
                Ok(())
            }
            Some(b'u') => {
                self.offset += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return self.fail("in \\u hexadecimal character escape");
                    }
                    self.offset += 1;
                }
                Ok(())
            }
            _ => self.fail("in string escape code"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::syntax_error;

    #[test]
    fn errors_are_gos() {
        // As nats-server 2.15.2 answered them.
        for (text, error) in [
            ("{bad", "invalid character 'b' looking for beginning of object key string"),
            ("{", "unexpected end of JSON input"),
            ("{\"accounts", "unexpected end of JSON input"),
            ("{\"limit\":1,}", "invalid character '}' looking for beginning of object key string"),
            ("{\"limit\":1 x", "invalid character 'x' after object key:value pair"),
            ("{\"limit\" 1}", "invalid character '1' after object key"),
            ("{} x", "invalid character 'x' after top-level value"),
            ("{\"a\":tru}", "invalid character '}' in literal true (expecting 'e')"),
            ("{\"a\":\"\\x\"}", "invalid character 'x' in string escape code"),
            ("{\"a\":01}", "invalid character '1' after object key:value pair"),
            ("{1", "invalid character '1' looking for beginning of object key string"),
            ("[1 2]", "invalid character '2' after array element"),
            ("[,", "invalid character ',' looking for beginning of value"),
            ("-", "unexpected end of JSON input"),
            ("-x", "invalid character 'x' in numeric literal"),
            ("1.x", "invalid character 'x' after decimal point in numeric literal"),
            ("1ex", "invalid character 'x' in exponent of numeric literal"),
            ("\"\\u12g", "invalid character 'g' in \\u hexadecimal character escape"),
            ("\"\n", "invalid character '\\n' in string literal"),
            (" ", "unexpected end of JSON input"),
        ] {
            assert_eq!(syntax_error(text.as_bytes()).as_deref(), Some(error), "{text}");
        }
        for text in ["null", " {} ", "[]", "[1,-0.5e+3,true,{\"a\":[\"\\u00e4\",\"\"]}]", "0"] {
            assert_eq!(syntax_error(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded() {
        assert_eq!(syntax_error("[".repeat(20_000).as_bytes()).as_deref(), Some("exceeded max depth"));
    }
}
