//! What a server said, told apart: records of the stand-in begin with bytes that no verb begins with.

use super::probe::Heard;

const KINDS: std::ops::RangeInclusive<u8> = 21..=23;
const HEAD_BYTES: usize = 5;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const MASK: u8 = 0x5a;

/// Tells what was said in clear from what was said in records. Not for a plain server, which may send anything back.
pub fn sort(heard: &mut Heard) {
    let said = std::mem::take(&mut heard.clear);
    let mut rest = said.as_slice();
    while let Some((first, behind)) = rest.split_first() {
        let record = match rest {
            [kind, 3, 3, high, low, body @ ..] if KINDS.contains(kind) => {
                let bytes = usize::from(*high) * 256 + usize::from(*low);
                body.split_at_checked(bytes).map(|(body, next)| (*kind, body, next))
            }
            _ => None,
        };
        match record {
            Some((kind, body, next)) => {
                match kind {
                    DATA => heard.opened.extend(body.iter().map(|byte| byte ^ MASK)),
                    HANDSHAKE => heard.handshakes += 1,
                    _ => {}
                }
                rest = next;
            }
            // The last words of a connection may be cut off: nobody has to be left to read them.
            None if KINDS.contains(first) && rest.len() < HEAD_BYTES => return,
            None => {
                heard.clear.push(*first);
                rest = behind;
            }
        }
    }
}
