//! Clients that publish, subscribe, unsubscribe, ask and PING at random, each by its own habits.

use crate::ledger::{ConnectionId, Interest, MessageId, Publication, SubscriptionId};
use crate::random::Random;
use crate::script::{Hand, Poke, Script};
use petrel_runtime::End;
use std::time::Duration;

/// Told to all clients when everything is set up: begin.
pub const BEGIN: u32 = 1;
/// Told to a client when another one has read a PONG: PING now.
const PING_NOW: u32 = 2;

/// Most subscriptions that a client has for a while: each message goes to all that match.
const PASSING_MAX: usize = 5;

/// How often a client does what, relative to each other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weights {
    /// PUB to one of its subjects.
    pub publish: usize,
    /// PUB to one of its services with a reply.
    pub request: usize,
    /// SUB to one of its interests, for a while.
    pub subscribe: usize,
    /// UNSUB of one of those.
    pub unsubscribe: usize,
    /// PING.
    pub ping: usize,
}

/// What a client does.
#[derive(Clone, Debug, Default)]
pub struct Habits {
    /// Subscriptions that it makes at once and keeps.
    pub permanent: Vec<Interest>,
    /// What it subscribes to now and then.
    pub interests: Vec<Interest>,
    /// Where it publishes.
    pub subjects: Vec<String>,
    /// Where it sends requests, with replies in its inbox.
    pub services: Vec<String>,
    /// How often it does what.
    pub weights: Weights,
    /// How many writes it makes.
    pub writes: usize,
    /// The longest pause between two writes.
    pub pause_max: Duration,
    /// Most verbs of a write.
    pub verbs_max: usize,
    /// Most bytes of most payloads.
    pub payload_bytes_max: usize,
    /// How many of eight passing subscriptions end after a few messages.
    pub limited_of_eight: usize,
    /// It answers some of the messages that want an answer.
    pub answers: bool,
    /// Some of its answers it gives twice, which only ways back of other accounts' requests bear.
    pub answers_twice: bool,
    /// Most answers that it gives to one message, when it answers.
    pub answers_max: usize,
    /// It closes its side right behind its last write.
    pub departs: bool,
}

impl Habits {
    /// Where answers to a client's requests go.
    pub fn inbox(client: usize) -> String {
        format!("_INBOX.{client}.*")
    }

    /// Small messages at a brisk pace, of a client of requests and services. One that asks hears its inbox all the
    /// time.
    pub fn of_requests(client: usize, asks: bool, writes: usize) -> Habits {
        let inbox = Interest { pattern: Habits::inbox(client), ..Interest::default() };
        Habits {
            permanent: if asks { vec![inbox] } else { Vec::new() },
            writes,
            pause_max: Duration::from_millis(10),
            verbs_max: 3,
            payload_bytes_max: 100,
            ..Habits::default()
        }
    }
}

struct Player {
    habits: Habits,
    /// Subscriptions that are not permanent and not left.
    passing: Vec<SubscriptionId>,
    writes_left: usize,
    requests: usize,
}

/// Clients with habits.
pub struct Traffic {
    players: Vec<Player>,
    /// Clients that have writes left, or have closed their side and wait for the server's.
    pub busy: usize,
}

impl Traffic {
    /// Clients with these habits.
    pub fn new(habits: Vec<Habits>) -> Traffic {
        let players: Vec<Player> = habits
            .into_iter()
            .map(|habits| Player { writes_left: habits.writes, habits, passing: Vec::new(), requests: 0 })
            .collect();
        let busy = players.iter().filter(|player| player.writes_left > 0).count();
        Traffic { players, busy }
    }

    /// The habits of a client.
    pub fn habits(&self, client: usize) -> &Habits {
        &self.players[client].habits
    }

    /// Nobody writes any more of his own accord.
    pub fn stop(&mut self) {
        for player in &mut self.players {
            player.writes_left = 0;
        }
        self.busy = 0;
    }

    /// Writes some verbs.
    pub fn write(&mut self, hand: &mut Hand<'_>) {
        let player = &mut self.players[hand.client];
        let verbs = 1 + hand.random().below(player.habits.verbs_max.max(1));
        for _ in 0..verbs {
            player.verb(hand);
        }
    }
}

impl Player {
    fn verb(&mut self, hand: &mut Hand<'_>) {
        let Weights { publish, request, subscribe, unsubscribe, ping } = self.habits.weights;
        let mut ticket = hand.random().below(publish + request + subscribe + unsubscribe + ping);
        let mut is_chosen = |weight: usize| match ticket.checked_sub(weight) {
            None => true,
            Some(rest) => {
                ticket = rest;
                false
            }
        };
        if is_chosen(publish) {
            let subject = hand.random().one_of(&self.habits.subjects).clone();
            let publication = self.publication(subject, None, hand.random());
            hand.publish(publication);
        } else if is_chosen(request) {
            self.requests += 1;
            let reply = format!("_INBOX.{}.{}", hand.client, self.requests);
            let subject = hand.random().one_of(&self.habits.services).clone();
            let publication = self.publication(subject, Some(reply), hand.random());
            hand.publish(publication);
        } else if is_chosen(subscribe) && self.passing.len() < PASSING_MAX {
            let mut interest = hand.random().one_of(&self.habits.interests).clone();
            if hand.random().chance(self.habits.limited_of_eight, 8) {
                interest.max = Some(hand.random().within(1..=4) as u32);
            }
            self.passing.push(hand.subscribe(interest));
        } else if is_chosen(unsubscribe) {
            if !self.passing.is_empty() {
                let chosen = hand.random().below(self.passing.len());
                let subscription = self.passing.swap_remove(chosen);
                let max = hand.random().chance(1, 4).then(|| hand.random().within(1..=20) as u32);
                hand.unsubscribe(subscription, max);
            }
        } else {
            hand.ping();
        }
    }

    fn publication(&self, subject: String, reply: Option<String>, random: &mut Random) -> Publication {
        let most = self.habits.payload_bytes_max / *random.one_of(&[1, 4, 20]);
        let payload_bytes = random.below(1 + most);
        Publication { subject, reply, payload_bytes, with_headers: random.chance(1, 3) }
    }
}

impl Script for Traffic {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        let player = &mut self.players[hand.client];
        player.passing.clear();
        for interest in player.habits.permanent.clone() {
            hand.subscribe(interest);
        }
    }

    fn poked(&mut self, word: u32, hand: &mut Hand<'_>) {
        let is_open = hand.is_connected() && hand.stage.open[hand.client].is_some();
        match word {
            BEGIN if self.players[hand.client].writes_left > 0 => {
                let pause = hand.stage.random.pause(self.players[hand.client].habits.pause_max);
                hand.act_in(pause);
            }
            PING_NOW if is_open => hand.ping(),
            _ => {}
        }
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if !hand.is_connected() || self.players[hand.client].writes_left == 0 {
            return;
        }
        self.write(hand);
        let player = &mut self.players[hand.client];
        player.writes_left -= 1;
        if player.writes_left > 0 {
            let pause = hand.stage.random.pause(player.habits.pause_max);
            hand.act_in(pause);
            return;
        }
        if player.habits.departs {
            hand.ping();
            hand.half_close();
        } else {
            self.busy -= 1;
        }
    }

    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        if hand.has_left && !hand.awaits_pong {
            hand.stage.ledger.effects.add("departures", 1);
            self.busy -= 1;
        } else {
            let client = hand.client;
            hand.stage.ledger.violate(format!("the connection of client {client} ended: {end:?}"));
        }
    }

    fn message(&mut self, message: MessageId, _: SubscriptionId, hand: &mut Hand<'_>) {
        if !self.players[hand.client].habits.answers || hand.stage.open[hand.client].is_none() {
            return;
        }
        let Some(reply) = hand.stage.ledger.message(message).answer_to().cloned() else { return };
        if hand.random().chance(1, 3) {
            let answer = Publication { subject: reply.clone(), payload_bytes: 10, ..Publication::default() };
            hand.publish(answer.clone());
            let answers_max = self.players[hand.client].habits.answers_max;
            if answers_max > 1 {
                let further = hand.random().below(answers_max);
                for _ in 0..further {
                    hand.publish(answer.clone());
                }
                hand.stage.ledger.effects.add("further answers", further as u64);
            }
            if self.players[hand.client].habits.answers_twice && hand.random().chance(1, 2) {
                // It goes nowhere, so the oracle need not know of it.
                hand.raw(format!("PUB {reply} 5\r\nagain\r\n").as_bytes());
            }
        }
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        // What this PONG acknowledged is looked for at once.
        if hand.random().chance(1, 4) && !hand.stage.ledger.is_sweeping() {
            hand.stage.begin_sweep();
            return;
        }
        let clients = hand.stage.client_count();
        let other: Option<ConnectionId> = {
            let chosen = hand.random().below(clients);
            hand.stage.open[chosen]
        };
        if let Some(other) = other
            && hand.random().chance(1, 2)
        {
            let client = hand.stage.ledger.connection(other).client;
            hand.stage.poke(client, Poke::Script(PING_NOW));
        }
    }
}

/// Some subjects to publish to and patterns that match them, literal ones among them.
pub fn universe(random: &mut Random, root: &str) -> (Vec<String>, Vec<String>) {
    let mut subjects = vec![root.to_owned()];
    for first in 0..random.within(1..=3) {
        subjects.push(format!("{root}.{first}"));
        for second in 0..random.within(1..=2) {
            subjects.push(format!("{root}.{first}.{second}"));
        }
    }
    let mut patterns = subjects.clone();
    patterns.extend(["*", "*.*", ">", "0.>", "0.*", "*.1"].map(|tail| format!("{root}.{tail}")));
    patterns.extend(["*.0".to_owned(), "*.0.>".to_owned(), ">".to_owned()]);
    (subjects, patterns)
}
