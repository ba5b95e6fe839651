//! What can end a run early.

use std::io;

/// Why a run failed. Each text is complete: what happened, to what, and where it helps what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The command line asks for something that cannot be done.
    #[error("{0}")]
    Usage(String),
    /// No connection to the server.
    #[error("cannot connect to {address}: {source}")]
    Connect {
        /// Host and port as given.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The server answered the handshake with an error or asks for something the generator does not do.
    #[error("{address} does not accept the connection: {text}")]
    Refused {
        /// Host and port as given.
        address: String,
        /// The server's words or ours.
        text: String,
    },
    /// The server closed a connection in the middle of the run.
    #[error("the server closed the connection of {role} {number}{}", last_error(.text))]
    Closed {
        /// What the connection was for: publisher, subscriber, requester...
        role: &'static str,
        /// Which of them, from 0.
        number: usize,
        /// The last error the server sent on it, empty without one.
        text: String,
    },
    /// The server sent `-ERR`.
    #[error("the server reported an error to {role} {number}: {text}")]
    Server {
        /// What the connection was for.
        role: &'static str,
        /// Which of them, from 0.
        number: usize,
        /// The server's words.
        text: String,
    },
    /// The server sent bytes that are not the client protocol.
    #[error("the server broke the protocol: {0}")]
    Framing(String),
    /// A request got the status 503.
    #[error("nobody answers requests on this subject (no responders)")]
    NoResponders,
    /// Nothing moved for too long.
    #[error("nothing has moved for {seconds} s: {published} published, {received} of {expected} received")]
    Stalled {
        /// How long, in seconds.
        seconds: f64,
        /// Messages handed to the server.
        published: u64,
        /// Messages that came back.
        received: u64,
        /// Messages that should have come back.
        expected: u64,
    },
    /// Ctrl-C, before there was anything to tell.
    #[error("interrupted after {seconds:.1} s, {what}: nothing was measured")]
    Interrupted {
        /// How long the run had lasted, in seconds.
        seconds: f64,
        /// What it was at.
        what: String,
    },
    /// The system refused something.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl BenchError {
    /// Wraps a failure of the system with what was tried.
    pub fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { what: what.into(), source: source.into() }
    }
}

fn last_error(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(" ({text})") }
}
