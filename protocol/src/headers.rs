//! Message headers: `NATS/1.0[ status[ description]]`, then `Key: Value` lines. Keys keep case and order.
//!
//! Nothing is validated when headers pass through: what is not a header line is skipped here (reference:
//! protocol.md, section 8).

/// What every header block begins with.
pub const VERSION: &[u8] = b"NATS/1.0";

const LINE_END: &[u8] = b"\r\n";

/// The value of the first header named exactly `key`, leading blanks skipped, up to CRLF.
///
/// `Key:` has to stand directly after a CRLF. A line that is not closed by CRLF is no header.
pub fn value<'a>(headers: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    lines(headers).find_map(|line| line.strip_prefix(key)?.strip_prefix(b":").map(skip_blanks))
}

/// The status code of the version line: three digits after `NATS/1.0 `, then a blank or the line's end.
pub fn status(headers: &[u8]) -> Option<u16> {
    let rest = headers.strip_prefix(VERSION)?.strip_prefix(b" ")?;
    let digits: [u8; 3] = rest.get(..3)?.try_into().ok()?;
    if !matches!(rest.get(3), Some(b' ' | b'\r')) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |status, digit| status * 10 + u16::from(digit - b'0')))
}

/// All headers in order: key as written, value with leading blanks skipped. Lines without a colon are left
/// out.
pub fn iter(headers: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(headers).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        (colon > 0).then(|| (&line[..colon], skip_blanks(&line[colon + 1..])))
    })
}

/// The lines after the version line, without their CRLF, up to the blank line that ends the block.
fn lines(headers: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = find_line_end(headers).map_or(&[][..], |end| &headers[end + LINE_END.len()..]);
    std::iter::from_fn(move || {
        let end = find_line_end(rest)?;
        if end == 0 {
            return None;
        }
        let line = &rest[..end];
        rest = &rest[end + LINE_END.len()..];
        Some(line)
    })
}

fn find_line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, LINE_END)
}

fn skip_blanks(value: &[u8]) -> &[u8] {
    let blanks = value.iter().take_while(|byte| **byte == b' ').count();
    &value[blanks..]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &[u8] =
        b"NATS/1.0 503 No Responders\r\nA: 1\r\nNats-Msg-Id:  x y\r\nEmpty:\r\na: 2\r\nA: 3\r\n\r\n";

    #[test]
    fn a_value_is_found_by_its_exact_key() {
        assert_eq!(value(SAMPLE, b"A"), Some(&b"1"[..]));
        assert_eq!(value(SAMPLE, b"a"), Some(&b"2"[..]));
        assert_eq!(value(SAMPLE, b"Nats-Msg-Id"), Some(&b"x y"[..]));
        assert_eq!(value(SAMPLE, b"Empty"), Some(&b""[..]));
        assert_eq!(value(SAMPLE, b"Msg-Id"), None);
        assert_eq!(value(SAMPLE, b"Nats-Msg"), None);
        assert_eq!(value(SAMPLE, b"NATS/1.0 503 No Responders"), None);
    }

    #[test]
    fn a_key_inside_a_value_is_no_key() {
        assert_eq!(value(b"NATS/1.0\r\nX: A: 7\r\nA: 8\r\n\r\n", b"A"), Some(&b"8"[..]));
        assert_eq!(value(b"NATS/1.0\r\nA : 7\r\n\r\n", b"A"), None);
    }

    #[test]
    fn an_unclosed_line_is_no_header() {
        assert_eq!(value(b"NATS/1.0\r\nA: 7", b"A"), None);
        assert_eq!(value(b"NATS/1.0\r\nA: 7\n\r\n", b"A"), Some(&b"7\n"[..]));
        assert_eq!(value(b"", b"A"), None);
        assert_eq!(value(b"A: 7\r\n", b"A"), None);
    }

    #[test]
    fn the_status_is_three_digits_of_the_version_line() {
        assert_eq!(status(SAMPLE), Some(503));
        assert_eq!(status(b"NATS/1.0 100\r\n\r\n"), Some(100));
        for headers in [
            &b"NATS/1.0\r\n\r\n"[..],
            b"NATS/1.0 5O3\r\n",
            b"NATS/1.0 5034\r\n",
            b"NATS/1.0 50",
            b"NATS/1.0503\r\n",
            b"",
        ] {
            assert_eq!(status(headers), None, "{headers:?}");
        }
    }

    #[test]
    fn headers_come_in_order() {
        let all: Vec<_> = iter(SAMPLE).collect();
        assert_eq!(
            all,
            [(&b"A"[..], &b"1"[..]), (b"Nats-Msg-Id", b"x y"), (b"Empty", b""), (b"a", b"2"), (b"A", b"3"),]
        );
        assert_eq!(
            iter(b"NATS/1.0\r\nno colon\r\n:no key\r\nB:1\r\n\r\nC:2\r\n").collect::<Vec<_>>(),
            [(&b"B"[..], &b"1"[..])]
        );
    }
}
