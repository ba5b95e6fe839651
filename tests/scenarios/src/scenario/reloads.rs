//! A reload while clients come, go and write: the server looks at them again a few at a time. Until the reload is told
//! as done they may have their old rights or the new ones; from then on nobody has the old ones. Then a further one lets fewer
//! clients in than are there.

use super::Scenario;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use petrel_config::{Credential, Permissions, SubjectPermission, User};
use petrel_engine::{
    ConnectionPage, ConnectionQuery, Directory, Options, Order, SETTLING_ROUNDS, SubscriptionQuery,
};
use petrel_runtime::End;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "reloads",
    about: "when a reload is told as done nobody has rights any more that it takes away, whatever clients did meanwhile",
    needs: &[
        "refused messages",
        "refused subscriptions",
        "removed subscriptions",
        "closed clients",
        "logins during a reload",
        "closings during a reload",
        "reloads that overlap",
        "clients beyond a limit",
    ],
    run,
};

/// How long clients come and go before the reload, and after it.
const CROWD: Duration = Duration::from_millis(200);
/// The longest a client does nothing: some act while a reload lasts.
const PAUSE: Duration = Duration::from_millis(3);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    Before,
    During,
    After,
    /// Fewer clients may be there than are.
    Fewer,
}

/// Clients that all do the same: those of every fourth number are of a user that the reload takes away.
struct Crowd {
    part: Part,
    /// Errors that each client must have got in the end.
    owed: Vec<BTreeSet<String>>,
    next: usize,
    is_calm: bool,
    /// Those who had to go because there were too many.
    surplus: BTreeSet<usize>,
}

fn is_gone(client: usize) -> bool {
    client % 4 == 3
}

impl Crowd {
    fn number(&mut self) -> usize {
        self.next += 1;
        self.next
    }

    fn subscribe(&mut self, hand: &mut Hand<'_>) {
        let (number, client) = (self.number(), hand.client);
        // What those have who are closed goes with them, a moment later.
        let first = if is_gone(client) { "gone" } else { "watch" };
        hand.raw(format!("SUB {first}.{number} {number}\r\n").as_bytes());
        if self.part == Part::After {
            let subject = format!("watch.{number}");
            self.owed[client].insert(format!("Permissions Violation for Subscription to {subject:?}"));
        }
    }

    fn publish(&mut self, hand: &mut Hand<'_>) {
        let (number, client) = (self.number(), hand.client);
        hand.raw(format!("PUB later.{number} 4\r\nnone\r\n").as_bytes());
        if self.part == Part::After {
            let subject = format!("later.{number}");
            self.owed[client].insert(format!("Permissions Violation for Publish to {subject:?}"));
        }
    }
}

impl Script for Crowd {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        if self.part == Part::During {
            hand.stage.ledger.effects.add("logins during a reload", 1);
        }
        for _ in 0..hand.random().within(1..=4) {
            self.subscribe(hand);
        }
        let pause = hand.random().pause(PAUSE);
        hand.act_in(pause);
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.is_calm || !hand.is_connected() {
            return;
        }
        let pause = hand.random().pause(PAUSE);
        match hand.random().below(8) {
            0 => {
                self.owed[hand.client].clear();
                if self.part == Part::During {
                    hand.stage.ledger.effects.add("closings during a reload", 1);
                }
                hand.close();
                hand.connect_in(pause);
            }
            1 => self.subscribe(hand),
            _ => self.publish(hand),
        }
        hand.act_in(pause);
    }

    fn refused(&mut self, text: &str, hand: &mut Hand<'_>) {
        let client = hand.client;
        let effect = match text {
            "maximum connections exceeded" if self.part == Part::Fewer => {
                self.surplus.insert(client);
                "clients beyond a limit"
            }
            "Authorization Violation" if is_gone(client) => "refused logins",
            _ if text.contains("(sid ") => "removed subscriptions",
            _ if text.starts_with("Permissions Violation for Publish") => "refused messages",
            _ if text.starts_with("Permissions Violation for Subscription") => "refused subscriptions",
            _ => {
                hand.stage.ledger.violate(format!("client {client} was told {text:?}"));
                return;
            }
        };
        if self.part == Part::Before {
            hand.stage.ledger.violate(format!("client {client} was told {text:?} before the reload"));
        }
        self.owed[client].remove(text);
        hand.stage.ledger.effects.add(effect, 1);
    }

    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        let client = hand.client;
        if !(is_gone(client) || self.surplus.contains(&client)) || self.part == Part::Before {
            hand.stage.ledger.violate(format!("the connection of client {client} ended: {end:?}"));
        }
        self.owed[client].clear();
        hand.stage.ledger.effects.add("closed clients", 1);
    }
}

fn options(plan: &Options, is_reloaded: bool) -> Options {
    let user = |name: &str, permissions| User {
        credential: Credential::Password { name: name.into(), password: "p".into() },
        permissions,
        connection_types: None,
    };
    let deny = |subject: &str| SubjectPermission {
        allow: None,
        deny: vec![if is_reloaded { subject.into() } else { "private.>".into() }],
    };
    let permissions = Permissions {
        publish: Some(deny("later.*")),
        subscribe: Some(deny("watch.*")),
        ..Permissions::default()
    };
    let mut users = vec![user("bound", Some(permissions))];
    if !is_reloaded {
        users.push(user("gone", None));
    }
    let mut configured = petrel_config::Options::default();
    configured.authorization.users = Some(users);
    let directory = Directory::compile(&configured, Some(&plan.directory)).expect("they fit together");
    Options { directory: Arc::new(directory), ..plan.clone() }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3], (12, 40));
    // A retransmission takes longer than a closing connection is waited for: the news would be lost with it.
    plan.world.faults.loss_per_million = 0;
    plan.reviewed_a_turn = Some(random.within(1..=3));
    plan.server = options(&plan.server, false);
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        let name = if is_gone(client) { "gone" } else { "bound" };
        profile.credentials = format!(r#","user":"{name}","pass":"p""#);
    }
    let count = plan.profiles.len();
    let script = Crowd {
        part: Part::Before,
        owed: vec![BTreeSet::new(); count],
        next: 0,
        is_calm: false,
        surplus: BTreeSet::new(),
    };
    let mut run = Run::new(plan, script, random, settings);
    run.pass(CROWD);
    if !run.has_failed() && reload(&mut run) {
        run.pass(CROWD);
        run.play_mut().script.is_calm = true;
        // Who is connecting has time to, then everybody hears what he is owed.
        run.pass(CROWD);
        if !run.has_failed() && run.sweep() {
            judge(&mut run);
        }
        if !run.has_failed() {
            lower_limit(&mut run);
        }
        run.statistics();
    }
    run.finish()
}

/// Goes over to options that take rights away, and looks at once whether somebody still has them.
fn reload(run: &mut Run<Crowd>) -> bool {
    let new = options(&run.plan.server, true);
    run.play_mut().script.part = Part::During;
    reload_or_anew(run, new);
    run.play_mut().script.part = Part::After;
    let query = SubscriptionQuery {
        test: Some(b"watch.*".to_vec()),
        clients_only: true,
        ..SubscriptionQuery::default()
    };
    let found: u64 =
        run.ask(|answer| Order::Subscriptions(query.clone(), answer)).iter().map(|page| page.found).sum();
    let mut play = run.play_mut();
    if found > 0 {
        play.stage.ledger.violate(format!("{found} subscriptions that are not allowed outlived the reload"));
    }
    play.stage.ledger.violations().is_empty()
}

fn reload_or_anew(run: &mut Run<Crowd>, new: Options) {
    if run.play_mut().stage.random.chance(1, 3) {
        let ahead = run.play_mut().stage.random.pause(PAUSE);
        run.reload_anew(new, ahead);
    } else {
        run.reload(new);
    }
}

/// Lets fewer clients in than are there, while some leave: as many stay as may, and of each core the oldest.
fn lower_limit(run: &mut Run<Crowd>) {
    let clients = 0..run.plan.profiles.len();
    let open: Vec<usize> = clients.filter(|client| run.play().stage.open[*client].is_some()).collect();
    if open.len() < 2 {
        return;
    }
    let placed = placed_clients(run);
    let limit = run.play_mut().stage.random.within(1..=open.len() - 1);
    let mut leaving = BTreeSet::new();
    let leavers = run.play_mut().stage.random.below(3);
    for _ in 0..leavers {
        leaving.insert(*run.play_mut().stage.random.one_of(&open));
    }
    run.play_mut().script.part = Part::Fewer;
    for client in &leaving {
        run.poke(*client, Poke::Leave);
    }
    let mut fewer = run.plan.server.clone();
    fewer.limits.connections_max = limit as i64;
    reload_or_anew(run, fewer);
    // The other cores hear of it when the first is done, and here mail may take longer than orders do.
    for _ in 0..SETTLING_ROUNDS {
        run.ask(Order::Settle);
    }
    run.pass(2 * CROWD);
    if run.has_failed() {
        return;
    }
    let mut play = run.play_mut();
    let staying = play.stage.open_count();
    if staying > limit || staying + leaving.len() < limit {
        let text = format!("{staying} stay where {limit} may, and {} of {} left", leaving.len(), open.len());
        play.stage.ledger.violate(text);
    }
    for (core, cid, client) in &placed {
        let stays = play.stage.open[*client].is_some();
        let is_older = |(other_core, other_cid, other): &&(usize, u64, usize)| {
            other_core == core && other_cid < cid && play.script.surplus.contains(other)
        };
        if let Some((_, other, _)) = placed.iter().find(is_older).filter(|_| stays) {
            let text = format!("connection {cid} stays on core {core}, and {other} had to go");
            play.stage.ledger.violate(text);
        }
    }
}

/// The core, the connection's id and the number of each client.
fn placed_clients(run: &mut Run<Crowd>) -> Vec<(usize, u64, usize)> {
    let query = ConnectionQuery { open: true, ..ConnectionQuery::default() };
    let pages = run.ask(|answer| Order::Connections(query.clone(), answer));
    let of_core = |(core, page): (usize, &ConnectionPage)| {
        let placed = page.connections.iter().filter_map(|connection| match connection.address.ip() {
            IpAddr::V4(address) => Some((core, connection.cid, usize::from(address.octets()[3]))),
            IpAddr::V6(_) => None,
        });
        placed.collect::<Vec<_>>()
    };
    pages.iter().enumerate().flat_map(of_core).collect()
}

/// Nobody is there any more who may not be, and who wrote what is not allowed was told.
fn judge(run: &mut Run<Crowd>) {
    let mut play = run.play_mut();
    let mut found = Vec::new();
    for (client, owed) in play.script.owed.iter().enumerate() {
        match play.stage.open[client] {
            Some(_) if is_gone(client) => {
                found.push(format!("client {client} of a user that is gone is still in"))
            }
            Some(_) if !owed.is_empty() => found.push(format!("client {client} was not told {owed:?}")),
            Some(_) | None => {}
        }
    }
    for what in found {
        play.stage.ledger.violate(what);
    }
}
