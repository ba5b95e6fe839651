//! The connections that ended, for `/connz?state=closed`. Core 0 keeps them for the whole node.

use crate::order::ConnectionSnapshot;
use std::collections::VecDeque;

/// A ring: the oldest record makes room.
pub(crate) struct ClosedConnections {
    records: VecDeque<ConnectionSnapshot>,
    records_max: usize,
}

impl ClosedConnections {
    pub(crate) fn new(records_max: usize) -> ClosedConnections {
        ClosedConnections { records: VecDeque::new(), records_max }
    }

    pub(crate) fn push(&mut self, record: ConnectionSnapshot) {
        if self.records_max == 0 {
            return;
        }
        if self.records.len() == self.records_max {
            self.records.pop_front();
        }
        self.records.push_back(record);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &ConnectionSnapshot> {
        self.records.iter()
    }
}
