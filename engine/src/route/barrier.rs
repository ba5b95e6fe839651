//! PONG is a barrier: it goes out when everything that the connection did before its PING has taken effect on
//! all cores. The same wait stands before the next PUB of a connection that changed interest, so that no chain
//! of other cores' messages can overtake the change (two cores need no such wait: the only way to the other
//! core is the mailbox that the change is in already).

use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::session::client::{BarrierWait, Holds};
use crate::shard::Shard;
use petrel_runtime::Io;

impl Shard {
    /// Whether everything this core has sent to the others has been handled by them, what is still to be
    /// posted included.
    fn is_all_handled(&self, io: &Io<'_, Mail>) -> bool {
        self.other_cores().all(|core| {
            let outgoing = &self.outgoing[core.index()];
            outgoing.interest.is_empty()
                && outgoing.envelopes.is_empty()
                && outgoing.returned.is_empty()
                && (io.mails_consumed(core) == io.mails_sent(core)
                    || self.is_mutated(Mutation::WatermarkNotWaited))
        })
    }

    /// Starts a barrier for a session. True: nothing was under way, it is passed already. False: the session
    /// is held until `Passed` has come from everyone asked.
    pub(crate) fn start_barrier(&mut self, key: u32, pong: bool, io: &mut Io<'_, Mail>) -> bool {
        if self.is_all_handled(io) {
            if let Some(session) = self.sessions.get_mut(key) {
                session.reached_out = false;
                session.changed_interest = false;
            }
            return true;
        }
        if !self.is_mutated(Mutation::BarrierAheadOfBatch) {
            self.post_all(io);
        }
        let token = self.token();
        let mut outstanding = 0;
        for core in self.other_cores() {
            if io.mails_consumed(core) < io.mails_sent(core) && !self.is_mutated(Mutation::WatermarkNotWaited)
            {
                io.mail(core, Mail::Barrier(token));
                outstanding += 1;
            }
        }
        let Some(session) = self.sessions.get_mut(key) else { return true };
        session.reached_out = false;
        session.changed_interest = false;
        if outstanding == 0 {
            return true;
        }
        session.barrier = Some(Box::new(BarrierWait { token, outstanding, pong }));
        if pong {
            self.statistics.barriers_waited += 1;
        } else {
            self.statistics.publishes_delayed += 1;
        }
        self.barriers.insert(token, (key, session.cid));
        self.hold(key, Holds::BARRIER, io);
        false
    }

    /// Another core has handled everything that was sent to it before the barrier.
    pub(crate) fn barrier_passed(&mut self, token: u64, io: &mut Io<'_, Mail>) {
        let Some((key, cid)) = self.barriers.get(&token).copied() else { return };
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.cid == cid) else {
            self.barriers.remove(&token);
            return;
        };
        let Some(wait) = session.barrier.as_mut().filter(|wait| wait.token == token) else {
            self.barriers.remove(&token);
            return;
        };
        wait.outstanding -= 1;
        if wait.outstanding > 0 {
            return;
        }
        let pong = wait.pong;
        session.barrier = None;
        self.barriers.remove(&token);
        // A queue envelope that came back meanwhile and went to another core has to arrive too.
        let went_on = session.reached_out;
        if went_on && !self.start_barrier(key, pong, io) {
            return;
        }
        if pong {
            self.send_pong(key, io);
        }
        self.lift(key, Holds::BARRIER, io);
    }
}
