//! How a simulated disk behaves.

use std::time::Duration;

/// How the disks of a world behave. Rates are in parts per million of the operations named; 0 switches one
/// off. What a power cut does to what was not synced needs no rate: it always happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskOptions {
    /// Bytes of each node's disk.
    pub capacity_bytes: u64,
    /// How long an operation takes, drawn for each.
    pub latency: (Duration, Duration),
    /// Of writes: fail; a part may have been written.
    pub write_failure_per_million: u32,
    /// Of reads: fail.
    pub read_failure_per_million: u32,
    /// Of syncs, of files and of folders: fail and drop what they covered.
    pub sync_failure_per_million: u32,
    /// Of writes of several blocks: write only some of them and say so.
    pub short_write_per_million: u32,
    /// Of writes: report success and leave everything as it was.
    pub vanished_write_per_million: u32,
    /// Of writes: report success and put the bytes elsewhere in the file.
    pub misdirected_write_per_million: u32,
    /// Of reads: a bit of what is read has turned over on the disk, for good.
    pub rotten_read_per_million: u32,
}

impl DiskOptions {
    /// A disk that does what it says.
    pub fn honest() -> DiskOptions {
        DiskOptions {
            capacity_bytes: 1 << 30,
            latency: (Duration::from_micros(20), Duration::from_millis(4)),
            write_failure_per_million: 0,
            read_failure_per_million: 0,
            sync_failure_per_million: 0,
            short_write_per_million: 0,
            vanished_write_per_million: 0,
            misdirected_write_per_million: 0,
            rotten_read_per_million: 0,
        }
    }

    /// A disk that fails, and says so: what a single node must survive.
    pub fn failing() -> DiskOptions {
        DiskOptions {
            write_failure_per_million: 5_000,
            read_failure_per_million: 5_000,
            sync_failure_per_million: 5_000,
            short_write_per_million: 50_000,
            ..DiskOptions::honest()
        }
    }

    /// A disk that lies: only for nodes whose data is on others as well.
    pub fn lying() -> DiskOptions {
        DiskOptions {
            vanished_write_per_million: 5_000,
            misdirected_write_per_million: 5_000,
            rotten_read_per_million: 5_000,
            ..DiskOptions::failing()
        }
    }

    /// The same disk without faults.
    #[must_use]
    pub(super) fn calmed(&self) -> DiskOptions {
        DiskOptions { capacity_bytes: self.capacity_bytes, latency: self.latency, ..DiskOptions::honest() }
    }
}
