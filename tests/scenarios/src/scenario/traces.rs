//! A followed message has one event, which lists everybody who received it, on whatever core and in whatever account.

use super::Scenario;
use super::two_accounts::{divide, export, pair, service, service_import, stream_import};
use super::witness::Witness;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Judge, Poke, Script};
use crate::wire::Received;
use petrel_config::{Account, Export, ExportKind, Import, ResponseType};
use std::collections::VecDeque;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "traces",
    about: "a followed message has one event that lists its receivers; only followed, it has none",
    needs: &["streams", "requests", "answers", "not delivered", "egresses", "envelopes", "events due"],
    run,
};

/// Hear the events of the two accounts.
const LISTENERS: [usize; 2] = [0, 1];
const BEGIN: u32 = 1;
const LISTEN: u32 = 2;
/// Sids of subscriptions that come and go begin here; those below stay.
const FIRST_SID: u64 = 10;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Stream,
    Request,
    Answer,
}

struct Followed {
    kind: Kind,
    publisher: usize,
    is_only: bool,
    deliveries: u64,
    events: Vec<serde_json::Value>,
}

struct Traces {
    followed: Vec<Followed>,
    left: Vec<usize>,
    /// Subscriptions of each client that come and go.
    passing: Vec<Vec<u64>>,
    next_sid: u64,
    /// What the PINGs of a client stand behind.
    pinged: Vec<VecDeque<usize>>,
    witnesses: [Witness; 2],
}

fn is_importer(client: usize) -> bool {
    !client.is_multiple_of(2)
}

/// The followed message that a header names.
fn named(headers: &[u8]) -> Option<usize> {
    let text = String::from_utf8_lossy(headers);
    text.split("Followed: ").nth(1)?.lines().next()?.parse().ok()
}

impl Traces {
    fn publish(&mut self, kind: Kind, subject: &str, reply: Option<&str>, hand: &mut Hand<'_>) {
        let number = self.followed.len();
        let is_only = hand.random().chance(1, 5);
        let only = if is_only { "Nats-Trace-Only: true\r\n" } else { "" };
        let block = format!("NATS/1.0\r\nNats-Trace-Dest: tr\r\n{only}Followed: {number}\r\n\r\n");
        let reply = reply.map_or(String::new(), |reply| format!("{reply} "));
        let (bytes, all) = (block.len(), block.len() + 1);
        hand.raw(format!("HPUB {subject} {reply}{bytes} {all}\r\n{block}x\r\n").as_bytes());
        hand.ping();
        let events = Vec::new();
        self.followed.push(Followed { kind, publisher: hand.client, is_only, deliveries: 0, events });
        self.pinged[hand.client].push_back(number);
        let effect = match kind {
            Kind::Stream => "streams",
            Kind::Request => "requests",
            Kind::Answer => "answers",
        };
        hand.stage.ledger.effects.add(effect, 1);
    }

    fn subscribe(&mut self, hand: &mut Hand<'_>) {
        let patterns: &[&str] = if is_importer(hand.client) {
            &["in.pub.*", "in.pub.1", "in.>"]
        } else {
            &["pub.*", "pub.1", "pub.2"]
        };
        let pattern = *hand.random().one_of(patterns);
        let group = *hand.random().one_of(&["", "", " red"]);
        self.next_sid += 1;
        self.passing[hand.client].push(self.next_sid);
        hand.raw(format!("SUB {pattern}{group} {}\r\n", self.next_sid).as_bytes());
    }
}

impl Judge for Traces {
    fn judge(&self, ledger: &mut Ledger) {
        for (number, followed) in self.followed.iter().enumerate() {
            let Followed { kind, is_only, deliveries, events, .. } = followed;
            let [event] = &events[..] else {
                ledger.violate(format!("{kind:?} {number} has {} events", events.len()));
                continue;
            };
            let of_type = |kind: &str| {
                let list = event["events"].as_array().into_iter().flatten();
                list.filter(|event| event["type"] == *kind && event.get("error").is_none()).count() as u64
            };
            let egresses = of_type("eg");
            ledger.effects.add("egresses", egresses);
            let is_listed = match kind {
                // Who hears an answer is not told: it is followed no further than to the other account.
                Kind::Answer => egresses == 0 && of_type("si") == 1 && *deliveries == u64::from(!is_only),
                _ if *is_only => *deliveries == 0,
                _ => egresses == *deliveries,
            };
            if *is_only {
                ledger.effects.add("not delivered", 1);
            }
            if !is_listed {
                ledger.violate(format!(
                    "{kind:?} {number} (only {is_only}) was received {deliveries} times: {event}"
                ));
            }
        }
    }
}

impl Script for Traces {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        if LISTENERS.contains(&hand.client) {
            hand.raw(b"SUB tr 1\r\n");
        } else if is_importer(hand.client) {
            hand.raw(format!("SUB inbox.{} 1\r\n", hand.client).as_bytes());
        } else {
            hand.raw(b"SUB svc.* red 1\r\n");
        }
    }

    fn poked(&mut self, word: u32, hand: &mut Hand<'_>) {
        match word {
            BEGIN if self.left[hand.client] > 0 => hand.act_in(Duration::from_micros(1)),
            LISTEN => self.witnesses[hand.client].look(hand),
            _ => {}
        }
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.left[hand.client] == 0 {
            return;
        }
        self.left[hand.client] -= 1;
        match hand.random().below(4) {
            0 => self.subscribe(hand),
            1 if !self.passing[hand.client].is_empty() => {
                let sid = self.passing[hand.client].remove(0);
                hand.raw(format!("UNSUB {sid}\r\n").as_bytes());
            }
            _ if is_importer(hand.client) => {
                let inbox = format!("inbox.{}", hand.client);
                self.publish(Kind::Request, "ask.1", Some(&inbox), hand);
            }
            _ => {
                let subject = *hand.random().one_of(&["pub.1", "pub.2"]);
                self.publish(Kind::Stream, subject, None, hand);
            }
        }
        let pause = hand.random().pause(Duration::from_millis(30));
        hand.act_in(pause);
    }

    fn takes(&mut self, received: &Received, hand: &mut Hand<'_>) -> bool {
        if LISTENERS.contains(&hand.client) {
            let event: serde_json::Value = serde_json::from_slice(&received.payload).unwrap_or_default();
            let number =
                event["request"]["header"]["Followed"][0].as_str().and_then(|text| text.parse().ok());
            match number.and_then(|number: usize| self.followed.get_mut(number)) {
                Some(followed) if is_importer(followed.publisher) == is_importer(hand.client) => {
                    followed.events.push(event);
                }
                _ => hand.stage.ledger.violate(format!("an event of nothing here: {event}")),
            }
            return true;
        }
        let number = received.headers.as_deref().and_then(named);
        match number.and_then(|number| self.followed.get_mut(number)) {
            Some(followed) => followed.deliveries += 1,
            None => hand.stage.ledger.violate(format!("nobody published this to {}", received.subject)),
        }
        if received.subject.starts_with("svc.")
            && let Some(way_back) = &received.reply
        {
            self.publish(Kind::Answer, way_back, None, hand);
        }
        true
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        if LISTENERS.contains(&hand.client) {
            let followed = &self.followed;
            self.witnesses[hand.client].looked(hand, |number| !followed[number].events.is_empty());
        } else if let Some(number) = self.pinged[hand.client].pop_front() {
            let listener = usize::from(is_importer(hand.client));
            self.witnesses[listener].acknowledged(number);
            hand.stage.poke(LISTENERS[listener], Poke::Script(LISTEN));
        }
    }
}

fn accounts() -> Vec<Account> {
    let service = Export { allow_trace: true, ..export("svc.>", service(ResponseType::Singleton)) };
    let stream = Import { allow_trace: true, ..stream_import("pub.>", "in.pub.>") };
    pair(vec![export("pub.>", ExportKind::Stream), service], vec![stream, service_import("svc.>", "ask.>")])
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (6, 12));
    for profile in &mut plan.profiles {
        (profile.headers, profile.verbose) = (true, false);
    }
    divide(&mut plan, accounts(), is_importer);
    let count = plan.profiles.len();
    let writes = random.within(5..=25);
    let script = Traces {
        followed: Vec::new(),
        left: (0..count).map(|client| if LISTENERS.contains(&client) { 0 } else { writes }).collect(),
        passing: vec![Vec::new(); count],
        next_sid: FIRST_SID,
        pinged: vec![VecDeque::new(); count],
        witnesses: [Witness::default(), Witness::default()],
    };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        let is_written = run.must(Duration::from_secs(60), "all messages", |play| {
            play.script.left.iter().all(|left| *left == 0)
        });
        // Requests arrive, then their answers, then the events of both.
        if is_written {
            run.conclude(4);
        }
    }
    run.finish()
}
