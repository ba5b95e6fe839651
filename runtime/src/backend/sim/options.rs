//! How a world is made.

use super::disk_options::DiskOptions;
use super::faults::FaultOptions;
use crate::time::WallTime;
use std::time::Duration;

/// How a world is made. The defaults are a quick local network with every kind of split and no faults.
#[derive(Clone, Debug)]
pub struct SimOptions {
    /// All chances come from it: two runs with the same seed and the same calls are the same.
    pub seed: u64,
    /// What goes wrong.
    pub faults: FaultOptions,
    /// How disks behave, and what goes wrong with them.
    pub disk: DiskOptions,
    /// Keep every entry of the trace as text.
    pub trace_text: bool,
    /// Slots of each mailbox, drawn for each node from this range. Small ones make [`crate::Io::mail_has_room`]
    /// false often.
    pub mailbox_slots: (usize, usize),
    /// Latency one way between two nodes, drawn once for each pair.
    pub latency: (Duration, Duration),
    /// What each segment takes beyond that at most, and all that a segment within one node takes.
    pub jitter_max: Duration,
    /// Size of each socket buffer in bytes, drawn for each direction of each connection.
    pub socket_buffer_bytes: (usize, usize),
    /// Virtual time that a turn takes, drawn for each.
    pub turn: (Duration, Duration),
    /// How late a core notices that there is something to do, at most.
    pub notice_max: Duration,
    /// How long mail is on its way to another core, at most.
    pub mail_delay_max: Duration,
    /// How long a connection attempt that nobody answers lasts.
    pub connect_give_up: Duration,
    /// How long bytes are retransmitted in vain before a connection fails.
    pub retransmit_give_up: Duration,
    /// What wall clocks show when the world begins.
    pub wall_start: WallTime,
    /// How far a node's wall clock is off at most, drawn for each node.
    pub clock_skew_max: Duration,
}

impl SimOptions {
    /// A world without faults from `seed`.
    pub fn new(seed: u64) -> SimOptions {
        SimOptions {
            seed,
            faults: FaultOptions::none(),
            disk: DiskOptions::honest(),
            trace_text: false,
            mailbox_slots: (2, 64),
            latency: (Duration::from_micros(50), Duration::from_millis(3)),
            jitter_max: Duration::from_micros(300),
            socket_buffer_bytes: (1024, 256 * 1024),
            turn: (Duration::from_micros(1), Duration::from_micros(100)),
            notice_max: Duration::from_micros(200),
            mail_delay_max: Duration::from_micros(200),
            connect_give_up: Duration::from_secs(15),
            retransmit_give_up: Duration::from_secs(60),
            // 2026-01-01 00:00:00 UTC.
            wall_start: WallTime(1_767_225_600_000_000_000),
            clock_skew_max: Duration::from_millis(50),
        }
    }

    /// The same with these faults.
    #[must_use]
    pub fn with_faults(mut self, faults: FaultOptions) -> SimOptions {
        self.faults = faults;
        self
    }
}
