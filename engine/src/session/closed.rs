//! The connections that ended, for `/connz?state=closed`. Core 0 keeps them for the whole node.

use crate::snapshot::ConnectionSnapshot;
use std::collections::VecDeque;

/// A ring: the oldest record makes room.
pub(crate) struct ClosedConnections {
    records: VecDeque<ConnectionSnapshot>,
    records_max: usize,
    /// Records that made room: the number of the first one that is kept.
    dropped: u64,
}

impl ClosedConnections {
    pub(crate) fn new(records_max: usize) -> ClosedConnections {
        ClosedConnections { records: VecDeque::new(), records_max, dropped: 0 }
    }

    pub(crate) fn push(&mut self, record: ConnectionSnapshot) {
        if self.records_max == 0 {
            return;
        }
        if self.records.len() == self.records_max {
            self.records.pop_front();
            self.dropped += 1;
        }
        self.records.push_back(record);
    }

    /// The records from a number on, with their numbers. A record keeps its number while others make room.
    pub(crate) fn iter_from(&self, from: u64) -> impl Iterator<Item = (u64, &ConnectionSnapshot)> {
        let skipped = usize::try_from(from.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        (self.dropped..).zip(&self.records).skip(skipped)
    }
}
