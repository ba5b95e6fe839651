//! Resets, half-closed connections, partitions, receivers that do not read, rubbish: nothing panics, living
//! connections lose nothing, and when everybody has gone nothing is left of them.

use super::Scenario;
use crate::ledger::{Interest, MessageId, Publication, SubscriptionId};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use crate::traffic::{Habits, Traffic, Weights, universe};
use petrel_engine::CoreStatistics;
use petrel_runtime::End;
use petrel_runtime::sim::FaultOptions;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "chaos",
    about: "nothing panics or is left behind, and living connections lose nothing, whatever happens to others",
    needs: &[
        "deliveries",
        "envelopes",
        "slow consumers",
        "dropped messages",
        "refused connections",
        "stalls",
        "sudden ends",
        "half-closed",
        "readers that stopped",
        "rubbish",
        "errors told",
        "ends by EOF",
        "ends by error",
        "fresh deliveries",
        "Reset",
        "Loss",
        "AcceptFailed",
        "PartitionHeld",
        "GivenUp",
        "Stall",
        "ClockStep",
        "MailboxFull",
    ],
    run,
};

/// Told to all clients when the bad times are over.
const CALM: u32 = 10;
/// Publish once to each subject.
const PUBLISH_ALL: u32 = 11;
/// How long after the bad times the server may need to notice that a client is gone: PINGs that nobody answers,
/// and retransmissions in vain.
const NOTICING_MAX: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    /// It does not read.
    Numb,
    /// What it writes means nothing to the server any more.
    Lost,
}

/// Clients with habits that misbehave.
struct Chaos {
    traffic: Traffic,
    moods: Vec<Mood>,
    pause_max: Duration,
    /// The bad times are over.
    is_calm: bool,
    /// Everybody has left; who comes now finds a server as new.
    is_fresh: bool,
    /// Clients subscribe to nothing when they connect.
    is_bare: bool,
}

/// Bytes that no client should send; each breaks the connection or leaves the server waiting for more.
const RUBBISH: [&[u8]; 11] = [
    b"FOO bar\r\n",
    b"\x00\xff\xfe\x01\r\n\r\n",
    b"PUB\r\n",
    b"SUB a\r\n",
    b"PUB a 99999999999\r\n",
    b"PUB a 20\r\nshort",
    b"PUB a 3\r\ntoo long\r\n",
    b"HPUB a 100 50\r\n",
    b"CONNECT {\"verbose\":\r\n",
    b"MSG a 1 2\r\nhi\r\n",
    b"SUB a 1 2 3 4\r\nUNSUB\r\n",
];

impl Chaos {
    fn misbehave(&mut self, hand: &mut Hand<'_>) {
        let mood = &mut self.moods[hand.client];
        match hand.stage.random.below(4) {
            0 => {
                hand.stage.ledger.effects.add("sudden ends", 1);
                if hand.random().chance(1, 2) {
                    hand.raw(b"PUB cut.off 1000\r\nnot all of it");
                }
                hand.close();
                let pause = hand.random().pause(Duration::from_millis(200));
                hand.connect_in(pause);
            }
            1 => {
                hand.stage.ledger.effects.add("half-closed", 1);
                self.traffic.write(hand);
                hand.half_close();
                *mood = Mood::Lost;
            }
            2 => {
                hand.stage.ledger.effects.add("readers that stopped", 1);
                hand.stop_reading();
                *mood = Mood::Numb;
            }
            _ => {
                hand.stage.ledger.effects.add("rubbish", 1);
                let rubbish = *hand.random().one_of(&RUBBISH);
                hand.raw(rubbish);
                if hand.random().chance(1, 8) {
                    hand.raw(&vec![b'x'; 10_000]);
                }
                // Nothing that it wrote before is asked for: it cannot ask for a PONG any more.
                hand.stage.open[hand.client] = None;
                let connection = hand.connection();
                hand.stage.ledger.closed_its_side(connection);
                *mood = Mood::Lost;
            }
        }
    }
}

impl Script for Chaos {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        self.moods[hand.client] = Mood::Well;
        if !self.is_bare {
            self.traffic.opened(hand);
        }
        if !self.is_calm {
            let pause = hand.stage.random.pause(self.pause_max);
            hand.act_in(pause);
        }
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        let is_open = hand.stage.open[hand.client].is_some();
        if self.is_calm || !hand.is_connected() || !(is_open || self.moods[hand.client] == Mood::Lost) {
            return;
        }
        match self.moods[hand.client] {
            Mood::Lost => {
                hand.close();
                let pause = hand.random().pause(Duration::from_millis(100));
                hand.connect_in(pause);
                return;
            }
            Mood::Numb if hand.random().chance(1, 10) => {
                self.moods[hand.client] = Mood::Well;
                hand.read_on();
            }
            Mood::Well if hand.random().chance(1, 25) => self.misbehave(hand),
            Mood::Well | Mood::Numb => self.traffic.write(hand),
        }
        let pause = hand.stage.random.pause(self.pause_max);
        hand.act_in(pause);
    }

    fn message(&mut self, message: MessageId, subscription: SubscriptionId, hand: &mut Hand<'_>) {
        if self.is_fresh {
            hand.stage.ledger.effects.add("fresh deliveries", 1);
        }
        self.traffic.message(message, subscription, hand);
    }

    fn poked(&mut self, word: u32, hand: &mut Hand<'_>) {
        match word {
            CALM if self.moods[hand.client] == Mood::Lost => hand.close(),
            CALM => hand.read_on(),
            PUBLISH_ALL if hand.is_connected() => {
                for subject in self.traffic.habits(hand.client).subjects.clone() {
                    hand.publish(Publication { subject, payload_bytes: 30, ..Publication::default() });
                }
            }
            _ if self.moods[hand.client] == Mood::Lost => {}
            _ => self.traffic.poked(word, hand),
        }
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        self.traffic.ponged(hand);
    }

    fn refused(&mut self, _: &str, hand: &mut Hand<'_>) {
        hand.stage.ledger.effects.add("errors told", 1);
        if self.is_fresh {
            let client = hand.client;
            hand.stage.ledger.violate(format!("client {client} got an error in the best of times"));
        }
    }

    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        self.moods[hand.client] = Mood::Well;
        let kind = if end == End::Eof { "ends by EOF" } else { "ends by error" };
        hand.stage.ledger.effects.add(kind, 1);
        if !self.is_calm {
            let pause = hand.random().pause(Duration::from_millis(100));
            hand.connect_in(pause);
        }
    }
}

fn bad_times(random: &mut Random) -> FaultOptions {
    FaultOptions {
        reset_per_million: *random.one_of(&[0, 300, 2000]),
        loss_per_million: *random.one_of(&[0, 3000]),
        refuse_per_million: 50_000,
        accept_failure_per_million: 50_000,
        slow_turn_per_million: 2000,
        slow_turn_max: Duration::from_millis(50),
        clock_step_per_million: 1000,
        clock_step_max: Duration::from_secs(60),
        // The scenario cuts clients off by itself: the world would choose two clients mostly.
        ..FaultOptions::none()
    }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 16));
    plan.world.faults = bad_times(&mut random);
    plan.world.retransmit_give_up = Duration::from_secs(8);
    plan.server.limits.pending_max = *random.one_of(&[20_000, 100_000, 1_000_000]);
    plan.server.ping_interval = Duration::from_millis(*random.one_of(&[300, 2000]));
    plan.server.write_deadline = Duration::from_millis(*random.one_of(&[100, 1000]));
    plan.server.write_timeout_retry = random.chance(1, 4);
    plan.server.no_fast_producer_stall = random.chance(1, 6);
    if random.chance(1, 3) {
        // Who comes back is refused until his old connection is noticed to be gone.
        plan.server.limits.connections_max = plan.profiles.len() as i64;
    }
    for profile in &mut plan.profiles {
        profile.echo = random.chance(3, 4);
    }
    let (subjects, patterns) = universe(&mut random, "chaos");
    let interests: Vec<Interest> = patterns
        .iter()
        .flat_map(|pattern| {
            [None, Some("red".to_owned())].map(|queue| Interest {
                pattern: pattern.clone(),
                queue,
                ..Interest::default()
            })
        })
        .collect();
    let count = plan.profiles.len();
    let habits = (0..count).map(|_| Habits {
        permanent: (0..random.within(0..=2)).map(|_| random.one_of(&interests).clone()).collect(),
        interests: interests.clone(),
        subjects: subjects.clone(),
        weights: Weights { publish: 10, subscribe: 2, unsubscribe: 1, ping: 2, request: 0 },
        verbs_max: 10,
        payload_bytes_max: *random.one_of(&[100, 8000]),
        limited_of_eight: 2,
        ..Habits::default()
    });
    let script = Chaos {
        traffic: Traffic::new(habits.collect()),
        moods: vec![Mood::Well; count],
        pause_max: Duration::from_millis(40),
        is_calm: false,
        is_fresh: false,
        is_bare: false,
    };
    let mut run = Run::new(plan, script, random, settings);
    let tolerates_loss = run.plan.server.no_fast_producer_stall;
    run.play_mut().stage.ledger.tolerates_loss = tolerates_loss;
    if storm(&mut run) && all_leave(&mut run) {
        fresh_start(&mut run);
    }
    run.finish()
}

/// The bad times, and what must hold for those who came through them.
fn storm(run: &mut Run<Chaos>) -> bool {
    let strokes = run.play_mut().stage.random.within(2..=10);
    let client_count = run.plan.profiles.len();
    let mut cut_off = Vec::new();
    for _ in 0..strokes {
        let (client, kind, pause) = {
            let random = &mut run.play_mut().stage.random;
            (
                random.below(client_count),
                random.below(6),
                Duration::from_millis(random.within(50..=400) as u64),
            )
        };
        let (server, node) = (run.server.number(), run.node_of(client));
        match kind {
            0 => run.world.partition(server, node),
            1 => run.world.partition_one_way(server, node),
            2 => run.world.partition_one_way(node, server),
            3 => run.world.reset_connections(server, node),
            4 => run.world.stall(server, pause / 4),
            _ => run.world.stall(node, pause),
        }
        if kind < 3 {
            cut_off.push(node);
        }
        run.until_with_sweeps(pause, |_| false);
        if run.play_mut().stage.random.chance(1, 2) {
            cut_off.drain(..).for_each(|node| run.world.heal(server, node));
        }
    }
    run.play_mut().script.is_calm = true;
    if run.play_mut().stage.random.chance(1, 4) {
        // Whoever is cut off now is given up.
        run.pass(run.plan.world.retransmit_give_up * 2);
    }
    run.world.calm();
    run.poke_all(Poke::Script(CALM));
    // Connections that hang are noticed: then everybody who is left gets a PONG.
    run.pass(NOTICING_MAX);
    !run.has_failed() && run.settle()
}

/// The services of the system account that clients may ask; each counts as a subscription, whoever is there.
const SERVICE_IMPORTS: u64 = 4;

/// Everybody leaves; nothing is left of them.
fn all_leave(run: &mut Run<Chaos>) -> bool {
    run.count_effects();
    run.poke_all(Poke::Leave);
    let end = run.world.now().after(NOTICING_MAX);
    let sum = |cores: &[CoreStatistics], of: fn(&CoreStatistics) -> u64| cores.iter().map(of).sum::<u64>();
    loop {
        let cores = run.statistics();
        let left = [
            ("connections", sum(&cores, |core| core.connections)),
            ("subscriptions", sum(&cores, |core| core.subscriptions).abs_diff(SERVICE_IMPORTS)),
            ("pending bytes", sum(&cores, |core| core.pending_bytes)),
        ];
        if run.has_failed() {
            return false;
        }
        if left.iter().all(|(_, count)| *count == 0) {
            return true;
        }
        if run.world.now() >= end {
            run.play_mut().stage.ledger.violate(format!("left when everybody had gone: {left:?}"));
            return false;
        }
        run.pass(Duration::from_millis(500));
    }
}

/// Fresh clients are served. The first one finds no interest: nothing it publishes leaves its core.
fn fresh_start(run: &mut Run<Chaos>) {
    let envelopes = |run: &mut Run<Chaos>| run.statistics().iter().map(|core| core.mails_sent).sum::<u64>();
    let patience = Duration::from_secs(60);
    // The cores have told each other by then.
    run.pass(Duration::from_secs(1));
    run.play_mut().script.is_fresh = true;
    run.play_mut().script.is_bare = true;
    let before = envelopes(run);
    run.poke(0, Poke::Connect);
    if !run.must(patience, "a fresh connection", |play| play.stage.open_count() == 1) {
        return;
    }
    run.poke(0, Poke::Script(PUBLISH_ALL));
    // The order to write must reach the client before that to PING.
    run.pass(Duration::from_secs(1));
    if !run.settle() {
        return;
    }
    let stale = envelopes(run) - before;
    if stale > 0 {
        run.play_mut().stage.ledger.violate(format!("{stale} envelopes went out for interest that had gone"));
        return;
    }
    run.play_mut().script.is_bare = false;
    run.poke_all(Poke::Connect);
    if !run.open() {
        return;
    }
    run.poke_all(Poke::Script(PUBLISH_ALL));
    run.pass(Duration::from_secs(1));
    run.settle();
}
