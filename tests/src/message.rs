//! Messages as a client receives them.

use crate::{Mismatch, Wire};

/// One MSG or HMSG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The subject it was published to.
    pub subject: String,
    /// The subscription it belongs to, as the client named it.
    pub sid: String,
    /// The reply subject, if there is one.
    pub reply: Option<String>,
    /// The header block with its version line and its blank line; empty for MSG.
    pub header: Vec<u8>,
    /// The payload.
    pub payload: Vec<u8>,
}

impl Message {
    /// The payload as text.
    ///
    /// # Panics
    ///
    /// When it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("a payload of text")
    }

    /// True for the answer of the server to a request that nobody received.
    pub fn is_no_responders(&self) -> bool {
        self.payload.is_empty() && self.header.starts_with(b"NATS/1.0 503\r\n")
    }
}

impl Wire {
    /// Takes one MSG or HMSG.
    ///
    /// # Panics
    ///
    /// When something else arrives, or nothing in time.
    #[track_caller]
    pub fn take_message(&mut self) -> Message {
        match self.try_take_message() {
            Ok(message) => message,
            Err(mismatch) => panic!("{mismatch}"),
        }
    }

    /// As [`Wire::take_message`], with the failure as a value.
    ///
    /// # Errors
    ///
    /// When something else arrives, or nothing in time.
    pub fn try_take_message(&mut self) -> Result<Message, Mismatch> {
        let mut line = self.try_take_line()?;
        while line == "PING" {
            self.send("PONG\r\n");
            line = self.try_take_line()?;
        }
        let (head, header_size, total_size) = parse_head(&line)
            .ok_or_else(|| Mismatch(format!("expected a message, got the line {line:?}")))?;
        let mut header = self.try_take_bytes(total_size)?;
        let payload = header.split_off(header_size);
        let end = self.try_take_bytes(2)?;
        if end != b"\r\n" {
            return Err(Mismatch(format!("the message {line:?} is followed by {end:?} instead of CRLF")));
        }
        Ok(Message { header, payload, ..head })
    }
}

/// Reads the line of a message: its head without the bytes, the size of the header, the size of all.
fn parse_head(line: &str) -> Option<(Message, usize, usize)> {
    let mut words: Vec<&str> = line.split(' ').collect();
    let with_header = match *words.first()? {
        "MSG" => false,
        "HMSG" => true,
        _ => return None,
    };
    let total_size = words.pop()?.parse().ok()?;
    let header_size = if with_header { words.pop()?.parse().ok()? } else { 0 };
    let (subject, sid, reply) = match words[1..] {
        [subject, sid] => (subject, sid, None),
        [subject, sid, reply] => (subject, sid, Some(reply.to_owned())),
        _ => return None,
    };
    let head = Message {
        subject: subject.to_owned(),
        sid: sid.to_owned(),
        reply,
        header: Vec::new(),
        payload: Vec::new(),
    };
    (header_size <= total_size).then_some((head, header_size, total_size))
}
