//! Mail between simulated cores.

use super::agenda::{Action, Place};
use super::dice::nanos;
use super::faults::FaultKind;
use super::network::Network;
use super::sockets::SharedNetwork;
use crate::mailbox::MailPort;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Nanoseconds between two mails that follow each other.
const MAIL_GAP: u64 = 10;

/// The mailbox from one core to one other.
struct Mailbox<M> {
    slots: u64,
    /// Mails that are in the ring or on their way.
    ring: VecDeque<M>,
    /// Mails beyond the ring.
    spill: VecDeque<M>,
    /// Mails that were put into the ring.
    written: u64,
    /// Of these, the ones the receiver may come to see.
    published: u64,
    /// Of these, the ones handled to the end.
    consumed: u64,
    room_wanted: bool,
    /// When the mail published last becomes visible.
    last_arrival: u64,
}

impl<M> Mailbox<M> {
    fn new(slots: usize) -> Arc<Mutex<Mailbox<M>>> {
        Arc::new(Mutex::new(Mailbox {
            slots: slots.max(1) as u64,
            ring: VecDeque::new(),
            spill: VecDeque::new(),
            written: 0,
            published: 0,
            consumed: 0,
            room_wanted: false,
            last_arrival: 0,
        }))
    }

    fn has_slot(&self) -> bool {
        self.written - self.consumed < self.slots
    }

    fn write(&mut self, mail: M) {
        self.ring.push_back(mail);
        self.written += 1;
    }
}

/// One simulated core's end of the two mailboxes that it shares with another core.
pub(crate) struct SimMailPort<M> {
    network: SharedNetwork,
    own: Place,
    peer: Place,
    /// Which life of the node this belongs to.
    life: u64,
    outgoing: Arc<Mutex<Mailbox<M>>>,
    incoming: Arc<Mutex<Mailbox<M>>>,
}

fn open<M>(mailbox: &Mutex<Mailbox<M>>) -> MutexGuard<'_, Mailbox<M>> {
    mailbox.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M: Send> SimMailPort<M> {
    pub(crate) fn push(&mut self, mail: M) {
        let mut mailbox = open(&self.outgoing);
        if mailbox.spill.is_empty() && mailbox.has_slot() {
            mailbox.write(mail);
        } else {
            mailbox.spill.push_back(mail);
        }
    }

    pub(crate) fn publish(&mut self) {
        let mut mailbox = open(&self.outgoing);
        while mailbox.has_slot()
            && let Some(mail) = mailbox.spill.pop_front()
        {
            mailbox.write(mail);
        }
        if !mailbox.spill.is_empty() {
            mailbox.room_wanted = true;
        }
        let mut network = self.network.lock();
        while mailbox.published < mailbox.written {
            mailbox.published += 1;
            let number = mailbox.published;
            let delay = network.mail_delay();
            mailbox.last_arrival = (network.ground.now + delay).max(mailbox.last_arrival + MAIL_GAP);
            let (to, from) = (self.peer, self.own.core);
            network.ground.record("mail", &[to.node as u64, from as u64, to.core as u64, number]);
            network.ground.at(mailbox.last_arrival, Action::Mail { to, from, life: self.life });
        }
    }

    pub(crate) fn has_room(&mut self) -> bool {
        let mailbox = open(&self.outgoing);
        mailbox.spill.is_empty() && mailbox.has_slot()
    }

    pub(crate) fn want_room(&mut self) {
        if !std::mem::replace(&mut open(&self.outgoing).room_wanted, true) {
            let numbers = [self.own.node as u64, self.own.core as u64, self.peer.core as u64];
            self.network.lock().ground.fault(FaultKind::MailboxFull, "mailbox-full", &numbers);
        }
    }

    pub(crate) fn sent(&self) -> u64 {
        let mailbox = open(&self.outgoing);
        mailbox.written + mailbox.spill.len() as u64
    }

    pub(crate) fn consumed(&self) -> u64 {
        open(&self.outgoing).consumed
    }

    pub(crate) fn spilled(&self) -> usize {
        open(&self.outgoing).spill.len()
    }

    /// What this turn may take of what has arrived.
    pub(crate) fn waiting(&self) -> usize {
        self.network.lock().gate(self.own).mail_allowed[self.peer.core]
    }

    pub(crate) fn take(&mut self) -> M {
        let mut network = self.network.lock();
        let gate = network.gate_mut(self.own);
        gate.mail_allowed[self.peer.core] -= 1;
        gate.mail[self.peer.core] -= 1;
        open(&self.incoming).ring.pop_front().expect("only mail that is in the ring has arrived")
    }

    pub(crate) fn handled(&mut self) {
        let mut mailbox = open(&self.incoming);
        mailbox.consumed += 1;
        let number = mailbox.consumed;
        let numbers = [self.own.node as u64, self.peer.core as u64, self.own.core as u64, number];
        self.network.lock().ground.record("handled", &numbers);
    }

    pub(crate) fn drained(&mut self) {
        if std::mem::take(&mut open(&self.incoming).room_wanted) {
            self.network.lock().wake(self.peer);
        }
    }
}

impl Network {
    /// How long a mail or an order is on its way.
    pub(super) fn mail_delay(&mut self) -> u64 {
        let longest = nanos(self.ground.options.mail_delay_max);
        self.ground.dice.skewed(0, longest)
    }

    /// One more mail can be seen.
    pub(super) fn mail_arrives(&mut self, to: Place, from: usize, life: u64) {
        if self.hosts[to.node].life == life {
            self.gate_mut(to).mail[from] += 1;
            self.wake(to);
        }
    }

    /// Draws how much of the mail that has arrived a turn takes: all, a part, or for once none.
    pub(super) fn allow_mail(&mut self, place: Place) {
        for from in 0..self.gate(place).mail.len() {
            let arrived = self.gate(place).mail[from];
            let allowed = match self.ground.dice.below(4) {
                0 => self.ground.dice.index(arrived + 1),
                _ => arrived,
            };
            self.gate_mut(place).mail_allowed[from] = allowed;
            if allowed < arrived {
                let numbers = [place.node as u64, from as u64, place.core as u64, allowed as u64];
                self.ground.fault(FaultKind::MailSplit, "mail-split", &numbers);
            }
        }
    }
}

/// The ports of all cores of a node in one of its lives: element `[a][b]` is core a's port to core b.
pub(super) fn connect_cores<M: Send>(
    network: &SharedNetwork,
    node: usize,
    life: u64,
    cores: usize,
    slots: usize,
) -> Vec<Vec<MailPort<M>>> {
    let mailboxes: Vec<Vec<Arc<Mutex<Mailbox<M>>>>> =
        (0..cores).map(|_| (0..cores).map(|_| Mailbox::new(slots)).collect()).collect();
    let port = |own: usize, peer: usize| {
        if own == peer {
            return MailPort::Own;
        }
        MailPort::Sim(Box::new(SimMailPort {
            network: network.clone(),
            own: Place { node, core: own },
            peer: Place { node, core: peer },
            life,
            outgoing: mailboxes[own][peer].clone(),
            incoming: mailboxes[peer][own].clone(),
        }))
    };
    (0..cores).map(|own| (0..cores).map(|peer| port(own, peer)).collect()).collect()
}
