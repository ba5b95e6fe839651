//! What the lexer finds in a file.

/// The kind of an [`Item`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    End,
    Key,
    String,
    Boolean,
    Integer,
    Float,
    DateTime,
    Variable,
    Include,
    ArrayStart,
    ArrayEnd,
    MapStart,
    MapEnd,
}

/// One piece of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) kind: Kind,
    /// Its text, without quotes and with escapes undone.
    pub(crate) text: String,
    /// The line in which it ends, from 1.
    pub(crate) line: usize,
    /// The column in which it begins; see [`crate::Position::column`].
    pub(crate) column: usize,
}

/// Why a file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Parse error on line {line}: '{message}'")]
pub(crate) struct LexError {
    pub(crate) line: usize,
    pub(crate) message: String,
}
