//! Golden conversations: what is said on the wire, as text files that run against a server.
//!
//! The format is described in `tests/conversations/README.md`.

mod escape;
mod parse;
mod replay;

pub use parse::ParseError;
pub use replay::replay;

use std::path::PathBuf;
use std::time::Duration;

use crate::Pattern;

/// One file: a server and the cases that run against it, one after the other.
#[derive(Debug)]
pub struct Conversation {
    /// Where it was read from.
    pub path: PathBuf,
    /// Lines for the configuration of the server.
    pub config: String,
    /// Arguments for the server.
    pub arguments: Vec<String>,
    /// The ways of splitting the client's bytes under which the file runs.
    pub splits: Vec<SplitKind>,
    /// What the server lacks for this conversation; `None` when it is expected to hold.
    pub not_yet: Option<String>,
    /// True when each case runs against a server of its own: what is left of the connections of an earlier case
    /// would change what happens in the next one.
    pub server_per_case: bool,
    /// True when the PINGs of the server are expected by the file, and not answered behind its back.
    pub pings_shown: bool,
    /// The cases, each with connections of its own.
    pub cases: Vec<Case>,
}

/// A way of splitting what clients send, see [`crate::Split`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SplitKind {
    /// Each send is one write.
    Whole,
    /// Each byte is a write.
    Bytes,
    /// Random chunks.
    Chunks,
}

impl SplitKind {
    /// All ways.
    pub const ALL: [Self; 3] = [Self::Whole, Self::Bytes, Self::Chunks];

    /// The word for it in the files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Bytes => "bytes",
            Self::Chunks => "chunks",
        }
    }
}

/// A part of a conversation that begins without connections.
#[derive(Debug)]
pub struct Case {
    /// What it shows.
    pub title: String,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// One line of a file.
#[derive(Debug)]
pub struct Step {
    /// The line's number in the file, from 1.
    pub line: usize,
    /// What to do.
    pub action: Action,
}

/// What a line of a file asks for.
#[derive(Debug)]
pub enum Action {
    /// Something about one connection, by name.
    Connection(String, ConnectionAction),
    /// Do nothing for a while.
    Wait(Duration),
    /// Send the server a signal.
    Signal(rustix::process::Signal),
    /// The server ends by itself, with code 0, within the time.
    ServerExits(Duration),
    /// The monitoring port answers a path with a body that matches.
    Get(String, regex::bytes::Regex),
}

/// What happens on one connection.
#[derive(Debug)]
pub enum ConnectionAction {
    /// Connect and leave the INFO line to be expected.
    Open,
    /// Connecting is refused.
    Refused,
    /// Send these bytes.
    Send(Vec<u8>),
    /// The next bytes fit.
    Expect(Pattern),
    /// The next bytes are these, once or several times.
    ExpectRepeated(Vec<u8>),
    /// The next bytes fit one of these, then another one, until all came.
    ExpectUnordered(Vec<Pattern>),
    /// The server closes without a further byte.
    Closed,
    /// Nothing arrives for so many milliseconds.
    Nothing(u64),
    /// PING is answered by PONG, and nothing comes before it.
    Sync,
    /// Close in order.
    Close,
    /// Close with a reset.
    Reset,
    /// End this direction only.
    HalfClose,
    /// The server lists this reason for having closed the connection.
    Reason(String),
}
