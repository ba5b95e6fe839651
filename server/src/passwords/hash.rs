//! bcrypt, in rounds that can be interrupted.
//!
//! The usual libraries check a password in one go: a hundred milliseconds and more. A thread that yields now and then is
//! in nobody's way for longer than that takes; without, whoever wakes meanwhile waits for the rest of its time slice.

use blowfish::Blowfish;
use data_encoding::{Encoding, Specification};
use petrel_engine::is_same_secret;
use std::ops::RangeInclusive;

/// `$2a$`, two digits of cost, `$`, 22 letters of salt, 31 of the digest. Nothing behind them is looked at, as upstream's
/// library does.
const LETTERS: usize = 60;
const SALT_LETTERS: usize = 22;
const SALT_BYTES: usize = 16;
/// The last byte of the digest is not kept.
const DIGEST_BYTES: usize = 23;
/// Bytes of a password that count, the zero behind it included.
const KEY_BYTES_MAX: usize = 72;
const COSTS: RangeInclusive<u32> = 4..=31;
const ALPHABET: &str = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// What is encrypted: `OrpheanBeholderScryDoubt`.
const TEXT: [u32; 6] = [0x4f72_7068, 0x6561_6e42, 0x6568_6f6c, 0x6465_7253, 0x6372_7944, 0x6f75_6274];
/// How often each part of it is.
const ENCRYPTIONS: usize = 64;
/// Rounds between two looks around: about 100 microseconds.
const ROUNDS_AT_ONCE: u64 = 2;

/// A hash of a password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hash {
    cost: u32,
    salt: [u8; SALT_BYTES],
    digest: [u8; DIGEST_BYTES],
}

impl Hash {
    /// Reads a hash. The salt's last letter has four bits too many and the digest's two, which say nothing; upstream's
    /// library compares the letters of the digest, so there they have to be zero.
    pub(super) fn parse(text: &str) -> Option<Hash> {
        let letters = text.as_bytes().get(..LETTERS)?;
        let ([b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', tens, ones, b'$'], rest) =
            letters.split_first_chunk()?
        else {
            return None;
        };
        let digit = |letter: &u8| char::from(*letter).to_digit(10);
        let cost = 10 * digit(tens)? + digit(ones)?;
        let (salt, digest) = rest.split_at(SALT_LETTERS);
        let salt = encoding(false).decode(salt).ok()?.try_into().ok()?;
        let digest = encoding(true).decode(digest).ok()?.try_into().ok()?;
        COSTS.contains(&cost).then_some(Hash { cost, salt, digest })
    }

    /// Whether a password has this hash. Compares in a time that does not tell where they differ. `look_around` is called
    /// after each tenth of a millisecond or so.
    pub(super) fn fits(&self, password: &str, look_around: &mut dyn FnMut()) -> bool {
        is_same_secret(&self.digest, &digest(password, &self.salt, self.cost, look_around))
    }
}

fn encoding(is_exact: bool) -> Encoding {
    let mut specification = Specification::new();
    specification.symbols.push_str(ALPHABET);
    specification.check_trailing_bits = is_exact;
    specification.encoding().expect("64 letters that differ")
}

fn digest(
    password: &str,
    salt: &[u8; SALT_BYTES],
    cost: u32,
    look_around: &mut dyn FnMut(),
) -> [u8; DIGEST_BYTES] {
    let mut key = Vec::with_capacity(password.len() + 1);
    key.extend_from_slice(password.as_bytes());
    key.push(0);
    key.truncate(KEY_BYTES_MAX);
    let mut state = Blowfish::bc_init_state();
    state.salted_expand_key(salt, &key);
    for round in 0..1_u64 << cost {
        state.bc_expand_key(&key);
        state.bc_expand_key(salt);
        if round % ROUNDS_AT_ONCE == 0 {
            look_around();
        }
    }
    let mut bytes = Vec::with_capacity(size_of_val(&TEXT));
    for pair in TEXT.chunks_exact(2) {
        let encrypted = (0..ENCRYPTIONS).fold([pair[0], pair[1]], |pair, _| state.bc_encrypt(pair));
        bytes.extend(encrypted.map(u32::to_be_bytes).as_flattened());
    }
    std::array::from_fn(|at| bytes[at])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_right(password: &str, hash: &str) -> bool {
        Hash::parse(hash).is_some_and(|hash| hash.fits(password, &mut || {}))
    }

    #[test]
    fn hashes_of_the_public_test_vectors_fit() {
        // From the vectors that come with bcrypt's first implementation in C.
        for (password, hash) in [
            ("", "$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s."),
            ("a", "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe"),
            ("abc", "$2a$06$If6bvum7DFjUnE9p2uDeDu0YHzrHM6tf.iqN8.yx.jNN1ILEf7h0i"),
        ] {
            assert!(is_right(password, hash), "{hash}");
            assert!(!is_right(&format!("{password}x"), hash), "{hash}");
        }
    }

    #[test]
    fn it_looks_around_often() {
        let hash = Hash::parse("$2a$06$DCq7YPn5Rq63x1Lad4cll.TV4S6ytwfsfvkgY8jIucDrjc8deX1s.").unwrap();
        let mut looks = 0;
        assert!(hash.fits("", &mut || looks += 1));
        assert_eq!(looks, 32);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn it_is_what_a_library_makes(password in "\\PC{0,40}", nul in any::<bool>(), salt in any::<[u8; 16]>()) {
            let password = if nul { format!("{password}\0x") } else { password };
            let made = bcrypt::hash_with_salt(&password, 4, salt).unwrap().to_string();
            prop_assert!(is_right(&password, &made), "{made}");
            let other = format!("x{password}");
            prop_assert_eq!(is_right(&other, &made), bcrypt::verify(&other, &made).unwrap());
        }
    }
}
