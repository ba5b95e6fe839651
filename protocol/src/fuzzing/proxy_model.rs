//! The rules of the PROXY header once more, over the whole of what a connection sent, with nothing in common with
//! [`crate::proxy_protocol`] but the rules.

use std::net::{IpAddr, SocketAddr};

const LINE_MARK: &str = "PROXY ";
const BINARY_MARK: [u8; 12] = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10];
const LINE_BYTES_MAX: usize = 107;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Incomplete,
    Absent,
    Header(usize, Option<SocketAddr>),
    Refused,
}

pub(super) fn verdict(data: &[u8]) -> Verdict {
    let shared = |mark: &[u8]| data.iter().zip(mark).take_while(|(byte, wanted)| byte == wanted).count();
    let (line, binary) = (shared(LINE_MARK.as_bytes()), shared(&BINARY_MARK));
    if line == LINE_MARK.len() {
        return self::line(&data[line..]);
    }
    if line == data.len() || binary == data.len() {
        return Verdict::Incomplete;
    }
    match binary {
        12 => self::binary(&data[12..]),
        // From the sixth byte on it cannot be anything else.
        6..12 => Verdict::Refused,
        _ => Verdict::Absent,
    }
}

fn line(rest: &[u8]) -> Verdict {
    let room = LINE_BYTES_MAX - LINE_MARK.len();
    let seen = &rest[..rest.len().min(room)];
    let Some(end) = (1..seen.len()).find(|at| seen[at - 1] == b'\r' && seen[*at] == b'\n') else {
        return if rest.len() < room { Verdict::Incomplete } else { Verdict::Refused };
    };
    let text = String::from_utf8_lossy(&seen[..end - 1]).into_owned();
    let words: Vec<&str> =
        text.split([' ', '\t', '\n', '\r', '\x0c']).filter(|word| !word.is_empty()).collect();
    let bytes = LINE_MARK.len() + end + 1;
    let is_port = |word: &str| {
        word.chars().all(|digit| digit.is_ascii_digit())
            && word.parse::<u128>().is_ok_and(|number| number <= 65_535)
    };
    match words[..] {
        ["UNKNOWN", ..] => Verdict::Header(bytes, None),
        [family, source, destination, from, to] if is_port(from) && is_port(to) => {
            let addresses = (source.parse(), destination.parse());
            match (family, addresses) {
                ("TCP4", (Ok(ip @ IpAddr::V4(_)), Ok(IpAddr::V4(_))))
                | ("TCP6", (Ok(ip @ IpAddr::V6(_)), Ok(IpAddr::V6(_)))) => {
                    Verdict::Header(bytes, from.parse().ok().map(|port| SocketAddr::new(shown(ip), port)))
                }
                _ => Verdict::Refused,
            }
        }
        _ => Verdict::Refused,
    }
}

/// What is behind the mark: a byte of version and command, one of family and protocol, two of length, addresses.
fn binary(rest: &[u8]) -> Verdict {
    let &[version_and_command, family_and_protocol, high, low, ref addresses @ ..] = rest else {
        return Verdict::Incomplete;
    };
    let length = usize::from(high) * 256 + usize::from(low);
    let bytes = 16 + length;
    let address_bytes = match (version_and_command, family_and_protocol) {
        (0x20, _) | (0x21, 0x01) => return Verdict::Header(bytes, None),
        (0x21, 0x11) => 4,
        (0x21, 0x21) => 16,
        _ => return Verdict::Refused,
    };
    let needed = 2 * address_bytes + 4;
    if length < needed {
        return Verdict::Refused;
    }
    if addresses.len() < needed {
        return Verdict::Incomplete;
    }
    let ip = match address_bytes {
        4 => IpAddr::from([addresses[0], addresses[1], addresses[2], addresses[3]]),
        _ => {
            let pair = |at: usize| u16::from(addresses[2 * at]) * 256 + u16::from(addresses[2 * at + 1]);
            IpAddr::from(std::array::from_fn::<u16, 8, _>(pair))
        }
    };
    let port = &addresses[2 * address_bytes..];
    let port = u16::from(port[0]) * 256 + u16::from(port[1]);
    Verdict::Header(bytes, Some(SocketAddr::new(shown(ip), port)))
}

/// An address of IPv4 in one of IPv6: ten zeros and two bytes of ones go before it.
fn shown(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V6(long) => match long.octets() {
            [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, a, b, c, d] => IpAddr::from([a, b, c, d]),
            _ => ip,
        },
        IpAddr::V4(_) => ip,
    }
}
