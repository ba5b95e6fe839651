//! Cuts a file into items.
//!
//! A machine with a stack of states and no recursion. The rules, quirks included, are upstream's (reference:
//! config.md, section 1): files that upstream reads must be read alike, and files that it refuses may be
//! somebody's test. The quirks that look like mistakes here are commented where they stand.

use crate::cursor::{Cursor, END, is_blank, is_break};
use crate::item::{Item, Kind, LexError};
use std::collections::VecDeque;

/// What is expected next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// A key of the file, outside all braces.
    Top,
    /// The end of a value at top level.
    TopValueEnd,
    /// A key, when braces stand around the whole file.
    Block,
    BlockValueEnd,
    BlockEnd,
    /// A key of a map.
    Map,
    MapValueEnd,
    /// An element of an array.
    Array,
    ArrayValueEnd,
}

/// The lexer of one text.
pub(crate) struct Lexer<'a> {
    pub(crate) cursor: Cursor<'a>,
    pub(crate) items: VecDeque<Item>,
    state: State,
    /// What to go on with when the current container ends.
    stack: Vec<State>,
    ended: bool,
}

type Step = Result<(), LexError>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Lexer<'a> {
        Lexer {
            cursor: Cursor::new(text),
            items: VecDeque::new(),
            state: State::Top,
            stack: Vec::new(),
            ended: false,
        }
    }

    /// The next item; after [`Kind::End`] always that again.
    pub(crate) fn next_item(&mut self) -> Result<Item, LexError> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Ok(item);
            }
            if self.ended {
                return Ok(self.cursor.item(Kind::End, String::new()));
            }
            match self.state {
                State::Top => self.top()?,
                State::TopValueEnd => self.top_value_end()?,
                State::Block => self.block()?,
                State::BlockValueEnd => self.block_value_end()?,
                State::BlockEnd => self.block_end()?,
                State::Map => self.map()?,
                State::MapValueEnd => self.map_value_end()?,
                State::Array => self.array()?,
                State::ArrayValueEnd => self.array_value_end()?,
            }
        }
    }

    fn error<T>(&self, message: impl Into<String>) -> Result<T, LexError> {
        Err(self.cursor.error(message))
    }

    pub(crate) fn emit(&mut self, kind: Kind) {
        let item = self.cursor.take(kind);
        self.items.push_back(item);
    }

    /// The text ends here.
    pub(crate) fn end(&mut self) {
        self.emit(Kind::End);
        self.ended = true;
    }

    /// Enters a container; what is behind it continues with the present state.
    fn enter(&mut self, inner: State) {
        self.stack.push(self.state);
        self.state = inner;
    }

    fn leave(&mut self) {
        // The stack is empty only for a brace too many, which upstream takes for the end of a value.
        self.state = self.stack.pop().unwrap_or(State::Top);
    }

    /// Passes over a comment when `first`, just read, begins one. A single slash is put back.
    fn comment(&mut self, first: char) -> bool {
        let begins = match first {
            '#' => true,
            '/' if self.cursor.peek() == '/' => {
                self.cursor.next();
                true
            }
            _ => false,
        };
        if begins {
            while !is_break(self.cursor.peek()) && self.cursor.peek() != END {
                self.cursor.next();
            }
            self.cursor.ignore();
        }
        begins
    }

    fn top(&mut self) -> Step {
        match self.cursor.next() {
            next if is_blank(next) || is_break(next) => self.cursor.ignore(),
            '{' => {
                self.cursor.ignore();
                self.enter(State::Block);
            }
            next if self.comment(next) => {}
            // A key cannot begin with a slash.
            '/' | END if !self.cursor.is_taken_empty() => return self.error("Unexpected EOF."),
            END => self.end(),
            _ => {
                self.cursor.back();
                self.state = State::TopValueEnd;
                return self.key();
            }
        }
        Ok(())
    }

    fn top_value_end(&mut self) -> Step {
        match self.cursor.next() {
            next if self.comment(next) => self.state = State::Top,
            // A single slash passes for a blank.
            next if is_blank(next) || next == '/' => self.cursor.ignore(),
            next if is_break(next) || matches!(next, END | ';' | ',' | '}') => {
                self.cursor.ignore();
                self.state = State::Top;
            }
            next => {
                return self.error(format!(
                    "Expected a top-level value to end with a new line, comment or EOF, but got '{}' instead.",
                    shown(next)
                ));
            }
        }
        Ok(())
    }

    fn block(&mut self) -> Step {
        match self.cursor.next() {
            next if next.is_whitespace() => self.cursor.ignore(),
            '{' => {
                self.cursor.ignore();
                self.state = State::BlockEnd;
                self.enter(State::Block);
            }
            '}' => {
                self.cursor.ignore();
                self.leave();
            }
            next if self.comment(next) => {}
            '/' | END if !self.cursor.is_taken_empty() => return self.error("Unexpected EOF."),
            END => self.end(),
            _ => {
                self.cursor.back();
                self.state = State::BlockValueEnd;
                return self.key();
            }
        }
        Ok(())
    }

    fn block_value_end(&mut self) -> Step {
        match self.cursor.next() {
            next if self.comment(next) => {}
            next if is_blank(next) || next == '/' => self.cursor.ignore(),
            next if is_break(next) || matches!(next, ';' | ',') => {
                self.cursor.ignore();
                self.state = State::Block;
            }
            '}' => {
                self.cursor.back();
                self.state = State::BlockEnd;
            }
            next => {
                return self.error(format!(
                    "Expected a block-level value to end with a new line, comment or EOF, but got '{}' instead.",
                    shown(next)
                ));
            }
        }
        Ok(())
    }

    fn block_end(&mut self) -> Step {
        match self.cursor.next() {
            next if self.comment(next) => self.state = State::Block,
            next if is_blank(next) || is_break(next) || next == '/' => self.cursor.ignore(),
            ';' | ',' => {
                self.cursor.ignore();
                self.state = State::Block;
            }
            '}' => {
                self.cursor.ignore();
                self.leave();
            }
            next => {
                return self.error(format!(
                    "Expected a block-level to end with a '}}', but got '{}' instead.",
                    shown(next)
                ));
            }
        }
        Ok(())
    }

    fn map(&mut self) -> Step {
        match self.cursor.next() {
            END => return self.error("Unexpected EOF processing map."),
            ']' => return self.error("Unexpected array end ']' processing map."),
            next if next.is_whitespace() => self.cursor.ignore(),
            '}' => {
                self.cursor.ignore();
                self.map_end();
            }
            next if self.comment(next) => {}
            // A single slash is dropped, and whatever follows it begins a bare key.
            '/' => {
                self.state = State::MapValueEnd;
                return self.unquoted_key();
            }
            _ => {
                self.cursor.back();
                self.state = State::MapValueEnd;
                return self.key();
            }
        }
        Ok(())
    }

    fn map_end(&mut self) {
        self.emit(Kind::MapEnd);
        self.leave();
    }

    fn map_value_end(&mut self) -> Step {
        match self.cursor.next() {
            next if is_blank(next) => self.cursor.ignore(),
            next if self.comment(next) => {}
            // A single slash passes for a comma.
            next if is_break(next) || matches!(next, ',' | ';' | '/') => {
                self.cursor.ignore();
                self.state = State::Map;
            }
            '}' => {
                self.cursor.ignore();
                self.map_end();
            }
            next => {
                return self.error(format!(
                    "Expected a map value terminator \",\" or a map terminator \"}}\", but got '{}' instead.",
                    shown(next)
                ));
            }
        }
        Ok(())
    }

    fn array(&mut self) -> Step {
        match self.cursor.next() {
            next if is_blank(next) || is_break(next) => self.cursor.ignore(),
            next if self.comment(next) => {}
            ',' | '/' => return self.error("Unexpected array value terminator ','."),
            ']' => self.array_end(),
            _ => {
                self.cursor.back();
                self.state = State::ArrayValueEnd;
                return self.value();
            }
        }
        Ok(())
    }

    fn array_end(&mut self) {
        self.cursor.ignore();
        self.emit(Kind::ArrayEnd);
        self.leave();
    }

    fn array_value_end(&mut self) -> Step {
        match self.cursor.next() {
            next if is_blank(next) => self.cursor.ignore(),
            next if self.comment(next) => {}
            // A single slash passes for a comma.
            next if is_break(next) || matches!(next, ',' | '/') => {
                self.cursor.ignore();
                self.state = State::Array;
            }
            ']' => self.array_end(),
            next => {
                return self.error(format!(
                    "Expected an array value terminator \",\" or an array terminator \"]\", but got '{}' instead.",
                    shown(next)
                ));
            }
        }
        Ok(())
    }

    /// A key, what separates it, and its value. The state is already that behind the value.
    fn key(&mut self) -> Step {
        self.cursor.skip_while(char::is_whitespace);
        match self.cursor.peek() {
            next @ ('=' | ':') => {
                let end = if self.in_map() { "." } else { "" };
                return self.error(format!("Unexpected key separator '{next}'{end}"));
            }
            quote @ ('"' | '\'') => {
                self.cursor.next();
                if !self.quoted_key(quote)? {
                    return Ok(());
                }
            }
            _ => return self.unquoted_key(),
        }
        self.separator()
    }

    fn unquoted_key(&mut self) -> Step {
        self.cursor.ignore();
        self.cursor.next();
        if self.bare_key()? { self.include() } else { self.separator() }
    }

    fn in_map(&self) -> bool {
        self.state == State::MapValueEnd
    }

    /// Up to the closing quote; there are no escapes in keys. False when the text ends with the opening one.
    fn quoted_key(&mut self, quote: char) -> Result<bool, LexError> {
        self.cursor.ignore();
        loop {
            match self.cursor.peek() {
                next if next == quote => break,
                END if self.in_map() => {
                    let kind = if quote == '"' { "double quoted" } else { "quoted" };
                    return self.error(format!("Unexpected EOF processing {kind} map key."));
                }
                END if self.cursor.is_taken_empty() => {
                    self.end();
                    return Ok(false);
                }
                END => return self.error("Unexpected EOF."),
                _ => self.cursor.next(),
            };
        }
        self.emit(Kind::Key);
        self.cursor.next();
        self.cursor.ignore();
        Ok(true)
    }

    /// Up to a blank or a separator. True for the word `include` with a blank behind it, which is no key.
    fn bare_key(&mut self) -> Result<bool, LexError> {
        loop {
            match self.cursor.peek() {
                next if next.is_whitespace() => {
                    if self.cursor.taken().eq_ignore_ascii_case("include") {
                        self.cursor.ignore();
                        return Ok(true);
                    }
                    break;
                }
                '=' | ':' => break,
                END if self.in_map() => return self.error("Unexpected EOF processing map key."),
                END => break,
                _ => self.cursor.next(),
            };
        }
        self.emit(Kind::Key);
        Ok(false)
    }

    /// Between key and value. Line breaks may stand before the separator; behind it only in maps.
    fn separator(&mut self) -> Step {
        self.cursor.skip_while(char::is_whitespace);
        match self.cursor.peek() {
            '=' | ':' => {
                self.cursor.next();
                self.cursor.ignore();
            }
            END if !self.in_map() => {
                self.end();
                return Ok(());
            }
            _ => {}
        }
        if self.in_map() {
            self.cursor.skip_while(char::is_whitespace);
            match self.cursor.next() {
                ',' => return self.error("Unexpected map value terminator \",\"."),
                '}' => {
                    self.cursor.ignore();
                    self.map_end();
                    return Ok(());
                }
                _ => self.cursor.back(),
            }
        }
        self.value()
    }

    /// A value; containers are entered, all others are read to their end.
    fn value(&mut self) -> Step {
        self.cursor.skip_while(is_blank);
        match self.cursor.next() {
            '[' => {
                self.cursor.ignore();
                self.emit(Kind::ArrayStart);
                self.enter(State::Array);
                Ok(())
            }
            '{' => {
                self.cursor.ignore();
                self.emit(Kind::MapStart);
                self.enter(State::Map);
                Ok(())
            }
            '.' => self.error("Floats must start with a digit"),
            next if is_break(next) => self.error("Expected value but found new line"),
            _ => {
                self.cursor.back();
                self.scalar()
            }
        }
    }
}

/// A character as messages show it.
pub(crate) fn shown(character: char) -> String {
    if character == '\n' { "\\n".to_owned() } else { character.to_string() }
}
