//! One core's end of the two mailboxes that it shares with another core.

use super::ring;
use crate::wake::Wake;
use std::collections::VecDeque;
use std::sync::Arc;

/// Both mailboxes between this core and one other.
pub(crate) enum MailPort<M> {
    /// The core's own place in the table of ports: nobody mails himself.
    Own,
    /// Rings between threads.
    Ring(Box<RingPort<M>>),
    /// Queues of the simulator.
    #[cfg(feature = "sim")]
    Sim(Box<crate::backend::sim::SimMailPort<M>>),
}

/// Rings between threads.
pub(crate) struct RingPort<M> {
    sender: ring::Sender<M>,
    /// Mail beyond the ring, in order. While it is not empty, everything goes through it.
    spill: VecDeque<M>,
    receiver: ring::Receiver<M>,
    peer: Arc<Wake>,
}

macro_rules! dispatch {
    ($port:expr, $ring:ident => $body:expr, $absent:expr) => {
        match $port {
            MailPort::Own => $absent,
            MailPort::Ring($ring) => $body,
            #[cfg(feature = "sim")]
            MailPort::Sim($ring) => $body,
        }
    };
}

impl<M: Send> MailPort<M> {
    /// Queues a mail; visible to the peer after [`MailPort::publish`].
    pub(crate) fn push(&mut self, mail: M) {
        dispatch!(self, port => port.push(mail), panic!("a core mails itself"));
    }

    /// End of a turn: makes queued mail visible, as much as has room, and wakes the peer for it.
    pub(crate) fn publish(&mut self) {
        dispatch!(self, port => port.publish(), ());
    }

    /// Whether a mail would go into a free slot.
    pub(crate) fn has_room(&mut self) -> bool {
        dispatch!(self, port => port.has_room(), false)
    }

    /// The program waits for room: see to it that a turn happens once there is some.
    pub(crate) fn want_room(&mut self) {
        dispatch!(self, port => port.want_room(), ());
    }

    /// Mails pushed so far.
    pub(crate) fn sent(&self) -> u64 {
        dispatch!(self, port => port.sent(), 0)
    }

    /// Of these, mails that the peer's program has handled to the end.
    pub(crate) fn consumed(&self) -> u64 {
        dispatch!(self, port => port.consumed(), 0)
    }

    /// Mails that wait outside of the ring.
    pub(crate) fn spilled(&self) -> usize {
        dispatch!(self, port => port.spilled(), 0)
    }

    /// Mails of the peer that can be taken now.
    pub(crate) fn waiting(&self) -> usize {
        dispatch!(self, port => port.waiting(), 0)
    }

    /// Takes one of the waiting mails; [`MailPort::handled`] follows before the next one is taken.
    pub(crate) fn take(&mut self) -> M {
        dispatch!(self, port => port.take(), panic!("a core has no mail of its own"))
    }

    /// The mail taken last was handled to the end by the program.
    pub(crate) fn handled(&mut self) {
        dispatch!(self, port => port.handled(), ());
    }

    /// Some mails were handled in this turn: wakes the peer if it waits for room.
    pub(crate) fn drained(&mut self) {
        dispatch!(self, port => port.drained(), ());
    }
}

impl<M: Send> RingPort<M> {
    fn new(sender: ring::Sender<M>, receiver: ring::Receiver<M>, peer: Arc<Wake>) -> RingPort<M> {
        RingPort { sender, spill: VecDeque::new(), receiver, peer }
    }

    fn push(&mut self, mail: M) {
        if !self.spill.is_empty() {
            self.spill.push_back(mail);
        } else if let Err(mail) = self.sender.write(mail) {
            self.spill.push_back(mail);
        }
    }

    fn publish(&mut self) {
        while let Some(mail) = self.spill.pop_front() {
            if let Err(mail) = self.sender.write(mail) {
                self.spill.push_front(mail);
                self.sender.want_room();
                break;
            }
        }
        if self.sender.publish() {
            self.peer.notify();
        }
    }

    fn has_room(&mut self) -> bool {
        self.spill.is_empty() && self.sender.has_room()
    }

    fn want_room(&mut self) {
        self.sender.want_room();
    }

    fn sent(&self) -> u64 {
        self.sender.written() + self.spill.len() as u64
    }

    fn consumed(&self) -> u64 {
        self.sender.consumed()
    }

    fn spilled(&self) -> usize {
        self.spill.len()
    }

    fn waiting(&self) -> usize {
        self.receiver.waiting()
    }

    fn take(&mut self) -> M {
        self.receiver.take()
    }

    fn handled(&mut self) {
        self.receiver.handled();
    }

    fn drained(&mut self) {
        if self.receiver.take_room_wanted() {
            self.peer.notify();
        }
    }

    /// Whether spilled mail could move into the ring now.
    fn spill_can_move(&mut self) -> bool {
        !self.spill.is_empty() && self.sender.has_room()
    }
}

impl<M: Send> MailPort<M> {
    /// Whether a turn would find something to do here: asked before a core sleeps.
    pub(crate) fn has_work(&mut self) -> bool {
        match self {
            MailPort::Own => false,
            MailPort::Ring(port) => port.waiting() > 0 || port.spill_can_move(),
            #[cfg(feature = "sim")]
            MailPort::Sim(port) => port.waiting() > 0,
        }
    }
}

/// The rings between all cores of a node: element `[a][b]` is core a's port to core b, absent where a is b.
pub(crate) fn connect_cores<M: Send>(wakes: &[Arc<Wake>], slots: usize) -> Vec<Vec<Option<RingPort<M>>>> {
    let cores = wakes.len();
    let mut ports: Vec<Vec<Option<RingPort<M>>>> =
        (0..cores).map(|_| (0..cores).map(|_| None).collect()).collect();
    for first in 0..cores {
        for second in first + 1..cores {
            let (there, from_there) = ring::ring(slots);
            let (back, from_back) = ring::ring(slots);
            ports[first][second] = Some(RingPort::new(there, from_back, wakes[second].clone()));
            ports[second][first] = Some(RingPort::new(back, from_there, wakes[first].clone()));
        }
    }
    ports
}

impl<M: Send> From<Option<RingPort<M>>> for MailPort<M> {
    fn from(port: Option<RingPort<M>>) -> MailPort<M> {
        port.map_or(MailPort::Own, |port| MailPort::Ring(Box::new(port)))
    }
}
