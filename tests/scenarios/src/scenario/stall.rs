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
    needs: &["deliveries", "envelopes", "stalls", "slow consumers", "closed by pending bytes", "closed by deadline"],
    run,
};

const BEGIN: u32 = 1;
const STOP_READING: u32 = 2;
const READ_ON: u32 = 3;

/// The client that stops reading.
const DEAD: usize = 0;
/// The client that receives everything.
const HEALTHY: usize = 1;

/// A publisher rests for 5 ms at most, once a read; with what the network, the turns and the barrier of this
/// scenario's plan take, a PONG comes within this.
const ROUND_TRIP_MAX: Duration = Duration::from_millis(8);
/// Two rests can fall into one round trip.
const REST_MAX: Duration = Duration::from_millis(10);
/// A receiver that takes nothing is waited for once; mail that was under way may cause another rest.
const RESTS_MAX: u64 = 2;

struct Flood {
    /// Bytes of a flooding client's burst.
    burst_bytes: usize,
    pinged: Vec<Option<Monotonic>>,
    /// The connection ids that the server gave.
    cids: Vec<u64>,
    is_over: bool,
}

impl Flood {
    fn is_flooding(client: usize) -> bool {
        client > HEALTHY && client % 2 == 0
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
        if self.is_over {
            return;
        }
        if Flood::is_flooding(hand.client) {
            let mut left = self.burst_bytes;
            while left > 0 {
                let payload_bytes = hand.random().within(1..=2000).min(left);
                left -= payload_bytes;
                let subject = format!("flood.{}", hand.client);
                hand.publish(Publication { subject, payload_bytes, ..Publication::default() });
            }
        } else {
            hand.publish(Publication { subject: "calm".into(), payload_bytes: 100, ..Publication::default() });
        }
        self.pinged[hand.client] = Some(hand.now);
        hand.ping();
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        let Some(pinged) = self.pinged[client].take() else { return };
        let took = hand.now.since(pinged);
        let rests = if Flood::is_flooding(client) { REST_MAX } else { Duration::ZERO };
        if took > ROUND_TRIP_MAX + rests {
            hand.stage.ledger.violate(format!("client {client} waited {took:?} for a PONG"));
        }
        hand.act_in(Duration::from_millis(20));
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
        plan.server.limits.pending_max = 256 * 1024;
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
    let burst_bytes = 24_000 / count;
    let script = Flood { burst_bytes, pinged: vec![None; count], cids: vec![0; count], is_over: false };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        run.pass(Duration::from_millis(50));
        run.poke(DEAD, Poke::Script(STOP_READING));
        if dead_is_closed(&mut run) {
            run.pass(Duration::from_millis(300));
            judge(&mut run, is_pending);
        }
    }
    run.finish()
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
    let all = ConnectionQuery { open: true, closed: true, ..ConnectionQuery::default() };
    let records: Vec<ConnectionSnapshot> =
        run.ask(|sender| Order::Connections(all.clone(), sender)).into_iter().flatten().collect();
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
        let rests_max = if Flood::is_flooding(client) { RESTS_MAX } else { 0 };
        if record.stalls > rests_max {
            ledger.violate(format!("client {client} rested {} times", record.stalls));
        }
    }
    ledger.effects.add(kind, 1);
    play.script.is_over = true;
    drop(play);
    run.poke(DEAD, Poke::Script(READ_ON));
    run.pass(Duration::from_millis(100));
    if !run.has_failed() && run.settle() {
        run.count_effects();
    }
}
