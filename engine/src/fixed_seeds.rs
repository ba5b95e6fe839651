//! Hashers with fixed seeds, for tables of what the configuration says: nobody can choose its names to collide, and the
//! order of such a table is never seen.

use std::hash::BuildHasher;

/// Builds those hashers.
#[derive(Clone, Debug)]
pub(crate) struct FixedSeeds(ahash::RandomState);

impl Default for FixedSeeds {
    fn default() -> FixedSeeds {
        FixedSeeds(ahash::RandomState::with_seeds(1, 2, 3, 4))
    }
}

impl BuildHasher for FixedSeeds {
    type Hasher = ahash::AHasher;

    fn build_hasher(&self) -> ahash::AHasher {
        self.0.build_hasher()
    }
}
