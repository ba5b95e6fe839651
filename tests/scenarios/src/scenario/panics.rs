//! A defect costs the connection that ran into it, and those whose out-buffers it left with holes; the server and
//! everybody else go on.

use super::Scenario;
use crate::ledger::{Interest, Publication};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use petrel_engine::Order;
use petrel_runtime::End;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "panics",
    about: "a panic costs the connection that caused it and those it left with holes, and nobody else",
    needs: &["deliveries", "envelopes", "panics", "panics over mail", "broken receivers", "whole receivers"],
    run,
};

const SUBJECTS: [&str; 3] = ["calm.a", "calm.b", "calm.c"];
const DEFECT: &str = "provoke.panic";
/// The same, on the cores of those who receive it: nobody is closed for that but who is left with a hole.
const DEFECT_OVER_MAIL: &str = "provoke.mail";
/// Payloads that are not copied until the read they came with is worked off: a panic leaves holes for them.
const LARGE_BYTES: usize = 40_000;

/// What a client does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Role {
    /// Runs into the defect again and again.
    Unlucky,
    /// Subscribes to what the unlucky publish, large payloads included: it may be closed, but never gets half a message.
    Witness,
    /// Must not notice anything.
    Bystander,
}

struct Panics {
    writes: Vec<usize>,
    is_over: bool,
    /// How many messages were published that panic.
    provoked: u64,
}

fn role(client: usize) -> Role {
    match client % 4 {
        0 => Role::Unlucky,
        1 => Role::Witness,
        _ => Role::Bystander,
    }
}

impl Script for Panics {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        let pattern = match role(hand.client) {
            Role::Unlucky => "unlucky",
            Role::Witness => "provoke.>",
            Role::Bystander => "calm.*",
        };
        hand.subscribe(Interest { pattern: pattern.into(), is_permanent: true, ..Interest::default() });
        hand.ping();
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        hand.act_in(Duration::from_millis(5));
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.writes[hand.client] == 0 || !hand.is_connected() || self.is_over {
            return;
        }
        self.writes[hand.client] -= 1;
        let subject = *hand.random().one_of(&SUBJECTS);
        let payload_bytes = hand.random().within(20..=300);
        let publication =
            Publication { subject: subject.into(), reply: None, payload_bytes, with_headers: false };
        hand.publish(publication.clone());
        if role(hand.client) == Role::Unlucky {
            let payload_bytes = *hand.random().one_of(&[50, LARGE_BYTES]);
            for _ in 0..hand.random().below(4) {
                // What comes right behind it is in the same mail.
                let subject = DEFECT_OVER_MAIL.into();
                hand.publish(Publication { subject, payload_bytes, ..publication.clone() });
                hand.publish(publication.clone());
            }
            hand.publish(Publication { subject: DEFECT.into(), payload_bytes, ..publication });
            self.provoked += 1;
            // Its end makes it come again.
            return;
        }
        let pause = hand.random().pause(Duration::from_millis(20));
        hand.act_in(pause);
    }

    fn ended(&mut self, end: End, hand: &mut Hand<'_>) {
        match role(hand.client) {
            Role::Bystander => {
                let client = hand.client;
                hand.stage.ledger.violate(format!("bystander {client} was closed: {end:?}"));
            }
            Role::Witness => hand.stage.ledger.effects.add("broken receivers", 1),
            Role::Unlucky => {}
        }
        let pause = hand.random().pause(Duration::from_millis(50));
        hand.connect_in(pause);
    }

    fn message(
        &mut self,
        _: crate::ledger::MessageId,
        _: crate::ledger::SubscriptionId,
        hand: &mut Hand<'_>,
    ) {
        if role(hand.client) == Role::Witness {
            hand.stage.ledger.effects.add("whole receivers", 1);
        }
    }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3], (4, 16));
    plan.provokes_panics = true;
    // So that little may be under way between two cores: what a panic made of it would be missed soon.
    plan.server.limits.pending_max = 512 * 1024;
    let count = plan.profiles.len();
    let writes = (0..count).map(|client| if role(client) == Role::Unlucky { 3 } else { 30 }).collect();
    let mut run = Run::new(plan, Panics { writes, is_over: false, provoked: 0 }, random, settings);
    let is_written = run.must(Duration::from_secs(120), "all messages written", |play| {
        play.script.writes.iter().all(|left| *left == 0) && play.stage.open_count() == count
    });
    if is_written {
        run.play_mut().script.is_over = true;
        // The last of the unlucky are on their way out.
        run.pass(Duration::from_secs(2));
        run.settle();
        let statistics = run.ask(Order::Statistics);
        let panics: u64 = statistics.iter().map(|core| core.panics).sum();
        let mut play = run.play_mut();
        let provoked = play.script.provoked;
        // How often a message is mailed is the cores' business.
        if panics < provoked {
            play.stage.ledger.violate(format!("{provoked} panics were provoked, {panics} were counted"));
        }
        let envelopes: u64 = statistics.iter().map(|core| core.mails_sent).sum();
        play.stage.ledger.effects.add("panics", provoked);
        play.stage.ledger.effects.add("panics over mail", panics.saturating_sub(provoked));
        play.stage.ledger.effects.add("envelopes", envelopes);
    }
    run.poke_all(Poke::Leave);
    run.finish()
}
