//! Time as programs see it, and their timers.

pub(crate) mod clock;
mod discipline;
pub(crate) mod wheel;

pub use discipline::{ClockDiscipline, clock_discipline};

use std::time::Duration;

/// Nanoseconds since an arbitrary start that is the same for all cores of a node.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Monotonic(pub u64);

impl Monotonic {
    /// This time plus a duration; saturates.
    #[must_use]
    pub fn after(self, duration: Duration) -> Monotonic {
        Monotonic(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
    /// How long ago `earlier` was; zero when it is later than this.
    pub fn since(self, earlier: Monotonic) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Nanoseconds since the Unix epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct WallTime(pub u64);

/// What a program gave to a timer to recognise it by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerToken(pub u64);

/// A timer that was set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct TimerId {
    pub(crate) slot: u32,
    pub(crate) generation: u32,
}
