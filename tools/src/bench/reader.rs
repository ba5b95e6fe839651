//! The client's side of the protocol: splits what a server sends into messages and control lines.
//!
//! Framing is checked for every message: the control line, the sizes in it and the line end behind the payload.

use std::ops::Range;

use super::error::BenchError;

/// Bytes at the beginning of a message's headers and payload that its receiver may see.
pub const HEAD_BYTES: usize = 16;
/// The longest control line: `INFO` with many URLs is the longest that servers send.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// A message up to this size is kept until it is whole; of a larger one only the head is kept.
const WHOLE_BYTES_MAX: usize = 64 * 1024;

/// Something a server sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message has arrived.
    Message(Message<'a>),
    /// `PING`, to be answered.
    Ping,
    /// `PONG`.
    Pong,
    /// `+OK`.
    Ok,
    /// The JSON text of `INFO`.
    Info(&'a [u8]),
    /// The text of `-ERR`, without quotes.
    Error(&'a [u8]),
}

/// A message, without most of its content.
#[derive(Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The subject it was published to.
    pub subject: &'a [u8],
    /// The reply subject, empty without one.
    pub reply: &'a [u8],
    /// Bytes of headers, 0 for a message without.
    pub headers_len: usize,
    /// The first [`HEAD_BYTES`] bytes of headers and payload, fewer where there are fewer.
    pub head: &'a [u8],
}

/// A control line `MSG` or `HMSG`, taken apart. Positions are relative to the line.
#[derive(Clone, Debug, Default)]
struct MessageLine {
    /// With its line end.
    len: usize,
    subject: Range<usize>,
    reply: Range<usize>,
    headers_len: usize,
    /// Headers and payload.
    content_len: usize,
}

/// Splits one connection's input. It holds only what a read cut in two.
#[derive(Default)]
pub struct Reader {
    rest: Vec<u8>,
    /// The last message line and what it says: mostly the next one is the same, byte by byte.
    last_line: Vec<u8>,
    last: MessageLine,
    /// A message too large to keep: bytes of it still to come, line end included.
    large_left: usize,
    large_head: [u8; HEAD_BYTES],
}

impl Reader {
    /// Bytes a buffer needs at least so that the largest kept rest leaves room to read.
    pub const BUFFER_BYTES_MIN: usize = LINE_BYTES_MAX + WHOLE_BYTES_MAX + 64 * 1024;

    /// Puts what was cut off before at the front of `buffer` and returns how many bytes that are: read behind them,
    /// then pass both to [`Reader::consume`].
    #[inline]
    pub fn restore(&mut self, buffer: &mut [u8]) -> usize {
        let kept = self.rest.len();
        if kept > 0 {
            buffer[..kept].copy_from_slice(&self.rest);
            self.rest.clear();
        }
        kept
    }

    /// Reports everything that is whole in `bytes` and keeps the rest.
    ///
    /// # Errors
    /// [`BenchError::Framing`] when the bytes are not the protocol, and what `on_event` returns.
    pub fn consume(
        &mut self,
        bytes: &[u8],
        mut on_event: impl FnMut(Event<'_>) -> Result<(), BenchError>,
    ) -> Result<(), BenchError> {
        let mut position = 0;
        while position < bytes.len() {
            let input = &bytes[position..];
            let used = if self.large_left > 0 {
                self.skip_large(input, &mut on_event)?
            } else if !self.last_line.is_empty() && input.starts_with(&self.last_line) {
                self.message(input, &mut on_event)?
            } else {
                self.line(input, &mut on_event)?
            };
            if used == 0 {
                self.rest.extend_from_slice(input);
                return Ok(());
            }
            position += used;
        }
        Ok(())
    }

    /// Takes one control line, with its message where it is one. Returns the bytes used, 0 if more are needed.
    fn line(
        &mut self,
        input: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), BenchError>,
    ) -> Result<usize, BenchError> {
        let Some(end) = memchr::memchr(b'\n', input) else {
            if input.len() > LINE_BYTES_MAX {
                return Err(framing("a control line without end", input));
            }
            return Ok(0);
        };
        let line = &input[..end + 1];
        let Some(text) = line.strip_suffix(b"\r\n") else {
            return Err(framing("a line end without carriage return", line));
        };
        if text.starts_with(b"MSG ") || text.starts_with(b"HMSG ") {
            self.last = MessageLine::parse(text).ok_or_else(|| framing("a bad message line", text))?;
            self.last_line.clear();
            self.last_line.extend_from_slice(line);
            return self.message(input, on_event);
        }
        on_event(control(text)?)?;
        Ok(line.len())
    }

    /// Takes the message whose line, `self.last`, stands at the front of `input`.
    #[inline]
    fn message(
        &mut self,
        input: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), BenchError>,
    ) -> Result<usize, BenchError> {
        let line = &self.last;
        let content_end = line.len + line.content_len;
        let Some(content) = input.get(line.len..content_end + 2) else {
            return Ok(self.begin_large(input));
        };
        let (content, line_end) = content.split_at(line.content_len);
        if line_end != b"\r\n" {
            return Err(framing("no line end behind a payload", line_end));
        }
        on_event(Event::Message(Message {
            subject: &input[line.subject.clone()],
            reply: &input[line.reply.clone()],
            headers_len: line.headers_len,
            head: &content[..content.len().min(HEAD_BYTES)],
        }))?;
        Ok(content_end + 2)
    }

    /// Begins to skip a message that is too large to keep. Returns 0 if it shall be kept, or its head is not there.
    fn begin_large(&mut self, input: &[u8]) -> usize {
        let line = &self.last;
        if line.content_len <= WHOLE_BYTES_MAX || input.len() < line.len + HEAD_BYTES {
            return 0;
        }
        self.large_head.copy_from_slice(&input[line.len..line.len + HEAD_BYTES]);
        self.large_left = line.content_len + 2 - HEAD_BYTES;
        line.len + HEAD_BYTES
    }

    /// Skips the middle of a large message and reports it at its end.
    fn skip_large(
        &mut self,
        input: &[u8],
        on_event: &mut impl FnMut(Event<'_>) -> Result<(), BenchError>,
    ) -> Result<usize, BenchError> {
        if self.large_left > 2 {
            let used = input.len().min(self.large_left - 2);
            self.large_left -= used;
            return Ok(used);
        }
        let Some(line_end) = input.get(..2) else { return Ok(0) };
        if line_end != b"\r\n" {
            return Err(framing("no line end behind a payload", line_end));
        }
        self.large_left = 0;
        on_event(Event::Message(Message {
            subject: &self.last_line[self.last.subject.clone()],
            reply: &self.last_line[self.last.reply.clone()],
            headers_len: self.last.headers_len,
            head: &self.large_head,
        }))?;
        Ok(2)
    }
}

impl MessageLine {
    /// Takes apart `MSG subject sid [reply] size` and `HMSG subject sid [reply] headers-size size`, without line end.
    fn parse(text: &[u8]) -> Option<Self> {
        let with_headers = text[0] == b'H';
        let mut words: [Range<usize>; 6] = Default::default();
        let mut count = 0;
        let mut start = 0;
        for end in memchr::memchr_iter(b' ', text).chain([text.len()]) {
            if end == start || count == words.len() {
                return None;
            }
            words[count] = start..end;
            count += 1;
            start = end + 1;
        }
        let numbers = if with_headers { 2 } else { 1 };
        let reply = match count.checked_sub(3 + numbers)? {
            0 => 0..0,
            1 => words[3].clone(),
            _ => return None,
        };
        let content_len = number(&text[words[count - 1].clone()])?;
        let headers_len = if with_headers { number(&text[words[count - 2].clone()])? } else { 0 };
        if headers_len > content_len {
            return None;
        }
        Some(Self { len: text.len() + 2, subject: words[1].clone(), reply, headers_len, content_len })
    }
}

fn control(text: &[u8]) -> Result<Event<'_>, BenchError> {
    let (word, rest) = match memchr::memchr2(b' ', b'\t', text) {
        Some(end) => (&text[..end], text[end..].trim_ascii()),
        None => (text, &[][..]),
    };
    Ok(match word.to_ascii_uppercase().as_slice() {
        b"PING" => Event::Ping,
        b"PONG" => Event::Pong,
        b"+OK" => Event::Ok,
        b"INFO" => Event::Info(rest),
        b"-ERR" => Event::Error(rest.strip_prefix(b"'").and_then(|r| r.strip_suffix(b"'")).unwrap_or(rest)),
        _ => return Err(framing("an unknown line", text)),
    })
}

fn number(digits: &[u8]) -> Option<usize> {
    if digits.is_empty() || digits.len() > 10 {
        return None;
    }
    digits.iter().try_fold(0, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| value * 10 + usize::from(digit))
    })
}

fn framing(what: &str, bytes: &[u8]) -> BenchError {
    let shown = &bytes[..bytes.len().min(80)];
    BenchError::Framing(format!("{what}: {:?}", String::from_utf8_lossy(shown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `input` in pieces of `piece` bytes and lists what was reported.
    fn read(input: &[u8], piece: usize) -> Result<Vec<String>, BenchError> {
        let mut reader = Reader::default();
        let mut buffer = vec![0; Reader::BUFFER_BYTES_MIN];
        let mut seen = Vec::new();
        for part in input.chunks(piece) {
            let kept = reader.restore(&mut buffer);
            buffer[kept..kept + part.len()].copy_from_slice(part);
            reader.consume(&buffer[..kept + part.len()], |event| {
                seen.push(match event {
                    Event::Message(message) => format!(
                        "{}|{}|{}|{}",
                        String::from_utf8_lossy(message.subject),
                        String::from_utf8_lossy(message.reply),
                        message.headers_len,
                        String::from_utf8_lossy(message.head)
                    ),
                    other => format!("{other:?}"),
                });
                Ok(())
            })?;
        }
        assert!(reader.rest.is_empty(), "nothing is left of whole input");
        Ok(seen)
    }

    #[test]
    fn every_split_gives_the_same_events() {
        let input = b"PING\r\nMSG a.b 1 3\r\nxyz\r\nMSG a.b 1 3\r\nabc\r\nMSG a.b 1 inbox.7 0\r\n\r\n\
                      HMSG h 22 12 14\r\nNATS/1.0\r\n\r\nhi\r\n+OK\r\n-ERR 'Slow Consumer'\r\nPONG\r\n";
        let whole = read(input, input.len()).expect("valid");
        assert_eq!(whole[1..5], ["a.b||0|xyz", "a.b||0|abc", "a.b|inbox.7|0|", "h||12|NATS/1.0\r\n\r\nhi"]);
        assert_eq!(whole.len(), 8);
        for piece in 1..input.len() {
            assert_eq!(read(input, piece).expect("valid"), whole, "in pieces of {piece}");
        }
    }

    #[test]
    fn a_message_larger_than_the_buffer_is_counted_once_with_its_head() {
        let mut input = b"MSG big 1 900000\r\n0123456789abcdef".to_vec();
        input.resize(input.len() + 900_000 - HEAD_BYTES, b'x');
        input.extend_from_slice(b"\r\nMSG big 1 2\r\nok\r\n");
        for piece in [1_000, 65_536, 131_072] {
            assert_eq!(read(&input, piece).expect("valid"), ["big||0|0123456789abcdef", "big||0|ok"]);
        }
    }

    #[test]
    fn broken_framing_is_found() {
        for bad in [
            &b"MSG a 1 3\r\nxyzzy\r\n"[..],
            b"MSG a 1 3\r\nxyz\r\nMSG a 1 3\r\nxyzz\r\n",
            b"MSG a 1 3\nxyz\r\n",
            b"MSG a 3\r\nxyz\r\n",
            b"MSG a 1 r r 3\r\nxyz\r\n",
            b"MSG  a 1 3\r\nxyz\r\n",
            b"MSG a 1 -3\r\nxyz\r\n",
            b"HMSG a 1 9 3\r\nxyz\r\n",
            b"NONSENSE\r\n",
        ] {
            assert!(read(bad, bad.len()).is_err(), "{}", String::from_utf8_lossy(bad));
        }
    }
}
