//! A receiver stops reading. Publishers to it rest for it as the rule says and no longer, others not at all; it is
//! closed as a slow consumer, and nobody else loses anything.

use super::Scenario;
use crate::ledger::{Interest, Profile, Publication};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use petrel_engine::{ConnectionQuery, ConnectionSnapshot, Order};
use petrel_protocol::client::ClosedReason;
use petrel_runtime::{End, Monotonic};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "stall",
    about: "a dead receiver is closed; it delays its publishers by a few milliseconds and nobody else",
    needs: &[
        "deliveries",
        "envelopes",
        "stalls",
        "slow consumers",
        "closed by pending bytes",
        "closed by deadline",
    ],
    run,
};

const BEGIN: u32 = 1;
const STOP_READING: u32 = 2;
const READ_ON: u32 = 3;

/// The client that stops reading.
const DEAD: usize = 0;
/// The client that receives everything.
const HEALTHY: usize = 1;

/// What the network, the turns and a barrier take at most before a PONG in this scenario's plan.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(8);
/// A receiver that takes nothing is waited for so long.
const PATIENCE: Duration = Duration::from_secs(1);
/// The longest rest; one may begin at the end of the patience.
const REST_MAX: Duration = Duration::from_millis(5);
/// A rest has 2 ms at least. Where nobody rests, PONGs come sooner on the average.
const CALM_MEAN_MAX: Duration = Duration::from_micros(1500);
/// Round trips of each flooding client that are measured, one right behind the other.
const TRIPS: u32 = 40;

/// How fast clients flood.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pace {
    Fast,
    /// A small message now and then.
    Trickle,
    /// A small message as soon as the one before is acknowledged.
    Eager,
    Over,
}

struct Flood {
    pace: Pace,
    /// Bytes of a flooding client's burst.
    burst_bytes: usize,
    pinged: Vec<Option<Monotonic>>,
    /// How long each client waited beyond what a round trip takes, in all.
    rested: Vec<Duration>,
    /// Eager round trips of flooding clients, and how long they took in all.
    trips: (u32, Duration),
    /// The connection ids that the server gave.
    cids: Vec<u64>,
}

impl Flood {
    fn is_flooding(client: usize) -> bool {
        client > HEALTHY && client.is_multiple_of(2)
    }
}

impl Script for Flood {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        let permanent = |pattern: &str| Interest {
            pattern: pattern.to_owned(),
            is_permanent: true,
            ..Interest::default()
        };
        match hand.client {
            DEAD => {
                hand.subscribe(permanent("flood.>"));
            }
            HEALTHY => {
                hand.subscribe(permanent("flood.*"));
                hand.subscribe(permanent("calm"));
            }
            _ => {}
        }
    }

    fn informed(&mut self, json: &str, hand: &mut Hand<'_>) {
        let digits = json.split("\"client_id\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(cid) => self.cids[hand.client] = cid,
            None => hand.stage.ledger.violate(format!("an INFO without client_id: {json}")),
        }
    }

    fn poked(&mut self, word: u32, hand: &mut Hand<'_>) {
        match word {
            STOP_READING => {
                hand.stop_reading();
                hand.stage.open[DEAD] = None;
            }
            READ_ON => hand.read_on(),
            _ if hand.client > HEALTHY => hand.act_in(Duration::from_millis(1)),
            _ => {}
        }
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.pace == Pace::Over {
            return;
        }
        let is_flooding = Flood::is_flooding(hand.client);
        let mut left = if is_flooding && self.pace == Pace::Fast { self.burst_bytes } else { 20 };
        let subject = if is_flooding { format!("flood.{}", hand.client) } else { "calm".to_owned() };
        while left > 0 {
            let payload_bytes = hand.random().within(1..=2000).min(left);
            left -= payload_bytes;
            hand.publish(Publication { subject: subject.clone(), payload_bytes, ..Publication::default() });
        }
        self.pinged[hand.client] = Some(hand.now);
        hand.ping();
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        let Some(pinged) = self.pinged[client].take() else { return };
        let took = hand.now.since(pinged);
        self.rested[client] += took.saturating_sub(ROUND_TRIP_MAX);
        let rest_max = if Flood::is_flooding(client) { PATIENCE + REST_MAX } else { Duration::ZERO };
        if self.rested[client] > rest_max {
            let rested = self.rested[client];
            hand.stage.ledger.violate(format!("client {client} waited {rested:?} longer than it should"));
        }
        let is_eager = Flood::is_flooding(client) && self.pace == Pace::Eager;
        if is_eager {
            self.trips = (self.trips.0 + 1, self.trips.1 + took);
        }
        hand.act_in(if is_eager { Duration::ZERO } else { Duration::from_millis(20) });
    }

    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        if hand.client != DEAD {
            let client = hand.client;
            hand.stage.ledger.violate(format!("the connection of client {client} ended: {end:?}"));
        }
    }
}

/// A quick network and cores that are never late: what a PONG takes here is known.
fn quick_plan(seed: u64, random: &mut Random, is_pending: bool) -> Plan {
    let mut plan = Plan::drawn(seed, random, &[1, 2, 3, 4], (4, 12));
    let micros = Duration::from_micros;
    plan.world.latency = (micros(10), micros(200));
    plan.world.jitter_max = micros(100);
    plan.world.turn = (micros(1), micros(20));
    plan.world.notice_max = micros(50);
    plan.world.mail_delay_max = micros(100);
    plan.world.faults = petrel_runtime::sim::FaultOptions::none();
    plan.world.mailbox_slots = (8, 64);
    plan.world.socket_buffer_bytes = (32_768, 65_536);
    plan.profiles.iter_mut().for_each(|profile| *profile = Profile::default());
    if is_pending {
        plan.server.limits.pending_max = 512 * 1024;
    } else {
        plan.server.write_deadline = Duration::from_millis(random.within(100..=500) as u64);
    }
    plan
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let is_pending = random.chance(2, 3);
    let plan = quick_plan(seed, &mut random, is_pending);
    let count = plan.profiles.len();
    let script = Flood {
        pace: Pace::Fast,
        burst_bytes: 24_000 / count,
        pinged: vec![None; count],
        rested: vec![Duration::ZERO; count],
        trips: (0, Duration::ZERO),
        cids: vec![0; count],
    };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        run.pass(Duration::from_millis(50));
        run.poke(DEAD, Poke::Script(STOP_READING));
        if is_pending {
            trickle(&mut run);
        }
        if dead_is_closed(&mut run) {
            run.pass(Duration::from_millis(300));
            judge(&mut run, is_pending);
        }
    }
    run.finish()
}

/// What monitoring says of the clients.
fn records(run: &mut Run<Flood>) -> Vec<ConnectionSnapshot> {
    let all = ConnectionQuery { open: true, closed: true, ..ConnectionQuery::default() };
    let pages = run.ask(|sender| Order::Connections(all.clone(), sender));
    pages.into_iter().flat_map(|page| page.connections).collect()
}

/// Floods until the dead receiver is four fifths full, then goes on slowly: soon nobody waits for it any more.
fn trickle(run: &mut Run<Flood>) {
    let cid = run.play().script.cids[DEAD];
    let enough = (run.plan.server.limits.pending_max / 5 * 4) as u64;
    let fills = |run: &mut Run<Flood>| {
        records(run).iter().any(|record| record.cid == cid && record.pending_bytes < enough)
    };
    let end = run.world.now().after(Duration::from_secs(10));
    while fills(run) && !run.has_failed() {
        if run.world.now() > end {
            run.play_mut().stage.ledger.violate("nothing heaps up for the dead receiver any more");
        }
        run.pass(Duration::from_millis(10));
    }
    run.play_mut().script.pace = Pace::Trickle;
    run.pass(PATIENCE + Duration::from_millis(300));
    run.play_mut().script.pace = Pace::Eager;
    let count = (0..run.plan.profiles.len()).filter(|client| Flood::is_flooding(*client)).count() as u32;
    run.must(Duration::from_secs(2), "a few quick round trips", |play| play.script.trips.0 >= count * TRIPS);
    let (trips, sum) = run.play().script.trips;
    if sum > CALM_MEAN_MAX * trips {
        let mean = sum / trips;
        run.play_mut().stage.ledger.violate(format!("publishers wait {mean:?} for a receiver that is dead"));
    }
    run.play_mut().script.pace = Pace::Fast;
}

/// Waits until the server has closed the dead receiver.
fn dead_is_closed(run: &mut Run<Flood>) -> bool {
    for _ in 0..200 {
        let slow: u64 = run.statistics().iter().map(|core| core.slow_consumers).sum();
        if slow > 0 || run.has_failed() {
            return !run.has_failed();
        }
        run.pass(Duration::from_millis(50));
    }
    run.play_mut().stage.ledger.violate("the dead receiver was not closed");
    false
}

fn judge(run: &mut Run<Flood>, is_pending: bool) {
    let records = records(run);
    let (expected, kind) = if is_pending {
        (ClosedReason::SlowConsumerPendingBytes, "closed by pending bytes")
    } else {
        (ClosedReason::SlowConsumerWriteDeadline, "closed by deadline")
    };
    let cids = run.play().script.cids.clone();
    let mut play = run.play_mut();
    let ledger = &mut play.stage.ledger;
    for (client, cid) in cids.iter().enumerate() {
        let Some(record) = records.iter().find(|record| record.cid == *cid) else {
            ledger.violate(format!("monitoring does not know client {client}, cid {cid}"));
            continue;
        };
        let reason = record.stop.map(|(_, reason)| reason);
        if reason != (client == DEAD).then_some(expected) {
            ledger.violate(format!("client {client} was closed: {reason:?}"));
        }
        if record.stalls > 0 && client != DEAD {
            ledger.violate(format!("{} rests for the sake of client {client}, which is well", record.stalls));
        }
    }
    ledger.effects.add(kind, 1);
    play.script.pace = Pace::Over;
    drop(play);
    run.poke(DEAD, Poke::Script(READ_ON));
    run.pass(Duration::from_millis(100));
    if !run.has_failed() && run.settle() {
        run.count_effects();
    }
}
