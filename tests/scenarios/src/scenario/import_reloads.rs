//! A reload adds and takes away what leads from account to account while messages are under way: between reloads all
//! of it holds on all cores, or nothing; meanwhile nothing comes twice, and each request has one end.

use super::Scenario;
use super::two_accounts::{divide, export, pair, service, service_import, stream_import, with_accounts};
use crate::ledger::Ledger;
use crate::plan::{Plan, let_ask};
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Judge, Poke, Script};
use crate::wire::Received;
use petrel_config::{Account, ExportKind, ResponseType};
use std::collections::BTreeMap;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "import-reloads",
    about: "imports that come and go by reloads hold for all or for nobody, and requests under way are answered",
    needs: &[
        "imported",
        "not imported",
        "answers",
        "notices",
        "between reloads",
        "reloads that overlap",
        "envelopes",
    ],
    run,
};

const BEGIN: u32 = 1;
const PLAIN_SID: u64 = 1;
const QUEUE_SID: u64 = 2;

/// What a client published.
struct Sent {
    publisher: usize,
    is_request: bool,
    /// Whether the imports were there; `None`: a reload was under way.
    imports: Option<bool>,
    /// How often each client got it on its plain subscription.
    plain: BTreeMap<usize, u32>,
    queue: u32,
    answers: u32,
    notices: u32,
}

struct Reloads {
    sent: Vec<Sent>,
    imports: Option<bool>,
    is_over: bool,
    /// The last message of a publisher that each client got.
    last: BTreeMap<(usize, usize), usize>,
    importers: usize,
}

fn is_importer(client: usize) -> bool {
    !client.is_multiple_of(2)
}

impl Reloads {
    fn publish(&mut self, hand: &mut Hand<'_>) {
        let (client, number) = (hand.client, self.sent.len());
        let is_request = is_importer(client);
        let length = number.to_string().len();
        let text = match is_request {
            true => format!("PUB ask.1 inbox.{client}.{number} {length}\r\n{number}\r\n"),
            false => format!("PUB pub.1 {length}\r\n{number}\r\n"),
        };
        hand.raw(text.as_bytes());
        self.sent.push(Sent {
            publisher: client,
            is_request,
            imports: self.imports,
            plain: BTreeMap::new(),
            queue: 0,
            answers: 0,
            notices: 0,
        });
    }
}

impl Judge for Reloads {
    fn judge(&self, ledger: &mut Ledger) {
        for (number, sent) in self.sent.iter().enumerate() {
            let Sent { is_request, imports, plain, queue, answers, notices, .. } = sent;
            let copies: u32 = plain.values().sum();
            let is_right = match (is_request, imports) {
                (true, Some(true)) => (*answers, *notices) == (1, 0),
                (true, Some(false)) => (*answers, *notices) == (0, 1),
                (true, None) => answers + notices == 1,
                (false, Some(true)) => plain.len() == self.importers && *queue == 1,
                (false, Some(false)) => copies == 0 && *queue == 0,
                (false, None) => *queue <= 1,
            };
            if !is_right || plain.values().any(|count| *count > 1) {
                ledger.violate(format!(
                    "message {number} (request {is_request}, imports {imports:?}) came {copies} times to {} of {} \
                     importers and {queue} times to their group; {answers} answers, {notices} notices",
                    plain.len(),
                    self.importers
                ));
            }
            let effect = match imports {
                Some(true) => "imported",
                Some(false) => "not imported",
                None => "between reloads",
            };
            ledger.effects.add(effect, 1);
            ledger.effects.add("answers", u64::from(*answers));
            ledger.effects.add("notices", u64::from(*notices));
        }
    }
}

impl Script for Reloads {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        if is_importer(client) {
            let subscriptions = format!(
                "SUB in.pub.* {PLAIN_SID}\r\nSUB in.*.1 red {QUEUE_SID}\r\nSUB inbox.{client}.* 3\r\n"
            );
            hand.raw(subscriptions.as_bytes());
        } else {
            hand.raw(b"SUB svc.* red 1\r\n");
        }
    }

    fn poked(&mut self, _: u32, hand: &mut Hand<'_>) {
        hand.act_in(Duration::from_micros(1));
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.is_over {
            return;
        }
        for _ in 0..hand.random().within(1..=3) {
            self.publish(hand);
        }
        // Nobody runs ahead of the server.
        hand.ping();
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        let pause = hand.random().pause(Duration::from_millis(20));
        hand.act_in(pause);
    }

    fn takes(&mut self, received: &Received, hand: &mut Hand<'_>) -> bool {
        let client = hand.client;
        let is_notice =
            received.headers.as_deref().is_some_and(|headers| headers.starts_with(b"NATS/1.0 503\r\n"));
        let text = match is_notice {
            true => received.subject.rsplit('.').next().unwrap_or_default().to_owned(),
            false => String::from_utf8_lossy(&received.payload).into_owned(),
        };
        let number = text.parse::<usize>().ok();
        let Some(sent) = number.and_then(|number| self.sent.get_mut(number)) else {
            hand.stage.ledger.violate(format!("nobody published {text:?} on {}", received.subject));
            return true;
        };
        match (is_importer(client), received.sid) {
            (false, _) => {
                if let Some(reply) = &received.reply {
                    hand.raw(format!("PUB {reply} {}\r\n{text}\r\n", text.len()).as_bytes());
                }
            }
            (true, PLAIN_SID) => {
                *sent.plain.entry(client).or_default() += 1;
                let last = self.last.insert((sent.publisher, client), number.unwrap_or_default());
                if last >= number {
                    hand.stage.ledger.violate(format!("client {client} got {number:?} after {last:?}"));
                }
            }
            (true, QUEUE_SID) => sent.queue += 1,
            _ if is_notice => sent.notices += 1,
            _ => sent.answers += 1,
        }
        true
    }
}

fn accounts(with_imports: bool) -> Vec<Account> {
    let exports =
        vec![export("pub.>", ExportKind::Stream), export("svc.>", service(ResponseType::Singleton))];
    let imports = vec![stream_import("pub.>", "in.pub.>"), service_import("svc.>", "ask.>")];
    pair(exports, if with_imports { imports } else { Vec::new() })
}

/// Takes the imports away or brings them back, as the control plane does it. Whether all went well.
fn reload(run: &mut Run<Reloads>, with_imports: bool) -> bool {
    // What was published so far is handled; what is published from now on may see either.
    run.play_mut().script.imports = None;
    if !run.sweep() {
        return false;
    }
    let options = with_accounts(&run.plan.server, accounts(with_imports));
    if run.play_mut().stage.random.chance(1, 3) {
        let ahead = run.play_mut().stage.random.pause(Duration::from_millis(5));
        run.reload_anew(options, ahead);
    } else {
        run.reload(options);
    }
    // Who has a PONG now has what the reload changed.
    let is_done = run.sweep();
    run.play_mut().script.imports = Some(with_imports);
    is_done
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 10));
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        profile.verbose = false;
        if is_importer(client) {
            let_ask(profile);
        }
    }
    divide(&mut plan, accounts(true), is_importer);
    // A few subscriptions are looked at in a turn, so that messages come between.
    plan.reviewed_a_turn = Some(random.within(1..=3));
    let importers = (0..plan.profiles.len()).filter(|client| is_importer(*client)).count();
    let reloads = random.within(2..=5);
    let script =
        Reloads { sent: Vec::new(), imports: Some(true), is_over: false, last: BTreeMap::new(), importers };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        let mut with_imports = true;
        let is_done = (0..reloads).all(|_| {
            run.pass(Duration::from_millis(50));
            with_imports = !with_imports;
            reload(&mut run, with_imports)
        });
        run.pass(Duration::from_millis(50));
        run.play_mut().script.is_over = true;
        if is_done {
            run.conclude(4);
        }
    }
    run.finish()
}
