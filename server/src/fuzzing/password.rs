//! What reads bcrypt hashes.

use crate::passwords;
use petrel_config::is_bcrypt;
use petrel_engine::{PasswordCheck, PasswordTicket, Secret};
use petrel_runtime::CoreId;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Weak;

/// Each step doubles the work.
const COST_MAX: u32 = 5;
const NOWHERE: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const ALPHABET: &[u8; 64] = b"./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A line with a password, and a hash. Checked: the hash is one if and only if the model says so, and the password fits
/// it if and only if it makes the text that the hash begins with.
pub fn password_hash(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (password, hash) = text.split_once('\n').unwrap_or(("", &text));
    let parts: Vec<&str> = hash.splitn(4, '$').collect();
    let cost = match parts[..] {
        ["", "2a" | "2b" | "2x" | "2y", cost, _] if cost.len() == 2 => {
            cost.bytes().all(|digit| digit.is_ascii_digit()).then(|| cost.parse::<u32>().unwrap_or_default())
        }
        _ => None,
    };
    assert_eq!(is_bcrypt(hash), cost.is_some(), "{hash:?}");
    let Some(cost) = cost.filter(|cost| *cost <= COST_MAX || *cost > 31) else { return };
    let ticket = PasswordTicket { core: CoreId(0), session: 0, cid: 1 };
    let check = PasswordCheck::new(ticket, NOWHERE, Secret::new(hash), password, Weak::new());
    let expected = made_again(password, cost, parts[3]).is_some_and(|made| parts[3].starts_with(&made));
    assert_eq!(passwords::matches(&check, &mut || {}), expected, "{password:?} {hash:?}");
    // A hash that was just made fits, whatever the password is.
    if let Some(made) = made_again(password, 4, "abcdefghijklmnopqrstuu") {
        let made = format!("$2b$04${made}");
        let check = PasswordCheck::new(ticket, NOWHERE, Secret::new(&made), password, Weak::new());
        assert!(is_bcrypt(&made) && passwords::matches(&check, &mut || {}), "{password:?} {made:?}");
    }
}

/// Salt and digest of a password with the salt of another hash; `None`: there is no salt.
fn made_again(password: &str, cost: u32, salt_and_digest: &str) -> Option<String> {
    if !(4..=31).contains(&cost) {
        return None;
    }
    let salt_text = salt_and_digest.get(..22)?;
    let mut bits = Vec::new();
    for letter in salt_text.bytes() {
        let number = ALPHABET.iter().position(|known| *known == letter)?;
        bits.extend((0..6).rev().map(|place| number >> place & 1 == 1));
    }
    // The last letter has four bits too many, which say nothing.
    let salt: [u8; 16] = std::array::from_fn(|at| {
        bits[8 * at..8 * at + 8].iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit))
    });
    let mut key = password.as_bytes().to_vec();
    key.push(0);
    key.truncate(72);
    let digest = bcrypt::bcrypt(cost, salt, &key);
    let mut bits: Vec<bool> =
        digest[..23].iter().flat_map(|byte| (0..8).rev().map(move |place| byte >> place & 1 == 1)).collect();
    bits.extend([false, false]);
    let letter = |six: &[bool]| {
        let number = six.iter().fold(0, |number, bit| 2 * number + usize::from(*bit));
        char::from(ALPHABET[number])
    };
    Some(bits.chunks(6).fold(salt_text.to_owned(), |text, six| text + &letter(six).to_string()))
}
