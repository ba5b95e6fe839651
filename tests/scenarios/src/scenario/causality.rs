//! A client subscribes to a fresh inbox and sends a request in one write, with no PING between. Whoever answers,
//! after whatever detours over other connections, the answer finds the inbox.

use super::Scenario;
use crate::ledger::{Interest, MessageId, Publication, SubscriptionId};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "causality",
    about: "an answer finds the inbox that was subscribed to right before the request, over any detour",
    needs: &["answers", "forwarded requests", "envelopes", "delayed PUBs", "MailSplit"],
    run,
};

/// Told to all clients when everything is set up.
const BEGIN: u32 = 1;
/// Most times a request is passed on.
const DETOURS_MAX: usize = 3;

/// A request that waits for its answer.
struct Request {
    requester: usize,
    subscription: SubscriptionId,
}

/// All clients answer on a subject of their own; most also ask.
struct Conversation {
    /// Requests that each client still makes.
    left: Vec<usize>,
    made: usize,
    pause_max: Duration,
    /// Requests by inbox.
    waiting: BTreeMap<String, Request>,
    /// How often each request was passed on, by inbox.
    detours: BTreeMap<String, usize>,
}

impl Conversation {
    fn ask(&mut self, hand: &mut Hand<'_>) {
        self.made += 1;
        let inbox = format!("inbox.{}.{}", hand.client, self.made);
        let client = hand.client;
        // A pattern as often as the literal subject; both must be known everywhere in time.
        let pattern = match hand.random().below(4) {
            0 => format!("inbox.{client}.{}.>", self.made),
            1 => format!("*.{client}.{}.*", self.made),
            _ => format!("{inbox}.a"),
        };
        let max = hand.random().chance(1, 3).then_some(1);
        let subscription = hand.subscribe(Interest { pattern, max, ..Interest::default() });
        let inbox = format!("{inbox}.a");
        self.waiting.insert(inbox.clone(), Request { requester: client, subscription });
        let service = hand.stage.random.below(hand.stage.profiles.len());
        let with_headers = hand.random().chance(1, 4);
        let payload_bytes = hand.random().below(200);
        hand.publish(Publication {
            subject: format!("service.{service}"),
            reply: Some(inbox),
            payload_bytes,
            with_headers,
        });
        if hand.random().chance(1, 4) {
            hand.ping();
        }
    }

    fn answered(&mut self, inbox: &str, subscription: SubscriptionId, hand: &mut Hand<'_>) {
        let Some(request) = self.waiting.remove(inbox) else {
            hand.stage.ledger.violate(format!("a second answer on {inbox:?}"));
            return;
        };
        if request.requester != hand.client || request.subscription != subscription {
            hand.stage.ledger.violate(format!("the answer on {inbox:?} went to client {}", hand.client));
        }
        hand.stage.ledger.effects.add("answers", 1);
        if hand.stage.ledger.subscription(subscription).interest.max.is_none() {
            hand.unsubscribe(subscription, None);
        }
    }
}

impl Script for Conversation {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        // Some services have a group of one, so that requests travel as queue envelopes too.
        let queue = hand.random().chance(1, 3).then(|| "workers".to_owned());
        let pattern = format!("service.{}", hand.client);
        hand.subscribe(Interest { pattern, queue, is_permanent: true, ..Interest::default() });
    }

    fn poked(&mut self, _: u32, hand: &mut Hand<'_>) {
        let pause = hand.stage.random.pause(self.pause_max);
        hand.act_in(pause);
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.left[hand.client] == 0 {
            return;
        }
        self.left[hand.client] -= 1;
        self.ask(hand);
        let pause = hand.stage.random.pause(self.pause_max);
        hand.act_in(pause);
    }

    fn message(&mut self, message: MessageId, subscription: SubscriptionId, hand: &mut Hand<'_>) {
        let publication = hand.stage.ledger.message(message).publication.clone();
        let Some(inbox) = publication.reply else {
            self.answered(&publication.subject, subscription, hand);
            return;
        };
        let detours = self.detours.entry(inbox.clone()).or_default();
        if *detours < DETOURS_MAX && hand.stage.random.chance(1, 2) {
            *detours += 1;
            hand.stage.ledger.effects.add("forwarded requests", 1);
            let next = hand.stage.random.below(hand.stage.profiles.len());
            let subject = format!("service.{next}");
            hand.publish(Publication { subject, reply: Some(inbox), ..Publication::default() });
        } else {
            hand.publish(Publication { subject: inbox, payload_bytes: 20, ..Publication::default() });
        }
    }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 3, 4, 4], (4, 16));
    if random.chance(2, 3) {
        // Clients answer sooner than the cores hear of each other's interest.
        let micros = Duration::from_micros;
        plan.world.latency = (micros(10), micros(50));
        plan.world.jitter_max = micros(20);
        plan.world.turn = (micros(1), micros(20));
        plan.world.mail_delay_max = micros(*random.one_of(&[2000, 20_000]));
    }
    let requests = random.within(10..=40);
    let left: Vec<usize> =
        (0..plan.profiles.len()).map(|client| if client % 4 == 3 { 0 } else { requests }).collect();
    let script = Conversation {
        left,
        made: 0,
        pause_max: Duration::from_millis(*random.one_of(&[2, 20])),
        waiting: BTreeMap::new(),
        detours: BTreeMap::new(),
    };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        let is_done = |play: &crate::client::Play<Conversation>| {
            play.script.waiting.is_empty() && play.script.left.iter().all(|left| *left == 0)
        };
        run.until(Duration::from_secs(60), is_done);
        let lost: Vec<String> = run.play().script.waiting.keys().cloned().collect();
        for inbox in lost {
            run.play_mut().stage.ledger.violate(format!("no answer came on {inbox:?}"));
        }
        if !run.has_failed() && run.settle() {
            run.count_effects();
        }
    }
    run.finish()
}
