//! What the system account is told of clients that come and go, with a control plane that is slow at times: each arrival and
//! departure once and in this order, and in the end the right number of clients of each account, however little room there
//! was for what waited.

use super::Scenario;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use crate::wire::Received;
use petrel_config::{Account, Credential, User};
use petrel_engine::{
    AccountQuery, ConnectionSnapshot, Directory, Notice, Options, Order, Publication, SystemNotice,
};
use petrel_runtime::{CoreId, End};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "system-events",
    about: "the system account hears of each client once when it comes and once when it goes, and how many there are",
    needs: &["arrivals told", "departures told", "counts told", "dropped notices", "runs that told all"],
    run,
};

/// The sid of the listener, which the ledger does not know.
const LISTENER_SID: u64 = 999_999;
const ACCOUNTS: [&str; 2] = ["A", "B"];
/// How long the crowd comes and goes.
const CROWD: Duration = Duration::from_secs(2);
/// What news may take to everybody: far longer than the delays of a plan.
const SLACK: Duration = Duration::from_secs(5);

/// The listener is client 0; all others are the crowd.
struct Crowd {
    is_listening: bool,
    is_calm: bool,
    is_in: Vec<bool>,
    /// Nothing may be dropped in this run.
    tells_all: bool,
    /// Logins that were confirmed.
    entered: u64,
    /// By connection id: how often its coming and its going were told.
    told: BTreeMap<u64, (u32, u32)>,
    /// By account: the number told last.
    counts: BTreeMap<String, u64>,
}

impl Crowd {
    fn inside(&self, account: usize) -> u64 {
        let of_account = (1..self.is_in.len()).filter(|client| account_of(*client) == account);
        of_account.filter(|client| self.is_in[*client]).count() as u64
    }

    fn hear(&mut self, subject: &str, body: &str, hand: &mut Hand<'_>) -> Result<(), String> {
        let tokens: Vec<&str> = subject.split('.').collect();
        let number: u64 = body.parse().map_err(|_| format!("a body {body:?}"))?;
        let effect = match tokens[..] {
            ["$SYS", "ACCOUNT", _, "CONNECT"] => {
                let told = self.told.entry(number).or_default();
                told.0 += 1;
                if *told != (1, 0) {
                    return Err(format!("{number} came: now {told:?}"));
                }
                "arrivals told"
            }
            ["$SYS", "ACCOUNT", _, "DISCONNECT"] => {
                let told = self.told.entry(number).or_default();
                told.1 += 1;
                if told.1 > 1 || (self.tells_all && *told != (1, 1)) {
                    return Err(format!("{number} went: now {told:?}"));
                }
                "departures told"
            }
            ["$SYS", "ACCOUNT", account, "SERVER", "CONNS"] => {
                self.counts.insert(account.to_owned(), number);
                "counts told"
            }
            _ => return Err(format!("a subject {subject:?}")),
        };
        hand.stage.ledger.effects.add(effect, 1);
        Ok(())
    }
}

fn account_of(client: usize) -> usize {
    client % ACCOUNTS.len()
}

impl Script for Crowd {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        self.is_in[hand.client] = true;
        if hand.client == 0 {
            hand.raw(format!("SUB $SYS.ACCOUNT.> {LISTENER_SID}\r\n").as_bytes());
            // What happens behind the PONG has to be told.
            hand.ping();
            return;
        }
        self.entered += 1;
        let stay = hand.random().pause(Duration::from_millis(400));
        hand.act_in(stay);
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        self.is_listening |= hand.client == 0;
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if hand.client != 0 && self.is_in[hand.client] && !self.is_calm {
            self.is_in[hand.client] = false;
            hand.close();
            let pause = hand.random().pause(Duration::from_millis(100));
            hand.connect_in(pause);
        }
    }

    fn takes(&mut self, received: &Received, hand: &mut Hand<'_>) -> bool {
        if hand.client != 0 {
            return false;
        }
        let body = String::from_utf8_lossy(&received.payload).into_owned();
        if let Err(wrong) = self.hear(&received.subject, &body, hand) {
            hand.stage.ledger.violate(format!("the listener heard {wrong}"));
        }
        true
    }

    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        let client = hand.client;
        hand.stage.ledger.violate(format!("the connection of client {client} ended: {end:?}"));
    }
}

fn options(plan: &Options, notices_max: usize) -> Options {
    let account = |name: &str| Account {
        name: name.into(),
        users: vec![User {
            credential: Credential::Password { name: name.into(), password: "p".into() },
            permissions: None,
            connection_types: None,
        }],
        ..Account::default()
    };
    let configured = petrel_config::Options {
        accounts: ["SYS", "A", "B"].into_iter().map(account).collect(),
        system_account: Some("SYS".into()),
        ..petrel_config::Options::default()
    };
    let directory = Directory::compile(&configured, None).expect("they fit together");
    Options {
        directory: Arc::new(directory),
        system_services: true,
        system_notices_max: notices_max,
        ..plan.clone()
    }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 16));
    plan.world.faults.loss_per_million = 0;
    // Room for a few events, or for all there will be.
    let notices_max = *random.one_of(&[1, 3, 1000]);
    plan.server = options(&plan.server, notices_max);
    plan.connects = false;
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        let user = if client == 0 { "SYS" } else { ACCOUNTS[account_of(client)] };
        profile.credentials = format!(r#","user":"{user}","pass":"p""#);
    }
    let script = Crowd {
        is_listening: false,
        is_calm: false,
        is_in: vec![false; plan.profiles.len()],
        tells_all: notices_max == 1000,
        entered: 0,
        told: BTreeMap::new(),
        counts: BTreeMap::new(),
    };
    let mut run = Run::new(plan, script, random, settings);
    run.poke(0, Poke::Connect);
    if run.must(SLACK, "a listener", |play| play.script.is_listening) {
        (1..run.plan.profiles.len()).for_each(|client| run.poke(client, Poke::Connect));
        let mut desk = Desk { waiting: VecDeque::new(), limit: notices_max };
        desk.pass(&mut run, CROWD, 4);
        run.play_mut().script.is_calm = true;
        desk.pass(&mut run, SLACK, 1);
        leave(&mut run);
        desk.pass(&mut run, SLACK, 1);
        judge(&mut run);
    }
    run.finish()
}

/// Some go for good: the last thing that happens is not that somebody comes.
fn leave(run: &mut Run<Crowd>) {
    for client in 1..run.plan.profiles.len() {
        if run.play_mut().stage.random.chance(1, 2) {
            run.play_mut().script.is_in[client] = false;
            run.poke(client, Poke::Leave);
        }
    }
}

/// Stands in for the control plane: works off what the cores hand over, one at a time.
struct Desk {
    waiting: VecDeque<(CoreId, Box<SystemNotice>)>,
    limit: usize,
}

impl Desk {
    /// Lets time pass, and works meanwhile, once in so many times.
    fn pass(&mut self, run: &mut Run<Crowd>, time: Duration, laziness: usize) {
        let end = run.world.now().after(time);
        while run.world.now() < end && !run.has_failed() {
            let pause = run.play_mut().stage.random.pause(Duration::from_millis(20));
            run.pass(pause);
            for notice in run.notices.try_iter() {
                if let Notice::System(core, notice) = notice {
                    self.waiting.push_back((core, notice));
                }
            }
            for core in 0..run.plan.core_count {
                let waiting = self.waiting.iter().filter(|(of, _)| of.index() == core).count();
                if waiting > self.limit {
                    let text = format!("{waiting} events of core {core} wait, {} may", self.limit);
                    run.play_mut().stage.ledger.violate(text);
                }
            }
            if run.play_mut().stage.random.chance(1, laziness) {
                while let Some((core, notice)) = self.waiting.pop_front() {
                    let weight = notice.weight();
                    work_off(run, *notice);
                    run.world.order(run.server, core.index(), Order::SystemHandled(weight));
                }
            }
        }
    }
}

fn work_off(run: &mut Run<Crowd>, notice: SystemNotice) {
    let of_client = |record: &ConnectionSnapshot, word: &str| {
        (format!("$SYS.ACCOUNT.{}.{word}", record.account), record.cid)
    };
    let (subject, number) = match notice {
        SystemNotice::Connected(record) => of_client(&record, "CONNECT"),
        SystemNotice::Disconnected(record) => of_client(&record, "DISCONNECT"),
        SystemNotice::AccountChanged(account) => {
            let query = AccountQuery { account: Some(account.to_string()), ..AccountQuery::default() };
            let pages = run.ask(|answer| Order::Accounts(query.clone(), answer));
            let count = pages.iter().flat_map(|page| &page.accounts).map(|account| account.connections).sum();
            (format!("$SYS.ACCOUNT.{account}.SERVER.CONNS"), count)
        }
        SystemNotice::LoginRefused(_) | SystemNotice::Request(_) => {
            run.play_mut().stage.ledger.violate("a notice that nobody asked for");
            return;
        }
    };
    let publication = Publication {
        account: "SYS".into(),
        subject: subject.into_bytes(),
        body: number.to_string().into(),
        ..Publication::default()
    };
    run.world.order(run.server, 0, Order::Publish(publication));
}

/// Everybody who is in came, nobody else stayed, and the numbers told last are right.
fn judge(run: &mut Run<Crowd>) {
    let dropped: u64 = run.statistics().iter().map(|core| core.dropped_system_notices).sum();
    let mut play = run.play_mut();
    let play = &mut *play;
    let (script, ledger) = (&play.script, &mut play.stage.ledger);
    ledger.effects.add("dropped notices", dropped);
    for (number, account) in ACCOUNTS.into_iter().enumerate() {
        let (inside, told) = (script.inside(number), script.counts.get(account).copied());
        if told.unwrap_or(0) != inside {
            ledger.violate(format!("{inside} are in {account}, {told:?} was told last"));
        }
    }
    if !script.tells_all {
        return;
    }
    ledger.effects.add("runs that told all", 1);
    if dropped > 0 {
        ledger.violate(format!("{dropped} notices were dropped with room for all"));
    }
    let came: u64 = script.told.values().map(|told| u64::from(told.0)).sum();
    let went: u64 = script.told.values().map(|told| u64::from(told.1)).sum();
    let inside = script.inside(0) + script.inside(1);
    if came < script.entered || came - went != inside {
        ledger.violate(format!(
            "{came} came and {went} went as told; {} came in, {inside} are in",
            script.entered
        ));
    }
}
