//! The connections that ended, for `/connz?state=closed`. Core 0 keeps them for the whole node.

use crate::snapshot::{ConnectionSnapshot, SubscriptionSnapshot};
use std::collections::VecDeque;
use std::sync::Arc;

/// Bytes of subscriptions that are kept of all of them together; the oldest connections' make room.
const SUBSCRIPTIONS_BYTES_MAX: usize = 2 * 1024 * 1024;

/// A ring: the oldest record makes room.
pub(crate) struct ClosedConnections {
    records: VecDeque<ConnectionSnapshot>,
    records_max: usize,
    /// Records that made room: the number of the first one that is kept.
    dropped: u64,
    /// Records, counted like those, whose subscriptions are not kept any more.
    emptied: u64,
    subscriptions_bytes: usize,
}

fn bytes(record: &ConnectionSnapshot) -> usize {
    record.subscriptions.iter().map(SubscriptionSnapshot::bytes).sum()
}

impl ClosedConnections {
    pub(crate) fn new(records_max: usize) -> ClosedConnections {
        ClosedConnections {
            records: VecDeque::new(),
            records_max,
            dropped: 0,
            emptied: 0,
            subscriptions_bytes: 0,
        }
    }

    pub(crate) fn push(&mut self, record: ConnectionSnapshot) {
        if self.records_max == 0 {
            return;
        }
        if self.records.len() == self.records_max {
            if let Some(oldest) = self.records.pop_front() {
                self.subscriptions_bytes -= bytes(&oldest);
            }
            self.dropped += 1;
        }
        self.subscriptions_bytes += bytes(&record);
        self.records.push_back(record);
        self.make_room();
    }

    /// Forgets the subscriptions of the oldest records until what is left may be kept.
    fn make_room(&mut self) {
        self.emptied = self.emptied.max(self.dropped);
        while self.subscriptions_bytes > SUBSCRIPTIONS_BYTES_MAX {
            let position = usize::try_from(self.emptied - self.dropped).unwrap_or(usize::MAX);
            let Some(record) = self.records.get_mut(position) else { return };
            self.subscriptions_bytes -= bytes(record);
            record.subscriptions = Arc::default();
            self.emptied += 1;
        }
    }

    /// The records from a number on, with their numbers. A record keeps its number while others make room.
    pub(crate) fn iter_from(&self, from: u64) -> impl Iterator<Item = (u64, &ConnectionSnapshot)> {
        let skipped = usize::try_from(from.saturating_sub(self.dropped)).unwrap_or(usize::MAX);
        (self.dropped..).zip(&self.records).skip(skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use petrel_runtime::WallTime;
    use std::net::{Ipv4Addr, SocketAddr};

    /// A connection with a subscription to a subject of this length.
    fn record(cid: u64, subject_bytes: usize) -> ConnectionSnapshot {
        let subscription = SubscriptionSnapshot {
            cid,
            account: "$G".into(),
            subject: "x".repeat(subject_bytes),
            queue: None,
            sid: String::new(),
            msgs: 0,
            max: 0,
        };
        ConnectionSnapshot {
            cid,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            start: WallTime(0),
            last_activity: WallTime(0),
            stop: None,
            rtt: None,
            pending_bytes: 0,
            in_msgs: 0,
            out_msgs: 0,
            in_bytes: 0,
            out_bytes: 0,
            stalls: 0,
            name: String::new(),
            lang: String::new(),
            version: String::new(),
            user: None,
            account: "$G".to_owned(),
            tls: None,
            tls_first: false,
            subscription_count: 1,
            subscriptions: [subscription].into(),
        }
    }

    /// Ids, and whether the subscription is kept.
    fn kept(ring: &ClosedConnections) -> Vec<(u64, bool)> {
        ring.iter_from(0).map(|(_, record)| (record.cid, !record.subscriptions.is_empty())).collect()
    }

    #[test]
    fn the_oldest_make_room() {
        let mut ring = ClosedConnections::new(3);
        for cid in 0..5 {
            ring.push(record(cid, 10));
        }
        assert_eq!(kept(&ring), [(2, true), (3, true), (4, true)]);
        assert_eq!(ring.iter_from(3).map(|(number, _)| number).collect::<Vec<u64>>(), [3, 4]);
        let expected: usize = ring.records.iter().map(bytes).sum();
        assert_eq!(ring.subscriptions_bytes, expected);
    }

    #[test]
    fn subscriptions_make_room_before_their_records() {
        let mut ring = ClosedConnections::new(4);
        let third = SUBSCRIPTIONS_BYTES_MAX / 3;
        for cid in 0..3 {
            ring.push(record(cid, third));
        }
        assert_eq!(kept(&ring), [(0, false), (1, true), (2, true)]);
        ring.push(record(3, 10));
        assert_eq!(kept(&ring), [(0, false), (1, true), (2, true), (3, true)]);
        for cid in 4..9 {
            ring.push(record(cid, third));
            assert!(ring.subscriptions_bytes <= SUBSCRIPTIONS_BYTES_MAX);
        }
        assert_eq!(kept(&ring), [(5, false), (6, false), (7, true), (8, true)]);
        ring.push(record(9, 10));
        assert_eq!(kept(&ring), [(6, false), (7, true), (8, true), (9, true)]);
    }
}
