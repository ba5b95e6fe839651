//! What the server says to clients, appended to an out-buffer.

/// Upper bound of what [`message`] appends besides subject, sid, reply and message.
pub const MESSAGE_OVERHEAD_MAX: usize = 64;

/// `+OK\r\n`
pub const OK: &[u8] = b"+OK\r\n";
/// `PING\r\n`
pub const PING: &[u8] = b"PING\r\n";
/// `PONG\r\n`
pub const PONG: &[u8] = b"PONG\r\n";

/// `\r\n`
pub const LINE_END: &[u8] = b"\r\n";

/// Digits of the largest `usize`.
const DIGITS_MAX: usize = 20;

/// The control line of a usual message is put together in place within so many bytes.
const LINE_BYTES_MAX: usize = 128;

/// Subject, sid and reply of a usual message have no more bytes together. The rest of the line is `HMSG`, five
/// blanks, two sizes below [`USUAL_SIZE_END`] and CRLF.
const USUAL_NAMES_MAX: usize = LINE_BYTES_MAX - 4 - 5 - 2 * 9 - 2;

/// A message with no more bytes than these, names and all, is put together in the block of its line.
const SMALL_MAX: usize = USUAL_NAMES_MAX - LINE_END.len();

/// The size of a usual message is below this: at most nine digits.
const USUAL_SIZE_END: usize = 1_000_000_000;

/// Appends a `MSG` or, when `header_bytes` is given, an `HMSG`. `message` is headers and payload.
///
/// Zero header bytes make a `MSG`, as upstream does with an `HPUB` without headers.
pub fn message(
    out: &mut Vec<u8>,
    subject: &[u8],
    sid: &[u8],
    reply: Option<&[u8]>,
    header_bytes: Option<usize>,
    message: &[u8],
) {
    debug_assert!(header_bytes.unwrap_or(0) <= message.len());
    let names = subject.len() + sid.len() + reply.map_or(0, <[u8]>::len);
    if names + message.len() <= SMALL_MAX {
        let header_bytes = header_bytes.filter(|bytes| *bytes > 0);
        return in_block(out, |block| {
            block.push_line(subject, sid, reply, header_bytes, message.len());
            block.push(message);
            block.push(LINE_END);
        });
    }
    out.reserve(LINE_BYTES_MAX.max(names + MESSAGE_OVERHEAD_MAX) + message.len());
    message_head(out, subject, sid, reply, header_bytes, message.len());
    out.extend_from_slice(message);
    out.extend_from_slice(LINE_END);
}

/// Appends the control line of a `MSG` or `HMSG` whose `message_bytes` are sent from elsewhere: they follow,
/// then [`LINE_END`].
#[inline]
pub fn message_head(
    out: &mut Vec<u8>,
    subject: &[u8],
    sid: &[u8],
    reply: Option<&[u8]>,
    header_bytes: Option<usize>,
    message_bytes: usize,
) {
    let header_bytes = header_bytes.filter(|bytes| *bytes > 0);
    let names = subject.len() + sid.len() + reply.map_or(0, <[u8]>::len);
    if names <= USUAL_NAMES_MAX && message_bytes < USUAL_SIZE_END {
        // The line is written over a block of fixed length, of which the rest is cut off again.
        out.reserve(LINE_BYTES_MAX);
        usual_line(out, subject, sid, reply, header_bytes, message_bytes);
    } else {
        line(out, subject, sid, reply, header_bytes, message_bytes);
    }
}

/// The control line in the order of its words.
fn line(
    out: &mut Vec<u8>,
    subject: &[u8],
    sid: &[u8],
    reply: Option<&[u8]>,
    header_bytes: Option<usize>,
    message_bytes: usize,
) {
    out.extend_from_slice(if header_bytes.is_some() { b"HMSG " } else { b"MSG " });
    out.extend_from_slice(subject);
    out.push(b' ');
    out.extend_from_slice(sid);
    out.push(b' ');
    if let Some(reply) = reply {
        out.extend_from_slice(reply);
        out.push(b' ');
    }
    if let Some(bytes) = header_bytes {
        push_decimal(out, bytes);
        out.push(b' ');
    }
    push_decimal(out, message_bytes);
    out.extend_from_slice(LINE_END);
}

/// The same line as [`line`], a quarter faster: its words are a few bytes each, for which calls to copy them
/// one by one cost more than the copies.
#[inline]
fn usual_line(
    out: &mut Vec<u8>,
    subject: &[u8],
    sid: &[u8],
    reply: Option<&[u8]>,
    header_bytes: Option<usize>,
    message_bytes: usize,
) {
    in_block(out, |block| block.push_line(subject, sid, reply, header_bytes, message_bytes));
}

/// Appends what `write` puts into a block of fixed length, of which the rest is cut off again.
#[inline(always)]
fn in_block(out: &mut Vec<u8>, write: impl FnOnce(&mut Block<'_>)) {
    let start = out.len();
    out.extend_from_slice(&[0; LINE_BYTES_MAX]);
    let bytes = out.last_chunk_mut().expect("the block was just appended");
    let mut block = Block { bytes, length: 0 };
    write(&mut block);
    let length = block.length;
    out.truncate(start + length);
}

/// What grows in a block of fixed length.
struct Block<'a> {
    bytes: &'a mut [u8; LINE_BYTES_MAX],
    length: usize,
}

impl Block<'_> {
    #[inline(always)]
    fn push_line(
        &mut self,
        subject: &[u8],
        sid: &[u8],
        reply: Option<&[u8]>,
        header_bytes: Option<usize>,
        message_bytes: usize,
    ) {
        self.push(if header_bytes.is_some() { b"HMSG" } else { b"MSG" });
        self.push_after_blank(subject);
        self.push_after_blank(sid);
        if let Some(reply) = reply {
            self.push_after_blank(reply);
        }
        if let Some(bytes) = header_bytes {
            self.push_decimal_after_blank(bytes);
        }
        self.push_decimal_after_blank(message_bytes);
        self.push(LINE_END);
    }

    #[inline(always)]
    fn push_after_blank(&mut self, word: &[u8]) {
        self.bytes[self.length] = b' ';
        self.length += 1;
        self.push(word);
    }

    #[inline(always)]
    fn push(&mut self, word: &[u8]) {
        let start = self.length;
        self.length += word.len();
        match word.len() {
            0..4 => {
                for (at, byte) in word.iter().enumerate() {
                    self.bytes[start + at] = *byte;
                }
            }
            4..8 => self.copy_overlapping::<4>(start, word),
            8..16 => self.copy_overlapping::<8>(start, word),
            16..32 => self.copy_overlapping::<16>(start, word),
            32..=64 => self.copy_overlapping::<32>(start, word),
            _ => self.bytes[start..start + word.len()].copy_from_slice(word),
        }
    }

    /// Copies a word of `N` to 2 `N` bytes as its first and its last `N` bytes.
    #[inline(always)]
    fn copy_overlapping<const N: usize>(&mut self, start: usize, word: &[u8]) {
        if let (Some(first), Some(last)) = (word.first_chunk::<N>(), word.last_chunk::<N>()) {
            self.bytes[start..start + N].copy_from_slice(first);
            let start_of_last = start + word.len() - N;
            self.bytes[start_of_last..start_of_last + N].copy_from_slice(last);
        }
    }

    #[inline(always)]
    fn push_decimal_after_blank(&mut self, number: usize) {
        debug_assert!(number < USUAL_SIZE_END);
        let digit = |value: usize| b'0' + (value % 10) as u8;
        match number {
            0..10 => self.push(&[b' ', digit(number)]),
            10..100 => self.push(&[b' ', digit(number / 10), digit(number)]),
            100..1000 => self.push(&[b' ', digit(number / 100), digit(number / 10), digit(number)]),
            _ => {
                let mut digits = [0; DIGITS_MAX];
                let first = decimal(&mut digits, number);
                self.push_after_blank(&digits[first..]);
            }
        }
    }
}

/// Appends the 503 notice that nobody received a request sent to `subject`.
pub fn no_responders(out: &mut Vec<u8>, reply: &[u8], sid: &[u8], subject: &[u8]) {
    const STATUS: &[u8] = b"NATS/1.0 503\r\nNats-Subject: ";
    const END: &[u8] = b"\r\n\r\n";
    let header_bytes = STATUS.len() + subject.len() + END.len();
    out.reserve(MESSAGE_OVERHEAD_MAX + reply.len() + sid.len() + header_bytes);
    line(out, reply, sid, None, Some(header_bytes), header_bytes);
    out.extend_from_slice(STATUS);
    out.extend_from_slice(subject);
    out.extend_from_slice(END);
    out.extend_from_slice(LINE_END);
}

/// Appends `-ERR '<text>'`.
pub fn error(out: &mut Vec<u8>, text: &str) {
    out.reserve(text.len() + 9);
    out.extend_from_slice(b"-ERR '");
    out.extend_from_slice(text.as_bytes());
    out.extend_from_slice(b"'\r\n");
}

/// Appends a number in decimal digits.
fn push_decimal(out: &mut Vec<u8>, number: usize) {
    let mut digits = [0; DIGITS_MAX];
    let first = decimal(&mut digits, number);
    out.extend_from_slice(&digits[first..]);
}

/// Writes a number to the end of `digits`; where it begins.
#[inline(always)]
fn decimal(digits: &mut [u8; DIGITS_MAX], number: usize) -> usize {
    let mut first = DIGITS_MAX;
    let mut rest = number;
    loop {
        first -= 1;
        digits[first] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return first;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a client reads out of a `MSG` or `HMSG`.
    #[derive(PartialEq, Eq, Debug)]
    struct Delivered {
        subject: Vec<u8>,
        sid: Vec<u8>,
        reply: Option<Vec<u8>>,
        header_bytes: Option<usize>,
        message: Vec<u8>,
    }

    /// Reads one message as a client does; whatever follows it is returned too.
    fn read(bytes: &[u8]) -> (Delivered, &[u8]) {
        let line_end = bytes.windows(2).position(|pair| pair == LINE_END).unwrap();
        let words: Vec<&[u8]> = bytes[..line_end].split(|byte| *byte == b' ').collect();
        let number = |word: &[u8]| {
            assert!(word == b"0" || word[0] != b'0', "leading zero");
            String::from_utf8(word.to_vec()).unwrap().parse::<usize>().unwrap()
        };
        let (subject, sid, reply, header_bytes, size) = match words[..] {
            [b"MSG", subject, sid, size] => (subject, sid, None, None, size),
            [b"MSG", subject, sid, reply, size] => (subject, sid, Some(reply), None, size),
            [b"HMSG", subject, sid, headers, size] => (subject, sid, None, Some(number(headers)), size),
            [b"HMSG", subject, sid, reply, headers, size] => {
                (subject, sid, Some(reply), Some(number(headers)), size)
            }
            _ => panic!("{}", bytes.escape_ascii()),
        };
        let message_end = line_end + 2 + number(size);
        assert_eq!(&bytes[message_end..message_end + 2], LINE_END);
        let delivered = Delivered {
            subject: subject.to_vec(),
            sid: sid.to_vec(),
            reply: reply.map(<[u8]>::to_vec),
            header_bytes,
            message: bytes[line_end + 2..message_end].to_vec(),
        };
        (delivered, &bytes[message_end + 2..])
    }

    #[test]
    fn messages_are_upstreams_byte_for_byte() {
        let mut out = b"PONG\r\n".to_vec();
        message(&mut out, b"foo", b"1", None, None, b"hello");
        message(&mut out, b"foo.bar", b"12", Some(b"_INBOX.x"), None, b"");
        message(&mut out, b"a", b"z", None, Some(12), b"NATS/1.0\r\n\r\nhello");
        message(&mut out, b"a", b"z", Some(b"r"), Some(12), b"NATS/1.0\r\n\r\n");
        message(&mut out, b"a", b"z", None, Some(0), b"hello");
        let expected = [
            &b"PONG\r\n"[..],
            b"MSG foo 1 5\r\nhello\r\n",
            b"MSG foo.bar 12 _INBOX.x 0\r\n\r\n",
            b"HMSG a z 12 17\r\nNATS/1.0\r\n\r\nhello\r\n",
            b"HMSG a z r 12 12\r\nNATS/1.0\r\n\r\n\r\n",
            b"MSG a z 5\r\nhello\r\n",
        ];
        assert_eq!(out.escape_ascii().to_string(), expected.concat().escape_ascii().to_string());
    }

    #[test]
    fn the_notice_of_no_responders_is_upstreams() {
        let mut out = Vec::new();
        no_responders(&mut out, b"_INBOX.1", b"7", b"foo.bar");
        let expected = b"HMSG _INBOX.1 7 39 39\r\nNATS/1.0 503\r\nNats-Subject: foo.bar\r\n\r\n\r\n";
        assert_eq!(out.escape_ascii().to_string(), expected.escape_ascii().to_string());
        let (delivered, rest) = read(&out);
        assert_eq!((delivered.header_bytes, rest), (Some(32 + 7), &b""[..]));
        assert_eq!(crate::headers::status(&delivered.message), Some(503));
        assert_eq!(crate::headers::value(&delivered.message, b"Nats-Subject"), Some(&b"foo.bar"[..]));
    }

    #[test]
    fn errors_stand_in_quotes() {
        let mut out = Vec::new();
        error(&mut out, "Unknown Protocol Operation");
        assert_eq!(out, b"-ERR 'Unknown Protocol Operation'\r\n");
    }

    #[test]
    fn numbers_of_every_length_are_written() {
        for power in 0..20 {
            for number in [10_usize.pow(power), 10_usize.pow(power) - 1, 7 * 10_usize.pow(power.min(18)) + 3]
            {
                let mut out = Vec::new();
                push_decimal(&mut out, number);
                assert_eq!(out, number.to_string().as_bytes());
                if number < USUAL_SIZE_END {
                    let (mut usual, mut general) = (Vec::new(), Vec::new());
                    usual_line(&mut usual, b"a", b"1", None, Some(number), number);
                    line(&mut general, b"a", b"1", None, Some(number), number);
                    assert_eq!(usual, general);
                }
            }
        }
    }

    #[test]
    fn the_longest_usual_line_fits_and_longer_ones_are_written_too() {
        let size = USUAL_SIZE_END - 1;
        let subject = vec![b'a'; USUAL_NAMES_MAX - 2];
        let (mut usual, mut general) = (Vec::new(), Vec::new());
        usual_line(&mut usual, &subject, b"1", Some(b"r"), Some(size), size);
        line(&mut general, &subject, b"1", Some(b"r"), Some(size), size);
        assert_eq!(usual, general);
        assert_eq!(usual.len(), LINE_BYTES_MAX);
        for length in [USUAL_NAMES_MAX - 2, USUAL_NAMES_MAX - 1, USUAL_NAMES_MAX, 4096] {
            let subject = vec![b'b'; length];
            let mut out = Vec::new();
            message(&mut out, &subject, b"1", Some(b"r"), None, b"x");
            let (delivered, rest) = read(&out);
            assert_eq!((delivered.subject, rest), (subject, &b""[..]));
        }
    }

    #[test]
    fn the_overhead_has_its_bound() {
        let mut out = Vec::new();
        line(&mut out, b"", b"", Some(b""), Some(usize::MAX), usize::MAX);
        assert!(out.len() + LINE_END.len() <= MESSAGE_OVERHEAD_MAX);
    }

    fn word(bytes_max: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(b'!'..=b'~', 1..=bytes_max)
    }

    proptest! {
        #[test]
        fn a_client_reads_what_was_encoded(
            deliveries in proptest::collection::vec(
                (word(90), word(20), proptest::option::of(word(70)), any::<bool>(), proptest::collection::vec(any::<u8>(), 0..300)),
                1..4,
            ),
        ) {
            let expected: Vec<Delivered> = deliveries
                .into_iter()
                .map(|(subject, sid, reply, headers, message)| {
                    let header_bytes = (headers && !message.is_empty()).then(|| message.len().div_ceil(2));
                    Delivered { subject, sid, reply, header_bytes, message }
                })
                .collect();
            let mut out = Vec::new();
            for Delivered { subject, sid, reply, header_bytes, message: bytes } in &expected {
                message(&mut out, subject, sid, reply.as_deref(), *header_bytes, bytes);
            }
            let mut rest = &out[..];
            for expected in expected {
                let (delivered, behind) = read(rest);
                prop_assert_eq!(delivered, expected);
                rest = behind;
            }
            prop_assert!(rest.is_empty());
        }
    }
}
