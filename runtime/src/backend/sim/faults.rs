//! What goes wrong in a world, how often, and how often it did.

use std::fmt;
use std::time::Duration;

/// Rates of faults. Each is in parts per million of the occasions named; 0 switches it off.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultOptions {
    /// Of segments that arrive: the connection is reset for both ends instead.
    pub reset_per_million: u32,
    /// Of segments sent: lost, and so late by a retransmission, with all behind it.
    pub loss_per_million: u32,
    /// Of connection attempts that reach a listener: refused all the same.
    pub refuse_per_million: u32,
    /// Of accepts: fails as if descriptors had run out (EMFILE).
    pub accept_failure_per_million: u32,
    /// Of turns: takes up to [`FaultOptions::slow_turn_max`] instead of the usual time.
    pub slow_turn_per_million: u32,
    /// The longest slow turn.
    pub slow_turn_max: Duration,
    /// Of turns: the node's wall clock jumps, forwards or backwards, by up to
    /// [`FaultOptions::clock_step_max`]. The monotonic clock never does.
    pub clock_step_per_million: u32,
    /// The longest jump of a wall clock.
    pub clock_step_max: Duration,
    /// Mean time between partitions that the world makes by itself, between two nodes at random, one way or
    /// both; zero makes none.
    pub partition_interval_mean: Duration,
    /// The longest such partition; it heals by itself.
    pub partition_max: Duration,
}

impl FaultOptions {
    /// A healthy world: bytes are still split anywhere, buffers fill, cores are late, mailboxes are small.
    pub fn none() -> FaultOptions {
        FaultOptions::default()
    }

    /// What a bad day brings: everything, seldom.
    pub fn light() -> FaultOptions {
        FaultOptions {
            reset_per_million: 200,
            loss_per_million: 10_000,
            refuse_per_million: 10_000,
            accept_failure_per_million: 10_000,
            slow_turn_per_million: 1_000,
            slow_turn_max: Duration::from_millis(200),
            clock_step_per_million: 100,
            clock_step_max: Duration::from_secs(2),
            partition_interval_mean: Duration::from_secs(20),
            partition_max: Duration::from_secs(3),
        }
    }

    /// Everything, often.
    pub fn heavy() -> FaultOptions {
        FaultOptions {
            reset_per_million: 5_000,
            loss_per_million: 150_000,
            refuse_per_million: 100_000,
            accept_failure_per_million: 100_000,
            slow_turn_per_million: 10_000,
            slow_turn_max: Duration::from_secs(1),
            clock_step_per_million: 2_000,
            clock_step_max: Duration::from_secs(60),
            partition_interval_mean: Duration::from_secs(3),
            partition_max: Duration::from_secs(5),
        }
    }
}

/// A kind of trouble. Those without a rate of their own come from the options' sizes or from the test.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum FaultKind {
    /// A stretch of sent bytes left in several segments.
    SegmentSplit,
    /// A read handed over only a part of what had arrived.
    ShortRead,
    /// A send found no room and became pending.
    SendPending,
    /// A turn saw only a part of the mail that had arrived from a core.
    MailSplit,
    /// A mailbox was found full.
    MailboxFull,
    /// A connection was reset by the network.
    Reset,
    /// A segment was lost and came late.
    Loss,
    /// A connection attempt was refused though somebody listened.
    Refused,
    /// An accept failed for want of descriptors.
    AcceptFailed,
    /// A turn was slow.
    SlowTurn,
    /// A wall clock jumped.
    ClockStep,
    /// A partition held something back.
    PartitionHeld,
    /// A connection was given up after retransmitting in vain.
    GivenUp,
    /// A node's process was killed.
    ProcessCrash,
    /// A node lost power.
    PowerLoss,
    /// A node's cores were held still.
    Stall,
    /// A power cut lost a write that was not synced.
    WriteLost,
    /// A power cut kept only some sectors of a write that was not synced.
    WriteTorn,
    /// A power cut lost a change of a folder's names that was not synced.
    NameLost,
    /// A power cut left a file under its old and its new name.
    NameTorn,
    /// A sync failed and dropped what it covered.
    SyncFailed,
    /// A write failed.
    WriteFailed,
    /// A read failed.
    ReadFailed,
    /// A write was short.
    ShortWrite,
    /// A write was reported and never took place.
    WriteVanished,
    /// A write went to a wrong place.
    WriteMisdirected,
    /// A bit turned over by itself.
    Rotten,
    /// A write found the disk full.
    DiskFull,
    /// A test damaged a file.
    Damaged,
}

impl FaultKind {
    /// All kinds, in order.
    pub const ALL: [FaultKind; 29] = [
        FaultKind::SegmentSplit,
        FaultKind::ShortRead,
        FaultKind::SendPending,
        FaultKind::MailSplit,
        FaultKind::MailboxFull,
        FaultKind::Reset,
        FaultKind::Loss,
        FaultKind::Refused,
        FaultKind::AcceptFailed,
        FaultKind::SlowTurn,
        FaultKind::ClockStep,
        FaultKind::PartitionHeld,
        FaultKind::GivenUp,
        FaultKind::ProcessCrash,
        FaultKind::PowerLoss,
        FaultKind::Stall,
        FaultKind::WriteLost,
        FaultKind::WriteTorn,
        FaultKind::NameLost,
        FaultKind::NameTorn,
        FaultKind::SyncFailed,
        FaultKind::WriteFailed,
        FaultKind::ReadFailed,
        FaultKind::ShortWrite,
        FaultKind::WriteVanished,
        FaultKind::WriteMisdirected,
        FaultKind::Rotten,
        FaultKind::DiskFull,
        FaultKind::Damaged,
    ];
}

/// How often each kind of fault took effect (not: how often it was drawn).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FaultCounts {
    counts: [u64; FaultKind::ALL.len()],
}

impl FaultCounts {
    /// How often `kind` took effect.
    pub fn of(&self, kind: FaultKind) -> u64 {
        self.counts[kind as usize]
    }

    /// Every kind with its count, in order.
    pub fn all(&self) -> impl Iterator<Item = (FaultKind, u64)> + '_ {
        FaultKind::ALL.iter().map(|kind| (*kind, self.of(*kind)))
    }

    pub(super) fn add(&mut self, kind: FaultKind) {
        self.counts[kind as usize] += 1;
    }
}

impl fmt::Display for FaultCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (kind, count)) in self.all().enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(formatter, "{separator}{kind:?} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_own_place() {
        let mut counts = FaultCounts::default();
        for (index, kind) in FaultKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, index);
            for _ in 0..=index {
                counts.add(*kind);
            }
        }
        for (index, (_, count)) in counts.all().enumerate() {
            assert_eq!(count, index as u64 + 1);
        }
        assert!(counts.to_string().starts_with("SegmentSplit 1, ShortRead 2"));
    }
}
