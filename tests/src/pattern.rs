//! What a test expects next on a connection.

use regex::bytes::Regex;

/// Something that the next bytes of a connection are compared with.
#[derive(Clone, Debug)]
pub enum Pattern {
    /// Exactly these bytes.
    Bytes(Vec<u8>),
    /// One line, ended by CRLF, whose text without the CRLF matches as a whole.
    Line(Regex),
}

/// The outcome of comparing a pattern with what has arrived so far.
pub(crate) enum Match {
    /// The pattern took this many bytes from the front.
    Taken(usize),
    /// What is here fits, but more bytes are needed.
    Undecided,
    /// No further bytes can make it fit.
    Never,
}

impl Pattern {
    /// Exactly `text` followed by CRLF.
    pub fn line(text: impl AsRef<[u8]>) -> Self {
        let mut bytes = text.as_ref().to_vec();
        bytes.extend_from_slice(b"\r\n");
        Self::Bytes(bytes)
    }

    /// One line that matches `expression` from its first to its last byte.
    ///
    /// # Panics
    ///
    /// When the expression is not valid.
    pub fn line_matching(expression: &str) -> Self {
        Self::try_line_matching(expression).expect("a valid regular expression")
    }

    /// As [`Pattern::line_matching`], with the error of an invalid expression as text.
    pub fn try_line_matching(expression: &str) -> Result<Self, String> {
        Regex::new(&format!("^(?s-u:{expression})$")).map(Self::Line).map_err(|error| error.to_string())
    }

    pub(crate) fn compare(&self, arrived: &[u8]) -> Match {
        match self {
            Self::Bytes(bytes) if arrived.len() >= bytes.len() => {
                if arrived.starts_with(bytes) {
                    Match::Taken(bytes.len())
                } else {
                    Match::Never
                }
            }
            Self::Bytes(bytes) => {
                if bytes.starts_with(arrived) {
                    Match::Undecided
                } else {
                    Match::Never
                }
            }
            Self::Line(expression) => {
                let Some(end) = arrived.iter().position(|byte| *byte == b'\n') else {
                    return Match::Undecided;
                };
                match arrived[..end].strip_suffix(b"\r") {
                    Some(text) if expression.is_match(text) => Match::Taken(end + 1),
                    _ => Match::Never,
                }
            }
        }
    }

    /// True when the pattern is about a PING of the server, so that the PING is not answered and skipped before it.
    pub(crate) fn wants_ping(&self) -> bool {
        match self {
            Self::Bytes(bytes) => bytes.starts_with(b"PING"),
            Self::Line(expression) => expression.is_match(b"PING"),
        }
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(formatter, "{}", readable(bytes)),
            Self::Line(expression) => write!(formatter, "a line like {expression}"),
        }
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self::Bytes(text.as_bytes().to_vec())
    }
}

impl From<String> for Pattern {
    fn from(text: String) -> Self {
        Self::Bytes(text.into_bytes())
    }
}

impl From<&[u8]> for Pattern {
    fn from(bytes: &[u8]) -> Self {
        Self::Bytes(bytes.to_vec())
    }
}

impl From<Vec<u8>> for Pattern {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}

/// Bytes as text with escapes, shortened in the middle when long.
pub(crate) fn readable(bytes: &[u8]) -> String {
    const SHOWN_MAX: usize = 1200;
    if bytes.len() <= SHOWN_MAX {
        return format!("\"{}\"", bytes.escape_ascii());
    }
    let (head, tail) = (&bytes[..SHOWN_MAX / 2], &bytes[bytes.len() - SHOWN_MAX / 2..]);
    format!("\"{}\" ... {} bytes in all ... \"{}\"", head.escape_ascii(), bytes.len(), tail.escape_ascii())
}
