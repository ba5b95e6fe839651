//! Public nkeys as configurations and clients write them.

use super::nkey::{PUBLIC_KEY_CHARACTERS, crc16};
use data_encoding::BASE32_NOPAD;

/// Whose key it is; base32 shows the prefix as a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// `A...`
    Account,
    /// `U...`
    User,
}

impl Role {
    fn prefix(self) -> u8 {
        match self {
            Role::Account => 0,
            Role::User => 20 << 3,
        }
    }
}

/// The 32 bytes of a public key; `None` when the text is no key of this role: a wrong length, alphabet, prefix or
/// checksum.
pub fn decode(role: Role, text: &str) -> Option<[u8; 32]> {
    if text.len() != PUBLIC_KEY_CHARACTERS {
        return None;
    }
    let raw = BASE32_NOPAD.decode(text.as_bytes()).ok()?;
    let (body, checksum) = raw.split_at_checked(33)?;
    let is_whole = body[0] == role.prefix() && crc16(body).to_le_bytes() == *checksum;
    if is_whole { body[1..].try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: &str = "UC5YEAYNXQV4VORSVEF7FYQHVBFIK36F6AZ3O7CIBA3KW33X6QHRSK2D";
    const ACCOUNT: &str = "AD2V74LPM32DGYBGNOK5W34P5QA5OYBRAVBQNLSKJM4ALGHWZ7IRJ2QS";

    #[test]
    fn keys_have_a_role_and_a_checksum() {
        assert!(decode(Role::User, USER).is_some());
        assert!(decode(Role::Account, ACCOUNT).is_some());
        assert_eq!(decode(Role::User, ACCOUNT), None);
        assert_eq!(decode(Role::Account, USER), None);
        for place in 0..USER.len() {
            let mut text = USER.to_owned().into_bytes();
            text[place] = if text[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(decode(Role::User, &String::from_utf8(text).unwrap()), None, "{place}");
        }
        for text in ["", "U", &USER[1..], &USER.to_lowercase(), "\u{e9}"] {
            assert_eq!(decode(Role::User, text), None, "{text}");
        }
    }
}
