//! The world's chances.

use std::time::Duration;

/// A stream of random decisions. The world owns one, every core and program has one of its own, so that a
/// program that draws more numbers does not shift what the network does.
#[derive(Debug, Clone)]
pub(super) struct Dice {
    state: u64,
}

/// The finaliser of SplitMix64: every input bit reaches every output bit.
fn scramble(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

impl Dice {
    /// A stream of its own for each pair of seed and purpose.
    pub(super) fn new(seed: u64, purpose: u64) -> Dice {
        Dice { state: scramble(seed ^ scramble(purpose.wrapping_add(0x9E37_79B9_7F4A_7C15))) }
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        scramble(self.state)
    }

    /// From 0 up to, not including, `bound`; 0 when `bound` is 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        // The high half of a 128-bit product: uniform to within 2^-64 * bound, without a division.
        ((u128::from(self.bits()) * u128::from(bound)) >> 64) as u64
    }

    /// From `low` to `high`, both included; `low` when the range is empty.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low).saturating_add(1))
    }

    /// As [`Dice::below`], for indexes.
    pub(super) fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// True in `rate` of a million cases.
    pub(super) fn per_million(&mut self, rate: u32) -> bool {
        rate > 0 && self.below(1_000_000) < u64::from(rate)
    }

    /// From `low` to `high`, small values as likely as large ones: uniform in the number of binary digits.
    pub(super) fn skewed(&mut self, low: u64, high: u64) -> u64 {
        if high <= low {
            return low;
        }
        let span = high - low;
        let digits = 64 - u64::from(span.leading_zeros());
        let chosen = self.between(0, digits);
        let ceiling = if chosen >= 64 { u64::MAX } else { (1u64 << chosen) - 1 };
        low + self.between(0, ceiling.min(span))
    }

    /// Nanoseconds between two durations, both included.
    pub(super) fn nanos(&mut self, low: Duration, high: Duration) -> u64 {
        self.between(nanos(low), nanos(high))
    }
}

/// A duration in whole nanoseconds, at most `u64::MAX`.
pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_and_purpose_give_the_same_stream() {
        let mut one = Dice::new(7, 1);
        let mut two = Dice::new(7, 1);
        let mut other = Dice::new(7, 2);
        let first: Vec<u64> = (0..100).map(|_| one.bits()).collect();
        assert_eq!(first, (0..100).map(|_| two.bits()).collect::<Vec<_>>());
        assert_ne!(first, (0..100).map(|_| other.bits()).collect::<Vec<_>>());
    }

    #[test]
    fn draws_stay_in_their_ranges_and_reach_the_ends() {
        let mut dice = Dice::new(1, 1);
        let mut seen = [false; 4];
        for _ in 0..1000 {
            seen[dice.between(0, 3) as usize] = true;
            let skewed = dice.skewed(1, 65_536);
            assert!((1..=65_536).contains(&skewed));
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(dice.between(5, 5), 5);
        assert_eq!(dice.skewed(9, 3), 9);
        assert_eq!(dice.below(0), 0);
        assert!(!dice.per_million(0));
        assert!(dice.per_million(1_000_000));
    }
}
