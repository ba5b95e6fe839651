//! Where time comes from.

use super::{Monotonic, WallTime};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clock of a core.
#[derive(Clone, Debug)]
pub(crate) enum Clock {
    /// The kernel's monotonic clock, counted from a start that all cores of a node share.
    Real {
        /// The node's start.
        start: Instant,
    },
    /// What the simulator says.
    #[cfg(feature = "sim")]
    Sim(std::rc::Rc<SimClock>),
}

/// The clock of a simulated node. The simulator moves it; the node's cores share it.
#[cfg(feature = "sim")]
#[derive(Debug, Default)]
pub(crate) struct SimClock {
    /// What [`Clock::monotonic`] reads.
    pub(crate) monotonic: std::cell::Cell<Monotonic>,
    /// What [`Clock::wall`] reads.
    pub(crate) wall: std::cell::Cell<WallTime>,
}

impl Clock {
    /// Time since the node's start.
    pub(crate) fn monotonic(&self) -> Monotonic {
        match self {
            // 2^64 nanoseconds are 584 years.
            Clock::Real { start } => Monotonic(start.elapsed().as_nanos() as u64),
            #[cfg(feature = "sim")]
            Clock::Sim(clock) => clock.monotonic.get(),
        }
    }

    /// Time since the Unix epoch; zero when the machine's clock stands before it.
    pub(crate) fn wall(&self) -> WallTime {
        match self {
            Clock::Real { .. } => WallTime(
                SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64),
            ),
            #[cfg(feature = "sim")]
            Clock::Sim(clock) => clock.wall.get(),
        }
    }
}
