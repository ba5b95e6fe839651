//! A request is answered by a 503 notice exactly when nobody received it.

use super::{Scenario, order};
use crate::ledger::Interest;
use crate::plan::{Plan, let_ask};
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::traffic::{Habits, Traffic, Weights};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "no-responders",
    about: "a request gets exactly one 503 notice when nobody received it, and none when somebody did",
    needs: &["notices", "deliveries", "queue deliveries", "envelopes", "awaited reports", "messages settled"],
    run,
};

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 16));
    // Reports are under way for a while.
    plan.world.mail_delay_max = Duration::from_millis(*random.one_of(&[1, 5, 20]));
    let count = plan.profiles.len();
    let is_requester = |client: usize| client.is_multiple_of(2);
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        profile.echo = random.chance(1, 2);
        if is_requester(client) {
            let_ask(profile);
        }
    }
    let services: Vec<String> = (0..random.within(1..=4)).map(|number| format!("svc.{number}")).collect();
    let mut interests = Vec::new();
    for pattern in services.iter().cloned().chain(["svc.*".to_owned()]) {
        for queue in [None, Some("red".to_owned()), Some("green".to_owned())] {
            interests.push(Interest { pattern: pattern.clone(), queue, ..Interest::default() });
        }
    }
    let writes = random.within(20..=60);
    let habits = (0..count)
        .map(|client| {
            let is_requester = is_requester(client);
            Habits {
                interests: interests.clone(),
                subjects: services.clone(),
                services: services.clone(),
                weights: if is_requester {
                    Weights { request: 6, subscribe: 1, unsubscribe: 1, ping: 3, publish: 1 }
                } else {
                    Weights { request: 0, subscribe: 4, unsubscribe: 6, ping: 1, publish: 1 }
                },
                answers: client % 3 == 1,
                limited_of_eight: 5,
                ..Habits::of_requests(client, is_requester, writes)
            }
        })
        .collect();
    let mut run = Run::new(plan, Traffic::new(habits), random, settings);
    order::play(&mut run);
    run.finish()
}
