//! A place in a text, with the piece taken so far.

use crate::item::{Item, Kind, LexError};

/// What is read behind the end. A NUL in the text reads the same, as upstream's does: it ends what it
/// interrupts.
pub(crate) const END: char = '\0';

/// Blank or tab; line breaks mean more than these.
pub(crate) fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

pub(crate) fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r')
}

/// A place in a text, with the piece taken since the last item.
pub(crate) struct Cursor<'a> {
    text: &'a str,
    /// Bytes read.
    place: usize,
    /// Where the piece being taken begins.
    start: usize,
    /// Bytes of the character read last; 0 at the end.
    width: usize,
    line: usize,
    /// The line break before the present line (0 on the first).
    line_start: usize,
    /// The same when the piece was begun.
    piece_line_start: usize,
    /// What of the piece had escapes, undone.
    unescaped: Vec<u8>,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Cursor<'a> {
        Cursor {
            text,
            place: 0,
            start: 0,
            width: 0,
            line: 1,
            line_start: 0,
            piece_line_start: 0,
            unescaped: Vec::new(),
        }
    }

    /// Reads a character; [`END`] behind the last.
    pub(crate) fn next(&mut self) -> char {
        let Some(character) = self.text[self.place..].chars().next() else {
            self.width = 0;
            return END;
        };
        if character == '\n' {
            self.line += 1;
            self.line_start = self.place;
        }
        self.width = character.len_utf8();
        self.place += self.width;
        character
    }

    /// Puts the character read last back. Not twice in a row.
    pub(crate) fn back(&mut self) {
        self.place -= self.width;
        if self.width > 0 && self.text.as_bytes()[self.place] == b'\n' {
            self.line -= 1;
        }
        self.width = 0;
    }

    /// The character that would be read next.
    pub(crate) fn peek(&self) -> char {
        self.text[self.place..].chars().next().unwrap_or(END)
    }

    /// Drops the piece taken so far.
    pub(crate) fn ignore(&mut self) {
        self.start = self.place;
        self.piece_line_start = self.line_start;
    }

    pub(crate) fn skip_while(&mut self, matches: impl Fn(char) -> bool) {
        while matches(self.peek()) {
            self.next();
        }
        self.ignore();
    }

    /// Passes over characters that belong to the piece.
    pub(crate) fn take_while(&mut self, matches: impl Fn(char) -> bool) {
        while matches(self.peek()) {
            self.next();
        }
    }

    /// The piece taken so far, as written since the last escape.
    pub(crate) fn taken(&self) -> &'a str {
        &self.text[self.start..self.place]
    }

    /// Whether nothing was taken.
    pub(crate) fn is_taken_empty(&self) -> bool {
        self.place == self.start
    }

    /// Whether the piece had escapes.
    pub(crate) fn is_escaped(&self) -> bool {
        !self.unescaped.is_empty()
    }

    /// Keeps what was taken without its last `behind` bytes, then goes on behind them.
    pub(crate) fn keep(&mut self, behind: usize) {
        self.unescaped.extend_from_slice(&self.text.as_bytes()[self.start..self.place - behind]);
        self.start = self.place;
    }

    /// Replaces what was taken (an escape) by a byte.
    pub(crate) fn replace(&mut self, byte: u8) {
        self.unescaped.push(byte);
        self.start = self.place;
    }

    /// Makes an item of the piece and begins a new one.
    pub(crate) fn take(&mut self, kind: Kind) -> Item {
        let text = if self.unescaped.is_empty() {
            self.taken().to_owned()
        } else {
            self.keep(0);
            crate::text::lossy(&std::mem::take(&mut self.unescaped))
        };
        let item = self.item(kind, text);
        self.ignore();
        item
    }

    /// An item at the present place.
    pub(crate) fn item(&self, kind: Kind, text: String) -> Item {
        let column = self.place.saturating_sub(self.piece_line_start).saturating_sub(text.len());
        Item { kind, text, line: self.line, column }
    }

    pub(crate) fn error(&self, message: impl Into<String>) -> LexError {
        LexError { line: self.line, message: message.into() }
    }
}
