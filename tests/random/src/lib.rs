//! The chances of a test that are its own, from a seed that repeats them.

#![forbid(unsafe_code)]

use std::ops::RangeInclusive;
use std::time::Duration;

/// A stream of random decisions of the SplitMix64 family: the same on every machine for the same seed.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A stream that is determined by `seed` and `purpose`: scenarios do not share their luck.
    pub fn new(seed: u64, purpose: &str) -> Random {
        let mixed = purpose.bytes().fold(seed, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(23)
        });
        Random { state: mixed }
    }

    /// A stream for the seed in `PETREL_TEST_SEED`, or for `default_seed` when the variable is not set, so that a run can
    /// be varied.
    ///
    /// # Panics
    /// When the variable is set to something that is not a number.
    pub fn from_environment(default_seed: u64) -> Random {
        let state = match std::env::var("PETREL_TEST_SEED") {
            Ok(text) => text.parse().expect("PETREL_TEST_SEED is a decimal number"),
            Err(_) => default_seed,
        };
        Random { state }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 up to, not including, `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "an empty range has no member");
        // The high half of a 128-bit product is smaller than `bound`.
        ((u128::from(self.bits()) * bound as u128) >> 64) as usize
    }

    /// So many random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let words = std::iter::repeat_with(|| self.bits().to_le_bytes()).take(count.div_ceil(8));
        let mut bytes: Vec<u8> = words.flatten().collect();
        bytes.truncate(count);
        bytes
    }

    /// A number of a range, both ends included.
    pub fn within(&mut self, range: RangeInclusive<usize>) -> usize {
        range.start() + self.below(range.end() - range.start() + 1)
    }

    /// True in `times` of `of` cases.
    pub fn chance(&mut self, times: usize, of: usize) -> bool {
        self.below(of) < times
    }

    /// One of several.
    pub fn one_of<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len())]
    }

    /// A duration of at most `longest`, short ones as likely as long ones.
    pub fn pause(&mut self, longest: Duration) -> Duration {
        let ceiling = longest / (1 << self.below(8));
        let nanoseconds = usize::try_from(ceiling.as_nanos()).unwrap_or(usize::MAX - 1);
        Duration::from_nanos(self.below(nanoseconds + 1) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seed_and_purpose_determine_the_stream() {
        let draw = |seed, purpose| Random::new(seed, purpose).bits();
        assert_eq!(draw(1, "a"), draw(1, "a"));
        assert_ne!(draw(1, "a"), draw(2, "a"));
        assert_ne!(draw(1, "a"), draw(1, "b"));
    }

    #[test]
    fn draws_stay_in_their_ranges_and_reach_the_ends() {
        let mut random = Random::new(3, "test");
        let mut seen = [false; 3];
        for _ in 0..200 {
            seen[random.within(2..=4) - 2] = true;
            assert!(random.pause(Duration::from_millis(5)) <= Duration::from_millis(5));
        }
        assert_eq!(seen, [true; 3]);
        assert!(random.chance(1, 1) && !random.chance(0, 1));
        assert_eq!([0, 1, 8, 9].map(|count| random.bytes(count).len()), [0, 1, 8, 9]);
    }
}
