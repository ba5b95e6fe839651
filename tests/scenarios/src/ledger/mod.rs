//! The oracle: what clients have said and heard, and whether it keeps the rules.
//!
//! It sees each client's writes before they are sent and each thing a client hears when it is read, in the one
//! order of virtual time. It knows nothing of the server's inside. The rules:
//!
//! * a plain subscription gets the messages of a publisher in the order published, each once (the answers of
//!   services of another account: those that go back over one core);
//! * a PONG comes behind every message that its publisher knew to be acknowledged (by a PONG of its own) when
//!   the PING was written, on every subscription that was confirmed before the message was published;
//! * nothing that was acknowledged is lost on connections that live;
//! * nothing comes after the PONG of a PING behind an UNSUB, nor beyond the confirmed maximum of a subscription, nor
//!   back to a publisher without echo;
//! * a queue group with a member that is there for sure gets each message exactly once, any other group once at
//!   most;
//! * a request of a client that wants 503 notices gets exactly one when nobody received it, before the PONG of
//!   a PING behind it, and none when somebody did.

mod account;
mod arrival;
mod connection;
mod message;
mod subscription;
#[cfg(test)]
mod tests;

pub use account::Account;
pub use arrival::Arrival;
pub use connection::{Connection, ConnectionId, PingPurpose, Profile};
pub use message::{Message, MessageId, Publication, headers, payload};
pub use subscription::{Interest, Subscription, SubscriptionId};

use crate::effects::Effects;
use connection::Ping;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// All PONGs that are needed to judge what was acknowledged before.
#[derive(Debug)]
struct Sweep {
    started: u64,
    waiting: BTreeSet<ConnectionId>,
}

/// The record of a run and its judge.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Counts what happened: an order, not a time.
    clock: u64,
    connections: Vec<Connection>,
    messages: Vec<Message>,
    subscriptions: Vec<Subscription>,
    /// Subscriptions that are wanted.
    wanted: BTreeSet<SubscriptionId>,
    /// Requests by the subject of their answer.
    requests: BTreeMap<String, MessageId>,
    /// Messages that were acknowledged and wait for a sweep to be judged.
    unsettled: Vec<MessageId>,
    sweep: Option<Sweep>,
    violations: Vec<String>,
    /// Inboxes of requests that were read in another account, by the replies that they have there.
    ways_back: BTreeMap<String, String>,
    /// The server is configured to drop messages for receivers that are slow.
    pub tolerates_loss: bool,
    /// What clients saw happen.
    pub effects: Effects,
}

impl Ledger {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Notes that a rule is broken.
    pub fn violate(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    /// What is wrong.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// How many messages were published.
    pub fn message_count(&self) -> usize {
        self.messages.len()
    }

    /// A message that was published.
    pub fn message(&self, id: MessageId) -> &Message {
        &self.messages[id.0]
    }

    /// A subscription that was made.
    pub fn subscription(&self, id: SubscriptionId) -> &Subscription {
        &self.subscriptions[id.0]
    }

    /// What clients may get of a subject changed, while nothing is under way: from now on this is denied.
    pub fn deny(&mut self, id: SubscriptionId, subject: &str) {
        self.subscriptions[id.0].interest.denied.push(subject.to_owned());
    }

    /// A connection that was made.
    pub fn connection(&self, id: ConnectionId) -> &Connection {
        &self.connections[id.0]
    }

    /// Whether a PING of this connection waits for its PONG.
    pub fn awaits_pong(&self, id: ConnectionId) -> bool {
        !self.connections[id.0].pings.is_empty()
    }

    /// A client has a connection.
    pub fn connected(&mut self, client: usize, profile: Profile) -> ConnectionId {
        self.connections.push(Connection {
            client,
            profile,
            is_alive: true,
            pings: VecDeque::new(),
            unacknowledged: Vec::new(),
            unconfirmed: Vec::new(),
            leaving: Vec::new(),
            subscriptions: Vec::new(),
        });
        ConnectionId(self.connections.len() - 1)
    }

    /// A connection is no more: nothing of it is owed to anybody, and nothing to it.
    pub fn ended(&mut self, id: ConnectionId) {
        let connection = &mut self.connections[id.0];
        connection.is_alive = false;
        for subscription in std::mem::take(&mut connection.subscriptions) {
            self.wanted.remove(&subscription);
            self.subscriptions[subscription.0].outstanding.clear();
            self.subscriptions[subscription.0].left.get_or_insert(self.clock);
        }
        self.leave_sweep(id);
    }

    /// A connection sends no more, so it can confirm nothing new.
    pub fn closed_its_side(&mut self, id: ConnectionId) {
        self.leave_sweep(id);
    }

    /// A client writes a SUB. The number is its sid.
    pub fn subscribed(&mut self, id: ConnectionId, interest: Interest) -> SubscriptionId {
        let written = self.tick();
        let subscription = SubscriptionId(self.subscriptions.len());
        self.subscriptions.push(Subscription {
            connection: id,
            interest,
            written,
            confirmed: false,
            left: None,
            is_gone: false,
            deliveries: 0,
            outstanding: BTreeSet::new(),
            last: BTreeMap::new(),
        });
        self.wanted.insert(subscription);
        let connection = &mut self.connections[id.0];
        connection.unconfirmed.push(subscription);
        connection.subscriptions.push(subscription);
        subscription
    }

    /// A client writes an UNSUB, with or without a maximum: it counts on nothing any more.
    pub fn unsubscribed(&mut self, subscription: SubscriptionId, is_immediate: bool) {
        let written = self.tick();
        self.wanted.remove(&subscription);
        let unwanted = &mut self.subscriptions[subscription.0];
        unwanted.left.get_or_insert(written);
        // Whether these still come depends on how far the server was.
        unwanted.outstanding.clear();
        if is_immediate {
            self.connections[unwanted.connection.0].leaving.push(subscription);
        } else {
            // Another maximum takes the place of the first, whenever the server comes to it.
            unwanted.interest.max = None;
        }
    }

    /// A client writes a PUB.
    pub fn published(&mut self, id: ConnectionId, publication: Publication) -> MessageId {
        let written = self.tick();
        let message = MessageId(self.messages.len());
        let profile = self.connections[id.0].profile.clone();
        let mut owed: Vec<String> = Vec::new();
        for wanted in &self.wanted {
            let receiver = self.subscriptions[wanted.0].connection;
            let Some(seen) = self.subject_seen(id, receiver, &publication.subject) else { continue };
            let subscription = &mut self.subscriptions[wanted.0];
            let is_own = subscription.connection == id;
            if !subscription.is_sure() || (is_own && !profile.echo) || !subscription.interest.wants(&seen) {
                continue;
            }
            match &subscription.interest.queue {
                None if self.tolerates_loss => {}
                None => {
                    subscription.outstanding.insert(message);
                }
                Some(group) if subscription.interest.is_permanent && !owed.contains(group) => {
                    owed.push(group.clone());
                }
                Some(_) => {}
            }
        }
        let wants_notice =
            profile.no_responders && publication.reply.as_ref().is_some_and(|reply| self.hears(id, reply));
        if let (true, Some(reply)) = (wants_notice, &publication.reply) {
            self.requests.insert(reply.clone(), message);
        }
        self.messages.push(Message {
            publisher: id,
            publication,
            written,
            acknowledged: None,
            wants_notice,
            deliveries: 0,
            notices: 0,
            notices_when_acknowledged: 0,
            owed,
            taken: Vec::new(),
            way_back: None,
        });
        self.connections[id.0].unacknowledged.push(message);
        message
    }

    /// Whether a connection itself has a plain subscription to a subject.
    fn hears(&self, id: ConnectionId, subject: &str) -> bool {
        self.connections[id.0].subscriptions.iter().any(|subscription| {
            let subscription = &self.subscriptions[subscription.0];
            let interest = &subscription.interest;
            interest.queue.is_none() && subscription.is_sure() && interest.wants(subject)
        })
    }

    /// A client writes a PING.
    pub fn pinged(&mut self, id: ConnectionId, purpose: PingPurpose) {
        let written = self.tick();
        self.connections[id.0].pings.push_back(Ping { written, purpose });
    }

    /// A client reads a PONG. Returns what the PING was for, or nothing when there was none.
    pub fn ponged(&mut self, id: ConnectionId) -> Option<PingPurpose> {
        let now = self.tick();
        let Some(ping) = self.connections[id.0].pings.pop_front() else {
            self.violate(format!("client {} got a PONG without a PING", self.connections[id.0].client));
            return None;
        };
        self.check_barrier(id, ping);
        let connection = &mut self.connections[id.0];
        let subscriptions = &mut self.subscriptions;
        connection.unconfirmed.retain(|subscription| {
            let subscription = &mut subscriptions[subscription.0];
            subscription.confirmed |= subscription.written < ping.written;
            !subscription.confirmed
        });
        connection.leaving.retain(|subscription| {
            let subscription = &mut subscriptions[subscription.0];
            subscription.is_gone |= subscription.left.is_some_and(|left| left < ping.written);
            !subscription.is_gone
        });
        connection.subscriptions.retain(|subscription| !subscriptions[subscription.0].is_gone);
        let (messages, unsettled) = (&mut self.messages, &mut self.unsettled);
        connection.unacknowledged.retain(|id| {
            let message = &mut messages[id.0];
            if message.written > ping.written {
                return true;
            }
            message.acknowledged = Some(now);
            message.notices_when_acknowledged = message.notices;
            if message.wants_notice || !message.owed.is_empty() {
                unsettled.push(*id);
            }
            false
        });
        if ping.purpose == PingPurpose::Sweep {
            self.leave_sweep(id);
        }
        Some(ping.purpose)
    }

    /// What must be there when a PONG is read.
    fn check_barrier(&mut self, id: ConnectionId, ping: Ping) {
        let mut late = None;
        for subscription in &self.connections[id.0].subscriptions {
            for message in &self.subscriptions[subscription.0].outstanding {
                let Message { acknowledged, publisher, written, .. } = &self.messages[message.0];
                let was_known = acknowledged.is_some_and(|acknowledged| acknowledged < ping.written);
                let was_own = *publisher == id && *written < ping.written;
                if was_known || was_own {
                    late = Some((*message, *subscription));
                }
            }
        }
        if let Some((message, subscription)) = late {
            let missing = self.describe(message, subscription);
            self.violate(format!("a PONG came before what was acknowledged before its PING: {missing}"));
        }
    }

    /// Begins to gather the PONGs that are needed to judge what is acknowledged now: each of these connections
    /// has to write a [`PingPurpose::Sweep`].
    pub fn begin_sweep(&mut self, connections: impl Iterator<Item = ConnectionId>) {
        assert!(self.sweep.is_none(), "one sweep at a time");
        let started = self.tick();
        let waiting: BTreeSet<ConnectionId> = connections.collect();
        self.sweep = Some(Sweep { started, waiting });
        self.end_sweep_if_complete();
    }

    /// Whether a sweep is under way.
    pub fn is_sweeping(&self) -> bool {
        self.sweep.is_some()
    }

    /// The clients whose PONG a sweep lacks.
    pub fn sweep_lacks(&self) -> Vec<usize> {
        let waiting = self.sweep.iter().flat_map(|sweep| &sweep.waiting);
        waiting.map(|id| self.connections[id.0].client).collect()
    }

    fn leave_sweep(&mut self, id: ConnectionId) {
        if let Some(sweep) = &mut self.sweep {
            sweep.waiting.remove(&id);
            self.end_sweep_if_complete();
        }
    }

    fn end_sweep_if_complete(&mut self) {
        let Some(sweep) = self.sweep.take_if(|sweep| sweep.waiting.is_empty()) else { return };
        self.effects.add("sweeps", 1);
        let unsettled = std::mem::take(&mut self.unsettled);
        for id in unsettled {
            if self.messages[id.0].acknowledged.is_none_or(|acknowledged| acknowledged > sweep.started) {
                self.unsettled.push(id);
            } else {
                self.settle(id);
            }
        }
    }

    /// Everybody has read what there was when this message was acknowledged.
    fn settle(&mut self, id: MessageId) {
        let message = &self.messages[id.0];
        let subject = &message.publication.subject;
        let mut wrong = Vec::new();
        for group in message.owed.iter().filter(|group| !message.taken.contains(group)) {
            wrong.push(format!("message {} on {subject:?}: nobody of group {group:?} got it", id.0));
        }
        if message.wants_notice && message.deliveries == 0 && message.notices_when_acknowledged == 0 {
            let missing =
                if message.notices == 0 { "no notice came" } else { "its notice came after the PONG" };
            wrong.push(format!("request {} on {subject:?}: nobody received it, and {missing}", id.0));
        }
        self.effects.add("messages settled", 1);
        self.violations.extend(wrong);
    }

    /// Judges the end of a run, after two sweeps with everybody: the first acknowledged everything, the second
    /// showed all there was.
    pub fn finish(&mut self) {
        let mut wrong = Vec::new();
        for (number, subscription) in self.subscriptions.iter().enumerate() {
            let is_acknowledged = |id: &&MessageId| self.messages[id.0].acknowledged.is_some();
            if let Some(lost) = subscription.outstanding.iter().find(is_acknowledged) {
                let lost = self.describe(*lost, SubscriptionId(number));
                wrong.push(format!("a message was lost on a living connection: {lost}"));
            }
        }
        for connection in self.connections.iter().filter(|connection| connection.is_alive) {
            if !connection.unacknowledged.is_empty() {
                wrong.push(format!("client {} has messages that no PONG acknowledged", connection.client));
            }
        }
        self.violations.extend(wrong);
    }

    fn describe(&self, message: MessageId, subscription: SubscriptionId) -> String {
        let (Message { publication, publisher, .. }, wanted) =
            (&self.messages[message.0], &self.subscriptions[subscription.0]);
        format!(
            "message {} on {:?} by client {}, subscription {} of client {} to {:?}",
            message.0,
            publication.subject,
            self.connections[publisher.0].client,
            subscription.0,
            self.connections[wanted.connection.0].client,
            wanted.interest.pattern,
        )
    }
}
