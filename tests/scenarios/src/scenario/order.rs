//! Each subscription gets the messages of a publisher in the order published, whole and once; what was sent
//! before a client closed its side takes effect.

use super::Scenario;
use crate::ledger::Interest;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::Poke;
use crate::traffic::{BEGIN, Habits, Traffic, Weights, universe};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "order",
    about: "messages of a publisher arrive in order, whole and once, however fast they are published",
    needs: &[
        "deliveries",
        "envelopes",
        "delayed PONGs",
        "MailboxFull",
        "MailSplit",
        "SendPending",
        "departures",
    ],
    run,
};

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 30));
    let (subjects, patterns) = universe(&mut random, "order");
    let count = plan.profiles.len();
    let payload_bytes_max = *random.one_of(&[100, 3000, 80_000]);
    // Large payloads through small buffers would only take long.
    if payload_bytes_max > 10_000 {
        plan.world.socket_buffer_bytes = (65_536, 262_144);
    }
    let (writes_max, verbs_max) = if payload_bytes_max > 10_000 { (50, 4) } else { (240, 12) };
    let writes = random.within(4..=30).min(1 + writes_max / count);
    let habits = (0..count)
        .map(|client| {
            let permanent = (0..random.within(0..=2))
                .map(|_| Interest { pattern: random.one_of(&patterns).clone(), ..Interest::default() });
            Habits {
                permanent: permanent.collect(),
                interests: patterns.iter().map(|pattern| plain(pattern)).collect(),
                subjects: subjects.clone(),
                weights: Weights { publish: 20, subscribe: 2, unsubscribe: 1, ping: 1, request: 0 },
                // Not everybody publishes.
                writes: if client % 3 == 0 { 0 } else { writes },
                pause_max: Duration::from_millis(10),
                verbs_max,
                payload_bytes_max,
                departs: client % 5 == 4,
                limited_of_eight: 2,
                ..Habits::default()
            }
        })
        .collect();
    let mut run = Run::new(plan, Traffic::new(habits), random, settings);
    play(&mut run);
    run.finish()
}

fn plain(pattern: &str) -> Interest {
    Interest { pattern: pattern.to_owned(), ..Interest::default() }
}

/// Lets everybody do what he has to do, and judges the end.
pub(super) fn play(run: &mut Run<Traffic>) {
    if !run.open() {
        return;
    }
    run.poke_all(Poke::Script(BEGIN));
    run.until_with_sweeps(Duration::from_secs(300), |play| play.script.busy == 0);
    if run.must(Duration::ZERO, "the end of all writes", |play| play.script.busy == 0) && run.settle() {
        run.count_effects();
    }
}
