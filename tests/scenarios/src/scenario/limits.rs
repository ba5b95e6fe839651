//! An account's limits while clients on all cores race for its last places: there are never more clients than may be, and
//! however one leaves, its place is there for the next. Each client has its subscriptions and its largest message.

use super::Scenario;
use super::two_accounts::{log_in_as, user, with_accounts};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use crate::wire::Received;
use petrel_config::{Account, AccountLimits};
use petrel_runtime::End;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "account-limits",
    about: "an account has never more clients than it may, and whoever leaves, in whatever way, makes room for another",
    needs: &[
        "full accounts",
        "races for all places",
        "races while others leave",
        "closed",
        "closed their side",
        "sent too much",
        "went to another account",
        "refused subscriptions",
        "delayed PONGs",
    ],
    run,
};

/// Told to a client: leave in this way.
const CLOSE: u32 = 1;
const CLOSE_SIDE: u32 = 2;
const SEND_TOO_MUCH: u32 = 3;
const MOVE: u32 = 4;
/// What news may take to everybody: far longer than the delays of a plan.
const SLACK: Duration = Duration::from_secs(1);

/// Where a client is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    /// It has no connection, or none that counts.
    Outside,
    Inside,
    /// Its connection went to an account without limits.
    Elsewhere,
}

struct Crowd {
    connections_max: usize,
    subscriptions_max: usize,
    payload_max: usize,
    places: Vec<Place>,
    /// The server was right to end the connection.
    is_told: Vec<bool>,
    /// Errors about subscriptions, and messages, that each client got since it came in.
    refused: Vec<usize>,
    heard: Vec<usize>,
}

impl Crowd {
    fn inside(&self) -> usize {
        self.places.iter().filter(|place| **place == Place::Inside).count()
    }

    /// Subscribes to as much as it may and to one more, gives one up and takes another, and publishes to all of them.
    fn use_up(&mut self, hand: &mut Hand<'_>) {
        let (client, most) = (hand.client, self.subscriptions_max);
        for sid in 1..=most + 1 {
            hand.raw(format!("SUB own.{client}.{sid} {sid}\r\n").as_bytes());
        }
        hand.raw(format!("UNSUB 1\r\nSUB own.{client}.{0} {0}\r\n", most + 2).as_bytes());
        let payload = "x".repeat(self.payload_max);
        for sid in 1..=most + 2 {
            hand.raw(format!("PUB own.{client}.{sid} {}\r\n{payload}\r\n", payload.len()).as_bytes());
        }
        hand.ping();
    }

    fn leave(&mut self, way: u32, hand: &mut Hand<'_>) {
        let client = hand.client;
        self.places[client] = if way == MOVE { Place::Elsewhere } else { Place::Outside };
        let effect = match way {
            CLOSE => {
                hand.close();
                "closed"
            }
            CLOSE_SIDE => {
                hand.half_close();
                "closed their side"
            }
            SEND_TOO_MUCH => {
                let payload = "x".repeat(self.payload_max + 1);
                hand.raw(format!("PUB too.much {}\r\n{payload}\r\n", payload.len()).as_bytes());
                "sent too much"
            }
            _ => {
                let login =
                    "CONNECT {\"verbose\":false,\"protocol\":1,\"user\":\"wide\",\"pass\":\"wide\"}\r\n";
                hand.raw(login.as_bytes());
                "went to another account"
            }
        };
        hand.stage.ledger.effects.add(effect, 1);
    }
}

impl Script for Crowd {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        self.places[client] = Place::Inside;
        (self.is_told[client], self.refused[client], self.heard[client]) = (false, 0, 0);
        let (inside, most) = (self.inside(), self.connections_max);
        if inside > most {
            hand.stage.ledger.violate(format!("{inside} are in an account that takes {most}"));
        }
        self.use_up(hand);
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        let (client, most) = (hand.client, self.subscriptions_max);
        let (refused, heard) = (self.refused[client], self.heard[client]);
        if (refused, heard) != (1, most) {
            hand.stage.ledger.violate(format!(
                "client {client} may have {most} subscriptions: {refused} were refused, {heard} heard"
            ));
        }
    }

    fn poked(&mut self, way: u32, hand: &mut Hand<'_>) {
        match self.places[hand.client] {
            Place::Inside => self.leave(way, hand),
            Place::Elsewhere => self.leave(CLOSE, hand),
            Place::Outside => {}
        }
    }

    fn takes(&mut self, _: &Received, hand: &mut Hand<'_>) -> bool {
        self.heard[hand.client] += 1;
        true
    }

    fn refused(&mut self, text: &str, hand: &mut Hand<'_>) {
        let (client, place) = (hand.client, self.places[hand.client]);
        let effect = match text {
            "maximum account active connections exceeded" if place == Place::Outside => {
                self.is_told[client] = true;
                "full accounts"
            }
            "maximum subscriptions exceeded" if place == Place::Inside => {
                self.refused[client] += 1;
                "refused subscriptions"
            }
            "Maximum Payload Violation" if place == Place::Outside => {
                self.is_told[client] = true;
                "refused payloads"
            }
            _ => {
                hand.stage.ledger.violate(format!("client {client}, {place:?}, was told {text:?}"));
                return;
            }
        };
        hand.stage.ledger.effects.add(effect, 1);
    }

    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        let client = hand.client;
        if !hand.has_left && !self.is_told[client] {
            hand.stage.ledger.violate(format!("the connection of client {client} ended: {end:?}"));
        }
        self.places[client] = Place::Outside;
    }
}

fn accounts(crowd: &Crowd) -> Vec<Account> {
    let limits = AccountLimits {
        connections_max: Some(crowd.connections_max as u64),
        subscriptions_max: Some(crowd.subscriptions_max as u64),
        payload_max: Some(crowd.payload_max as u64),
        ..AccountLimits::default()
    };
    let tight = Account { name: "TIGHT".into(), users: vec![user("tight")], limits, ..Account::default() };
    let wide = Account { name: "WIDE".into(), users: vec![user("wide")], ..Account::default() };
    vec![tight, wide]
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 16));
    // A retransmission takes longer than a closing connection is waited for: the news would be lost with it.
    plan.world.faults.loss_per_million = 0;
    plan.connects = false;
    let count = plan.profiles.len();
    let script = Crowd {
        connections_max: random.within(1..=count - 1),
        subscriptions_max: random.within(2..=4),
        payload_max: random.within(20..=200),
        places: vec![Place::Outside; count],
        is_told: vec![false; count],
        refused: vec![0; count],
        heard: vec![0; count],
    };
    plan.server = with_accounts(&plan.server, accounts(&script));
    for profile in &mut plan.profiles {
        profile.verbose = false;
        log_in_as(profile, "tight");
    }
    let waves = random.within(4..=10);
    let mut run = Run::new(plan, script, random, settings);
    for _ in 0..waves {
        let leaving = tell_some_to_leave(&mut run);
        let is_calm = run.play_mut().stage.random.chance(1, 2);
        if is_calm {
            run.pass(SLACK);
        }
        race(&mut run, if is_calm { 0 } else { leaving });
        if run.has_failed() {
            break;
        }
    }
    if !run.has_failed() {
        run.count_effects();
    }
    run.finish()
}

/// Tells some clients to leave, each in its way. Returns how many of them are inside.
fn tell_some_to_leave(run: &mut Run<Crowd>) -> usize {
    let mut leaving = 0;
    for client in 0..run.plan.profiles.len() {
        let place = run.play().script.places[client];
        let leaves = run.play_mut().stage.random.chance(1, 2);
        if place == Place::Elsewhere || (place == Place::Inside && leaves) {
            let way = *run.play_mut().stage.random.one_of(&[CLOSE, CLOSE_SIDE, SEND_TOO_MUCH, MOVE]);
            run.poke(client, Poke::Script(way));
            leaving += usize::from(place == Place::Inside);
        }
    }
    leaving
}

/// All who are outside want in at once, while so many leave; then there are as many inside as may be.
fn race(run: &mut Run<Crowd>, leaving: usize) {
    let is_outside = |place: &Place| *place == Place::Outside;
    let outside: Vec<usize> = {
        let play = run.play();
        let places = play.script.places.iter().enumerate();
        places.filter(|(_, place)| is_outside(place)).map(|(client, _)| client).collect()
    };
    let (before, most) = (run.play().script.inside(), run.play().script.connections_max);
    for client in &outside {
        run.poke(*client, Poke::Connect);
    }
    run.pass(SLACK);
    if !run.has_failed() {
        run.sweep();
    }
    let inside = run.play().script.inside();
    let expected = most.min(before + outside.len());
    if (inside > expected || inside + leaving < expected) && !run.has_failed() {
        run.play_mut().stage.ledger.violate(format!(
            "{inside} are in after a race of {} for an account of {most} with {before} in it, {leaving} of whom left",
            outside.len()
        ));
    }
    let effect = if leaving > 0 { "races while others leave" } else { "races for all places" };
    let has_losers = before + outside.len() > most;
    run.play_mut().stage.ledger.effects.add(effect, u64::from(has_losers));
}
