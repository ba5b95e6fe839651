//! Many runs of a scenario, on several threads.

use crate::effects::Effects;
use crate::run::{Outcome, Settings};
use crate::scenario::Scenario;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What came of many runs.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Runs that ended.
    pub runs: u64,
    /// What took effect in all of them together.
    pub effects: Effects,
    /// The seeds that broke a rule, with what was wrong.
    pub failures: Vec<(u64, Vec<String>)>,
}

impl Summary {
    /// What the scenario needs and what never took effect: the runs have not shown what they should.
    pub fn absent(&self, scenario: &Scenario) -> Vec<&'static str> {
        scenario.needs.iter().filter(|name| self.effects.of(name) == 0).copied().collect()
    }

    fn add(&mut self, seed: u64, outcome: Outcome) {
        self.runs += 1;
        self.effects.merge(&outcome.effects);
        if !outcome.violations.is_empty() {
            self.failures.push((seed, outcome.violations));
        }
    }
}

/// Runs a scenario for all seeds of a range on `threads` threads. Stops after the first failing seed when
/// `stops_at_failure` says so.
pub fn run(
    scenario: &Scenario,
    seeds: Range<u64>,
    threads: usize,
    settings: &Settings,
    stops_at_failure: bool,
) -> Summary {
    let summary = Mutex::new(Summary::default());
    let next = AtomicU64::new(seeds.start);
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = (scenario.run)(seed, settings);
            let mut summary = summary.lock().expect("nobody panics with the lock");
            summary.add(seed, outcome);
            if stops_at_failure && !summary.failures.is_empty() {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut summary = summary.into_inner().expect("nobody panics with the lock");
    summary.failures.sort();
    summary
}
