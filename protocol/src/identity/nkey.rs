//! nkeys: ed25519 and x25519 keys in base32 with a type prefix and a checksum (reference: security.md, nkeys).

use curve25519_dalek::montgomery::MontgomeryPoint;
use data_encoding::BASE32_NOPAD;
use ed25519_dalek::SigningKey;

/// Length of the text of a public key.
pub const PUBLIC_KEY_CHARACTERS: usize = 56;

/// The prefix byte of servers: base32 shows it as `N`.
const PREFIX_SERVER: u8 = 13 << 3;
/// The prefix byte of curve keys: base32 shows it as `X`.
const PREFIX_CURVE: u8 = 23 << 3;

/// The public server key (`N...`, 56 characters) of an ed25519 seed of 32 random bytes.
pub fn server_public_key(seed: &[u8; 32]) -> String {
    encode(PREFIX_SERVER, SigningKey::from_bytes(seed).verifying_key().as_bytes())
}

/// The public curve key (`X...`, 56 characters) of 32 random bytes, which are the x25519 secret (RFC 7748:
/// clamped as they are used).
pub fn curve_public_key(seed: &[u8; 32]) -> String {
    encode(PREFIX_CURVE, MontgomeryPoint::mul_base_clamped(*seed).as_bytes())
}

/// Prefix, key, checksum in little endian; base32 without padding.
fn encode(prefix: u8, key: &[u8; 32]) -> String {
    let mut raw = [0; 35];
    raw[0] = prefix;
    raw[1..33].copy_from_slice(key);
    let checksum = crc16(&raw[..33]);
    raw[33..].copy_from_slice(&checksum.to_le_bytes());
    let text = BASE32_NOPAD.encode(&raw);
    debug_assert_eq!(text.len(), PUBLIC_KEY_CHARACTERS);
    text
}

/// CRC-16/XMODEM: polynomial 0x1021, initial value 0, nothing reflected. A few dozen bytes at start do not
/// deserve a table.
pub(super) fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    fn bytes(hex: &str) -> [u8; 32] {
        HEXLOWER.decode(hex.as_bytes()).unwrap().try_into().unwrap()
    }

    fn decode(text: &str) -> (u8, [u8; 32]) {
        let raw = BASE32_NOPAD.decode(text.as_bytes()).unwrap();
        assert_eq!(raw.len(), 35);
        assert_eq!(crc16(&raw[..33]).to_le_bytes(), raw[33..]);
        (raw[0], raw[1..33].try_into().unwrap())
    }

    #[test]
    fn the_checksum_has_the_published_check_value() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
    }

    #[test]
    fn a_server_key_holds_the_ed25519_public_key() {
        // RFC 8032, section 7.1, test 1.
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let text = server_public_key(&seed);
        assert_eq!(text.len(), PUBLIC_KEY_CHARACTERS);
        assert!(text.starts_with('N'));
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        assert_eq!(decode(&text), (PREFIX_SERVER, public));
    }

    #[test]
    fn a_curve_key_holds_the_x25519_public_key() {
        // The pair was computed with Go's crypto/ecdh.
        let secret = std::array::from_fn(|index| u8::try_from(index + 1).unwrap());
        let public = bytes("07a37cbc142093c8b755dc1b10e86cb426374ad16aa853ed0bdfc0b2b86d1c7c");
        let text = curve_public_key(&secret);
        assert!(text.starts_with('X'));
        assert_eq!(decode(&text), (PREFIX_CURVE, public));
    }

    #[test]
    fn keys_of_a_running_upstream_server_decode() {
        let server = "NAVHOUGGNDQASUPJG4S22FCJWZNNAKK4CNRCNTEKOSVDRYFRCFD2Q73W";
        let curve = "XC4BDFQZH7E3J2DJNRW2UZL7CSXD3ZEU77HTAYF7LTHG6WVNKOASVLSS";
        for (text, prefix) in [(server, PREFIX_SERVER), (curve, PREFIX_CURVE)] {
            let (found, key) = decode(text);
            assert_eq!(found, prefix);
            assert_eq!(encode(prefix, &key), text);
        }
    }
}
