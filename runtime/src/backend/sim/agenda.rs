//! What is going to happen, by virtual time.

use super::network::EndpointId;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A core of a node of the world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Place {
    /// The node's number.
    pub(super) node: usize,
    /// The core's number.
    pub(super) core: usize,
}

/// Something that happens at its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Action {
    /// A core runs a turn, unless `ticket` is no longer its latest.
    Turn { place: Place, ticket: u64 },
    /// The first segment that `sender` has in flight reaches the other end.
    Arrive { sender: EndpointId },
    /// The other end of `sender` has made room for `bytes` more.
    Window { sender: EndpointId, bytes: usize },
    /// A reset reaches `endpoint`.
    Reset { endpoint: EndpointId },
    /// A connection request reaches its target.
    Knock { endpoint: EndpointId, attempt: u32 },
    /// The answer to a connection request reaches the one who asked.
    Answer { endpoint: EndpointId, accepted: bool },
    /// A listener that had run out of descriptors goes on.
    AcceptAgain { node: usize, listener: u64 },
    /// One more mail from core `from` can be seen at `to`, if that node still runs its life number `life`.
    Mail { to: Place, from: usize, life: u64 },
    /// An order of a test reaches a core.
    Order { to: Place, life: u64 },
    /// A file operation of a core ends.
    File { place: Place, ticket: u64, life: u64 },
    /// The world cuts two nodes apart by itself.
    Partition,
    /// A cut that the world made heals.
    Heal { from: usize, to: usize, cut: u64 },
}

/// All that is to come. Ties of time are broken by chance, then by the order in which they were put in.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    entered: u64,
}

#[derive(Debug)]
struct Entry {
    at: u64,
    tie: u64,
    number: u64,
    action: Action,
}

impl Entry {
    fn key(&self) -> (u64, u64, u64) {
        (self.at, self.tie, self.number)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Entry) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Entry) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Entry) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Agenda {
    /// Enters an action for virtual time `at`; `tie` orders it among those of the same time.
    pub(super) fn enter(&mut self, at: u64, tie: u64, action: Action) {
        self.entered += 1;
        self.heap.push(Reverse(Entry { at, tie, number: self.entered, action }));
    }

    /// When the next action is due.
    pub(super) fn next_at(&self) -> Option<u64> {
        self.heap.peek().map(|Reverse(entry)| entry.at)
    }

    /// Takes the next action and its time.
    pub(super) fn take(&mut self) -> Option<(u64, Action)> {
        self.heap.pop().map(|Reverse(entry)| (entry.at, entry.action))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_first_then_chance_then_order_of_entry() {
        let mut agenda = Agenda::default();
        let action = |cut| Action::Heal { from: 0, to: 1, cut };
        agenda.enter(20, 0, action(4));
        agenda.enter(10, 9, action(3));
        agenda.enter(10, 1, action(1));
        agenda.enter(10, 1, action(2));
        assert_eq!(agenda.next_at(), Some(10));
        let order: Vec<(u64, Action)> = std::iter::from_fn(|| agenda.take()).collect();
        assert_eq!(order, vec![(10, action(1)), (10, action(2)), (10, action(3)), (20, action(4))]);
        assert_eq!(agenda.next_at(), None);
    }
}
