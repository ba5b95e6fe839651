//! Several clients subscribe to the same new subject at about the same time: each of them may rely on its own PONG, also
//! those who were not the first of their core, and whose core has told the others already.

use super::Scenario;
use crate::ledger::{Interest, Publication};
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Poke, Script};
use std::collections::VecDeque;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "company",
    about: "a PONG confirms a subscription on all cores, also one that another client of the core has just made",
    needs: &["deliveries", "envelopes", "delayed PONGs", "MailSplit"],
    run,
};

/// Told to the first client: begin. Plus the number of a subject, to any: subscribe to it; publish on it.
const BEGIN: u32 = 1;
const SUBSCRIBE: u32 = 1000;
const PUBLISH: u32 = 1_000_000;
const MASTER: usize = 0;

struct Company {
    subjects: u32,
    subjects_max: u32,
    /// Subjects that the PINGs of a client stand behind.
    confirming: Vec<VecDeque<u32>>,
}

impl Script for Company {
    fn opened(&mut self, _: &mut Hand<'_>) {}

    fn poked(&mut self, word: u32, hand: &mut Hand<'_>) {
        match word {
            PUBLISH.. => {
                let subject = format!("new.{}.x", word - PUBLISH);
                hand.publish(Publication { subject, payload_bytes: 20, ..Publication::default() });
            }
            SUBSCRIBE.. => {
                let number = word - SUBSCRIBE;
                let tail = if number.is_multiple_of(2) { "x" } else { "*" };
                hand.subscribe(Interest { pattern: format!("new.{number}.{tail}"), ..Interest::default() });
                self.confirming[hand.client].push_back(number);
                hand.ping();
            }
            _ => hand.act_in(Duration::from_micros(1)),
        }
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        if self.subjects == self.subjects_max {
            return;
        }
        self.subjects += 1;
        let clients = hand.stage.client_count();
        for client in 0..clients {
            if hand.random().chance(1, 2) {
                hand.stage.poke(client, Poke::Script(SUBSCRIBE + self.subjects));
            }
        }
        let pause = hand.random().pause(Duration::from_millis(10));
        hand.act_in(pause);
    }

    fn ponged(&mut self, hand: &mut Hand<'_>) {
        if let Some(number) = self.confirming[hand.client].pop_front() {
            let clients = hand.stage.client_count();
            let publisher = hand.random().below(clients);
            hand.stage.poke(publisher, Poke::Script(PUBLISH + number));
        }
    }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[2, 3, 4], (4, 16));
    // Clients hear and tell sooner than the cores hear of each other's interest.
    let micros = Duration::from_micros;
    plan.world.latency = (micros(10), micros(50));
    plan.world.jitter_max = micros(20);
    plan.world.turn = (micros(1), micros(20));
    plan.world.mail_delay_max = micros(*random.one_of(&[2000, 20_000]));
    let subjects_max = u32::try_from(random.within(10..=40)).expect("few subjects");
    let confirming = vec![VecDeque::new(); plan.profiles.len()];
    let mut run = Run::new(plan, Company { subjects: 0, subjects_max, confirming }, random, settings);
    if run.open() {
        run.poke(MASTER, Poke::Script(BEGIN));
        let is_done = run.must(Duration::from_secs(60), "all subscriptions", |play| {
            let script = &play.script;
            script.subjects == script.subjects_max && script.confirming.iter().all(VecDeque::is_empty)
        });
        if is_done && run.settle() {
            run.count_effects();
        }
    }
    run.finish()
}
