//! What clients do: a scenario's script, and the hand that carries it out for one client.

use crate::ledger::{
    ConnectionId, Interest, Ledger, MessageId, PingPurpose, Profile, Publication, SubscriptionId, headers,
    payload,
};
use crate::random::Random;
use crate::wire::Received;
use petrel_runtime::{End, Monotonic};
use std::collections::BTreeSet;
use std::time::Duration;

/// What one client, or the scenario, wants another client to do: the news reaches it a moment later, as an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Poke {
    /// Connect, if it is not connected.
    Connect,
    /// Write the PING of a sweep.
    Sweep,
    /// Close the connection and stay away.
    Leave,
    /// The script's own business.
    Script(u32),
}

/// What clients do when something happens to them. One script plays all clients of a run.
pub trait Script: 'static {
    /// The PONG behind CONNECT was read.
    fn opened(&mut self, hand: &mut Hand<'_>);
    /// The timer of [`Hand::act_in`] is due.
    fn act(&mut self, _hand: &mut Hand<'_>) {}
    /// Somebody poked this client.
    fn poked(&mut self, _word: u32, _hand: &mut Hand<'_>) {}
    /// A message was read. True: the script judges it itself, and the ledger does not hear of it.
    fn takes(&mut self, _received: &Received, _hand: &mut Hand<'_>) -> bool {
        false
    }
    /// A message was read that keeps the rules.
    fn message(&mut self, _message: MessageId, _subscription: SubscriptionId, _hand: &mut Hand<'_>) {}
    /// The PONG of a PING of the script was read.
    fn ponged(&mut self, _hand: &mut Hand<'_>) {}
    /// An INFO was read that was not the first.
    fn informed(&mut self, _json: &str, _hand: &mut Hand<'_>) {}
    /// An error was read.
    fn refused(&mut self, text: &str, hand: &mut Hand<'_>) {
        let client = hand.client;
        hand.stage.ledger.violate(format!("client {client} got an error: {text}"));
    }
    /// The connection is gone. By default that breaks the rules.
    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        let client = hand.client;
        hand.stage.ledger.violate(format!("the connection of client {client} ended: {end:?}"));
    }
}

/// A script that judges by itself, when all is over, what the ledger does not hear of.
pub trait Judge: Script {
    /// Breaks of rules go into the ledger, and so does what took effect.
    fn judge(&self, ledger: &mut Ledger);
}

/// What all clients of a run share.
pub struct Stage {
    /// The oracle.
    pub ledger: Ledger,
    /// The test's own chances.
    pub random: Random,
    /// Who is to be told what.
    pub pokes: Vec<(usize, Poke)>,
    /// What each client says in CONNECT.
    pub profiles: Vec<Profile>,
    /// The open connection of each client: its CONNECT was answered, and it has not closed its side.
    pub open: Vec<Option<ConnectionId>>,
}

impl Stage {
    /// A stage for clients of these kinds.
    pub fn new(profiles: Vec<Profile>, random: Random) -> Stage {
        let open = vec![None; profiles.len()];
        Stage { ledger: Ledger::default(), random, pokes: Vec::new(), profiles, open }
    }

    /// Number of clients.
    pub fn client_count(&self) -> usize {
        self.profiles.len()
    }

    /// Number of clients with an open connection.
    pub fn open_count(&self) -> usize {
        self.open.iter().flatten().count()
    }

    /// Tells a client something.
    pub fn poke(&mut self, client: usize, poke: Poke) {
        self.pokes.push((client, poke));
    }

    /// Has everybody who is connected write the PING of a sweep.
    pub fn begin_sweep(&mut self) {
        let open: BTreeSet<ConnectionId> = self.open.iter().flatten().copied().collect();
        let clients: Vec<usize> = open.iter().map(|id| self.ledger.connection(*id).client).collect();
        self.ledger.begin_sweep(open.into_iter());
        for client in clients {
            self.poke(client, Poke::Sweep);
        }
    }
}

/// What a hand was told to do beside writing.
#[derive(Default)]
pub(crate) struct Wishes {
    /// Written in one go.
    pub(crate) bytes: Vec<u8>,
    pub(crate) act_in: Option<Duration>,
    pub(crate) reading: Option<bool>,
    pub(crate) half_close: bool,
    pub(crate) close: bool,
    pub(crate) connect_in: Option<Duration>,
}

/// One client, while something happens to it. What it writes during one call goes out in one write.
pub struct Hand<'a> {
    /// The client's number.
    pub client: usize,
    /// Virtual time.
    pub now: Monotonic,
    /// What all clients share.
    pub stage: &'a mut Stage,
    /// It closed its side, or its connection, of its own accord.
    pub has_left: bool,
    /// When its connection ended, a PONG was still missing.
    pub awaits_pong: bool,
    pub(crate) connection: Option<ConnectionId>,
    pub(crate) wishes: Wishes,
}

impl Hand<'_> {
    /// The client's open connection.
    ///
    /// # Panics
    /// When it has none: only those who are connected are asked to write.
    pub fn connection(&self) -> ConnectionId {
        self.connection.expect("a client writes only while it is connected")
    }

    /// Whether the client has a connection.
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// The test's chances.
    pub fn random(&mut self) -> &mut Random {
        &mut self.stage.random
    }

    /// Writes SUB, and with a maximum the UNSUB that says it.
    pub fn subscribe(&mut self, interest: Interest) -> SubscriptionId {
        let id = self.stage.ledger.subscribed(self.connection(), interest);
        let interest = &self.stage.ledger.subscription(id).interest;
        let group = interest.queue.as_ref().map_or(String::new(), |queue| format!("{queue} "));
        let mut text = format!("SUB {} {group}{}\r\n", interest.pattern, id.0);
        if let Some(max) = interest.max {
            text.push_str(&format!("UNSUB {} {max}\r\n", id.0));
        }
        self.raw(text.as_bytes());
        id
    }

    /// Writes UNSUB, with a maximum or without one.
    pub fn unsubscribe(&mut self, id: SubscriptionId, max: Option<u32>) {
        self.stage.ledger.unsubscribed(id, max.is_none());
        let max = max.map_or(String::new(), |max| format!(" {max}"));
        self.raw(format!("UNSUB {}{max}\r\n", id.0).as_bytes());
    }

    /// Writes PUB or HPUB. Headers need a client that has them.
    pub fn publish(&mut self, mut publication: Publication) -> MessageId {
        let connection = self.connection();
        publication.with_headers &= self.stage.ledger.connection(connection).profile.headers;
        let id = self.stage.ledger.published(connection, publication);
        let publication = &self.stage.ledger.message(id).publication;
        let body = payload(id, publication.payload_bytes);
        let block = if publication.with_headers { headers(id) } else { Vec::new() };
        let reply = publication.reply.as_ref().map_or(String::new(), |reply| format!("{reply} "));
        let subject = &publication.subject;
        let line = if publication.with_headers {
            format!("HPUB {subject} {reply}{} {}\r\n", block.len(), block.len() + body.len())
        } else {
            format!("PUB {subject} {reply}{}\r\n", body.len())
        };
        for part in [line.as_bytes(), &block, &body, b"\r\n"] {
            self.raw(part);
        }
        id
    }

    /// Writes PING.
    pub fn ping(&mut self) {
        self.ping_for(PingPurpose::Own);
    }

    pub(crate) fn ping_for(&mut self, purpose: PingPurpose) {
        self.stage.ledger.pinged(self.connection(), purpose);
        self.raw(b"PING\r\n");
    }

    /// Writes anything.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.wishes.bytes.extend_from_slice(bytes);
    }

    /// Calls [`Script::act`] after a while. A later call takes the place of an earlier one.
    pub fn act_in(&mut self, pause: Duration) {
        self.wishes.act_in = Some(pause);
    }

    /// Reads no more, until [`Hand::read_on`].
    pub fn stop_reading(&mut self) {
        self.wishes.reading = Some(false);
    }

    /// Reads on.
    pub fn read_on(&mut self) {
        self.wishes.reading = Some(true);
    }

    /// Closes its side of the connection once everything is written.
    pub fn half_close(&mut self) {
        self.wishes.half_close = true;
    }

    /// Closes the connection now, whatever was not written yet.
    pub fn close(&mut self) {
        self.wishes.close = true;
    }

    /// Connects after a while.
    pub fn connect_in(&mut self, pause: Duration) {
        self.wishes.connect_in = Some(pause);
    }
}
