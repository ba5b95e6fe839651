//! A PONG comes behind everything that was acknowledged before its PING, on all cores; nothing is lost.

use super::{Scenario, order};
use crate::ledger::Interest;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::traffic::{Habits, Traffic, Weights, universe};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "barrier",
    about: "a PONG comes behind every message that was acknowledged to its publisher before the PING",
    needs: &["deliveries", "envelopes", "delayed PONGs", "MailSplit", "sweeps"],
    run,
};

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 20));
    let (subjects, patterns) = universe(&mut random, "barrier");
    let writes = random.within(10..=40);
    let habits = (0..plan.profiles.len())
        .map(|_| {
            let permanent = (0..random.within(0..=3))
                .map(|_| Interest { pattern: random.one_of(&patterns).clone(), ..Interest::default() });
            Habits {
                permanent: permanent.collect(),
                interests: patterns
                    .iter()
                    .map(|pattern| Interest { pattern: pattern.clone(), ..Interest::default() })
                    .collect(),
                subjects: subjects.clone(),
                weights: Weights { publish: 4, subscribe: 2, unsubscribe: 1, ping: 4, request: 0 },
                writes,
                pause_max: Duration::from_millis(20),
                verbs_max: 4,
                payload_bytes_max: 200,
                limited_of_eight: 2,
                ..Habits::default()
            }
        })
        .collect();
    let mut run = Run::new(plan, Traffic::new(habits), random, settings);
    order::play(&mut run);
    run.finish()
}
