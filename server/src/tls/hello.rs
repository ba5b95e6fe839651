//! What a client offers at the beginning of a handshake, for the log when that does not do.

use rustls::{Error, InvalidMessage};
use std::fmt::Write;

/// What a record with a handshake begins with: type, version, length.
const RECORD_HEAD_BYTES: usize = 5;
/// The longest record there is.
const RECORD_BYTES_MAX: u16 = 16 * 1024 + 2048;
/// Type of a ClientHello, its length.
const MESSAGE_HEAD_BYTES: usize = 4;
/// Number of the extension that lists versions.
const SUPPORTED_VERSIONS: u16 = 0x2b;
/// The versions that Go knows, the newest first.
const KNOWN_VERSIONS: [u16; 4] = [VERSION_1_3, 0x303, 0x302, 0x301];
const VERSION_1_3: u16 = 0x304;
/// The largest message of a handshake, as Go has it; rustls' is one byte less.
const HANDSHAKE_BYTES_MAX: u32 = 65_536;

/// The offer of a ClientHello that lies in one record, as most do.
#[derive(Debug, PartialEq, Eq)]
pub struct Offer {
    versions: Vec<u16>,
    suites: Vec<u16>,
}

/// Takes pieces off the front of bytes.
struct Pieces<'d>(&'d [u8]);

impl<'d> Pieces<'d> {
    fn take(&mut self, bytes: usize) -> Option<&'d [u8]> {
        let (taken, rest) = self.0.split_at_checked(bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        let taken = self.take(2)?;
        Some(u16::from_be_bytes([taken[0], taken[1]]))
    }

    /// A piece whose length stands before it in one byte.
    fn short_list(&mut self) -> Option<&'d [u8]> {
        let bytes = usize::from(self.take(1)?[0]);
        self.take(bytes)
    }

    /// The same with a length of two bytes.
    fn long_list(&mut self) -> Option<&'d [u8]> {
        let bytes = usize::from(self.number()?);
        self.take(bytes)
    }
}

fn numbers(list: &[u8]) -> Vec<u16> {
    list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect()
}

impl Offer {
    /// Reads the first bytes of a connection.
    pub fn read(input: &[u8]) -> Option<Offer> {
        let mut pieces = Pieces(input);
        pieces.take(RECORD_HEAD_BYTES + MESSAGE_HEAD_BYTES)?;
        let newest = pieces.number()?;
        pieces.take(32)?;
        pieces.short_list()?;
        let suites = numbers(pieces.long_list()?);
        pieces.short_list()?;
        let mut extensions = Pieces(pieces.long_list().unwrap_or_default());
        let mut versions: Vec<u16> = KNOWN_VERSIONS.into_iter().filter(|known| *known <= newest).collect();
        while let (Some(kind), Some(body)) = (extensions.number(), extensions.long_list()) {
            if kind == SUPPORTED_VERSIONS {
                versions = numbers(Pieces(body).short_list()?);
            }
        }
        Some(Offer { versions, suites })
    }

    /// None of the versions is one of the server's.
    pub fn unsupported_versions(&self) -> String {
        format!("tls: client offered only unsupported versions: {}", shown(&self.versions))
    }

    /// None of the suites is one of the server's.
    pub fn no_suite(&self) -> String {
        format!(
            "tls: no cipher suite supported by both client and server; client offered: {}",
            shown(&self.suites)
        )
    }

    /// No way of agreeing on keys is one of the server's. Before TLS 1.3 that belongs to the suite.
    pub fn no_key_exchange(&self) -> String {
        if self.versions.contains(&VERSION_1_3) {
            "tls: no key exchanges supported by both client and server".to_owned()
        } else {
            self.no_suite()
        }
    }
}

/// What is too large about the record at the front, when that is what is wrong.
pub fn oversize(error: &Error, front: &[u8]) -> Option<String> {
    match error {
        Error::InvalidMessage(InvalidMessage::MessageTooLarge) => {
            let mut pieces = Pieces(front);
            pieces.take(RECORD_HEAD_BYTES - 2)?;
            let length = pieces.number().filter(|length| *length > RECORD_BYTES_MAX)?;
            Some(format!("tls: oversized record received with length {length}"))
        }
        Error::InvalidMessage(InvalidMessage::HandshakePayloadTooLarge) => {
            let mut pieces = Pieces(front);
            let head = pieces.take(RECORD_HEAD_BYTES + MESSAGE_HEAD_BYTES)?;
            let length =
                head[RECORD_HEAD_BYTES + 1..].iter().fold(0, |length, byte| length << 8 | u32::from(*byte));
            (length >= HANDSHAKE_BYTES_MAX).then(|| format!(
                "tls: handshake message of length {length} bytes exceeds maximum of {HANDSHAKE_BYTES_MAX} bytes"
            ))
        }
        _ => None,
    }
}

/// Numbers as Go prints a list of them in hexadecimal.
fn shown(numbers: &[u16]) -> String {
    let mut text = String::from("[");
    for (at, number) in numbers.iter().enumerate() {
        let blank = if at > 0 { " " } else { "" };
        // Writing to a string cannot fail.
        let _ = write!(text, "{blank}{number:x}");
    }
    text.push(']');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A ClientHello of this version with these suites and extensions.
    fn hello(version: u16, suites: &[u16], extensions: &[u8]) -> Vec<u8> {
        let mut hello = vec![0x16, 3, 1, 0, 0, 1, 0, 0, 0];
        hello.extend(version.to_be_bytes());
        hello.extend([7; 32]);
        hello.push(0);
        hello.extend(u16::try_from(2 * suites.len()).unwrap().to_be_bytes());
        hello.extend(suites.iter().flat_map(|suite| suite.to_be_bytes()));
        hello.extend([1, 0]);
        hello.extend(u16::try_from(extensions.len()).unwrap().to_be_bytes());
        hello.extend(extensions);
        hello
    }

    #[test]
    fn offers_are_told_in_gos_words() {
        let versions = |version, extensions: &[u8]| {
            let told =
                Offer::read(&hello(version, &[0xc02b, 0xff], extensions)).unwrap().unsupported_versions();
            told.rsplit_once(": ").unwrap().1.to_owned()
        };
        assert_eq!(versions(0x300, &[]), "[]");
        assert_eq!(versions(0x302, &[]), "[302 301]");
        assert_eq!(versions(0x303, &[0, 0x2b, 0, 3, 2, 3, 1]), "[301]");
        let offer = Offer::read(&hello(0x303, &[0xc02b, 0xff], &[])).unwrap();
        assert_eq!(
            offer.no_suite(),
            "tls: no cipher suite supported by both client and server; client offered: [c02b ff]"
        );
        assert_eq!(offer.no_key_exchange(), offer.no_suite());
        let newer = Offer::read(&hello(0x303, &[], &[0, 0x2b, 0, 3, 2, 3, 4])).unwrap();
        assert_eq!(newer.no_key_exchange(), "tls: no key exchanges supported by both client and server");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(tail in prop::collection::vec(any::<u8>(), 0..80), cut in 0..60usize) {
            let whole = [hello(0x303, &[1, 2], &[]), tail].concat();
            let _ = Offer::read(&whole[..whole.len() - cut.min(whole.len())]);
        }
    }
}
