//! A fast producer is stalled, not its receiver closed.
//!
//! When a receiver is three quarters full, the clients that publish to it, and only those, are not read for a
//! moment. A receiver that has taken nothing since the last stall is not waited for again: it fills up and is
//! closed, so a dead one slows nobody.

use crate::mail::{Mail, Origin, Stall};
use crate::mutation::Mutation;
use crate::session::client::Holds;
use crate::session::keepalive::TimerKind;
use crate::shard::Shard;
use petrel_runtime::Io;
use std::time::Duration;

/// How long publishers to a receiver rest that is three quarters full. Upstream's figure.
const STALL_NEARLY_FULL: Duration = Duration::from_millis(2);
/// How long publishers to a full receiver rest. Upstream's figure.
const STALL_FULL: Duration = Duration::from_millis(5);

impl Shard {
    /// Asks the publisher of the message at hand to rest for the sake of a receiver.
    pub(super) fn stall_publisher(
        &mut self,
        receiver: u32,
        is_full: bool,
        origin: &Origin,
        io: &Io<'_, Mail>,
    ) {
        let waits_for_dead = self.is_mutated(Mutation::StallForDeadReceiver);
        let Some(receiver) = self.sessions.get_mut(receiver) else { return };
        let now = io.now();
        if now >= receiver.stall_until {
            let written = receiver.out.written_bytes + 1;
            if receiver.written_at_stall == written && !waits_for_dead {
                return;
            }
            receiver.written_at_stall = written;
            receiver.stall_until = now.after(if is_full { STALL_FULL } else { STALL_NEARLY_FULL });
        }
        if origin.core == self.core.0 {
            if let Some(publisher) = self.sessions.get_mut(origin.session) {
                publisher.stall_wanted = publisher.stall_wanted.max(1 + u8::from(is_full));
            }
            return;
        }
        let stalls = &mut self.outgoing[usize::from(origin.core)].stalls;
        if !stalls.iter().rev().take(8).any(|stall| stall.session == origin.session) {
            stalls.push(Stall { session: origin.session, cid: origin.cid, full: is_full });
        }
    }

    /// Other cores ask publishers of this core to rest.
    pub(crate) fn take_stalls(&mut self, stalls: &[Stall], io: &mut Io<'_, Mail>) {
        for stall in stalls {
            if let Some(publisher) = self.sessions.get_mut(stall.session)
                && publisher.cid == stall.cid
            {
                publisher.stall_wanted = 1 + u8::from(stall.full);
                self.apply_stall(stall.session, io);
            }
        }
    }

    /// Starts the rest that the messages of this read have earned their publisher, once a read.
    pub(crate) fn apply_stall(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let wanted = std::mem::take(&mut session.stall_wanted);
        if wanted == 0 || session.holds.has(Holds::STALL) || !session.takes_messages() {
            return;
        }
        session.stalls += 1;
        self.statistics.stalled_clients += 1;
        let rest = if wanted > 1 { STALL_FULL } else { STALL_NEARLY_FULL };
        if !self.is_mutated(Mutation::StallNeverLifted) {
            self.set_timer(TimerKind::Stall, key, io.now().after(rest), io);
        }
        self.hold(key, Holds::STALL, io);
    }
}
