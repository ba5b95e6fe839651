//! Clients wait while other cores have no room for what they would bring, and all of them go on: with a small
//! `max_pending` little may be under way between two cores, less than one read brings.

use super::{Scenario, order};
use crate::ledger::{Interest, Profile};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::traffic::{Habits, Traffic, Weights, universe};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "room",
    about: "who waits until another core has room goes on, and what it publishes arrives in order, whole and once",
    needs: &["deliveries", "envelopes", "waits for room", "MailSplit"],
    run,
};

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[2, 3, 4], (4, 16));
    let (subjects, patterns) = universe(&mut random, "room");
    let micros = Duration::from_micros;
    // What waits is to wait between the cores, not for receivers: those take what comes.
    plan.world.latency = (micros(10), micros(50));
    plan.world.socket_buffer_bytes = (1_000_000, 1_000_000);
    // Several clients have said something when a core looks.
    plan.world.turn = (micros(1), micros(*random.one_of(&[10, 500])));
    plan.world.notice_max = micros(*random.one_of(&[20, 2000]));
    plan.profiles.iter_mut().for_each(|profile| *profile = Profile::default());
    plan.server.limits.pending_max = 64 * 1024;
    plan.server.limits.payload_max = 64 * 1024;
    let payload_bytes_max = *random.one_of(&[2000, 10_000, 20_000]);
    let count = plan.profiles.len();
    let writes = random.within(10..=30);
    let habits = (0..count)
        .map(|client| Habits {
            permanent: vec![Interest { pattern: random.one_of(&patterns).clone(), ..Interest::default() }],
            subjects: subjects.clone(),
            weights: Weights { publish: 8, ping: 1, ..Weights::default() },
            // Not everybody publishes.
            writes: if client % 3 == 0 { 0 } else { writes },
            pause_max: Duration::from_millis(5),
            verbs_max: 3,
            payload_bytes_max,
            ..Habits::default()
        })
        .collect();
    let mut run = Run::new(plan, Traffic::new(habits), random, settings);
    order::play(&mut run);
    run.finish()
}
