//! The server goes away in order: in lame duck mode clients are told, closed one by one after the grace period,
//! and the end is announced when the last is gone; on shutdown everything is closed and the cores stop.

use super::Scenario;
use crate::client::Play;
use crate::ledger::{Interest, MessageId, SubscriptionId};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use crate::traffic::{BEGIN, Habits, Traffic, Weights, universe};
use petrel_engine::{Notice, Order};
use petrel_runtime::{End, Monotonic};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "lame-duck",
    about: "clients are told and closed in time when the server goes away, and it says when it is done",
    needs: &["deliveries", "envelopes", "clients told", "clients closed", "lame ducks", "shutdowns"],
    run,
};

/// The client that leaves, and comes back at the very moment when the server begins to go away.
const LATE: usize = 0;
/// What a busy connection may take to end beyond the time set: its last moment, and the network.
const SLACK: Duration = Duration::from_secs(2);

/// Clients with habits whose server goes away.
struct Farewell {
    traffic: Traffic,
    told: Vec<bool>,
    /// When each connection ended.
    ended: Vec<Option<Monotonic>>,
}

impl Farewell {
    /// Whether all connections have ended; the late one may never have been.
    fn is_over(play: &Play<Farewell>) -> bool {
        let ended = &play.script.ended;
        (0..ended.len())
            .all(|client| ended[client].is_some() || (client == LATE && play.stage.open[LATE].is_none()))
    }
}

impl Script for Farewell {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        if self.ended[hand.client].is_some() {
            hand.stage.ledger.violate("the server accepted a connection while it went away");
        }
        self.traffic.opened(hand);
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        self.traffic.act(hand);
    }

    fn poked(&mut self, word: u32, hand: &mut Hand<'_>) {
        self.traffic.poked(word, hand);
    }

    fn message(&mut self, message: MessageId, subscription: SubscriptionId, hand: &mut Hand<'_>) {
        self.traffic.message(message, subscription, hand);
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        self.traffic.ponged(hand);
    }

    fn informed(&mut self, json: &str, hand: &mut Hand<'_>) {
        if json.contains("\"ldm\":true") {
            self.told[hand.client] = true;
            hand.stage.ledger.effects.add("clients told", 1);
        }
    }

    fn ended(&mut self, _: End, hand: &mut Hand<'_>) {
        self.ended[hand.client] = Some(hand.now);
        hand.stage.ledger.effects.add("clients closed", 1);
    }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 16));
    plan.server.lame_duck_duration = Duration::from_millis(random.within(500..=3000) as u64);
    plan.server.lame_duck_grace_period = Duration::from_millis(random.within(50..=400) as u64);
    // A retransmission takes longer than a closing connection is waited for: the news would be lost with it.
    plan.world.faults.loss_per_million = 0;
    for profile in &mut plan.profiles {
        profile.protocol = u8::from(random.chance(3, 4));
    }
    let (subjects, patterns) = universe(&mut random, "farewell");
    let count = plan.profiles.len();
    let habits = (0..count).map(|_| Habits {
        permanent: vec![Interest { pattern: random.one_of(&patterns).clone(), ..Interest::default() }],
        interests: patterns
            .iter()
            .map(|pattern| Interest { pattern: pattern.clone(), ..Interest::default() })
            .collect(),
        subjects: subjects.clone(),
        weights: Weights { publish: 5, subscribe: 1, unsubscribe: 1, ping: 1, request: 0 },
        writes: 100,
        pause_max: Duration::from_millis(200),
        verbs_max: 3,
        payload_bytes_max: 500,
        limited_of_eight: 2,
        ..Habits::default()
    });
    let script = Farewell {
        traffic: Traffic::new(habits.collect()),
        told: vec![false; count],
        ended: vec![None; count],
    };
    let is_lame_duck = random.chance(2, 3);
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        let pause = run.play_mut().stage.random.pause(Duration::from_millis(300));
        run.pass(pause);
        run.count_effects();
        if !is_lame_duck || lame_duck(&mut run) {
            shutdown(&mut run);
        }
    }
    run.finish()
}

fn order_all(run: &mut Run<Farewell>, order: fn() -> Order) {
    for core in 0..run.plan.core_count {
        run.world.order(run.server, core, order());
    }
}

/// Lame duck mode from its beginning to its end. Whether all rules were kept.
fn lame_duck(run: &mut Run<Farewell>) -> bool {
    run.poke(LATE, Poke::Leave);
    run.pass(Duration::from_millis(100));
    let began = run.world.now();
    let (duration, grace) = (run.plan.server.lame_duck_duration, run.plan.server.lame_duck_grace_period);
    order_all(run, || Order::LameDuck);
    run.poke(LATE, Poke::Connect);
    let notices = run.notices.clone();
    // Clients are closed one by one until the duration is over, or the grace period if that is longer.
    let limit = duration.max(grace) + SLACK;
    let is_announced =
        |_: &Play<Farewell>| notices.try_iter().any(|notice| matches!(notice, Notice::LameDuckEnded));
    if !run.must(limit, "the end of lame duck mode", is_announced) {
        return false;
    }
    let left: u64 = run.statistics().iter().map(|core| core.connections).sum();
    if left > 0 {
        run.play_mut().stage.ledger.violate(format!("lame duck mode ended with {left} connections left"));
    }
    run.must(SLACK, "the end of all connections", Farewell::is_over);
    judge(run, began.after(grace));
    run.poke_all(Poke::Connect);
    run.pass(Duration::from_secs(1));
    if run.notices.try_iter().any(|notice| matches!(notice, Notice::LameDuckEnded)) {
        run.play_mut().stage.ledger.violate("the end of lame duck mode was announced twice");
    }
    !run.has_failed()
}

/// Whether everybody was told who wants to know, and nobody was closed before the grace period was over.
fn judge(run: &mut Run<Farewell>, grace_ends: Monotonic) {
    let mut play = run.play_mut();
    let Play { script, stage } = &mut *play;
    for client in (0..stage.client_count()).filter(|client| *client != LATE) {
        let (told, wants_to_know) = (script.told[client], stage.profiles[client].protocol == 1);
        if told != wants_to_know {
            stage.ledger.violate(format!("client {client} was told: {told}, wants it: {wants_to_know}"));
        }
        if script.ended[client].is_some_and(|ended| ended < grace_ends) {
            stage.ledger.violate(format!("client {client} was closed before the grace period was over"));
        }
    }
    stage.ledger.effects.add("lame ducks", 1);
}

fn shutdown(run: &mut Run<Farewell>) {
    order_all(run, || Order::Shutdown);
    run.must(SLACK, "the end of all connections", Farewell::is_over);
    run.pass(SLACK);
    let running = (0..run.plan.core_count).filter(|core| run.world.runs(run.server, *core)).count();
    if running > 0 {
        run.play_mut().stage.ledger.violate(format!("{running} cores run on after the shutdown"));
    }
    run.play_mut().stage.ledger.effects.add("shutdowns", 1);
}
