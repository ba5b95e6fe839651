//! A fast producer is stalled, not its receiver closed.
//!
//! When a receiver is three quarters full, the clients that publish to it, and only those, are not read for a
//! moment. A receiver that has taken nothing for a while is not waited for: it fills up and is closed, so a dead one
//! slows nobody for long.

use crate::mail::{Mail, Origin, Stall};
use crate::mutation::Mutation;
use crate::session::client::{AfterBarrier, Holds};
use crate::session::keepalive::TimerKind;
use crate::shard::Shard;
use petrel_runtime::Io;
use std::time::Duration;

/// How long publishers to a receiver rest that is three quarters full. Upstream's figure.
const STALL_NEARLY_FULL: Duration = Duration::from_millis(2);
/// A receiver that took nothing for this long is not waited for. Long enough for one that was merely not scheduled on a
/// crowded machine, short enough that a dead one costs its publishers a moment once.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long a publisher that another core stalled is read with care.
const CAREFUL: Duration = Duration::from_millis(100);
/// How long publishers to a full receiver rest. Upstream's figure.
const STALL_FULL: Duration = Duration::from_millis(5);

impl Shard {
    /// Asks the publisher of the message at hand to rest for the sake of a receiver.
    pub(super) fn stall_publisher(
        &mut self,
        receiver_key: u32,
        is_full: bool,
        origin: &Origin,
        io: &Io<'_, Mail>,
    ) {
        let waits_for_dead = self.is_mutated(Mutation::StallForDeadReceiver);
        let Some(receiver) = self.sessions.get_mut(receiver_key) else { return };
        let now = io.now();
        let taken = receiver.out.taken_bytes(io.unsent_bytes(receiver.socket));
        if receiver.taken_bytes != taken {
            receiver.taken_bytes = taken;
            receiver.taken_at = now;
        }
        if now.since(receiver.taken_at) > PATIENCE && !waits_for_dead {
            return;
        }
        if origin.core == self.core.0 {
            let Some(publisher) = self.sessions.get_mut(origin.session) else { return };
            let wanted = 1 + u8::from(is_full);
            if publisher.stall_wanted >= wanted || publisher.holds.has(Holds::STALL) {
                return;
            }
            publisher.stall_wanted = wanted;
        } else {
            let stalls = &mut self.outgoing[usize::from(origin.core)].stalls;
            if stalls.iter().rev().take(8).any(|stall| stall.session == origin.session) {
                return;
            }
            stalls.push(Stall { session: origin.session, cid: origin.cid, full: is_full });
        }
        // Upstream counts a stall at the receiver that caused it.
        self.statistics.stalled_clients += 1;
        if let Some(receiver) = self.sessions.get_mut(receiver_key) {
            receiver.stalls += 1;
        }
    }

    /// Other cores ask publishers of this core to rest.
    pub(crate) fn take_stalls(&mut self, stalls: &[Stall], io: &mut Io<'_, Mail>) {
        for stall in stalls {
            if let Some(publisher) = self.sessions.get_mut(stall.session)
                && publisher.cid == stall.cid
            {
                publisher.stall_wanted = 1 + u8::from(stall.full);
                publisher.careful_until = io.now().after(CAREFUL);
                self.apply_stall(stall.session, io);
            }
        }
    }

    /// Ends a read: starts the rest that its messages have earned their publisher. A publisher that another core
    /// stalled lately is not read on before that core has handled what it sent, and had its chance to stall again:
    /// else it would send as much as fits between the cores after every rest.
    pub(crate) fn apply_stall(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let wanted = std::mem::take(&mut session.stall_wanted);
        if !session.takes_messages() {
            return;
        }
        if wanted == 0 {
            let is_careful = io.now() < session.careful_until && session.reached_out;
            if is_careful && !session.holds.has(Holds::BARRIER) {
                self.start_barrier(key, AfterBarrier::Verb, io);
            }
            return;
        }
        if session.holds.has(Holds::STALL) {
            return;
        }
        let rest = if wanted > 1 { STALL_FULL } else { STALL_NEARLY_FULL };
        if !self.is_mutated(Mutation::StallNeverLifted) {
            self.set_timer(TimerKind::Stall, key, io.now().after(rest), io);
        }
        self.hold(key, Holds::STALL, io);
    }
}
