//! `PUB` and `HPUB`: the shape in which libraries send them, and the payload of all others.

use super::{ClientOp, ParseError, ParseLimits, Parsed};

/// The most digits of a size.
const SIZE_DIGITS_MAX: usize = 9;

/// A control line of `PUB` or `HPUB`, split and checked.
pub(super) struct Publish<'a> {
    pub(super) subject: &'a [u8],
    pub(super) reply: Option<&'a [u8]>,
    pub(super) header_bytes: Option<usize>,
    /// Headers and payload together.
    pub(super) message_bytes: usize,
}

/// A `PUB` or `HPUB` that is whole and right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WholePublish<'a> {
    /// The subject as sent.
    pub subject: &'a [u8],
    /// The reply subject.
    pub reply: Option<&'a [u8]>,
    /// Bytes of headers at the start of `message`; `None` for `PUB`.
    pub header_bytes: Option<usize>,
    /// Headers and payload, without the closing CRLF.
    pub message: &'a [u8],
    /// How many bytes of the buffer it took.
    pub consumed: usize,
}

/// Recognises a publish in its usual shape that the buffer begins with: verb, arguments with one space between them,
/// CRLF, payload, CRLF, all of it there and within the limits. `None` for everything else, right or wrong, which
/// [`super::parse`] then judges.
#[inline(always)]
pub fn parse_publish<'a>(buffer: &'a [u8], limits: &ParseLimits) -> Option<WholePublish<'a>> {
    const LOWER_CASE: u32 = u32::from_le_bytes([0x20, 0x20, 0x20, 0]);
    const PUB: u32 = u32::from_le_bytes(*b"pub ");
    const LOWER_CASE_4: u32 = u32::from_le_bytes([0x20; 4]);
    const HPUB: u32 = u32::from_le_bytes(*b"hpub");

    let verb = u32::from_le_bytes(*buffer.first_chunk()?);
    // A letter and the same letter in lower case are the only bytes that become it by this bit.
    if verb | LOWER_CASE == PUB {
        usual_arguments::<false>(buffer, 4, limits)
    } else if verb | LOWER_CASE_4 == HPUB && *buffer.get(4)? == b' ' {
        usual_arguments::<true>(buffer, 5, limits)
    } else {
        None
    }
}

#[inline(always)]
fn usual_arguments<'a, const HEADERS: bool>(
    buffer: &'a [u8],
    start: usize,
    limits: &ParseLimits,
) -> Option<WholePublish<'a>> {
    let subject_end = token_end(buffer, start)?;
    if subject_end == start || buffer[subject_end] != b' ' {
        return None;
    }
    let subject = &buffer[start..subject_end];
    let second = subject_end + 1;
    let mut reply = None;
    let (mut number, mut end) = match decimal(buffer, second) {
        Some(number) => number,
        None => {
            let reply_end = token_end(buffer, second)?;
            if reply_end == second || buffer[reply_end] != b' ' {
                return None;
            }
            reply = Some(&buffer[second..reply_end]);
            decimal(buffer, reply_end + 1)?
        }
    };
    let mut header_bytes = None;
    if HEADERS {
        if *buffer.get(end)? != b' ' {
            return None;
        }
        header_bytes = Some(number);
        (number, end) = decimal(buffer, end + 1)?;
        if header_bytes > Some(number) {
            return None;
        }
    }
    // A negative limit is none; as an unsigned number it is above every size.
    let is_within = end - start <= limits.control_line_max && number as u64 <= limits.payload_max as u64;
    let (line_end, rest) = buffer.get(end..)?.split_first_chunk::<2>()?;
    if line_end != b"\r\n" || !is_within {
        return None;
    }
    let (message, behind) = rest.split_at_checked(number)?;
    if behind.first_chunk()? != b"\r\n" {
        return None;
    }
    Some(WholePublish { subject, reply, header_bytes, message, consumed: end + 2 + number + 2 })
}

/// What remains once the line is known: the limit, the payload and its CRLF. `start` is where the payload
/// begins.
pub(super) fn with_payload<'a>(
    buffer: &'a [u8],
    start: usize,
    publish: Publish<'a>,
    limits: &ParseLimits,
) -> Result<Parsed<'a>, ParseError> {
    let Publish { subject, reply, header_bytes, message_bytes } = publish;
    // A negative limit is none; as an unsigned number it is above every size.
    if message_bytes as u64 > limits.payload_max as u64 {
        return Err(ParseError::PayloadExceeded);
    }
    let end = start + message_bytes;
    match buffer.get(end..) {
        Some([b'\r', b'\n', ..]) => Ok(Parsed::Op {
            op: ClientOp::Publish { subject, reply, header_bytes, message: &buffer[start..end] },
            consumed: end + 2,
        }),
        None | Some([] | [b'\r']) => Ok(Parsed::Incomplete { at_least: end + 2 }),
        Some(_) => Err(ParseError::UnknownOperation),
    }
}

/// A size argument: 1 to 9 digits.
pub(super) fn size(argument: &[u8]) -> Option<usize> {
    match decimal_prefix(argument) {
        Some((number, digits)) if digits == argument.len() => Some(number),
        _ => None,
    }
}

/// The number of 1 to 9 digits at `start`, and where it ends.
#[inline(always)]
fn decimal(buffer: &[u8], start: usize) -> Option<(usize, usize)> {
    let (number, digits) = decimal_prefix(buffer.get(start..)?)?;
    Some((number, start + digits))
}

#[inline(always)]
fn decimal_prefix(bytes: &[u8]) -> Option<(usize, usize)> {
    let mut number = 0;
    let mut digits = 0;
    for byte in bytes {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        if digits == SIZE_DIGITS_MAX {
            return None;
        }
        number = number * 10 + usize::from(digit);
        digits += 1;
    }
    (digits > 0).then_some((number, digits))
}

/// Where the token that begins at `start` ends: at the first byte that is a space or below. Eight bytes at a
/// time, as tokens are short and a call to a library costs more.
#[inline(always)]
fn token_end(buffer: &[u8], start: usize) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    const HIGHS: u64 = u64::from_le_bytes([0x80; 8]);
    const ABOVE_SPACE: u64 = b' ' as u64 + 1;

    let mut rest = buffer.get(start..)?;
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*chunk);
        // The lowest bit that is set marks the first byte below the bound exactly; higher ones may be set by
        // the borrow.
        let low = word.wrapping_sub(ONES * ABOVE_SPACE) & !word & HIGHS;
        if low != 0 {
            return Some(buffer.len() - rest.len() + low.trailing_zeros() as usize / 8);
        }
        rest = behind;
    }
    let at = rest.iter().position(|byte| *byte <= b' ')?;
    Some(buffer.len() - rest.len() + at)
}
