//! Connections behind a layer of records: their handshakes happen elsewhere and take their time, clients send on
//! meanwhile or go, and nothing that was said is lost, changed or heard in clear.

use super::{Scenario, order};
use crate::ledger::Interest;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::Poke;
use crate::stand_in::StandIn;
use crate::traffic::{Habits, Traffic, Weights, universe};
use petrel_config::HandshakeFirst;
use petrel_engine::transport::TlsOptions;
use std::sync::Arc;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "handshakes",
    about: "handshakes that happen elsewhere lose nothing of what is said meanwhile, and leave nothing behind",
    needs: &["deliveries", "handshakes", "sweeps"],
    run,
};

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3], (3, 12));
    // Longer than a client's first bytes may take: who begins at once must not be greeted in clear.
    let in_time = HandshakeFirst::Within(Duration::from_secs(10));
    let first = *random.one_of(&[HandshakeFirst::No, HandshakeFirst::Always, in_time]);
    plan.server.tls = Some(Arc::new(TlsOptions {
        channels: Arc::new(StandIn),
        required: random.chance(1, 2),
        first,
        // Longer than all delays of a plan add up to.
        timeout: Duration::from_secs(60),
        maps_certificates: false,
        pinned: None,
        rate: None,
        users_by_subject: Default::default(),
    }));
    plan.handshake_delay_max = Duration::from_millis(*random.one_of(&[0, 5, 50]));
    let (subjects, patterns) = universe(&mut random, "handshakes");
    let habits = (0..plan.profiles.len())
        .map(|_| Habits {
            permanent: vec![Interest { pattern: random.one_of(&patterns).clone(), ..Interest::default() }],
            interests: Vec::new(),
            subjects: subjects.clone(),
            weights: Weights { publish: 6, subscribe: 0, unsubscribe: 0, ping: 1, request: 0 },
            writes: 15,
            pause_max: Duration::from_millis(10),
            verbs_max: 4,
            payload_bytes_max: *random.one_of(&[40, 3000]),
            ..Habits::default()
        })
        .collect();
    let client_count = plan.profiles.len();
    let mut run = Run::new(plan, Traffic::new(habits), random.clone(), settings);
    // Some go while they are being let in, and come back.
    for _ in 0..random.within(2..=12) {
        run.pass(random.pause(Duration::from_millis(8)));
        let client = random.below(client_count);
        run.poke(client, Poke::Leave);
        run.pass(random.pause(Duration::from_millis(2)));
        run.poke(client, Poke::Connect);
    }
    order::play(&mut run);
    run.count_handshakes();
    if !run.has_failed() {
        // Until the server has heard of all who went.
        run.pass(Duration::from_secs(90));
        let held_bytes: u64 = run.statistics().iter().map(|core| core.pending_bytes).sum();
        if held_bytes > 0 {
            run.play_mut().stage.ledger.violate(format!("{held_bytes} bytes are held for nobody"));
        }
    }
    run.finish()
}
