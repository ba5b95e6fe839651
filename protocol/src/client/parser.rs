//! Client verbs, parsed in place.
//!
//! [`parse`] is a pure function of a buffer that starts at a verb: it holds no state between reads. The
//! session keeps what is incomplete and calls again with more, so that a split at any byte cannot change the
//! outcome.
//!
//! # Rules
//!
//! All were observed on nats-server 2.15.2, which decides byte by byte; where its answer depends on how the
//! bytes were split into reads, the answer here is the one it gives to a line that arrives whole.
//!
//! **Verbs.** A buffer starts at a verb: blanks, CR or LF before it are unknown operations (`UnknownOperation`),
//! so an empty line is one. Case does not count. The error comes at the first byte with which no verb of a
//! client begins; `MSG`, `HMSG`, `RMSG`, `RS+`, `LS+`, `A+` and their like are unknown from their first or
//! second byte. What has to follow a verb:
//!
//! | verb | next byte |
//! |---|---|
//! | `PUB` `HPUB` `SUB` `UNSUB` `-ERR` | a space or tab; anything else, line ends too, is an unknown operation |
//! | `CONNECT` `INFO` | anything: `CONNECT{}` and `INFO{}` are whole |
//! | `PING` `PONG` `+OK` | anything: all bytes up to LF are ignored (`PINGxyz` is a `PING`) |
//!
//! **The argument.** Spaces and tabs after the verb are skipped. The argument begins at the first other byte,
//! *even if this byte is CR or LF*: `CONNECT`, LF, `{}`, LF is one line, and `SUB `, CR, LF has the argument CR.
//! From its second byte on, LF ends it. If a CR stands anywhere between the first byte and LF, the byte before
//! LF is dropped, whether it is that CR or not: `PUB a␍b 55␊` has the size 5.
//!
//! **Its length.** An argument of more than `control_line_max` bytes, trailing blanks included, leading blanks and
//! line end not, is `ControlLineExceeded`, before anything else about it is looked at. It is reported as soon
//! as no line end could make the argument short enough any more.
//!
//! **Splitting.** `PUB` and `HPUB` split at spaces and tabs only, so a CR or LF inside is part of a token; `SUB`
//! and `UNSUB` split at CR and LF too. A wrong count of arguments is a `Violation`, as is each of these:
//! a size that is not 1 to 9 decimal digits (`005` is fine, a sign or a tenth digit is not), header bytes that
//! are not such a number or exceed the total, an `INFO` that is no JSON object of the right types. The second
//! argument of `UNSUB` never is: what is not 1 to 9 digits counts as absent.
//!
//! **The payload.** A size above `payload_max` (for `HPUB` the total) is `PayloadExceeded`, after all other checks
//! of the line, before any byte of the payload. Behind the payload CR LF has to follow exactly, else
//! `UnknownOperation` at the first wrong byte, though the line itself may end in LF alone. `HPUB` with 0 header
//! bytes is allowed.
//!
//! **Petrel's own.** Upstream skips blanks between verb and argument, and what follows `PING`, `PONG` and `+OK`,
//! without end and without keeping them. Here a line is kept until it is whole, so these bytes have the limit
//! `control_line_max` too, and more are `ControlLineExceeded`.

mod line;
mod publish;
#[cfg(test)]
mod tests;

pub use publish::{WholePublish, parse_publish};

use super::error::{ClosedReason, ProtocolError};

/// The limits that decide while parsing, before a payload is read.
#[derive(Clone, Copy, Debug)]
pub struct ParseLimits {
    /// The most bytes of arguments on a line (`max_control_line`).
    pub control_line_max: usize,
    /// The most bytes of headers and payload together (`max_payload`); negative: unlimited.
    pub payload_max: i64,
}

/// One verb with its arguments, borrowed from the buffer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientOp<'a> {
    /// `CONNECT {json}`: the argument, not yet parsed.
    Connect(&'a [u8]),
    /// `PUB` or `HPUB`.
    Publish {
        /// The subject as sent.
        subject: &'a [u8],
        /// The reply subject.
        reply: Option<&'a [u8]>,
        /// Bytes of headers at the start of `message`, the version line and final blank line included; `None` for `PUB`.
        header_bytes: Option<usize>,
        /// Headers and payload, without the closing CRLF.
        message: &'a [u8],
    },
    /// `SUB subject [queue] sid`.
    Subscribe {
        /// The subject as sent.
        subject: &'a [u8],
        /// The queue group.
        queue: Option<&'a [u8]>,
        /// The client's key for the subscription.
        sid: &'a [u8],
    },
    /// `UNSUB sid [max]`.
    Unsubscribe {
        /// The client's key for the subscription.
        sid: &'a [u8],
        /// Deliveries after which the subscription ends; `None` or 0: at once.
        max: Option<u64>,
    },
    /// `PING`.
    Ping,
    /// `PONG`.
    Pong,
    /// `INFO {json}` from a client: accepted and ignored.
    Info(&'a [u8]),
    /// `+OK` from a client: ignored.
    Ok,
    /// `-ERR text` from a client: logged, then the connection is closed.
    Err(&'a [u8]),
}

/// What a buffer begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parsed<'a> {
    /// A complete verb.
    Op {
        /// The verb.
        op: ClientOp<'a>,
        /// How many bytes of the buffer it took.
        consumed: usize,
    },
    /// More bytes are needed: the buffer must hold at least `at_least` bytes before a retry can succeed
    /// (more than it holds now; exact once the control line is complete). A retry with fewer can only find an
    /// error: a payload that CRLF does not follow shows it from `at_least - 1` bytes on, and upstream answers
    /// then, without waiting for the last byte.
    Incomplete {
        /// Lower bound of the length needed.
        at_least: usize,
    },
}

/// Why a connection has to be closed. The texts and reasons are in [`super::error`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParseError {
    /// Not a verb, or a payload without its closing CRLF: `Unknown Protocol Operation`.
    #[error("unknown protocol operation")]
    UnknownOperation,
    /// An argument longer than `max_control_line`.
    #[error("maximum control line exceeded")]
    ControlLineExceeded,
    /// A size above `max_payload`.
    #[error("maximum payload exceeded")]
    PayloadExceeded,
    /// Wrong number of arguments, bad sizes and the like: closed without a word to the client.
    #[error("protocol violation")]
    Violation,
}

impl ParseError {
    /// What the client is told before the connection is closed; `None`: nothing.
    pub fn told(self) -> Option<ProtocolError> {
        match self {
            ParseError::UnknownOperation => Some(ProtocolError::UnknownProtocolOperation),
            ParseError::ControlLineExceeded => Some(ProtocolError::MaximumControlLineExceeded),
            ParseError::PayloadExceeded => Some(ProtocolError::MaximumPayloadViolation),
            ParseError::Violation => None,
        }
    }

    /// Why the connection ends.
    pub fn closed_reason(self) -> ClosedReason {
        match self {
            ParseError::UnknownOperation | ParseError::Violation => ClosedReason::ProtocolViolation,
            ParseError::ControlLineExceeded => ClosedReason::MaximumControlLineExceeded,
            ParseError::PayloadExceeded => ClosedReason::MaximumPayloadExceeded,
        }
    }
}

/// Parses the verb that `buffer` begins with.
///
/// An error is reported as soon as the bytes at hand prove it: an unknown verb at its first wrong byte, an
/// over-long line as soon as its argument is too long, a size above the limit before the payload is there.
/// Whether `HPUB` is allowed on this connection is not known here; the session decides.
///
/// # Errors
/// See [`ParseError`].
#[inline]
pub fn parse<'a>(buffer: &'a [u8], limits: &ParseLimits) -> Result<Parsed<'a>, ParseError> {
    // Publishing is what a broker does all day: its usual form is recognised at once.
    match parse_publish(buffer, limits) {
        Some(WholePublish { subject, reply, header_bytes, message, consumed }) => {
            Ok(Parsed::Op { op: ClientOp::Publish { subject, reply, header_bytes, message }, consumed })
        }
        None => line::parse(buffer, limits),
    }
}
