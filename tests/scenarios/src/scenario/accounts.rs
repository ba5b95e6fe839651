//! Two accounts: one exports a stream and services, the other imports them. Whatever holds within an account holds
//! between them.

use super::two_accounts::{divide, export, pair, service, service_import, stream_import};
use super::{Scenario, order};
use crate::ledger::{Account, Interest};
use crate::plan::{Plan, let_ask};
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::traffic::{Habits, Traffic, Weights};
use petrel_config::{Account as ConfiguredAccount, ExportKind, ResponseType};
use std::time::Duration;

pub(super) const STREAMS: Scenario = Scenario {
    name: "stream-imports",
    about: "importers get the exporter's messages as if they were there: in order, none lost, none twice, and 503",
    needs: &["notices", "deliveries", "queue deliveries", "envelopes", "messages settled"],
    run: streams,
};

pub(super) const SERVICES: Scenario = Scenario {
    name: "service-imports",
    about: "a request to another account reaches one responder, is answered once, or gets its 503 notice",
    needs: &["notices", "deliveries", "queue deliveries", "envelopes", "awaited reports", "messages settled"],
    run: services,
};

pub(super) const SERVICE_STREAMS: Scenario = Scenario {
    name: "service-streams",
    about: "a request to another account that has several answers gets all of them, in order",
    needs: &["notices", "deliveries", "queue deliveries", "envelopes", "further answers", "messages settled"],
    run: service_streams,
};

/// What the one account exports and the other imports.
fn accounts() -> Vec<ConfiguredAccount> {
    let exports = vec![
        export("pub.>", ExportKind::Stream),
        export("svc.>", service(ResponseType::Singleton)),
        export("many.>", service(ResponseType::Stream)),
    ];
    let imports = vec![
        stream_import("pub.>", "in.pub.>"),
        service_import("svc.>", "ask.>"),
        service_import("many.>", "get.>"),
    ];
    pair(exports, imports)
}

fn interests(patterns: &[String]) -> Vec<Interest> {
    let mut interests = Vec::new();
    for pattern in patterns {
        for queue in [None, None, Some("red".to_owned())] {
            interests.push(Interest { pattern: pattern.clone(), queue, ..Interest::default() });
        }
    }
    interests
}

fn streams(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, STREAMS.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 12));
    divide(&mut plan, accounts(), |client| !client.is_multiple_of(2));
    let subjects: Vec<String> = (0..3).map(|number| format!("pub.{number}")).collect();
    let there: Vec<String> = subjects.iter().cloned().chain(["pub.*".to_owned()]).collect();
    let mut here: Vec<String> = subjects.iter().map(|subject| format!("in.{subject}")).collect();
    here.extend(["in.pub.*", "*.*.1", "in.>", ">"].map(str::to_owned));
    let writes = random.within(20..=50);
    let mut habits = Vec::new();
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        let is_exporter = profile.account == Account::Exporter;
        let is_requester = is_exporter && client.is_multiple_of(4);
        if is_requester {
            let_ask(profile);
        }
        habits.push(Habits {
            interests: interests(if is_exporter { &there } else { &here }),
            subjects: subjects.clone(),
            services: subjects.clone(),
            weights: match (is_exporter, is_requester) {
                (true, true) => Weights { publish: 4, request: 6, subscribe: 1, unsubscribe: 2, ping: 3 },
                (true, false) => Weights { publish: 8, request: 0, subscribe: 1, unsubscribe: 2, ping: 1 },
                (false, _) => Weights { publish: 0, request: 0, subscribe: 5, unsubscribe: 6, ping: 2 },
            },
            payload_bytes_max: 300,
            limited_of_eight: 3,
            ..Habits::of_requests(client, is_requester, writes)
        });
    }
    let mut run = Run::new(plan, Traffic::new(habits), random, settings);
    order::play(&mut run);
    run.finish()
}

fn services(seed: u64, settings: &Settings) -> Outcome {
    ask(seed, settings, &SERVICES, ("ask", "svc"))
}

fn service_streams(seed: u64, settings: &Settings) -> Outcome {
    ask(seed, settings, &SERVICE_STREAMS, ("get", "many"))
}

/// Importers ask under the first subject, exporters answer under the second.
fn ask(seed: u64, settings: &Settings, scenario: &Scenario, (here, there): (&str, &str)) -> Outcome {
    let mut random = Random::new(seed, scenario.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 12));
    plan.world.mail_delay_max = Duration::from_millis(*random.one_of(&[1, 5, 20]));
    divide(&mut plan, accounts(), |client| client.is_multiple_of(2));
    let names: Vec<String> = (0..random.within(1..=3)).map(|number| number.to_string()).collect();
    let asked: Vec<String> = names.iter().map(|name| format!("{here}.{name}")).collect();
    // One group, so that each request has one responder.
    let group = |pattern: String| Interest { pattern, queue: Some("red".into()), ..Interest::default() };
    let mut offered: Vec<Interest> = names.iter().map(|name| group(format!("{there}.{name}"))).collect();
    offered.push(group(format!("{there}.*")));
    // Others than the requester hear the answers as well, on other cores, and groups of them.
    let overheard: Vec<Interest> = (0..plan.profiles.len())
        .filter(|client| client.is_multiple_of(2))
        .map(Habits::inbox)
        .chain(["_INBOX.*.*".to_owned()])
        .flat_map(|pattern| {
            [None, Some("blue".to_owned())].map(|queue| Interest {
                pattern: pattern.clone(),
                queue,
                ..Interest::default()
            })
        })
        .collect();
    let writes = random.within(20..=50);
    let mut habits = Vec::new();
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        let is_importer = profile.account == Account::Importer;
        if is_importer {
            let_ask(profile);
        }
        habits.push(Habits {
            interests: if is_importer { overheard.clone() } else { offered.clone() },
            subjects: asked.clone(),
            services: asked.clone(),
            weights: if is_importer {
                Weights { publish: 1, request: 6, subscribe: 2, unsubscribe: 2, ping: 3 }
            } else {
                Weights { publish: 0, request: 0, subscribe: 5, unsubscribe: 5, ping: 2 }
            },
            answers: !is_importer,
            answers_twice: there == "svc",
            answers_max: if there == "svc" { 1 } else { 4 },
            limited_of_eight: 3,
            ..Habits::of_requests(client, is_importer, writes)
        });
    }
    let mut run = Run::new(plan, Traffic::new(habits), random, settings);
    order::play(&mut run);
    run.finish()
}
