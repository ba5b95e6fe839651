//! Each request that is measured is told of exactly once, with what became of it and who answered, whichever cores know
//! its parts.

use super::Scenario;
use super::two_accounts::{divide, export, log_in_as, pair, service, service_import, user};
use super::witness::Witness;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Judge, Poke, Script};
use crate::wire::Received;
use petrel_config::{Account, ExportKind, Import, Latency, ResponseType};
use petrel_runtime::Monotonic;
use std::collections::VecDeque;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "latency",
    about: "a measured request is told of once: answered, forsaken, without a responder, or too late",
    needs: &[
        "status 200",
        "status 408",
        "status 503",
        "status 504",
        "envelopes",
        "events due",
        "forsakings due",
        "answers over two imports",
    ],
    run,
};

const THRESHOLD: Duration = Duration::from_secs(5);
/// Hears the events.
const LISTENER: usize = 0;
/// Told to a client: begin; and, plus the number of a request: ask, and hear its answer no more.
const BEGIN: u32 = 1;
const LISTEN: u32 = 2;
const ASK: u32 = 1000;
const FORSAKE: u32 = 1_000_000;
/// The sid of everything that is kept; requests have theirs behind it.
const SID: usize = 1;

#[derive(Default)]
struct Request {
    asker: usize,
    hearer: usize,
    /// Where its answer goes: a literal subject, or one that a pattern matches.
    by_pattern: bool,
    by_group: bool,
    is_forsaken: bool,
    /// It was with a responder when it was forsaken, and not answered.
    is_surely_forsaken: bool,
    /// The PONG behind that was read.
    is_gone: bool,
    way_back: Option<String>,
    /// An answer was written, and whether that was while somebody could still hear it.
    answered: Option<bool>,
    is_heard: bool,
    statuses: Vec<u64>,
}

impl Request {
    /// What an event may say of it.
    fn allows(&self, status: u64) -> bool {
        match status {
            200 => self.answered.is_some() && !(self.is_surely_forsaken && self.answered == Some(false)),
            408 => self.is_forsaken && !self.is_heard,
            503 => self.way_back.is_none() && !self.is_heard,
            504 => self.answered.is_none() && !self.is_surely_forsaken && self.way_back.is_some(),
            _ => false,
        }
    }
}

/// What a client did for a request.
#[derive(Clone, Copy)]
enum Done {
    Listened(usize),
    Forsaken(usize),
    Answered(usize),
}

struct Services {
    requests: Vec<Request>,
    left: Vec<usize>,
    /// What the PINGs of a client stand behind.
    confirming: Vec<VecDeque<Done>>,
    /// What a client PINGs for when it acts next.
    late: Vec<Vec<Done>>,
    /// Answers that a responder has not written yet.
    to_answer: Vec<VecDeque<usize>>,
    offers: Vec<bool>,
    witness: Witness,
    /// A third account lies between who asks and who answers.
    is_chained: bool,
}

fn is_importer(client: usize) -> bool {
    client != LISTENER && client.is_multiple_of(2)
}

impl Services {
    fn subject(&self, number: usize) -> String {
        let tail = if self.requests[number].by_pattern { ".x" } else { "" };
        format!("in.{number}{tail}")
    }

    fn confirm(&mut self, done: Done, hand: &mut Hand<'_>) {
        self.confirming[hand.client].push_back(done);
        hand.ping();
    }

    /// Has a client hear the answer of a new request, then somebody ask.
    fn prepare(&mut self, hand: &mut Hand<'_>) {
        let number = self.requests.len();
        let mut asker = hand.client;
        if hand.random().chance(1, 2) {
            let clients = hand.stage.client_count();
            let others: Vec<usize> = (0..clients).filter(|client| is_importer(*client)).collect();
            asker = *hand.random().one_of(&others);
        }
        let request = Request {
            asker,
            hearer: hand.client,
            by_pattern: hand.random().chance(1, 2),
            by_group: hand.random().chance(1, 4),
            ..Request::default()
        };
        let tail = if request.by_pattern { ".*" } else { "" };
        let group = if request.by_group { " blue" } else { "" };
        hand.raw(format!("SUB in.{number}{tail}{group} {}\r\n", number + SID + 1).as_bytes());
        self.requests.push(request);
        self.confirm(Done::Listened(number), hand);
    }

    fn ask(&mut self, number: usize, hand: &mut Hand<'_>) {
        let inbox = self.subject(number);
        let service = hand.random().below(2);
        let block = format!("NATS/1.0\r\nX-B3-TraceId: {number}\r\n\r\n");
        let (bytes, all) = (block.len(), block.len() + 1);
        hand.raw(format!("HPUB ask.{service} {inbox} {bytes} {all}\r\n{block}q\r\n").as_bytes());
        if hand.random().chance(1, 2) {
            let hearer = self.requests[number].hearer;
            hand.stage.poke(hearer, Poke::Script(FORSAKE + number as u32));
        }
    }

    fn forsake(&mut self, number: usize, hand: &mut Hand<'_>) {
        let request = &mut self.requests[number];
        if request.is_forsaken {
            return;
        }
        request.is_forsaken = true;
        request.is_surely_forsaken = request.way_back.is_some() && request.answered.is_none();
        hand.raw(format!("UNSUB {}\r\n", number + SID + 1).as_bytes());
        if hand.random().chance(1, 2) {
            self.confirm(Done::Forsaken(number), hand);
            return;
        }
        // The other cores may have handled the UNSUB by then, and not what they told of it.
        self.late[hand.client].push(Done::Forsaken(number));
        let pause = hand.random().within(0..=60_000);
        hand.act_in(Duration::from_micros(pause as u64));
    }

    fn answer(&mut self, hand: &mut Hand<'_>) {
        let Some(number) = self.to_answer[hand.client].pop_front() else { return };
        let request = &mut self.requests[number];
        let Some(way_back) = &request.way_back else { return };
        request.answered = Some(!request.is_gone);
        hand.raw(format!("PUB {way_back} {}\r\n{number}\r\n", number.to_string().len()).as_bytes());
        self.confirm(Done::Answered(number), hand);
    }

    fn event(&mut self, received: &Received, hand: &mut Hand<'_>) {
        let event: serde_json::Value = serde_json::from_slice(&received.payload).unwrap_or_default();
        let number = event["header"]["X-B3-Traceid"][0].as_str().and_then(|text| text.parse::<usize>().ok());
        match (number.and_then(|number| self.requests.get_mut(number)), event["status"].as_u64()) {
            (Some(request), Some(status)) => {
                request.statuses.push(status);
                if status == 200 && event["responder"]["user"].as_str() != Some("e") {
                    hand.stage.ledger.violate(format!("an event does not say who answered: {event}"));
                }
                if status == 200 && self.is_chained {
                    hand.stage.ledger.effects.add("answers over two imports", 1);
                }
                hand.stage.ledger.effects.add(&format!("status {status}"), 1);
            }
            _ => hand.stage.ledger.violate(format!("an event of nothing: {event}")),
        }
    }
}

impl Judge for Services {
    fn judge(&self, ledger: &mut Ledger) {
        for (number, request) in self.requests.iter().enumerate() {
            let statuses = &request.statuses;
            let is_right = matches!(statuses[..], [status] if request.allows(status));
            if !is_right || (request.is_heard && statuses[..] != [200]) {
                ledger.violate(format!(
                    "request {number} was told of as {statuses:?}: forsaken {} (surely {}), with a responder {}, \
                     answered in time {:?}, heard {}",
                    request.is_forsaken,
                    request.is_surely_forsaken,
                    request.way_back.is_some(),
                    request.answered,
                    request.is_heard
                ));
            }
        }
    }
}

impl Script for Services {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        if hand.client == LISTENER {
            hand.raw(format!("SUB latency {SID}\r\n").as_bytes());
        }
    }

    fn poked(&mut self, word: u32, hand: &mut Hand<'_>) {
        match word {
            BEGIN => hand.act_in(Duration::from_micros(1)),
            LISTEN => self.witness.look(hand),
            FORSAKE.. => self.forsake((word - FORSAKE) as usize, hand),
            ASK.. => self.ask((word - ASK) as usize, hand),
            _ => {}
        }
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        for done in std::mem::take(&mut self.late[client]) {
            self.confirm(done, hand);
        }
        if !self.to_answer[client].is_empty() {
            self.answer(hand);
        } else if self.left[client] > 0 {
            self.left[client] -= 1;
            if is_importer(client) {
                self.prepare(hand);
            } else {
                // Responders come and go.
                self.offers[client] = !self.offers[client] || self.left[client] == 0;
                let verb = if self.offers[client] { "SUB svc.* red" } else { "UNSUB" };
                hand.raw(format!("{verb} {SID}\r\n").as_bytes());
            }
        }
        if self.left[client] > 0 || !self.to_answer[client].is_empty() {
            let pause = hand.random().pause(Duration::from_millis(40));
            hand.act_in(pause);
        }
    }

    fn takes(&mut self, received: &Received, hand: &mut Hand<'_>) -> bool {
        if hand.client == LISTENER {
            self.event(received, hand);
            return true;
        }
        if is_importer(hand.client) {
            let number =
                std::str::from_utf8(&received.payload).ok().and_then(|text| text.parse::<usize>().ok());
            let request = number.and_then(|number| self.requests.get_mut(number));
            let Some(request) = request.filter(|request| request.answered == Some(true)) else {
                hand.stage
                    .ledger
                    .violate(format!("an answer that nobody waits for, on {}", received.subject));
                return true;
            };
            if std::mem::replace(&mut request.is_heard, true) {
                hand.stage.ledger.violate(format!("a second answer on {}", received.subject));
            }
            return true;
        }
        let header = received.headers.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let number = header.split("X-B3-TraceId: ").nth(1).and_then(|rest| rest.lines().next());
        let number = number.and_then(|number| number.parse::<usize>().ok());
        if let Some(number) = number.filter(|number| *number < self.requests.len()) {
            self.requests[number].way_back.clone_from(&received.reply);
            if hand.random().chance(1, 6) {
                let hearer = self.requests[number].hearer;
                hand.stage.poke(hearer, Poke::Script(FORSAKE + number as u32));
            } else if hand.random().chance(3, 4) {
                self.to_answer[hand.client].push_back(number);
                let pause = hand.random().pause(Duration::from_millis(60));
                hand.act_in(pause);
            }
        }
        true
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        if hand.client == LISTENER {
            let requests = &self.requests;
            self.witness.looked(hand, |number| !requests[number].statuses.is_empty());
            return;
        }
        match self.confirming[hand.client].pop_front() {
            Some(Done::Listened(number)) => {
                let asker = self.requests[number].asker;
                hand.stage.poke(asker, Poke::Script(ASK + number as u32));
            }
            Some(Done::Forsaken(number)) => {
                let request = &mut self.requests[number];
                request.is_gone = true;
                if request.is_surely_forsaken && request.answered.is_none() {
                    hand.stage.ledger.effects.add("forsakings due", 1);
                    self.witness.acknowledged(number);
                    hand.stage.poke(LISTENER, Poke::Script(LISTEN));
                }
            }
            Some(Done::Answered(number)) if !self.requests[number].is_forsaken => {
                self.witness.acknowledged(number);
                hand.stage.poke(LISTENER, Poke::Script(LISTEN));
            }
            _ => {}
        }
    }
}

/// The services that are asked for; with `is_chained` a third account lies between, which measures and leads on to
/// services that nobody measures.
fn accounts(is_chained: bool) -> Vec<Account> {
    let measured = ExportKind::Service {
        response: ResponseType::Singleton,
        threshold: Some(THRESHOLD),
        latency: Some(Latency { sampling_percent: 0, subject: "latency".into() }),
    };
    let asked = service_import("svc.>", "ask.>");
    if !is_chained {
        return pair(vec![export("svc.>", measured)], vec![asked]);
    }
    let between = Account {
        name: "MID".into(),
        users: vec![user("m")],
        exports: vec![export("svc.>", measured)],
        imports: vec![service_import("svc.>", "svc.>")],
        ..Account::default()
    };
    let unmeasured = export("svc.>", service(ResponseType::Singleton));
    let mut accounts = pair(vec![unmeasured], vec![Import { account: "MID".into(), ..asked }]);
    accounts.push(between);
    accounts
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (5, 12));
    for profile in &mut plan.profiles {
        (profile.headers, profile.verbose) = (true, false);
    }
    plan.world.mail_delay_max = Duration::from_millis(*random.one_of(&[1, 20, 60]));
    let is_chained = random.chance(1, 3);
    divide(&mut plan, accounts(is_chained), is_importer);
    if is_chained {
        // Events are published where the service is offered that is measured.
        log_in_as(&mut plan.profiles[LISTENER], "m");
    }
    let count = plan.profiles.len();
    let writes = random.within(5..=20);
    let script = Services {
        requests: Vec::new(),
        left: (0..count).map(|client| if client == LISTENER { 0 } else { writes }).collect(),
        confirming: vec![VecDeque::new(); count],
        late: vec![Vec::new(); count],
        to_answer: vec![VecDeque::new(); count],
        offers: vec![false; count],
        witness: Witness::default(),
        is_chained,
    };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        let is_written = run.must(Duration::from_secs(60), "all requests", |play| {
            play.script.left.iter().all(|left| *left == 0)
        });
        // What nobody answers is given up by then.
        let end: Monotonic = run.world.now().after(3 * THRESHOLD);
        while is_written && run.world.now() < end && !run.has_failed() {
            run.pass(THRESHOLD);
        }
        if is_written {
            run.conclude(2);
        }
    }
    run.finish()
}
