//! Fast random numbers, determined by a seed.

/// xoshiro256**, by Blackman and Vigna: four words of state, good in all bits, not for keys.
#[derive(Clone, Debug)]
pub struct RandomStream {
    state: [u64; 4],
}

impl RandomStream {
    /// A stream that is determined by `seed`. The state is filled by splitmix64, which its authors advise
    /// because it never yields the one bad state of all zeros.
    pub fn from_seed(seed: u64) -> RandomStream {
        let mut counter = seed;
        let state = std::array::from_fn(|_| {
            counter = counter.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = counter;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^ (word >> 31)
        });
        RandomStream { state }
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }
}

/// A seed from the kernel.
pub(crate) fn kernel_seed() -> std::io::Result<u64> {
    let mut bytes = [0u8; 8];
    // SAFETY: the pointer and the length describe `bytes`, which outlives the call. Requests of up to 256
    // bytes are answered whole once the kernel's pool is initialised (getrandom(2)).
    let filled = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    if filled == bytes.len() as isize {
        Ok(u64::from_ne_bytes(bytes))
    } else {
        Err(std::io::Error::last_os_error())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_determines_the_stream() {
        let draw = |seed| {
            let mut stream = RandomStream::from_seed(seed);
            (0..8).map(|_| stream.next_u64()).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_ne!(draw(0), [0; 8]);
    }

    #[test]
    fn bits_are_balanced() {
        let mut stream = RandomStream::from_seed(1);
        let ones: u32 = (0..10_000).map(|_| stream.next_u64().count_ones()).sum();
        assert!((315_000..325_000).contains(&ones), "{ones} ones of 640,000");
    }

    #[test]
    fn the_kernel_gives_seeds() {
        assert_ne!(kernel_seed().unwrap(), kernel_seed().unwrap());
    }
}
