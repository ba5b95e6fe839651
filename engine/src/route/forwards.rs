//! What a core sends to third cores because of another core's mail: the answers of services, and events about them and
//! about requests that an UNSUB there has ended.
//!
//! A PONG says that everything its client did before has taken effect on all cores. The client's core knows of its own
//! envelopes only, so the core that sent something on answers a barrier no earlier than that is handled as well. What is
//! sent on goes no further than one core, so this second step needs no third; a queue envelope that comes back and goes
//! to another core is waited for again.

use crate::mail::{Mail, Origin};
use crate::mutation::Mutation;
use crate::shard::Shard;
use hashbrown::HashMap;
use petrel_runtime::{CoreId, Io};

/// Barriers of other cores that wait for what this core sent on.
pub(crate) struct Forwards {
    /// Cores because of whose mail something was sent on since their last barrier, as a mask.
    caused_by: u64,
    /// Queue envelopes of other cores' clients that came back and went to another core.
    retries: u64,
    // The order is never seen: only look-ups. Bounded by the barriers of other cores, each of which holds a session there.
    waits: HashMap<u64, Wait, ahash::RandomState>,
}

/// A barrier that is not answered yet.
struct Wait {
    /// Who asked, and under which token.
    asker: CoreId,
    token: u64,
    /// Cores that have not answered.
    outstanding: usize,
    /// `Forwards::retries` when they were asked.
    retries: u64,
    /// How often they may be asked again: a queue envelope tries each core once.
    rounds_left: usize,
}

impl Forwards {
    pub(crate) fn new(hasher: ahash::RandomState) -> Forwards {
        Forwards { caused_by: 0, retries: 0, waits: HashMap::with_hasher(hasher) }
    }
}

impl Shard {
    /// Something went to other cores because of what a client did, beside the envelopes of its own message.
    pub(crate) fn note_forward(&mut self, origin: &Origin) {
        if origin.core != self.core.0 {
            self.note_forward_for(CoreId(origin.core));
        } else if !self.is_mutated(Mutation::ForwardsNotAwaited) {
            self.note_consequence(origin.session, origin.cid);
        }
    }

    /// As [`Shard::note_forward`], of any client of another core.
    pub(super) fn note_forward_for(&mut self, core: CoreId) {
        if !self.is_mutated(Mutation::ForwardsNotAwaited) {
            self.forwards.caused_by |= 1 << core.0;
        }
    }

    /// As [`Shard::note_forward`], of a client of this core.
    pub(crate) fn note_consequence(&mut self, session: u32, cid: u64) {
        if self.is_mutated(Mutation::EventsNotAwaited) {
            return;
        }
        if let Some(session) = self.sessions.get_mut(session)
            && session.cid == cid
        {
            session.reached_out = true;
            session.awaits_returns = true;
        }
    }

    /// A queue envelope that this core sent on for another one came back and goes to the next core.
    pub(super) fn note_forward_retried(&mut self) {
        self.forwards.retries += 1;
    }

    /// Another core asks whether everything that it sent before is handled.
    pub(crate) fn answer_barrier(&mut self, asker: CoreId, token: u64, io: &mut Io<'_, Mail>) {
        // What this core owes the asker goes ahead of the answer.
        self.post(asker, io);
        let was_causing = self.forwards.caused_by & (1 << asker.0) != 0;
        self.forwards.caused_by &= !(1 << asker.0);
        let wait = Wait { asker, token, outstanding: 0, retries: 0, rounds_left: self.core_count };
        if !was_causing || !self.wait_for_forwards(wait, io) {
            io.mail(asker, Mail::Passed(token));
        }
    }

    /// Asks the other cores whether they have handled what was sent on. False: nobody is there to be asked.
    fn wait_for_forwards(&mut self, mut wait: Wait, io: &mut Io<'_, Mail>) -> bool {
        self.post_all(io);
        let own = self.token();
        wait.outstanding = 0;
        wait.retries = self.forwards.retries;
        // What went back to the asker lies ahead of the answer to it.
        for core in self.other_cores().filter(|core| *core != wait.asker) {
            io.mail(core, Mail::InnerBarrier(own));
            wait.outstanding += 1;
        }
        let is_waiting = wait.outstanding > 0;
        if is_waiting {
            self.forwards.waits.insert(own, wait);
        }
        is_waiting
    }

    /// A core has handled what this core sent on.
    pub(super) fn forwards_passed(&mut self, token: u64, io: &mut Io<'_, Mail>) {
        let Some(wait) = self.forwards.waits.get_mut(&token) else { return };
        wait.outstanding -= 1;
        if wait.outstanding > 0 {
            return;
        }
        let Some(mut wait) = self.forwards.waits.remove(&token) else { return };
        let (asker, asked_under) = (wait.asker, wait.token);
        if wait.retries != self.forwards.retries && wait.rounds_left > 0 {
            wait.rounds_left -= 1;
            if self.wait_for_forwards(wait, io) {
                return;
            }
        }
        self.post(asker, io);
        io.mail(asker, Mail::Passed(asked_under));
    }
}
