//! Who gets in: passwords that are checked elsewhere and take their time, clients that say nothing, and an account
//! that takes only so many over all cores; a reload lowers that limit and raises it again.

use super::Scenario;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Script};
use petrel_config::{Account, AccountLimits, Credential, User};
use petrel_engine::{Directory, Notice, Options, Order, PasswordCheck, PasswordVerdict};
use petrel_runtime::{End, Monotonic};
use std::sync::Arc;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "logins",
    about: "who shows the right password gets in, who says nothing is closed in time, and accounts stay within limits",
    needs: &[
        "logins",
        "refused logins",
        "unchecked logins",
        "timeouts",
        "full accounts",
        "pruned clients",
        "clients kept by a reload",
    ],
    run,
};

/// What is checked elsewhere; the scenario says itself what fits it.
const HASH: &str = "$2a$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG";
const RIGHT: &str = "right";
/// What news may take to everybody: far longer than the delays of a plan.
const SLACK: Duration = Duration::from_secs(2);
/// How long the crowd comes and goes in each part.
const CROWD: Duration = Duration::from_secs(2);

/// What a client does all the time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Shows a password that fits the hash, and stays.
    Right,
    /// Shows one that does not.
    Wrong,
    /// Says nothing.
    Silent,
    /// Wants into the account with a limit, comes and goes.
    Crowd,
}

/// The clients, and who of them is in.
struct Logins {
    roles: Vec<Role>,
    is_in: Vec<bool>,
    /// The last error that each client got.
    told: Vec<Option<String>>,
    ended: Vec<Option<Monotonic>>,
    /// Most of the crowd that may be in; while the limit changes, the higher of the two.
    limit: usize,
    /// The crowd stays where it is.
    is_calm: bool,
}

impl Logins {
    fn crowd_inside(&self) -> usize {
        (0..self.roles.len())
            .filter(|client| self.roles[*client] == Role::Crowd && self.is_in[*client])
            .count()
    }
}

impl Script for Logins {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        let role = self.roles[hand.client];
        self.is_in[hand.client] = true;
        self.told[hand.client] = None;
        match role {
            Role::Right => hand.stage.ledger.effects.add("logins", 1),
            Role::Wrong | Role::Silent => hand.stage.ledger.violate(format!("{role:?} got in")),
            Role::Crowd => {
                let (inside, limit) = (self.crowd_inside(), self.limit);
                if inside > limit {
                    hand.stage.ledger.violate(format!("{inside} are in an account that takes {limit}"));
                }
                let stay = hand.random().pause(Duration::from_millis(800));
                hand.act_in(stay);
            }
        }
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.roles[hand.client] == Role::Crowd && self.is_in[hand.client] && !self.is_calm {
            self.is_in[hand.client] = false;
            hand.close();
            let pause = hand.random().pause(Duration::from_millis(300));
            hand.connect_in(pause);
        }
    }

    fn refused(&mut self, text: &str, hand: &mut Hand<'_>) {
        let role = self.roles[hand.client];
        let expected: &[&str] = match role {
            Role::Right | Role::Silent => &["Authentication Timeout"],
            Role::Wrong => &["Authorization Violation", "Authentication Timeout"],
            Role::Crowd => &["maximum account active connections exceeded"],
        };
        if !expected.contains(&text) {
            hand.stage.ledger.violate(format!("{role:?} was told {text:?}"));
        }
        let effect = match (role, text) {
            (Role::Silent, _) => "timeouts",
            (Role::Crowd, _) if self.is_in[hand.client] => "pruned clients",
            (Role::Crowd, _) => "full accounts",
            (_, "Authentication Timeout") => "unchecked logins",
            _ => "refused logins",
        };
        hand.stage.ledger.effects.add(effect, 1);
        self.told[hand.client] = Some(text.to_owned());
    }

    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        let role = self.roles[hand.client];
        self.ended[hand.client] = Some(hand.now);
        if self.told[hand.client].is_none() {
            hand.stage.ledger.violate(format!("{role:?} was closed without a word: {end:?}"));
        }
        self.is_in[hand.client] = false;
        if matches!(role, Role::Right | Role::Crowd) {
            let pause = hand.random().pause(Duration::from_millis(200));
            hand.connect_in(pause);
        }
    }
}

fn options(plan: &Options, limit: usize) -> Options {
    let user = |name: &str, password: &str| User {
        credential: Credential::Password { name: name.into(), password: password.into() },
        permissions: None,
        connection_types: None,
    };
    let crowded = Account {
        name: "CROWD".into(),
        users: vec![user("crowd", "plain")],
        limits: AccountLimits { connections_max: Some(limit as u64), ..AccountLimits::default() },
        ..Account::default()
    };
    let mut configured =
        petrel_config::Options { accounts: vec![crowded], ..petrel_config::Options::default() };
    configured.authorization.users = Some(vec![user("hashed", HASH)]);
    let directory = Directory::compile(&configured, Some(&plan.directory)).expect("they fit together");
    Options { directory: Arc::new(directory), ..plan.clone() }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (8, 20));
    // A retransmission takes longer than a closing connection is waited for: the news would be lost with it.
    plan.world.faults.loss_per_million = 0;
    let limit = random.within(2..=4);
    plan.server.auth_timeout = Duration::from_millis(random.within(300..=900) as u64);
    plan.server = options(&plan.server, limit);
    let roles: Vec<Role> = (0..plan.profiles.len())
        .map(|client| match client {
            0 | 1 => Role::Right,
            2 => Role::Wrong,
            3 => Role::Silent,
            _ => Role::Crowd,
        })
        .collect();
    for (profile, role) in plan.profiles.iter_mut().zip(&roles) {
        profile.is_silent = *role == Role::Silent;
        profile.credentials = match role {
            Role::Right => format!(r#","user":"hashed","pass":"{RIGHT}""#),
            Role::Wrong => r#","user":"hashed","pass":"wrong""#.into(),
            Role::Silent => String::new(),
            Role::Crowd => r#","user":"crowd","pass":"plain""#.into(),
        };
    }
    let count = roles.len();
    let crowd_size = roles.iter().filter(|role| **role == Role::Crowd).count();
    let script = Logins {
        roles,
        is_in: vec![false; count],
        told: vec![None; count],
        ended: vec![None; count],
        limit,
        is_calm: false,
    };
    let mut run = Run::new(plan, script, random, settings);
    let mut checks = Vec::new();
    if pass(&mut run, CROWD, &mut checks) {
        judge_timeouts(&mut run);
        // One at least goes when the crowd is in.
        for lower in [1, limit + 1] {
            reload(&mut run, lower, &mut checks);
            run.play_mut().script.is_calm = false;
            pass(&mut run, CROWD, &mut checks);
        }
        run.play_mut().script.is_calm = true;
        pass(&mut run, SLACK, &mut checks);
        let (inside, expected) = (run.play().script.crowd_inside(), crowd_size.min(limit + 1));
        if inside != expected && !run.has_failed() {
            run.play_mut().stage.ledger.violate(format!("{inside} of the crowd are in, {expected} may be"));
        }
        run.statistics();
    }
    run.finish()
}

/// Lets time pass, and checks passwords meanwhile as the control plane does. Whether all rules were kept.
fn pass(run: &mut Run<Logins>, time: Duration, checks: &mut Vec<PasswordCheck>) -> bool {
    let end = run.world.now().after(time);
    while run.world.now() < end && !run.has_failed() {
        let pause = run.play_mut().stage.random.pause(Duration::from_millis(30));
        run.pass(pause);
        for notice in run.notices.try_iter() {
            if let Notice::CheckPassword(check) = notice {
                checks.push(check);
            }
        }
        if checks.is_empty() || !run.play_mut().stage.random.chance(1, 3) {
            continue;
        }
        let next = run.play_mut().stage.random.below(checks.len());
        let check = checks.swap_remove(next);
        let verdict = match check.password.reveal() {
            _ if run.play_mut().stage.random.chance(1, 4) => PasswordVerdict::NotChecked,
            RIGHT => PasswordVerdict::Matches,
            _ => PasswordVerdict::Differs,
        };
        let order = Order::PasswordChecked(check.ticket, verdict);
        run.world.order(run.server, check.ticket.core.index(), order);
    }
    !run.has_failed()
}

/// Whether those who say nothing were closed in time.
fn judge_timeouts(run: &mut Run<Logins>) {
    let latest = run.plan.server.auth_timeout + Duration::from_secs(1);
    let mut play = run.play_mut();
    for client in 0..play.script.roles.len() {
        let in_time =
            play.script.ended[client].is_some_and(|ended| ended <= Monotonic::default().after(latest));
        if play.script.roles[client] == Role::Silent && !in_time {
            play.stage
                .ledger
                .violate(format!("client {client} said nothing and was not closed in {latest:?}"));
        }
    }
}

fn reload(run: &mut Run<Logins>, limit: usize, checks: &mut Vec<PasswordCheck>) {
    {
        let mut play = run.play_mut();
        play.script.is_calm = true;
        play.script.limit = play.script.limit.max(limit);
    }
    let kept = run
        .play()
        .script
        .is_in
        .iter()
        .zip(&run.play().script.roles)
        .filter(|(i, r)| **i && **r == Role::Right)
        .count();
    run.reload(options(&run.plan.server, limit));
    if !pass(run, SLACK, checks) {
        return;
    }
    let mut play = run.play_mut();
    play.script.limit = limit;
    play.stage.ledger.effects.add("clients kept by a reload", kept as u64);
    let inside = play.script.crowd_inside();
    if inside > limit {
        play.stage.ledger.violate(format!("{inside} are in an account that takes {limit} since a while"));
    }
}
