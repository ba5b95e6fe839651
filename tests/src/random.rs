//! Random numbers that a seed repeats.

/// A generator of the SplitMix64 family: small, fast, and the same on every machine for the same seed.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator whose whole sequence follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A generator for the seed in `PETREL_TEST_SEED`, or for `default_seed` when the variable is not set, so that a
    /// run can be varied.
    ///
    /// # Panics
    ///
    /// When the variable is set to something that is not a number.
    pub fn from_environment(default_seed: u64) -> Self {
        Self::new(match std::env::var("PETREL_TEST_SEED") {
            Ok(text) => text.parse().expect("PETREL_TEST_SEED is a decimal number"),
            Err(_) => default_seed,
        })
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number from 0 up to, and without, `bound`. The bias of the remainder does not matter for tests.
    ///
    /// # Panics
    ///
    /// When `bound` is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "an empty range has no member");
        usize::try_from(self.next_u64() % bound as u64).expect("smaller than bound, which is a usize")
    }

    /// `count` random bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count + 8);
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next_u64().to_le_bytes());
        }
        bytes.truncate(count);
        bytes
    }
}
