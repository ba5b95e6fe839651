//! The PROXY protocol: a proxy's word on whose connection it forwards, before the connection's own first byte.
//!
//! Versions 1 (a line of text) and 2 (binary) of the HAProxy specification. Which headers are taken and what is said of
//! those that are not is upstream's (reference: protocol.md, section 10).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Longest line of version 1, its end included.
pub const LINE_BYTES_MAX: usize = 107;
/// What a header of version 1 begins with.
const LINE_START: &[u8] = b"PROXY ";
/// What a header of version 2 begins with.
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// So many bytes of [`SIGNATURE`] tell it from anything else.
const SIGNATURE_START_BYTES: usize = 6;
/// Signature, version and command, family and protocol, length.
const BINARY_HEAD_BYTES: usize = 16;

/// What a connection begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beginning {
    /// Cannot be told yet: more bytes are needed.
    Incomplete,
    /// No header: the bytes are the connection's own.
    Absent,
    /// A header.
    Header {
        /// Bytes of it. May be more than were given: what follows the addresses is not looked at.
        bytes: usize,
        /// Whose connection it is; `None`: the proxy's own, or it does not know.
        source: Option<SocketAddr>,
    },
}

/// Why a header is refused. [`std::fmt::Display`] gives upstream's words.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ProxyError {
    LineTooLong,
    LineFormat,
    Address,
    /// `source` or `dest`, and what was said.
    Port(&'static str, String),
    Protocol(String),
    FamilyMismatch(&'static str),
    Signature,
    Version(u8),
    Command(u8),
    NotStream,
    Family(u8),
    /// `IPv4` or `IPv6`, and bytes of addresses that the header has.
    ShortAddresses(&'static str, usize),
}

impl std::fmt::Display for ProxyError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        const INVALID: &str = "invalid PROXY protocol header";
        const UNSUPPORTED: &str = "unsupported PROXY protocol feature";
        match self {
            ProxyError::LineTooLong => write!(formatter, "{INVALID}: v1 line too long"),
            ProxyError::LineFormat => write!(formatter, "{INVALID}: invalid v1 format"),
            ProxyError::Address => write!(formatter, "{INVALID}: invalid address"),
            ProxyError::Port(which, text) => {
                let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let problem = if is_number { "value out of range" } else { "invalid syntax" };
                let text = crate::quote::go_quote(text.as_bytes());
                write!(formatter, "invalid {which} port: strconv.ParseUint: parsing {text}: {problem}")
            }
            ProxyError::Protocol(name) => write!(formatter, "{INVALID}: invalid protocol {name}"),
            ProxyError::FamilyMismatch(text) => write!(formatter, "{INVALID}: {text}"),
            ProxyError::Signature => write!(formatter, "{INVALID}: invalid signature"),
            ProxyError::Version(version) => write!(formatter, "{INVALID}: invalid version 0x{version:02x}"),
            ProxyError::Command(command) => {
                write!(formatter, "unknown PROXY protocol command: 0x{command:02x}")
            }
            ProxyError::NotStream => write!(formatter, "{UNSUPPORTED}: only STREAM protocol supported"),
            ProxyError::Family(family) => {
                write!(formatter, "{UNSUPPORTED}: unsupported address family 0x{family:02x}")
            }
            ProxyError::ShortAddresses(family, bytes) => {
                write!(formatter, "{family} address data too short: {bytes} bytes")
            }
        }
    }
}

impl std::error::Error for ProxyError {}

/// Looks at the first bytes of a connection.
///
/// # Errors
/// When they are a header that cannot be taken.
pub fn parse(data: &[u8]) -> Result<Beginning, ProxyError> {
    if begins(data, LINE_START) {
        return if data.len() < LINE_START.len() { Ok(Beginning::Incomplete) } else { parse_line(data) };
    }
    if begins(data, &SIGNATURE[..SIGNATURE_START_BYTES]) {
        let known = data.len().min(SIGNATURE.len());
        if data[..known] != SIGNATURE[..known] {
            return Err(ProxyError::Signature);
        }
        return parse_binary(data);
    }
    Ok(Beginning::Absent)
}

/// What could not be read when a connection ends, or takes too long, within what may be a header.
pub fn missing(data: &[u8]) -> &'static str {
    match data.len() {
        ..SIGNATURE_START_BYTES => "failed to read protocol version",
        _ if begins(data, LINE_START) => "failed to read v1 line",
        SIGNATURE_START_BYTES..12 => "failed to read v2 signature",
        12..BINARY_HEAD_BYTES => "failed to read v2 header",
        _ if data[13] >> 4 == 2 => "failed to read IPv6 address data",
        _ => "failed to read IPv4 address data",
    }
}

/// Whether these bytes do not say yet which version of the header begins with them.
pub fn is_undecided(data: &[u8]) -> bool {
    data.len() < SIGNATURE_START_BYTES
}

/// Whether a connection that ends with these bytes was cut off within what upstream reads at once.
pub fn is_cut(data: &[u8]) -> bool {
    match data.len() {
        0 | SIGNATURE_START_BYTES => false,
        ..SIGNATURE_START_BYTES => true,
        // A line is read byte by byte.
        bytes => !begins(data, LINE_START) && ![SIGNATURE.len(), BINARY_HEAD_BYTES].contains(&bytes),
    }
}

/// Whether `data` begins with `start`, as far as it goes.
fn begins(data: &[u8], start: &[u8]) -> bool {
    let known = data.len().min(start.len());
    data[..known] == start[..known]
}

fn parse_line(data: &[u8]) -> Result<Beginning, ProxyError> {
    let within = &data[..data.len().min(LINE_BYTES_MAX)];
    let Some(end) = within.windows(2).position(|pair| pair == b"\r\n") else {
        return if data.len() < LINE_BYTES_MAX {
            Ok(Beginning::Incomplete)
        } else {
            Err(ProxyError::LineTooLong)
        };
    };
    let line = String::from_utf8_lossy(&data[LINE_START.len()..end]);
    let mut fields = line.split_ascii_whitespace();
    let protocol = fields.next().ok_or(ProxyError::LineFormat)?;
    let bytes = end + 2;
    if protocol == "UNKNOWN" {
        return Ok(Beginning::Header { bytes, source: None });
    }
    let fields: Vec<&str> = fields.collect();
    let &[source, destination, source_port, destination_port] = fields.as_slice() else {
        return Err(ProxyError::LineFormat);
    };
    let address = |text: &str| text.parse::<IpAddr>().map_err(|_| ProxyError::Address);
    let (source, destination) = (address(source)?, address(destination)?);
    let port = |which, text: &str| {
        // Rust would take a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<u16>().ok().filter(|_| digits).ok_or_else(|| ProxyError::Port(which, text.to_owned()))
    };
    let (source_port, _) = (port("source", source_port)?, port("dest", destination_port)?);
    match (protocol, source, destination) {
        ("TCP4", IpAddr::V4(_), IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_), IpAddr::V6(_)) => {}
        ("TCP4", ..) => return Err(ProxyError::FamilyMismatch("TCP4 with IPv6 address")),
        ("TCP6", ..) => return Err(ProxyError::FamilyMismatch("TCP6 with IPv4 address")),
        (other, ..) => return Err(ProxyError::Protocol(other.to_owned())),
    }
    Ok(Beginning::Header { bytes, source: Some(plain(SocketAddr::new(source, source_port))) })
}

fn parse_binary(data: &[u8]) -> Result<Beginning, ProxyError> {
    let Some((head, rest)) = data.split_first_chunk::<BINARY_HEAD_BYTES>() else {
        return Ok(Beginning::Incomplete);
    };
    let [.., version_and_command, family_and_protocol, high, low] = *head;
    let addresses_bytes = usize::from(u16::from_be_bytes([high, low]));
    let bytes = BINARY_HEAD_BYTES + addresses_bytes;
    if version_and_command & 0xf0 != 0x20 {
        return Err(ProxyError::Version(version_and_command & 0xf0));
    }
    match version_and_command & 0x0f {
        // LOCAL: the proxy speaks for itself.
        0 => return Ok(Beginning::Header { bytes, source: None }),
        1 => {}
        command => return Err(ProxyError::Command(command)),
    }
    if family_and_protocol & 0x0f != 1 {
        return Err(ProxyError::NotStream);
    }
    let (family, needed) = match family_and_protocol & 0xf0 {
        0x10 => ("IPv4", 12),
        0x20 => ("IPv6", 36),
        // The proxy does not know.
        0 => return Ok(Beginning::Header { bytes, source: None }),
        family => return Err(ProxyError::Family(family)),
    };
    if addresses_bytes < needed {
        return Err(ProxyError::ShortAddresses(family, addresses_bytes));
    }
    if rest.len() < needed {
        return Ok(Beginning::Incomplete);
    }
    let source = if let (12, Some(ip)) = (needed, rest.first_chunk::<4>()) {
        SocketAddr::new(Ipv4Addr::from(*ip).into(), u16::from_be_bytes([rest[8], rest[9]]))
    } else if let Some(ip) = rest.first_chunk::<16>() {
        SocketAddr::new(Ipv6Addr::from(*ip).into(), u16::from_be_bytes([rest[32], rest[33]]))
    } else {
        return Ok(Beginning::Incomplete);
    };
    Ok(Beginning::Header { bytes, source: Some(plain(source)) })
}

/// An IPv4 address that is written as one of IPv6 is shown as what it is, as Go does.
fn plain(source: SocketAddr) -> SocketAddr {
    SocketAddr::new(source.ip().to_canonical(), source.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn binary(version_and_command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
        let mut header = SIGNATURE.to_vec();
        header.extend([version_and_command, family]);
        header.extend(u16::try_from(addresses.len()).unwrap().to_be_bytes());
        header.extend(addresses);
        header
    }

    const FOUR: [u8; 12] = [9, 8, 7, 6, 1, 1, 1, 1, 1, 77, 1, 188];

    fn six() -> Vec<u8> {
        let mut addresses = vec![0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5];
        addresses.extend([0; 16]);
        addresses.extend([1, 77, 1, 188]);
        addresses
    }

    fn header(bytes: usize, source: Option<&str>) -> Result<Beginning, ProxyError> {
        Ok(Beginning::Header { bytes, source: source.map(|text| text.parse().unwrap()) })
    }

    #[test]
    fn lines_name_the_source() {
        let line = b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\nCONNECT {}\r\n";
        assert_eq!(parse(line), header(38, Some("1.2.3.4:1111")));
        assert_eq!(parse(b"PROXY TCP6 ::1 fe80::1 1111 2222\r\n"), header(34, Some("[::1]:1111")));
        assert_eq!(parse(b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n"), header(33, Some("1.2.3.4:1")));
        assert_eq!(parse(b"PROXY TCP6 ::ffff:1.2.3.4 ::1 1 2\r\n"), header(35, Some("1.2.3.4:1")));
        assert_eq!(parse(b"PROXY UNKNOWN\r\n"), header(15, None));
        assert_eq!(parse(b"PROXY UNKNOWN a b c d\r\n"), header(23, None));
    }

    #[test]
    fn binary_headers_name_the_source() {
        assert_eq!(parse(&binary(0x21, 0x11, &FOUR)), header(28, Some("9.8.7.6:333")));
        assert_eq!(parse(&binary(0x21, 0x21, &six())), header(52, Some("[2001:db8::5]:333")));
        assert_eq!(parse(&binary(0x20, 0, b"")), header(16, None));
        assert_eq!(parse(&binary(0x20, 0x11, &FOUR)), header(28, None));
        assert_eq!(parse(&binary(0x21, 0x01, &FOUR)), header(28, None));
        let mut mapped = six();
        mapped[..16].copy_from_slice(&Ipv4Addr::new(1, 2, 3, 4).to_ipv6_mapped().octets());
        assert_eq!(parse(&binary(0x21, 0x21, &mapped)), header(52, Some("1.2.3.4:333")));
        // What follows the addresses is skipped without being kept.
        let long = binary(0x21, 0x11, &[&FOUR[..], &[0; 60_000]].concat());
        assert_eq!(parse(&long[..28]), header(60_028, Some("9.8.7.6:333")));
    }

    /// As upstream's log showed them.
    #[test]
    fn refusals_are_in_upstreams_words() {
        let invalid = |text: &str| format!("invalid PROXY protocol header: {text}");
        let unsupported = |text: &str| format!("unsupported PROXY protocol feature: {text}");
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 120], b"\r\n"].concat();
        let cases: Vec<(Vec<u8>, String)> = vec![
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1111\r\n".into(), invalid("invalid v1 format")),
            (b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n".into(), invalid("invalid v1 format")),
            (b"PROXY \r\n".into(), invalid("invalid v1 format")),
            (b"PROXY TCP4 x 5.6.7.8 1111 2\r\n".into(), invalid("invalid address")),
            (b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n".into(), invalid("invalid protocol UDP4")),
            (b"PROXY TCP4 ::1 ::2 1 2\r\n".into(), invalid("TCP4 with IPv6 address")),
            (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n".into(), invalid("TCP6 with IPv4 address")),
            (b"PROXY TCP6 ::1 1.2.3.4 1 2\r\n".into(), invalid("TCP6 with IPv4 address")),
            (b"PROXY TCP4 1.2.3.4 ::1 1 2\r\n".into(), invalid("TCP4 with IPv6 address")),
            (
                b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 99999\r\n".into(),
                "invalid dest port: strconv.ParseUint: parsing \"99999\": value out of range".into(),
            ),
            (
                b"PROXY TCP4 1.2.3.4 5.6.7.8 -1 0\r\n".into(),
                "invalid source port: strconv.ParseUint: parsing \"-1\": invalid syntax".into(),
            ),
            (long, invalid("v1 line too long")),
            (b"\r\n\r\n\x00\r\nQUIXbad".into(), invalid("invalid signature")),
            (binary(0x11, 0x11, &FOUR), invalid("invalid version 0x10")),
            (binary(0x22, 0x11, &FOUR), "unknown PROXY protocol command: 0x02".into()),
            (binary(0x21, 0, b""), unsupported("only STREAM protocol supported")),
            (binary(0x21, 0x12, &FOUR), unsupported("only STREAM protocol supported")),
            (binary(0x21, 0x31, &[0; 216]), unsupported("unsupported address family 0x30")),
            (binary(0x21, 0x11, &FOUR[..8]), "IPv4 address data too short: 8 bytes".into()),
        ];
        for (data, text) in cases {
            assert_eq!(parse(&data).unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(missing(b"PRO"), "failed to read protocol version");
        assert_eq!(missing(b"PROXY TCP4 1.2"), "failed to read v1 line");
        assert_eq!(missing(&SIGNATURE[..7]), "failed to read v2 signature");
        assert_eq!(missing(&binary(0x21, 0x11, &FOUR)[..20]), "failed to read IPv4 address data");
        let header = binary(0x21, 0x11, &FOUR);
        let whole: Vec<usize> = (0..20).filter(|end| !is_cut(&header[..*end])).collect();
        assert_eq!(whole, [0, 6, 12, 16]);
        assert!(is_cut(b"PRO") && !is_cut(b"PROXY TCP4 1.2"));
    }

    proptest! {
        /// The verdict on a prefix is that of the whole, or that more is needed.
        #[test]
        fn a_split_changes_nothing(start in 0..5usize, tail in prop::collection::vec(any::<u8>(), 0..80)) {
            let starts = [&b""[..], b"PROXY ", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", SIGNATURE, b"P"];
            let data = [starts[start], &tail].concat();
            let whole = parse(&data);
            for split in 0..data.len() {
                match parse(&data[..split]) {
                    Ok(Beginning::Incomplete) => {}
                    early => prop_assert_eq!(&early, &whole, "at {}", split),
                }
            }
        }
    }
}
