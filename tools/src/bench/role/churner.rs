//! Adds and removes subscriptions on a schedule, as applications that come and go do.

use std::io::Write;
use std::sync::atomic::Ordering;

use super::super::schedule::Schedule;
use super::super::subjects::SubjectSpace;
use super::Context;

/// Subscriptions that are in place at any time: each lives for this many steps.
const LIVE_SUBSCRIPTIONS: u64 = 100;

/// A connection that changes interest.
pub struct Churner {
    space: SubjectSpace,
    schedule: Schedule,
    steps: u64,
    stopped: bool,
}

impl Churner {
    /// A churner that adds and removes one subscription at each time of `schedule`.
    pub fn new(space: SubjectSpace, schedule: Schedule) -> Self {
        Self { space, schedule, steps: 0, stopped: false }
    }

    /// The run begins: times of the schedule count from now.
    pub fn begin(&mut self, now_ns: u64) {
        self.schedule.delay(now_ns);
    }

    /// When the next change is due.
    pub fn next_due_ns(&self) -> Option<u64> {
        (!self.stopped).then(|| self.schedule.next_ns())
    }

    /// Sends the changes that are due.
    pub fn send_due(&mut self, output: &mut Vec<u8>, context: &mut Context<'_>) {
        while !self.stopped
            && let Some(group) = self.schedule.take_due(context.now_ns)
        {
            for _ in 0..group.messages {
                self.steps += 1;
                let subject = self.space.passing_subscription(self.steps);
                let written = write!(output, "SUB {subject} {}\r\n", self.steps);
                written.expect("a vector takes everything");
                if let Some(oldest) = self.steps.checked_sub(LIVE_SUBSCRIPTIONS).filter(|oldest| *oldest > 0)
                {
                    let written = write!(output, "UNSUB {oldest}\r\n");
                    written.expect("a vector takes everything");
                }
            }
            context.flow.churned.store(self.steps, Ordering::Relaxed);
        }
    }

    /// Makes no more changes.
    pub fn stop(&mut self) {
        self.stopped = true;
    }
}
