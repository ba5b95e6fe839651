//! What a server says, as a client reads it: strictly, so that a wrong byte is found. It shares nothing with the
//! server's own parser and encoder, which it is to judge.

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The subject it was published to.
    pub subject: String,
    /// The receiving subscription.
    pub sid: u64,
    /// Where an answer is wanted.
    pub reply: Option<String>,
    /// The block of headers with its empty line, of an `HMSG`.
    pub headers: Option<Vec<u8>>,
    /// The payload without headers.
    pub payload: Vec<u8>,
}

/// One thing that the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// `INFO`, with its JSON text.
    Info(String),
    /// `MSG` or `HMSG`.
    Message(Received),
    /// `PING`
    Ping,
    /// `PONG`
    Pong,
    /// `+OK`
    Ok,
    /// `-ERR`, with its text between the quotes.
    Error(String),
}

/// The bytes from a server that were not understood yet.
#[derive(Debug, Default)]
pub struct ServerStream {
    bytes: Vec<u8>,
    start: usize,
}

/// No server of ours says longer lines; an INFO has a few hundred bytes.
const LINE_BYTES_MAX: usize = 8192;

impl ServerStream {
    /// Takes in what arrived.
    pub fn push(&mut self, data: &[u8]) {
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
        } else if self.start > 64 * 1024 {
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        self.bytes.extend_from_slice(data);
    }

    /// The next thing said, when all of it has arrived.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn next_said(&mut self) -> Result<Option<Said>, String> {
        let rest = &self.bytes[self.start..];
        let Some(line_bytes) = rest.iter().take(LINE_BYTES_MAX).position(|byte| *byte == b'\n') else {
            if rest.len() >= LINE_BYTES_MAX {
                return Err(format!("a line without an end: {:?}", lossy(&rest[..80])));
            }
            return Ok(None);
        };
        let line = rest[..line_bytes]
            .strip_suffix(b"\r")
            .ok_or_else(|| format!("a line that ends in LF alone: {:?}", lossy(&rest[..line_bytes])))?;
        let line = std::str::from_utf8(line).map_err(|_| format!("not UTF-8: {:?}", lossy(line)))?;
        let (verb, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let said = match verb {
            "MSG" | "HMSG" => {
                let head = MessageHead::parse(verb == "HMSG", arguments)?;
                let start = line_bytes + 1;
                let Some(body) = rest.get(start..start + head.total_bytes + 2) else { return Ok(None) };
                let message = head.with_body(body)?;
                self.start += start + body.len();
                return Ok(Some(Said::Message(message)));
            }
            "INFO" => {
                let json = arguments.strip_suffix(' ').unwrap_or(arguments);
                if !(json.starts_with('{') && json.ends_with('}')) {
                    return Err(format!("an INFO without an object: {line:?}"));
                }
                Said::Info(json.to_owned())
            }
            "PING" if arguments.is_empty() => Said::Ping,
            "PONG" if arguments.is_empty() => Said::Pong,
            "+OK" if arguments.is_empty() => Said::Ok,
            "-ERR" => {
                let text = arguments.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
                Said::Error(text.ok_or_else(|| format!("an error without quotes: {line:?}"))?.to_owned())
            }
            _ => return Err(format!("an unknown verb: {line:?}")),
        };
        self.start += line_bytes + 1;
        Ok(Some(said))
    }
}

struct MessageHead {
    subject: String,
    sid: u64,
    reply: Option<String>,
    header_bytes: Option<usize>,
    total_bytes: usize,
}

impl MessageHead {
    /// Reads `<subject> <sid> [reply] [header bytes] <total bytes>`.
    fn parse(with_headers: bool, arguments: &str) -> Result<MessageHead, String> {
        let wrong = || format!("a message line that is wrong: {arguments:?}");
        let words: Vec<&str> = arguments.split(' ').collect();
        let sizes = if with_headers { 2 } else { 1 };
        let (names, sizes) = words.split_at_checked(words.len().saturating_sub(sizes)).ok_or_else(wrong)?;
        let (subject, sid, reply) = match names {
            [subject, sid] => (*subject, *sid, None),
            [subject, sid, reply] => (*subject, *sid, Some((*reply).to_owned())),
            _ => return Err(wrong()),
        };
        let sizes: Vec<usize> = sizes.iter().filter_map(|size| size.parse().ok()).collect();
        let (header_bytes, total_bytes) = match (with_headers, &sizes[..]) {
            (false, [total]) => (None, *total),
            (true, [headers, total]) if headers <= total && *headers > 0 => (Some(*headers), *total),
            _ => return Err(wrong()),
        };
        if subject.is_empty() || reply.as_deref() == Some("") {
            return Err(wrong());
        }
        let sid = sid.parse().map_err(|_| wrong())?;
        Ok(MessageHead { subject: subject.to_owned(), sid, reply, header_bytes, total_bytes })
    }

    fn with_body(self, body: &[u8]) -> Result<Received, String> {
        let Some(message) = body.strip_suffix(b"\r\n") else {
            return Err(format!("a message on {:?} that does not end where it says", self.subject));
        };
        let (headers, payload) = message.split_at(self.header_bytes.unwrap_or(0));
        if self.header_bytes.is_some()
            && !(headers.starts_with(b"NATS/1.0") && headers.ends_with(b"\r\n\r\n"))
        {
            return Err(format!("headers that are none: {:?}", lossy(headers)));
        }
        Ok(Received {
            subject: self.subject,
            sid: self.sid,
            reply: self.reply,
            headers: self.header_bytes.map(|_| headers.to_vec()),
            payload: payload.to_vec(),
        })
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(chunks: &[&[u8]]) -> Result<Vec<Said>, String> {
        let mut stream = ServerStream::default();
        let mut said = Vec::new();
        for chunk in chunks {
            stream.push(chunk);
            while let Some(next) = stream.next_said()? {
                said.push(next);
            }
        }
        Ok(said)
    }

    fn message(subject: &str, reply: Option<&str>, headers: Option<&[u8]>, payload: &[u8]) -> Said {
        Said::Message(Received {
            subject: subject.into(),
            sid: 7,
            reply: reply.map(Into::into),
            headers: headers.map(Into::into),
            payload: payload.into(),
        })
    }

    #[test]
    fn a_conversation_is_understood_however_it_is_split() {
        let bytes =
            b"INFO {\"a\":1} \r\nPONG\r\nMSG a.b 7 3\r\n\r\nx\r\nHMSG a 7 r 12 14\r\nNATS/1.0\r\n\r\nhi\r\n\
            +OK\r\nPING\r\n-ERR 'no'\r\n";
        let expected = vec![
            Said::Info("{\"a\":1}".into()),
            Said::Pong,
            message("a.b", None, None, b"\r\nx"),
            message("a", Some("r"), Some(b"NATS/1.0\r\n\r\n"), b"hi"),
            Said::Ok,
            Said::Ping,
            Said::Error("no".into()),
        ];
        assert_eq!(all(&[bytes]).unwrap(), expected);
        for split in 0..bytes.len() {
            assert_eq!(all(&[&bytes[..split], &bytes[split..]]).unwrap(), expected, "split at {split}");
        }
    }

    #[test]
    fn wrong_bytes_are_found() {
        let cases: [&[u8]; 9] = [
            b"PONG\n",
            b"PONG x\r\n",
            b"MSG a 7 1\r\nxy\r\n",
            b"MSG a  7 1\r\nx\r\n",
            b"MSG a 7\r\n\r\n",
            b"HMSG a 7 3 2\r\nxy\r\n",
            b"HMSG a 7 2 2\r\nxy\r\n",
            b"-ERR no\r\n",
            b"WHAT\r\n",
        ];
        for wrong in cases {
            assert!(all(&[wrong]).is_err(), "{:?}", lossy(wrong));
        }
    }
}
