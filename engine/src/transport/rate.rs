//! How many connections a second may begin a handshake, over all cores.

use petrel_runtime::Monotonic;
use std::sync::atomic::{AtomicU64, Ordering};

/// A window of a second that begins with its first connection, as upstream counts.
///
/// Cores share it without a lock: the begin of the window in milliseconds and the count stand in one word.
#[derive(Debug)]
pub struct ConnectionRate {
    connections_max: u32,
    window: AtomicU64,
}

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
const WINDOW_MS: u64 = 1000;

impl ConnectionRate {
    /// At most so many a second, up to 16 million.
    pub fn new(connections_max: u32) -> ConnectionRate {
        ConnectionRate { connections_max: connections_max.min(COUNT_MASK as u32), window: AtomicU64::new(0) }
    }

    /// Counts a connection. False when it is one too many.
    pub fn allow(&self, now: Monotonic) -> bool {
        // One more, so that the begin of a window that was never opened lies before all others.
        let now_ms = now.0 / 1_000_000 + 1;
        let counted = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
            let (begin_ms, count) = (window >> COUNT_BITS, window & COUNT_MASK);
            if begin_ms == 0 || now_ms.saturating_sub(begin_ms) > WINDOW_MS {
                return Some(now_ms << COUNT_BITS | 1);
            }
            (count < u64::from(self.connections_max)).then_some(window + 1)
        });
        counted.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_window_lets_in_what_it_may() {
        let rate = ConnectionRate::new(2);
        let start = Monotonic(0);
        assert!(rate.allow(start) && rate.allow(start.after(Duration::from_millis(900))));
        assert!(!rate.allow(start.after(Duration::from_millis(999))));
        let next = start.after(Duration::from_millis(1001));
        assert!(rate.allow(next) && rate.allow(next) && !rate.allow(next));
    }

    #[test]
    fn cores_share_one_window() {
        let rate = ConnectionRate::new(100);
        let allowed: usize = std::thread::scope(|scope| {
            let core = || (0..100).filter(|_| rate.allow(Monotonic(5))).count();
            let cores: Vec<_> = (0..4).map(|_| scope.spawn(core)).collect();
            cores.into_iter().map(|core| core.join().unwrap()).sum()
        });
        assert_eq!(allowed, 100);
    }
}
