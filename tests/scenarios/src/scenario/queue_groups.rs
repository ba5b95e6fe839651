//! Each message goes to exactly one member of each queue group that has somebody, whoever joins, leaves, has had
//! enough, or publishes himself and wants no echo.

use super::{Scenario, order};
use crate::ledger::Interest;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::traffic::{Habits, Traffic, Weights, universe};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "queue-groups",
    about: "each message to a group with members is delivered to exactly one of them",
    needs: &["queue deliveries", "envelopes", "returned queue envelopes", "messages settled", "MailSplit"],
    run,
};

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 16));
    let (subjects, patterns) = universe(&mut random, "work");
    let count = plan.profiles.len();
    // Members that have left are asked until the news arrives.
    plan.world.mail_delay_max = Duration::from_millis(*random.one_of(&[1, 5, 20]));
    for profile in &mut plan.profiles {
        profile.echo = random.chance(2, 3);
    }
    let groups = &["red", "green"][..random.within(1..=2)];
    let member = |pattern: &String, group: &str| Interest {
        pattern: pattern.clone(),
        queue: Some(group.to_owned()),
        ..Interest::default()
    };
    // Members of one group at several patterns are one group.
    let interests: Vec<Interest> =
        groups.iter().flat_map(|group| patterns.iter().map(|pattern| member(pattern, group))).collect();
    let writes = random.within(10..=40);
    let permanent =
        |pattern: &str, group: &str| Interest { is_permanent: true, ..member(&pattern.to_owned(), group) };
    let mut habits: Vec<Habits> = (0..count)
        .map(|client| Habits {
            interests: interests.clone(),
            subjects: subjects.clone(),
            weights: match client % 3 {
                0 => Weights { publish: 1, subscribe: 6, unsubscribe: 5, ping: 1, request: 0 },
                1 => Weights { publish: 10, subscribe: 0, unsubscribe: 0, ping: 1, request: 0 },
                _ => Weights { publish: 4, subscribe: 3, unsubscribe: 3, ping: 1, request: 0 },
            },
            writes,
            pause_max: Duration::from_millis(10),
            verbs_max: 6,
            payload_bytes_max: 200,
            limited_of_eight: 4,
            ..Habits::default()
        })
        .collect();
    for group in groups {
        for _ in 0..random.within(1..=3) {
            let chosen = random.below(count);
            let pattern = random.one_of(&patterns).clone();
            habits[chosen].permanent.push(permanent(&pattern, group));
        }
        // Somebody is always there for everything.
        let chosen = random.below(count);
        habits[chosen].permanent.push(permanent("work.>", group));
        let chosen = random.below(count);
        habits[chosen].permanent.push(permanent("work", group));
    }
    // A plain listener must not disturb the groups.
    habits[0].permanent.push(Interest { pattern: ">".into(), ..Interest::default() });
    let mut run = Run::new(plan, Traffic::new(habits), random, settings);
    order::play(&mut run);
    run.finish()
}
