//! The text of public keys once more: as bits, with the checksum as the rest of a division.

use crate::identity::public_key::Role;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
/// x^16 + x^12 + x^5 + 1, the leading term left out.
const DIVISOR: u32 = 0x1021;

/// The text of a prefix and a key, with its checksum.
pub(super) fn text(body: &[u8; 33]) -> String {
    let checksum = rest(body);
    let mut bits: Vec<bool> = Vec::new();
    for byte in body.iter().copied().chain([(checksum & 0xff) as u8, (checksum >> 8) as u8]) {
        bits.extend((0..8).rev().map(|place| byte >> place & 1 == 1));
    }
    let letter = |five: &[bool]| {
        let number = five.iter().fold(0, |number, bit| 2 * number + usize::from(*bit));
        char::from(ALPHABET[number])
    };
    bits.chunks(5).map(letter).collect()
}

/// The key of this role in a text.
pub(super) fn key(role: Role, text: &str) -> Option<[u8; 32]> {
    let mut bits: Vec<bool> = Vec::new();
    for letter in text.bytes() {
        let number = ALPHABET.iter().position(|known| *known == letter)?;
        bits.extend((0..5).rev().map(|place| number >> place & 1 == 1));
    }
    if bits.len() != 35 * 8 {
        return None;
    }
    let byte = |eight: &[bool]| eight.iter().fold(0_u8, |number, bit| number << 1 | u8::from(*bit));
    let bytes: Vec<u8> = bits.chunks(8).map(byte).collect();
    let (body, checksum) = bytes.split_at(33);
    let letter = match role {
        Role::Account => 'A',
        Role::User => 'U',
    };
    // Five bits of the prefix are its letter, the other three are nothing.
    let is_role = text.starts_with(letter) && body[0] & 7 == 0;
    let is_whole = rest(body) == u32::from(checksum[0]) + 256 * u32::from(checksum[1]);
    if is_role && is_whole { body[1..].try_into().ok() } else { None }
}

/// What is left when the message, with sixteen zeros behind it, is divided.
fn rest(message: &[u8]) -> u32 {
    let mut rest = 0_u32;
    for byte in message.iter().copied().chain([0, 0]) {
        for place in (0..8).rev() {
            rest = rest << 1 | u32::from(byte >> place & 1);
            if rest & 0x1_0000 != 0 {
                rest ^= 0x1_0000 | DIVISOR;
            }
        }
    }
    rest
}
