//! Ids of events: 22 letters and digits, the first 12 drawn at start, the rest counted up by odd steps.

use std::fs::File;
use std::io::Read;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX_DIGITS: usize = 12;
const COUNTED_DIGITS: usize = 10;
const COUNT_END: u64 = 839_299_365_868_340_224;
/// Steps are below this; they keep the ids of two events apart at a glance.
const STEP_END: u64 = 333;

/// Makes ids.
pub struct UniqueIds {
    prefix: String,
    count: u64,
    step: u64,
}

impl UniqueIds {
    /// Draws a beginning. Without the system's randomness the process id stands in: the server has drawn its keys
    /// by then, so that does not happen.
    pub fn new() -> UniqueIds {
        let mut bytes = [0; PREFIX_DIGITS + 16];
        let drawn = File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
        if drawn.is_err() {
            bytes[..4].copy_from_slice(&std::process::id().to_le_bytes());
        }
        let (letters, numbers) = bytes.split_at(PREFIX_DIGITS);
        let prefix = letters.iter().map(|byte| char::from(DIGITS[usize::from(*byte) % 62])).collect();
        let number = |from: usize| {
            numbers[from..from + 8].iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte))
        };
        UniqueIds { prefix, count: number(0) % COUNT_END, step: (number(8) % STEP_END) | 1 }
    }

    /// The next id.
    pub fn next(&mut self) -> String {
        self.count = (self.count + self.step) % COUNT_END;
        let mut counted = [0; COUNTED_DIGITS];
        let mut rest = self.count;
        for digit in counted.iter_mut().rev() {
            *digit = DIGITS[usize::try_from(rest % 62).unwrap_or(0)];
            rest /= 62;
        }
        let counted: String = counted.iter().map(|digit| char::from(*digit)).collect();
        format!("{}{counted}", self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_and_have_22_letters() {
        let mut ids = UniqueIds::new();
        let mut seen: Vec<String> = (0..1000).map(|_| ids.next()).collect();
        assert!(
            seen.iter().all(|id| id.len() == 22 && id.bytes().all(|letter| letter.is_ascii_alphanumeric()))
        );
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
        assert_eq!(COUNT_END, 62u64.pow(10));
    }
}
