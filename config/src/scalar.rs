//! Values that are no containers: strings, numbers, dates, variables, and what `include` names.

use crate::cursor::{END, is_blank, is_break};
use crate::item::{Kind, LexError};
use crate::lexer::{Lexer, shown};

type Step = Result<(), LexError>;

/// Letters that may follow a number: kilo, mega and so on.
fn is_suffix(character: char) -> bool {
    matches!(character.to_ascii_lowercase(), 'k' | 'm' | 'g' | 't' | 'p' | 'e')
}

/// What may stand behind a number. A closing bracket is missing here, as it is upstream: `[1]` reads `1]` as
/// the beginning of a string.
fn ends_number(character: char) -> bool {
    is_break(character) || is_blank(character) || matches!(character, END | '}' | ';' | ',')
}

impl Lexer<'_> {
    /// A value that is neither array nor map.
    pub(crate) fn scalar(&mut self) -> Step {
        match self.cursor.peek() {
            quote @ ('"' | '\'') => {
                self.cursor.next();
                self.cursor.ignore();
                if quote == '"' { self.double_quoted() } else { self.single_quoted() }
            }
            '-' => {
                self.cursor.next();
                self.negative()
            }
            '(' => {
                self.cursor.next();
                self.cursor.ignore();
                self.block_string()
            }
            digit if digit.is_ascii_digit() => self.number(),
            _ => self.bare(),
        }
    }

    fn fail(&self, message: impl Into<String>) -> Step {
        Err(self.cursor.error(message))
    }

    /// `'...'`: no escapes.
    fn single_quoted(&mut self) -> Step {
        loop {
            match self.cursor.next() {
                '\'' => {
                    self.cursor.back();
                    break;
                }
                END => return self.unfinished(),
                _ => {}
            }
        }
        self.close_quoted();
        Ok(())
    }

    /// `"..."` with escapes.
    fn double_quoted(&mut self) -> Step {
        loop {
            match self.cursor.next() {
                '"' => {
                    self.cursor.back();
                    break;
                }
                '\\' => self.escape()?,
                END => return self.unfinished(),
                _ => {}
            }
        }
        self.close_quoted();
        Ok(())
    }

    fn close_quoted(&mut self) {
        self.emit(Kind::String);
        self.cursor.next();
        self.cursor.ignore();
    }

    /// The text ends inside a value. Upstream notices only when something was taken since the value or its
    /// last escape began; else it is as if the value were not there.
    fn unfinished(&mut self) -> Step {
        if !self.cursor.is_taken_empty() {
            return self.fail("Unexpected EOF.");
        }
        self.end();
        Ok(())
    }

    /// `(` to a line that is `)` alone; the line breaks in between belong to the text. Upstream counts the
    /// closing parenthesis to the text when nothing follows it, not even a line break.
    fn block_string(&mut self) -> Step {
        let mut before = END;
        loop {
            match self.cursor.next() {
                ')' if before == '\n' && self.cursor.peek() == '\n' => {
                    self.cursor.back();
                    self.close_quoted();
                    return Ok(());
                }
                ')' if before == '\n' && self.cursor.peek() == END => {
                    self.emit(Kind::String);
                    return Ok(());
                }
                END => return self.fail("Unexpected EOF processing block."),
                next => before = next,
            }
        }
    }

    /// A word up to a blank or what ends a value. Only a word without escapes can be a boolean or a variable.
    fn bare(&mut self) -> Step {
        loop {
            match self.cursor.next() {
                '\\' => self.escape()?,
                // A quote ends the word and is dropped.
                '\'' => {
                    self.cursor.back();
                    self.close_quoted();
                    return Ok(());
                }
                next if ends_number(next) || next == ']' => {
                    self.cursor.back();
                    break;
                }
                _ => {}
            }
        }
        let word = self.cursor.taken();
        let kind = if self.cursor.is_escaped() {
            Kind::String
        } else if boolean(word).is_some() {
            Kind::Boolean
        } else if word.starts_with('$') {
            Kind::Variable
        } else {
            Kind::String
        };
        self.emit(kind);
        Ok(())
    }

    /// Behind a backslash.
    fn escape(&mut self) -> Step {
        self.cursor.keep(1);
        let byte = match self.cursor.next() {
            't' => b'\t',
            'n' => b'\n',
            'r' => b'\r',
            '"' => b'"',
            '\\' => b'\\',
            'x' => return self.hexadecimal(),
            other => {
                return self.fail(format!(
                    "Invalid escape character '{}'. Only the following escape characters are allowed: \
                     \\xXX, \\t, \\n, \\r, \\\", \\\\.",
                    shown(other)
                ));
            }
        };
        self.cursor.replace(byte);
        Ok(())
    }

    fn hexadecimal(&mut self) -> Step {
        let digits = [self.cursor.next(), self.cursor.next()];
        if digits.into_iter().any(is_break) {
            return self.fail("Expected two hexadecimal digits after '\\x', but hit end of line");
        }
        match (digits[0].to_digit(16), digits[1].to_digit(16)) {
            (Some(high), Some(low)) => {
                // Two digits are less than 256.
                self.cursor.replace(u8::try_from(high * 16 + low).unwrap_or(u8::MAX));
                Ok(())
            }
            _ => self.fail(format!(
                "Expected two hexadecimal digits after '\\x', but got '{}{}'",
                digits[0], digits[1]
            )),
        }
    }

    /// Begins with a digit: an integer, maybe with a suffix, a float, a date, an address, or else a string.
    fn number(&mut self) -> Step {
        loop {
            match self.cursor.next() {
                '-' if self.cursor.taken().len() != 5 => {
                    return self.fail("All ISO8601 dates must be in full Zulu form.");
                }
                '-' => return self.date(),
                '.' => return self.fraction(),
                next if next.is_ascii_digit() => {}
                next if is_suffix(next) => return self.suffix(),
                next if ends_number(next) => {
                    self.cursor.back();
                    self.emit(Kind::Integer);
                    return Ok(());
                }
                // The character belongs to the string whatever it is.
                _ => return self.bare(),
            }
        }
    }

    /// Behind the sign. What follows the digits is not looked at: `-5s` is an integer and something too much.
    fn negative(&mut self) -> Step {
        match self.cursor.next() {
            next if next.is_ascii_digit() => {}
            '.' => return self.fail("Floats must start with a digit, not '.'."),
            next => return self.fail(format!("Expected a digit but got '{}'.", shown(next))),
        }
        self.cursor.take_while(|next| next.is_ascii_digit());
        match self.cursor.peek() {
            '.' => {
                self.cursor.next();
                self.fraction()
            }
            next if is_suffix(next) => {
                self.cursor.next();
                self.suffix()
            }
            _ => {
                self.emit(Kind::Integer);
                Ok(())
            }
        }
    }

    /// Behind the letter of a suffix.
    fn suffix(&mut self) -> Step {
        self.cursor.take_while(|next| matches!(next, 'b' | 'B' | 'i' | 'I'));
        if ends_number(self.cursor.peek()) {
            self.emit(Kind::Integer);
            return Ok(());
        }
        self.bare()
    }

    /// Behind the point of a float; a second point makes it an address.
    fn fraction(&mut self) -> Step {
        let next = self.cursor.next();
        if !next.is_ascii_digit() {
            return self
                .fail(format!("Floats must have a digit after the '.', but got '{}' instead.", shown(next)));
        }
        self.cursor.take_while(|next| next.is_ascii_digit());
        if self.cursor.peek() != '.' {
            self.emit(Kind::Float);
            return Ok(());
        }
        self.cursor.take_while(|next| next.is_ascii_digit() || matches!(next, '.' | ':' | '-'));
        self.emit(Kind::String);
        Ok(())
    }

    /// Behind `YYYY-`.
    fn date(&mut self) -> Step {
        for expected in "00-00T00:00:00Z".chars() {
            let next = self.cursor.next();
            if expected == '0' {
                if !next.is_ascii_digit() {
                    return self.fail(format!(
                        "Expected digit in ISO8601 datetime, but found '{}' instead.",
                        shown(next)
                    ));
                }
            } else if next != expected {
                return self.fail(format!(
                    "Expected '{expected}' in ISO8601 datetime, but found '{}' instead.",
                    shown(next)
                ));
            }
        }
        self.emit(Kind::DateTime);
        Ok(())
    }

    /// Behind the word `include`: a path, bare or quoted. A bare one cannot begin like another value.
    pub(crate) fn include(&mut self) -> Step {
        self.cursor.skip_while(is_blank);
        let found = match self.cursor.peek() {
            quote @ ('"' | '\'') => return self.quoted_include(quote),
            '[' => "start of an array",
            '{' => "start of a map",
            '(' => "start of a block",
            '\\' => "escape sequence",
            next if next.is_ascii_digit() || next == '-' => "start of a number",
            next if is_break(next) => {
                self.cursor.next();
                "new line"
            }
            _ => {
                self.bare_include();
                return Ok(());
            }
        };
        self.fail(format!("Expected include value but found {found}"))
    }

    fn bare_include(&mut self) {
        self.cursor
            .take_while(|next| !(is_break(next) || is_blank(next) || matches!(next, END | ';' | '}' | '\'')));
        self.emit(Kind::Include);
        if self.cursor.peek() == '\'' {
            self.cursor.next();
            self.cursor.ignore();
        }
    }

    fn quoted_include(&mut self, quote: char) -> Step {
        self.cursor.next();
        self.cursor.ignore();
        while self.cursor.peek() != quote {
            if self.cursor.next() == END {
                let kind = if quote == '"' { "double quoted" } else { "quoted" };
                return self.fail(format!("Unexpected EOF in {kind} include"));
            }
        }
        self.emit(Kind::Include);
        self.cursor.next();
        self.cursor.ignore();
        Ok(())
    }
}

/// The words for yes and no, in any case.
pub(crate) fn boolean(word: &str) -> Option<bool> {
    let is = |candidates: [&str; 3]| candidates.iter().any(|candidate| word.eq_ignore_ascii_case(candidate));
    if is(["true", "yes", "on"]) {
        Some(true)
    } else if is(["false", "no", "off"]) {
        Some(false)
    } else {
        None
    }
}
