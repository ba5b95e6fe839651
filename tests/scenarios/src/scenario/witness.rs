//! Events that must be there once the client that caused them has read a PONG: whoever PINGs after that has them.

use crate::script::Hand;
use std::collections::VecDeque;

/// What a listener has to have heard of.
#[derive(Default)]
pub(super) struct Witness {
    /// What is acknowledged and was not looked for.
    due: Vec<usize>,
    /// What each PING of the listener is to confirm.
    looked_for: VecDeque<Vec<usize>>,
}

impl Witness {
    /// A client has read the PONG of a PING behind this.
    pub(super) fn acknowledged(&mut self, what: usize) {
        self.due.push(what);
    }

    /// The listener PINGs.
    pub(super) fn look(&mut self, hand: &mut Hand<'_>) {
        self.looked_for.push_back(std::mem::take(&mut self.due));
        hand.ping();
    }

    /// The listener has read its PONG: what was due when it wrote the PING is there.
    pub(super) fn looked(&mut self, hand: &mut Hand<'_>, is_there: impl Fn(usize) -> bool) {
        for what in self.looked_for.pop_front().unwrap_or_default() {
            hand.stage.ledger.effects.add("events due", 1);
            if !is_there(what) {
                hand.stage.ledger.violate(format!("what a PONG acknowledged was not told of: {what}"));
            }
        }
    }
}
