//! What clients may publish and get: what is denied is not delivered, also under a wildcard; what may not be published
//! goes nowhere; and a reload changes both at once and removes the subscriptions that are not allowed any more.

use super::Scenario;
use crate::ledger::{Interest, Publication, SubscriptionId};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use petrel_config::{Credential, Permissions, SubjectPermission, User};
use petrel_engine::{Directory, Options};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "permissions",
    about: "what is denied is neither published nor delivered, and a reload removes what is not allowed any more",
    needs: &["deliveries", "refused messages", "refused subscriptions", "removed subscriptions", "envelopes"],
    run,
};

const SUBJECTS: [&str; 6] = ["open.a", "open.b", "later.a", "later.b", "secret.a", "top.secret.a"];
/// What nobody but the free may get, and since the reload.
const DENIED: [&str; 2] = ["secret.>", "top.secret.*"];
const DENIED_LATER: &str = "later.*";
/// What everybody else subscribes to; the last one is refused from the beginning.
const PATTERNS: [&str; 8] = [">", "open.*", "later.a", "later.>", "*.a", "*.secret.a", "top.>", "secret.a"];
const BEGIN: u32 = 1;

/// Clients of which every second may do everything.
#[derive(Default)]
struct Bound {
    /// Subscriptions of those who may not do everything.
    bound: Vec<(usize, String, SubscriptionId)>,
    /// Error texts that are owed to each client.
    owed: Vec<BTreeSet<String>>,
    writes: Vec<usize>,
    is_reloaded: bool,
}

fn is_free(client: usize) -> bool {
    client.is_multiple_of(2)
}

/// Whether the server must refuse, or remove, a subscription of a client that is not free.
fn is_refused(pattern: &str, is_reloaded: bool) -> bool {
    pattern == "secret.a" || (is_reloaded && matches!(pattern, "later.a" | "later.>"))
}

impl Script for Bound {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        if is_free(hand.client) {
            for pattern in [">", "*.a"] {
                hand.subscribe(permanent(pattern, &[]));
            }
            return;
        }
        for pattern in PATTERNS {
            if is_refused(pattern, false) {
                let sid = 1_000_000 + hand.client;
                hand.raw(format!("SUB {pattern} {sid}\r\n").as_bytes());
                self.owed[hand.client]
                    .insert(format!("Permissions Violation for Subscription to {pattern:?}"));
                continue;
            }
            let id = hand.subscribe(permanent(pattern, &DENIED));
            self.bound.push((hand.client, pattern.to_owned(), id));
        }
    }

    fn poked(&mut self, _: u32, hand: &mut Hand<'_>) {
        hand.act_in(Duration::from_millis(1));
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.writes[hand.client] == 0 {
            return;
        }
        self.writes[hand.client] -= 1;
        if !is_free(hand.client) && hand.random().chance(1, 4) {
            // Nobody may ever see this: the oracle knows of no such message.
            let subject = if self.is_reloaded { "later.x" } else { "private.x" };
            hand.raw(format!("PUB {subject} 4\r\nnone\r\n").as_bytes());
            self.owed[hand.client].insert(format!("Permissions Violation for Publish to {subject:?}"));
        } else {
            let subject = *hand.random().one_of(&SUBJECTS[..if self.is_reloaded { 2 } else { 4 }]);
            let all = *hand.random().one_of(&SUBJECTS);
            let subject = if is_free(hand.client) { all } else { subject };
            let payload_bytes = hand.random().within(20..=200);
            hand.publish(Publication {
                subject: subject.into(),
                reply: None,
                payload_bytes,
                with_headers: false,
            });
        }
        if hand.random().chance(1, 5) {
            hand.ping();
        }
        let pause = hand.random().pause(Duration::from_millis(10));
        hand.act_in(pause);
    }

    fn refused(&mut self, text: &str, hand: &mut Hand<'_>) {
        let client = hand.client;
        if !self.owed[client].contains(text) {
            hand.stage.ledger.violate(format!("client {client} was told {text:?}"));
        }
        let effect = match text {
            _ if text.contains("(sid ") => "removed subscriptions",
            _ if text.contains("Publish") => "refused messages",
            _ => "refused subscriptions",
        };
        if effect == "removed subscriptions" {
            self.owed[client].remove(text);
        }
        hand.stage.ledger.effects.add(effect, 1);
    }
}

fn permanent(pattern: &str, denied: &[&str]) -> Interest {
    Interest {
        pattern: pattern.to_owned(),
        is_permanent: true,
        denied: denied.iter().map(|subject| (*subject).to_owned()).collect(),
        ..Interest::default()
    }
}

fn options(plan: &Options, is_reloaded: bool) -> Options {
    let user = |name: &str, permissions| User {
        credential: Credential::Password { name: name.into(), password: "p".into() },
        permissions,
        connection_types: None,
    };
    let list = |subjects: &[&str]| subjects.iter().map(|subject| (*subject).to_owned()).collect();
    let later = is_reloaded.then_some(DENIED_LATER);
    let denied: Vec<&str> = DENIED.into_iter().chain(later).collect();
    let private: Vec<&str> = ["private.*"].into_iter().chain(later).collect();
    let permissions = Permissions {
        publish: Some(SubjectPermission { allow: None, deny: list(&private) }),
        subscribe: Some(SubjectPermission { allow: None, deny: list(&denied) }),
        responses: None,
    };
    let mut configured = petrel_config::Options::default();
    configured.authorization.users = Some(vec![user("free", None), user("bound", Some(permissions))]);
    let directory = Directory::compile(&configured, Some(&plan.directory)).expect("they fit together");
    Options { directory: Arc::new(directory), ..plan.clone() }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 12));
    plan.server = options(&plan.server, false);
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        let name = if is_free(client) { "free" } else { "bound" };
        profile.credentials = format!(r#","user":"{name}","pass":"p""#);
    }
    let count = plan.profiles.len();
    let writes = vec![random.within(10..=40); count];
    let script = Bound { owed: vec![BTreeSet::new(); count], writes, ..Bound::default() };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() && talk(&mut run) && reload(&mut run) {
        let more = run.play_mut().stage.random.within(10..=40);
        run.play_mut().script.writes = vec![more; count];
        if talk(&mut run) {
            run.settle();
        }
        run.count_effects();
    }
    run.finish()
}

/// Everybody writes what he has to, and all of it arrives.
fn talk(run: &mut Run<Bound>) -> bool {
    run.poke_all(Poke::Script(BEGIN));
    let is_written = run
        .until_with_sweeps(Duration::from_secs(60), |play| play.script.writes.iter().all(|left| *left == 0));
    if !is_written && !run.has_failed() {
        run.play_mut().stage.ledger.violate("not everything was written in time");
    }
    // One sweep acknowledges what was published, the next one shows that it arrived.
    is_written && run.sweep() && run.sweep()
}

/// Goes over to permissions that deny more, while nothing is under way.
fn reload(run: &mut Run<Bound>) -> bool {
    {
        let mut play = run.play_mut();
        let bound = play.script.bound.clone();
        for (client, pattern, id) in bound {
            if is_refused(&pattern, true) {
                let text =
                    format!("Permissions Violation for Subscription to {pattern:?} (sid \"{}\")", id.0);
                play.script.owed[client].insert(text);
                play.stage.ledger.unsubscribed(id, true);
            }
        }
    }
    run.reload(options(&run.plan.server, true));
    if !run.sweep() || !run.sweep() {
        return false;
    }
    let mut play = run.play_mut();
    play.script.is_reloaded = true;
    let missing: Vec<String> =
        play.script.owed.iter().flatten().filter(|text| text.contains("(sid ")).cloned().collect();
    for text in missing {
        play.stage.ledger.violate(format!("nobody was told {text:?}"));
    }
    for (_, _, id) in play.script.bound.clone() {
        play.stage.ledger.deny(id, DENIED_LATER);
    }
    play.stage.ledger.violations().is_empty()
}
