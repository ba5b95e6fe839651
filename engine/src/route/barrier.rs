//! PONG is a barrier: it goes out when everything that the connection did before its PING has taken effect on
//! all cores. The same wait stands before every other answer that says that a change of interest is in force
//! (a verbose client's `+OK`, the notice that nobody received a request), and before the next PUB of a connection
//! that changed interest, so that no chain of other cores' messages can overtake the change (two cores need no
//! such wait: the only way to the other core is the mailbox that the change is in already).

use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::session::client::{AfterBarrier, BarrierWait, Holds};
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

    /// Whether some core has not yet taken in what this one has told of its interest, or is to tell.
    fn is_interest_under_way(&self, io: &Io<'_, Mail>) -> bool {
        self.other_cores().any(|core| {
            let outgoing = &self.outgoing[core.index()];
            !outgoing.interest.is_empty() || io.mails_consumed(core) < outgoing.interest_mailed
        })
    }

    /// A session subscribed. What it wants another client of this core may want already; then the other cores are not told
    /// again, and may still not know: it waits for that like the client who was first.
    pub(crate) fn share_interest_under_way(&mut self, key: u32, io: &Io<'_, Mail>) {
        let is_under_way = self.core_count > 1 && self.is_interest_under_way(io);
        if is_under_way
            && !self.is_mutated(Mutation::SharedInterestNotAwaited)
            && let Some(session) = self.sessions.get_mut(key)
        {
            session.reached_out = true;
            session.changed_interest = true;
        }
    }

    /// Starts a barrier for a session. True: nothing was under way, it is passed already. False: the session
    /// is held until `Passed` has come from everyone asked; then `after` follows.
    pub(crate) fn start_barrier(&mut self, key: u32, after: AfterBarrier, io: &mut Io<'_, Mail>) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return true };
        session.reached_out = false;
        session.changed_interest = false;
        // Handled envelopes are not all there is to wait for when they may come back: what another core
        // returns lies ahead of its `Passed`.
        let awaits_returns = std::mem::take(&mut session.awaits_returns);
        let awaits_returns = awaits_returns && !self.is_mutated(Mutation::ReturnsNotAwaited);
        if !awaits_returns && self.is_all_handled(io) {
            return true;
        }
        if !self.is_mutated(Mutation::BarrierAheadOfBatch) {
            self.post_all(io);
        }
        let token = self.token();
        let mut outstanding = 0;
        for core in self.other_cores() {
            let is_behind = io.mails_consumed(core) < io.mails_sent(core);
            if (awaits_returns || is_behind) && !self.is_mutated(Mutation::WatermarkNotWaited) {
                io.mail(core, Mail::Barrier(token));
                outstanding += 1;
            }
        }
        if outstanding == 0 {
            return true;
        }
        match after {
            AfterBarrier::Pong => self.statistics.barriers_waited += 1,
            _ => self.statistics.publishes_delayed += 1,
        }
        let Some(session) = self.sessions.get_mut(key) else { return true };
        session.barrier = Some(Box::new(BarrierWait { token, outstanding, after }));
        self.barriers.insert(token, (key, session.cid));
        self.hold(key, Holds::BARRIER, io);
        false
    }

    /// Another core has handled everything that was sent to it before the barrier.
    pub(crate) fn barrier_passed(&mut self, token: u64, io: &mut Io<'_, Mail>) {
        let Some((key, cid)) = self.barriers.get(&token).copied() else {
            self.forwards_passed(token, io);
            return;
        };
        let session = self.sessions.get_mut(key).filter(|session| session.cid == cid);
        let Some(wait) = session.and_then(|session| session.barrier.as_mut()).filter(|w| w.token == token)
        else {
            self.barriers.remove(&token);
            return;
        };
        wait.outstanding -= 1;
        if wait.outstanding > 0 {
            return;
        }
        self.barriers.remove(&token);
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(wait) = session.barrier.take() else { return };
        // A queue envelope that came back meanwhile and went to another core has to arrive too.
        if session.reached_out && !self.start_barrier(key, wait.after.clone(), io) {
            return;
        }
        match wait.after {
            AfterBarrier::Verb => {}
            AfterBarrier::Pong => self.send_pong(key, io),
            AfterBarrier::Acknowledgement => self.acknowledge(key, io),
            AfterBarrier::NoResponders { subject, reply } => {
                self.send_no_responders(key, &subject, &reply, io);
            }
        }
        self.lift(key, Holds::BARRIER, io);
    }
}

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::workbench::{Workbench, quick_world};
    use std::time::Duration;

    /// The second client to want a subject on its core got its PONG at once, while the first one's interest was still on its
    /// way to the other core: what was published there in between did not reach it.
    #[test]
    fn a_pong_waits_for_the_interest_of_others_that_it_rests_on() {
        for seed in 0..100 {
            let mut world = quick_world(seed);
            world.mail_delay_max = Duration::from_millis(40);
            let mut bench = Workbench::new(world, 2, Options::default());
            let (first, publisher, second) = (bench.client(), bench.client(), bench.client());
            bench.say(first, "SUB x.* 1\r\n");
            bench.say(second, "SUB x.* 1\r\nPING\r\n");
            assert_eq!(bench.heard_up_to(second, "PONG\r\n"), "PONG\r\n");
            bench.say(publisher, "PUB x.y 1\r\nm\r\n");
            bench.world.run_for(Duration::from_secs(1));
            assert_eq!(bench.heard(second), "MSG x.y 1 1\r\nm\r\n", "seed {seed}");
        }
    }
}
