//! Exports that name the importer in their subject: each account hears what is meant for it and nothing else, who answers
//! knows from the subject who asks, and nobody but the exporter's clients can answer.

use super::Scenario;
use super::two_accounts::{
    EXPORTER, export, log_in_as, service, service_import, stream_import, user, with_accounts,
};
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Judge, Poke, Script};
use crate::wire::Received;
use petrel_config::{Account, Export, ExportKind, ResponseType};
use petrel_engine::Directory;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "token-positions",
    about: "what an export means for one account reaches that one alone, and only the exporter answers",
    needs: &["messages for one account", "answers", "intruders", "envelopes"],
    run,
};

/// The accounts that import, and their users.
const IMPORTERS: [(&str, &str); 2] = [("ONE", "one"), ("TWO", "two")];
const PLAIN_SID: u64 = 1;
const QUEUE_SID: u64 = 2;
const INBOX_SID: u64 = 3;
/// Told to a client: begin; and, plus the number of a request: answer it although it is not yours.
const BEGIN: u32 = 1;
const INTRUDE: u32 = 1000;

/// Something that a client published: to one account, or as a question of one.
struct Sent {
    account: usize,
    asker: Option<usize>,
    way_back: Option<String>,
    plain: BTreeMap<usize, u32>,
    queue: u32,
    asked: u32,
    answers: u32,
}

struct Positions {
    sent: Vec<Sent>,
    left: Vec<usize>,
    /// Requests that a responder has not answered yet.
    to_answer: Vec<VecDeque<usize>>,
}

/// The importing account of a client; `None`: it is the exporter's.
fn importer_of(client: usize) -> Option<usize> {
    [None, Some(0), Some(1)][client % 3]
}

impl Positions {
    fn publish(&mut self, hand: &mut Hand<'_>) {
        let (client, number) = (hand.client, self.sent.len());
        let text = number.to_string();
        let (account, asker) = match importer_of(client) {
            Some(account) => {
                let inbox = format!("inbox.{client}.{number}");
                hand.raw(format!("PUB ask {inbox} {}\r\n{text}\r\n", text.len()).as_bytes());
                (account, Some(client))
            }
            None => {
                let account = hand.random().below(IMPORTERS.len());
                let subject = format!("pos.{}.news", IMPORTERS[account].0);
                hand.raw(format!("PUB {subject} {}\r\n{text}\r\n", text.len()).as_bytes());
                (account, None)
            }
        };
        let plain = BTreeMap::new();
        self.sent.push(Sent { account, asker, way_back: None, plain, queue: 0, asked: 0, answers: 0 });
        hand.ping();
    }

    fn answer(&mut self, hand: &mut Hand<'_>) {
        let Some(number) = self.to_answer[hand.client].pop_front() else { return };
        if let Some(way_back) = &self.sent[number].way_back {
            let text = number.to_string();
            hand.raw(format!("PUB {way_back} {}\r\n{text}\r\n", text.len()).as_bytes());
        }
    }

    fn intrude(&self, number: usize, hand: &mut Hand<'_>) {
        if let Some(way_back) = &self.sent[number].way_back {
            hand.raw(format!("PUB {way_back} 8\r\nintruder\r\n").as_bytes());
            hand.stage.ledger.effects.add("intruders", 1);
        }
    }

    /// A client of the exporter got a request.
    fn asked(&mut self, number: usize, received: &Received, hand: &mut Hand<'_>) {
        let sent = &mut self.sent[number];
        sent.asked += 1;
        let expected = format!("svc.{}", IMPORTERS[sent.account].0);
        if received.subject != expected || sent.asker.is_none() {
            hand.stage.ledger.violate(format!("request {number} came on {}", received.subject));
        }
        sent.way_back.clone_from(&received.reply);
        self.to_answer[hand.client].push_back(number);
        let pause = hand.random().pause(Duration::from_millis(60));
        hand.act_in(pause);
        // Whoever is not of the exporter tries to be faster.
        let clients = hand.stage.client_count();
        let intruder = hand.random().below(clients);
        if importer_of(intruder).is_some() {
            hand.stage.poke(intruder, Poke::Script(INTRUDE + number as u32));
        }
    }

    /// A client of an importer got a message.
    fn heard(&mut self, number: usize, received: &Received, hand: &mut Hand<'_>) {
        let (client, sent) = (hand.client, &mut self.sent[number]);
        let is_meant = importer_of(client) == Some(sent.account);
        let is_its = match received.sid {
            INBOX_SID => is_meant && sent.asker == Some(client),
            _ => is_meant && sent.asker.is_none() && received.subject == "in.news",
        };
        if !is_its {
            let text = format!("client {client} got {number}, which is not for it, on {}", received.subject);
            hand.stage.ledger.violate(text);
        }
        match received.sid {
            PLAIN_SID => *sent.plain.entry(client).or_default() += 1,
            QUEUE_SID => sent.queue += 1,
            _ => sent.answers += 1,
        }
    }
}

impl Judge for Positions {
    fn judge(&self, ledger: &mut Ledger) {
        let clients = self.left.len();
        for (number, sent) in self.sent.iter().enumerate() {
            let Sent { account, asker, plain, queue, asked, answers, .. } = sent;
            let is_right = if asker.is_some() {
                ledger.effects.add("answers", u64::from(*answers));
                (*asked, *answers) == (1, 1) && plain.is_empty() && *queue == 0
            } else {
                ledger.effects.add("messages for one account", 1);
                let all = (0..clients).filter(|client| importer_of(*client) == Some(*account));
                plain.iter().map(|(client, count)| (*client, *count)).eq(all.map(|client| (client, 1)))
                    && (*queue, *asked, *answers) == (1, 0, 0)
            };
            if !is_right {
                ledger.violate(format!(
                    "message {number} for {}, asked by {asker:?}, came to {plain:?} and {queue} of the group; it was \
                     read {asked} times as a request and had {answers} answers",
                    IMPORTERS[*account].0
                ));
            }
        }
    }
}

impl Script for Positions {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        let text = match importer_of(hand.client) {
            None => "SUB svc.* red 1\r\n".to_owned(),
            Some(_) => format!(
                "SUB in.> {PLAIN_SID}\r\nSUB in.* red {QUEUE_SID}\r\nSUB inbox.{}.* {INBOX_SID}\r\n",
                hand.client
            ),
        };
        hand.raw(text.as_bytes());
    }

    fn poked(&mut self, word: u32, hand: &mut Hand<'_>) {
        match word {
            BEGIN => hand.act_in(Duration::from_micros(1)),
            _ => self.intrude((word - INTRUDE) as usize, hand),
        }
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        if !self.to_answer[client].is_empty() {
            self.answer(hand);
        } else if self.left[client] > 0 {
            self.left[client] -= 1;
            self.publish(hand);
        }
        if !self.to_answer[client].is_empty() || self.left[client] > 0 {
            let pause = hand.random().pause(Duration::from_millis(30));
            hand.act_in(pause);
        }
    }

    fn takes(&mut self, received: &Received, hand: &mut Hand<'_>) -> bool {
        let number = String::from_utf8_lossy(&received.payload).parse::<usize>().ok();
        let Some(number) = number.filter(|number| *number < self.sent.len()) else {
            let text = String::from_utf8_lossy(&received.payload).into_owned();
            hand.stage.ledger.violate(format!("client {} got {text:?}", hand.client));
            return true;
        };
        match importer_of(hand.client) {
            None => self.asked(number, received, hand),
            Some(_) => self.heard(number, received, hand),
        }
        true
    }
}

/// `meant`: the account whose name the imports of each of [`IMPORTERS`] have.
fn accounts(meant: [&str; 2]) -> Vec<Account> {
    let positioned =
        |subject: &str, kind| Export { account_token_position: Some(2), ..export(subject, kind) };
    let exporter = Account {
        name: EXPORTER.into(),
        users: vec![user("e")],
        exports: vec![
            positioned("pos.*.>", ExportKind::Stream),
            positioned("svc.*", service(ResponseType::Singleton)),
        ],
        ..Account::default()
    };
    let importers = IMPORTERS.iter().zip(meant).map(|((name, login), meant)| Account {
        name: (*name).into(),
        users: vec![user(login)],
        imports: vec![
            stream_import(&format!("pos.{meant}.>"), "in.>"),
            service_import(&format!("svc.{meant}"), "ask"),
        ],
        ..Account::default()
    });
    std::iter::once(exporter).chain(importers).collect()
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 12));
    plan.server = with_accounts(&plan.server, accounts(["ONE", "TWO"]));
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        profile.verbose = false;
        log_in_as(profile, importer_of(client).map_or("e", |account| IMPORTERS[account].1));
    }
    let count = plan.profiles.len();
    let writes = random.within(5..=25);
    let script =
        Positions { sent: Vec::new(), left: vec![writes; count], to_answer: vec![VecDeque::new(); count] };
    let mut run = Run::new(plan, script, random, settings);
    // What is meant for another account is not to be had.
    for meant in [["ONE", "ONE"], ["TWO", "TWO"], ["ONE", "*"]] {
        let configured =
            petrel_config::Options { accounts: accounts(meant), ..petrel_config::Options::default() };
        if Directory::compile(&configured, None).is_ok() {
            run.play_mut().stage.ledger.violate(format!("accounts may import what is for {meant:?}"));
        }
    }
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        let is_written = run.must(Duration::from_secs(60), "all messages", is_done);
        // Requests arrive, then they are answered, then the answers arrive.
        let is_answered = is_written
            && (0..2).all(|_| run.sweep())
            && run.must(Duration::from_secs(60), "all answers", is_done);
        if is_answered {
            run.conclude(3);
        }
    }
    run.finish()
}

fn is_done(play: &crate::client::Play<Positions>) -> bool {
    let script = &play.script;
    script.left.iter().all(|left| *left == 0) && script.to_answer.iter().all(VecDeque::is_empty)
}
