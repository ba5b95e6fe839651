//! What everything in a world stands on: its time, its chances, and the record of both.

use super::agenda::{Action, Agenda};
use super::dice::Dice;
use super::faults::{FaultCounts, FaultKind};
use super::options::SimOptions;
use super::trace::Trace;

/// Time, chance and record of a world.
#[derive(Debug)]
pub(super) struct Ground {
    /// Virtual nanoseconds since the world began.
    pub(super) now: u64,
    pub(super) agenda: Agenda,
    pub(super) dice: Dice,
    pub(super) options: SimOptions,
    pub(super) faults: FaultCounts,
    pub(super) trace: Trace,
}

impl Ground {
    pub(super) fn new(options: SimOptions) -> Ground {
        Ground {
            now: 0,
            agenda: Agenda::default(),
            dice: Dice::new(options.seed, 0),
            faults: FaultCounts::default(),
            trace: Trace::new(options.trace_text),
            options,
        }
    }

    /// Enters an action for a time, now at the earliest.
    pub(super) fn at(&mut self, at: u64, action: Action) {
        let tie = self.dice.bits();
        self.agenda.enter(at.max(self.now), tie, action);
    }

    /// Enters an action for `delay` nanoseconds from now.
    pub(super) fn later(&mut self, delay: u64, action: Action) {
        self.at(self.now.saturating_add(delay), action);
    }

    /// Records a decision that took effect.
    pub(super) fn record(&mut self, what: &str, numbers: &[u64]) {
        self.trace.record(self.now, what, numbers);
    }

    /// Records and counts a fault that took effect.
    pub(super) fn fault(&mut self, kind: FaultKind, what: &str, numbers: &[u64]) {
        self.faults.add(kind);
        self.trace.record(self.now, what, numbers);
    }
}
