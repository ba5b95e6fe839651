//! Every verb in every shape: what decides when the usual shape of a publish is not there.

use super::publish::{self, Publish};
use super::{ClientOp, ParseError, ParseLimits, Parsed};
use crate::client::info;

/// The most arguments of a verb (`HPUB subject reply headers total`).
const ARGUMENTS_MAX: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verb {
    Connect,
    Pub,
    Hpub,
    Sub,
    Unsub,
    Ping,
    Pong,
    Info,
    Ok,
    Err,
}

/// What has to follow a verb.
enum Follows {
    /// A space or tab, then the argument.
    Blank,
    /// The argument, with or without blanks before it.
    Argument,
    /// Whatever: ignored.
    Anything,
}

impl Verb {
    fn name(self) -> &'static [u8] {
        match self {
            Verb::Connect => b"CONNECT",
            Verb::Pub => b"PUB",
            Verb::Hpub => b"HPUB",
            Verb::Sub => b"SUB",
            Verb::Unsub => b"UNSUB",
            Verb::Ping => b"PING",
            Verb::Pong => b"PONG",
            Verb::Info => b"INFO",
            Verb::Ok => b"+OK",
            Verb::Err => b"-ERR",
        }
    }

    fn follows(self) -> Follows {
        match self {
            Verb::Pub | Verb::Hpub | Verb::Sub | Verb::Unsub | Verb::Err => Follows::Blank,
            Verb::Connect | Verb::Info => Follows::Argument,
            Verb::Ping | Verb::Pong | Verb::Ok => Follows::Anything,
        }
    }

    /// The verb at the start of a buffer; `None` while the buffer ends within one.
    fn recognise(buffer: &[u8]) -> Result<Option<Verb>, ParseError> {
        let Some(first) = buffer.first() else { return Ok(None) };
        let candidates: &[Verb] = match first {
            b'P' | b'p' => &[Verb::Pub, Verb::Ping, Verb::Pong],
            b'S' | b's' => &[Verb::Sub],
            b'U' | b'u' => &[Verb::Unsub],
            b'H' | b'h' => &[Verb::Hpub],
            b'C' | b'c' => &[Verb::Connect],
            b'I' | b'i' => &[Verb::Info],
            b'+' => &[Verb::Ok],
            b'-' => &[Verb::Err],
            _ => return Err(ParseError::UnknownOperation),
        };
        let mut begun = false;
        for verb in candidates {
            let name = verb.name();
            let shared = name.len().min(buffer.len());
            if buffer[..shared].eq_ignore_ascii_case(&name[..shared]) {
                if shared == name.len() {
                    return Ok(Some(*verb));
                }
                begun = true;
            }
        }
        if begun { Ok(None) } else { Err(ParseError::UnknownOperation) }
    }
}

/// The argument of a line that is whole.
struct Line<'a> {
    argument: &'a [u8],
    /// Behind its LF.
    end: usize,
}

pub(super) fn parse<'a>(buffer: &'a [u8], limits: &ParseLimits) -> Result<Parsed<'a>, ParseError> {
    let more = Ok(Parsed::Incomplete { at_least: buffer.len() + 1 });
    let Some(verb) = Verb::recognise(buffer)? else { return more };
    let behind_verb = verb.name().len();
    let line = match verb.follows() {
        Follows::Anything => ignored(buffer, behind_verb, limits.control_line_max)?,
        Follows::Argument => argument(buffer, behind_verb, limits.control_line_max)?,
        Follows::Blank => match buffer.get(behind_verb) {
            None => None,
            Some(b' ' | b'\t') => argument(buffer, behind_verb, limits.control_line_max)?,
            Some(_) => return Err(ParseError::UnknownOperation),
        },
    };
    let Some(Line { argument, end }) = line else { return more };
    let op = match verb {
        Verb::Pub => return publish::with_payload(buffer, end, split_pub(argument)?, limits),
        Verb::Hpub => return publish::with_payload(buffer, end, split_hpub(argument)?, limits),
        Verb::Sub => split_sub(argument)?,
        Verb::Unsub => split_unsub(argument)?,
        Verb::Connect => ClientOp::Connect(argument),
        Verb::Info if info::is_acceptable(argument) => ClientOp::Info(argument),
        Verb::Info => return Err(ParseError::Violation),
        Verb::Ping => ClientOp::Ping,
        Verb::Pong => ClientOp::Pong,
        Verb::Ok => ClientOp::Ok,
        Verb::Err => ClientOp::Err(argument),
    };
    Ok(Parsed::Op { op, consumed: end })
}

/// Blanks from `start` on, then the argument up to its line's end; `None` while that is not there.
fn argument(buffer: &[u8], start: usize, limit: usize) -> Result<Option<Line<'_>>, ParseError> {
    let rest = &buffer[start..];
    let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    // The first blank only parts verb and argument.
    if blanks > limit.saturating_add(1) {
        return Err(ParseError::ControlLineExceeded);
    }
    let rest = &rest[blanks..];
    let Some((_, tail)) = rest.split_first() else { return Ok(None) };
    let line_end = memchr::memchr(b'\n', tail);
    let tail = &tail[..line_end.unwrap_or(tail.len())];
    let dropped = usize::from(tail.last() == Some(&b'\r') || memchr::memchr(b'\r', tail).is_some());
    let length = 1 + tail.len() - dropped;
    if length > limit {
        return Err(ParseError::ControlLineExceeded);
    }
    Ok(line_end.map(|at| Line { argument: &rest[..length], end: start + blanks + 1 + at + 1 }))
}

/// A line of which nothing counts but its end.
fn ignored(buffer: &[u8], start: usize, limit: usize) -> Result<Option<Line<'_>>, ParseError> {
    let rest = &buffer[start..];
    let line_end = memchr::memchr(b'\n', rest);
    let rest = &rest[..line_end.unwrap_or(rest.len())];
    if rest.len() - usize::from(rest.last() == Some(&b'\r')) > limit {
        return Err(ParseError::ControlLineExceeded);
    }
    Ok(line_end.map(|at| Line { argument: &[], end: start + at + 1 }))
}

/// Splits an argument where `parts` holds; a `Violation` when there are more than the most of any verb.
fn split(argument: &[u8], parts: impl Fn(u8) -> bool) -> Result<([&[u8]; ARGUMENTS_MAX], usize), ParseError> {
    let mut arguments: [&[u8]; ARGUMENTS_MAX] = [&[]; ARGUMENTS_MAX];
    let mut count = 0;
    for token in argument.split(|byte| parts(*byte)).filter(|token| !token.is_empty()) {
        *arguments.get_mut(count).ok_or(ParseError::Violation)? = token;
        count += 1;
    }
    Ok((arguments, count))
}

fn split_pub(argument: &[u8]) -> Result<Publish<'_>, ParseError> {
    let (arguments, count) = split(argument, is_blank)?;
    let (subject, reply, size) = match arguments[..count] {
        [subject, size] => (subject, None, size),
        [subject, reply, size] => (subject, Some(reply), size),
        _ => return Err(ParseError::Violation),
    };
    let message_bytes = publish::size(size).ok_or(ParseError::Violation)?;
    Ok(Publish { subject, reply, header_bytes: None, message_bytes })
}

fn split_hpub(argument: &[u8]) -> Result<Publish<'_>, ParseError> {
    let (arguments, count) = split(argument, is_blank)?;
    let (subject, reply, headers, total) = match arguments[..count] {
        [subject, headers, total] => (subject, None, headers, total),
        [subject, reply, headers, total] => (subject, Some(reply), headers, total),
        _ => return Err(ParseError::Violation),
    };
    let header_bytes = publish::size(headers).ok_or(ParseError::Violation)?;
    let message_bytes = publish::size(total).ok_or(ParseError::Violation)?;
    if header_bytes > message_bytes {
        return Err(ParseError::Violation);
    }
    Ok(Publish { subject, reply, header_bytes: Some(header_bytes), message_bytes })
}

fn split_sub(argument: &[u8]) -> Result<ClientOp<'_>, ParseError> {
    let (arguments, count) = split(argument, is_blank_or_line_end)?;
    match arguments[..count] {
        [subject, sid] => Ok(ClientOp::Subscribe { subject, queue: None, sid }),
        [subject, queue, sid] => Ok(ClientOp::Subscribe { subject, queue: Some(queue), sid }),
        _ => Err(ParseError::Violation),
    }
}

fn split_unsub(argument: &[u8]) -> Result<ClientOp<'_>, ParseError> {
    let (arguments, count) = split(argument, is_blank_or_line_end)?;
    match arguments[..count] {
        [sid] => Ok(ClientOp::Unsubscribe { sid, max: None }),
        [sid, max] => Ok(ClientOp::Unsubscribe { sid, max: publish::size(max).map(|max| max as u64) }),
        _ => Err(ParseError::Violation),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn is_blank_or_line_end(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
