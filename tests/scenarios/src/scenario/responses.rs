//! Leave to answer: who may publish nothing else may answer what it received, so often and for so long, on whatever core
//! it lives, within its account and over imports; a reload in between takes nothing away.

use super::Scenario;
use super::two_accounts::{IMPORTER, divide, export, pair, service, service_import, user, with_accounts};
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Judge, Poke, Script};
use crate::wire::Received;
use petrel_config::{Account, Permissions, ResponsePermission, ResponseType, SubjectPermission, User};
use petrel_runtime::Monotonic;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "responses",
    about: "leave to answer ends by number and by time, and no answer is refused before",
    needs: &[
        "answers heard",
        "answers too many",
        "answers too late",
        "answers due",
        "over imports",
        "envelopes",
    ],
    run,
};

const BEGIN: u32 = 1;
const VIOLATION: &str = "Permissions Violation for Publish to ";

struct Request {
    asker: usize,
    written: Monotonic,
}

/// What a responder received, and what it made of that.
struct Leave {
    /// Where its answers go.
    way_back: String,
    received: Monotonic,
    answers: Vec<Answer>,
    /// Answers that it was told it may not give.
    refused: usize,
}

struct Answer {
    written: Monotonic,
    /// When its responder knew that the server had seen it.
    confirmed: Option<Monotonic>,
    is_heard: bool,
}

struct Responses {
    permission: ResponsePermission,
    /// Where requests are published.
    asked: &'static str,
    requests: Vec<Request>,
    left: Vec<usize>,
    /// By responder and request.
    leaves: BTreeMap<(usize, usize), Leave>,
    /// Answers that a responder has not written yet.
    to_answer: Vec<VecDeque<usize>>,
    /// The answers that each PING of a responder stands behind, by request and place.
    confirming: Vec<VecDeque<Vec<(usize, usize)>>>,
}

fn is_asker(client: usize) -> bool {
    client.is_multiple_of(2)
}

impl Responses {
    fn ask(&mut self, hand: &mut Hand<'_>) {
        let (number, client) = (self.requests.len(), hand.client);
        let length = number.to_string().len();
        let subject = self.asked;
        hand.raw(format!("PUB {subject}.1 inbox.{client}.{number} {length}\r\n{number}\r\n").as_bytes());
        self.requests.push(Request { asker: client, written: hand.now });
    }

    /// Writes some of the answers that are left.
    fn answer(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        let mut written = Vec::new();
        for _ in 0..hand.random().within(1..=3) {
            let Some(request) = self.to_answer[client].pop_front() else { break };
            let Some(leave) = self.leaves.get_mut(&(client, request)) else { break };
            let place = leave.answers.len();
            let text = format!("{request} {client} {place}");
            hand.raw(format!("PUB {} {}\r\n{text}\r\n", leave.way_back, text.len()).as_bytes());
            leave.answers.push(Answer { written: hand.now, confirmed: None, is_heard: false });
            written.push((request, place));
        }
        self.confirming[client].push_back(written);
        hand.ping();
    }

    /// An asker hears an answer.
    fn heard(&mut self, received: &Received, hand: &mut Hand<'_>) {
        let text = String::from_utf8_lossy(&received.payload).into_owned();
        let numbers: Vec<usize> = text.split(' ').filter_map(|number| number.parse().ok()).collect();
        let [request, responder, place] = numbers[..] else {
            hand.stage.ledger.violate(format!("nobody answered {text:?}"));
            return;
        };
        let is_its = self.requests.get(request).is_some_and(|request| request.asker == hand.client);
        let leave = self.leaves.get_mut(&(responder, request)).filter(|_| is_its);
        let answer = leave.and_then(|leave| leave.answers.get_mut(place));
        if answer.is_none_or(|answer| std::mem::replace(&mut answer.is_heard, true)) {
            hand.stage.ledger.violate(format!("client {} heard {text:?} twice or in vain", hand.client));
        }
    }

    /// Nobody knows when the server delivered the request and when it read the answer, but between what that was.
    fn is_surely_in_time(&self, asked: Monotonic, answer: &Answer) -> bool {
        let Some(expires) = self.permission.expires else { return true };
        answer.confirmed.is_some_and(|confirmed| confirmed.since(asked) <= expires)
    }

    fn wrong(&self, leave: &Leave, asked: Monotonic, place: usize, answer: &Answer) -> Option<&'static str> {
        let is_too_many = self.permission.max.is_some_and(|max| place >= max as usize);
        let is_late = |expires| answer.written.since(leave.received) > expires;
        match answer.is_heard {
            true if is_too_many => Some("one too many, and heard"),
            true if self.permission.expires.is_some_and(is_late) => Some("too late, and heard"),
            false if !is_too_many && self.is_surely_in_time(asked, answer) => Some("in time, and refused"),
            _ => None,
        }
    }
}

impl Judge for Responses {
    fn judge(&self, ledger: &mut Ledger) {
        for ((responder, request), leave) in &self.leaves {
            let heard = leave.answers.iter().filter(|answer| answer.is_heard).count();
            if heard + leave.refused != leave.answers.len() {
                ledger.violate(format!(
                    "client {responder} answered request {request} {} times: {heard} were heard, {} refused",
                    leave.answers.len(),
                    leave.refused
                ));
            }
            for (place, answer) in leave.answers.iter().enumerate() {
                let asked = self.requests[*request].written;
                if let Some(wrong) = self.wrong(leave, asked, place, answer) {
                    ledger.violate(format!("answer {place} of client {responder} to {request}: {wrong}"));
                }
                let is_too_many = self.permission.max.is_some_and(|max| place >= max as usize);
                ledger.effects.add(
                    match (answer.is_heard, is_too_many) {
                        (true, _) => "answers heard",
                        (false, true) => "answers too many",
                        (false, false) => "answers too late",
                    },
                    1,
                );
                let is_due = !is_too_many && self.is_surely_in_time(asked, answer);
                ledger.effects.add("answers due", u64::from(is_due));
            }
        }
    }
}

impl Script for Responses {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        let text = match client % 4 {
            1 => "SUB svc.* 1\r\n".to_owned(),
            3 => "SUB svc.* red 1\r\n".to_owned(),
            _ => format!("SUB inbox.{client}.* 1\r\n"),
        };
        hand.raw(text.as_bytes());
    }

    fn poked(&mut self, _: u32, hand: &mut Hand<'_>) {
        hand.act_in(Duration::from_micros(1));
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        if !self.to_answer[client].is_empty() {
            self.answer(hand);
        } else if is_asker(client) && self.left[client] > 0 {
            self.left[client] -= 1;
            self.ask(hand);
        }
        if !self.to_answer[client].is_empty() || self.left[client] > 0 {
            let pause = hand.random().pause(Duration::from_millis(60));
            hand.act_in(pause);
        }
    }

    fn takes(&mut self, received: &Received, hand: &mut Hand<'_>) -> bool {
        let client = hand.client;
        if is_asker(client) {
            self.heard(received, hand);
            return true;
        }
        let number = String::from_utf8_lossy(&received.payload).parse::<usize>().ok();
        let (Some(request), Some(way_back)) =
            (number.filter(|number| *number < self.requests.len()), received.reply.clone())
        else {
            hand.stage.ledger.violate(format!("nobody asked for this on {}", received.subject));
            return true;
        };
        let leave = Leave { way_back, received: hand.now, answers: Vec::new(), refused: 0 };
        if self.leaves.insert((client, request), leave).is_some() {
            hand.stage.ledger.violate(format!("client {client} got request {request} twice"));
        }
        let most = self.permission.max.map_or(4, |max| max as usize + 2);
        for _ in 0..hand.random().within(0..=most) {
            self.to_answer[client].push_back(request);
        }
        let pause = hand.random().pause(Duration::from_millis(60));
        hand.act_in(pause);
        true
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        for (request, place) in self.confirming[hand.client].pop_front().unwrap_or_default() {
            if let Some(leave) = self.leaves.get_mut(&(hand.client, request)) {
                leave.answers[place].confirmed = Some(hand.now);
            }
        }
    }

    fn refused(&mut self, text: &str, hand: &mut Hand<'_>) {
        let client = hand.client;
        let subject = text.strip_prefix(VIOLATION).map(|subject| subject.trim_matches('"'));
        let mut own = self.leaves.range_mut((client, 0)..(client + 1, 0));
        match own.find(|(_, leave)| Some(leave.way_back.as_str()) == subject) {
            Some((_, leave)) => leave.refused += 1,
            None => hand.stage.ledger.violate(format!("client {client} was told {text:?}")),
        }
    }
}

/// Who answers may do nothing else; who asks is in the same account, or in another one.
fn accounts(permission: ResponsePermission, is_imported: bool, users: usize) -> Vec<Account> {
    let publish = SubjectPermission { allow: Some(vec!["nothing.else".into()]), deny: Vec::new() };
    let permissions = Permissions { publish: Some(publish), subscribe: None, responses: Some(permission) };
    let offered = export("svc.*", service(ResponseType::Stream));
    let mut accounts = pair(vec![offered], vec![service_import("svc.*", "ask.*")]);
    accounts[0].users = vec![User { permissions: Some(permissions), ..user("e") }];
    if !is_imported {
        let importer = accounts.pop().expect("there are two");
        assert_eq!(importer.name, IMPORTER);
        accounts[0].users.extend(importer.users);
    }
    // What a reload changes concerns nobody.
    accounts[0].users.extend((0..users).map(|number| user(&format!("other{number}"))));
    accounts
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 12));
    for profile in &mut plan.profiles {
        profile.verbose = false;
    }
    let millis = |number: usize| Some(Duration::from_millis(number as u64));
    let (max, expires) = match random.below(3) {
        0 => (Some(random.within(1..=3) as u32), None),
        1 => (None, millis(random.within(30..=150))),
        _ => (Some(random.within(1..=3) as u32), millis(random.within(30..=150))),
    };
    let permission = ResponsePermission { max, expires };
    let is_imported = random.chance(1, 2);
    divide(&mut plan, accounts(permission, is_imported, 0), is_asker);
    let count = plan.profiles.len();
    let writes = random.within(5..=20);
    let script = Responses {
        permission,
        asked: if is_imported { "ask" } else { "svc" },
        requests: Vec::new(),
        left: (0..count).map(|client| if is_asker(client) { writes } else { 0 }).collect(),
        leaves: BTreeMap::new(),
        to_answer: vec![VecDeque::new(); count],
        confirming: vec![VecDeque::new(); count],
    };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        run.pass(Duration::from_millis(100));
        for reload in 1..=2 {
            run.reload(with_accounts(&run.plan.server, accounts(permission, is_imported, reload)));
            run.pass(Duration::from_millis(100));
        }
        let is_written = run.must(Duration::from_secs(60), "all answers", |play| {
            let script = &play.script;
            script.left.iter().all(|left| *left == 0) && script.to_answer.iter().all(VecDeque::is_empty)
        });
        // What is under way is answered as well, then all of that is heard.
        if is_written && last_answers(&mut run) {
            run.play_mut().stage.ledger.effects.add("over imports", u64::from(is_imported));
            run.conclude(2);
        }
    }
    run.finish()
}

/// Has everybody answer what was under way.
fn last_answers(run: &mut Run<Responses>) -> bool {
    let is_done =
        |play: &crate::client::Play<Responses>| play.script.to_answer.iter().all(VecDeque::is_empty);
    run.sweep() && run.must(Duration::from_secs(60), "the last answers", is_done)
}
