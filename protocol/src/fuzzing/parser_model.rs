//! The rules of [`crate::client::parser`] once more, as a machine that takes one byte after the other and looks
//! neither ahead nor back: slow, and with nothing in common with the parser but the rules.

use crate::client::{ClientOp, ParseError, ParseLimits, info};

const VERBS: [&str; 10] = ["CONNECT", "PUB", "HPUB", "SUB", "UNSUB", "PING", "PONG", "INFO", "+OK", "-ERR"];

/// What became of a stream.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Transcript<'a> {
    pub(super) verbs: Vec<ClientOp<'a>>,
    pub(super) ending: Ending,
}

#[derive(PartialEq, Eq, Debug)]
pub(super) enum Ending {
    /// More bytes are welcome.
    Waiting,
    /// The error came with the byte number `seen`, counted from one.
    Failed { error: ParseError, seen: usize },
}

enum State<'a> {
    /// Within a verb, of which these letters came.
    Verb(String),
    /// Right behind a verb that a blank has to follow.
    Blank(&'static str),
    /// Before an argument; so many bytes came since the verb.
    Before(&'static str, usize),
    /// In an argument that began here, with a CR behind its first byte or not.
    Argument(&'static str, usize, bool),
    /// Behind PING, PONG or +OK: so many bytes, the last one a CR or not.
    Ignored(&'static str, usize, bool),
    /// In a payload that began at `start`.
    Payload { subject: &'a [u8], reply: Option<&'a [u8]>, headers: Option<usize>, size: usize, start: usize },
}

pub(super) struct Model<'a> {
    stream: &'a [u8],
    limits: ParseLimits,
    state: State<'a>,
    verbs: Vec<ClientOp<'a>>,
}

impl<'a> Model<'a> {
    pub(super) fn run(stream: &'a [u8], limits: &ParseLimits) -> Transcript<'a> {
        let mut model =
            Model { stream, limits: *limits, state: State::Verb(String::new()), verbs: Vec::new() };
        let mut ending = Ending::Waiting;
        for (at, byte) in stream.iter().enumerate() {
            if let Err(error) = model.step(at, *byte) {
                ending = Ending::Failed { error, seen: at + 1 };
                break;
            }
        }
        Transcript { verbs: model.verbs, ending }
    }

    fn step(&mut self, at: usize, byte: u8) -> Result<(), ParseError> {
        let limit = self.limits.control_line_max;
        match &mut self.state {
            State::Verb(letters) => {
                letters.push(char::from(byte).to_ascii_uppercase());
                let letters = letters.as_str();
                if !VERBS.iter().any(|verb| verb.starts_with(letters)) {
                    return Err(ParseError::UnknownOperation);
                }
                if let Some(verb) = VERBS.into_iter().find(|verb| *verb == letters) {
                    self.state = match verb {
                        "PING" | "PONG" | "+OK" => State::Ignored(verb, 0, false),
                        "CONNECT" | "INFO" => State::Before(verb, 0),
                        _ => State::Blank(verb),
                    };
                }
            }
            State::Blank(verb) => match byte {
                b' ' | b'\t' => self.state = State::Before(verb, 1),
                _ => return Err(ParseError::UnknownOperation),
            },
            State::Before(verb, blanks) => match byte {
                b' ' | b'\t' if *blanks > limit => return Err(ParseError::ControlLineExceeded),
                b' ' | b'\t' => *blanks += 1,
                _ if limit == 0 => return Err(ParseError::ControlLineExceeded),
                _ => self.state = State::Argument(verb, at, false),
            },
            State::Argument(verb, start, carriage_return) => {
                if byte == b'\n' {
                    let dropped = usize::from(*carriage_return);
                    let (verb, argument) = (*verb, &self.stream[*start..at - dropped]);
                    return self.line(verb, argument, at + 1);
                }
                *carriage_return |= byte == b'\r';
                if at + 1 - *start - usize::from(*carriage_return) > limit {
                    return Err(ParseError::ControlLineExceeded);
                }
            }
            State::Ignored(verb, count, carriage_return) => {
                if byte == b'\n' {
                    let verb = *verb;
                    return self.finish(match verb {
                        "PING" => ClientOp::Ping,
                        "PONG" => ClientOp::Pong,
                        _ => ClientOp::Ok,
                    });
                }
                *count += 1;
                *carriage_return = byte == b'\r';
                if *count - usize::from(*carriage_return) > limit {
                    return Err(ParseError::ControlLineExceeded);
                }
            }
            State::Payload { subject, reply, headers, size, start } => {
                let end = *start + *size;
                if at == end && byte != b'\r' || at == end + 1 && byte != b'\n' {
                    return Err(ParseError::UnknownOperation);
                }
                if at == end + 1 {
                    let message = &self.stream[*start..end];
                    let (subject, reply, header_bytes) = (*subject, *reply, *headers);
                    return self.finish(ClientOp::Publish { subject, reply, header_bytes, message });
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, verb: ClientOp<'a>) -> Result<(), ParseError> {
        self.verbs.push(verb);
        self.state = State::Verb(String::new());
        Ok(())
    }

    fn line(&mut self, verb: &'static str, argument: &'a [u8], start: usize) -> Result<(), ParseError> {
        if argument.len() > self.limits.control_line_max {
            return Err(ParseError::ControlLineExceeded);
        }
        match (verb, tokens(argument, verb.ends_with("SUB")).as_slice()) {
            ("CONNECT", _) => self.finish(ClientOp::Connect(argument)),
            ("INFO", _) if info::is_acceptable(argument) => self.finish(ClientOp::Info(argument)),
            ("-ERR", _) => self.finish(ClientOp::Err(argument)),
            ("SUB", &[subject, sid]) => self.finish(ClientOp::Subscribe { subject, queue: None, sid }),
            ("SUB", &[subject, queue, sid]) => {
                self.finish(ClientOp::Subscribe { subject, queue: Some(queue), sid })
            }
            ("UNSUB", &[sid]) => self.finish(ClientOp::Unsubscribe { sid, max: None }),
            ("UNSUB", &[sid, max]) => {
                self.finish(ClientOp::Unsubscribe { sid, max: number(max).map(|max| max as u64) })
            }
            ("PUB", &[subject, size]) => self.payload(subject, None, None, size, start),
            ("PUB", &[subject, reply, size]) => self.payload(subject, Some(reply), None, size, start),
            ("HPUB", &[subject, headers, size]) => self.payload(subject, None, Some(headers), size, start),
            ("HPUB", &[subject, reply, headers, size]) => {
                self.payload(subject, Some(reply), Some(headers), size, start)
            }
            _ => Err(ParseError::Violation),
        }
    }

    fn payload(
        &mut self,
        subject: &'a [u8],
        reply: Option<&'a [u8]>,
        headers: Option<&'a [u8]>,
        size: &'a [u8],
        start: usize,
    ) -> Result<(), ParseError> {
        let headers = match headers {
            Some(headers) => Some(number(headers).ok_or(ParseError::Violation)?),
            None => None,
        };
        let size = number(size).ok_or(ParseError::Violation)?;
        if headers.is_some_and(|headers| headers > size) {
            return Err(ParseError::Violation);
        }
        if self.limits.payload_max >= 0 && size as i64 > self.limits.payload_max {
            return Err(ParseError::PayloadExceeded);
        }
        self.state = State::Payload { subject, reply, headers, size, start };
        Ok(())
    }
}

fn tokens(argument: &[u8], line_ends_part: bool) -> Vec<&[u8]> {
    let mut tokens = Vec::new();
    let mut start = None;
    for at in 0..=argument.len() {
        let parts = match argument.get(at) {
            None | Some(b' ' | b'\t') => true,
            Some(b'\r' | b'\n') => line_ends_part,
            Some(_) => false,
        };
        match start {
            None if !parts => start = Some(at),
            Some(begin) if parts => {
                tokens.push(&argument[begin..at]);
                start = None;
            }
            _ => {}
        }
    }
    tokens
}

fn number(digits: &[u8]) -> Option<usize> {
    let right = (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    right.then(|| String::from_utf8_lossy(digits).parse().expect("nine digits fit"))
}
