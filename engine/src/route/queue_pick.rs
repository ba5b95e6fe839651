//! One member of each queue group gets a message.
//!
//! The pick is decided by delivery, not by interest: a member that cannot take it (drained, echo off, closed,
//! at its maximum) is passed over. A group with members on several cores is one group: each member has the
//! same chance.

use crate::interest::QueueMatch;
use crate::mail::{Batch, Mail, Message, Origin, Traced};
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_runtime::{CoreId, Io};

impl Shard {
    /// Offers a message to a queue group. Some: a member on that core was picked. None: decided here;
    /// `last_offer_taken` says whether a member of this core took it.
    pub(super) fn offer_queue(
        &mut self,
        queue: &QueueMatch,
        origin: &Origin,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> Option<CoreId> {
        let remote: usize = queue.remote.iter().map(|remote| remote.1 as usize).sum();
        let mut ticket = self.pick(queue.local.len() + remote);
        self.last_offer_taken = false;
        if ticket < queue.local.len() {
            if self.offer_local(&queue.local, ticket, origin, message, io) {
                self.last_offer_taken = true;
                return None;
            }
            // Nobody here takes it: another core's members are asked, if there are any.
            return queue.remote.first().map(|remote| CoreId(remote.0));
        }
        ticket -= queue.local.len();
        for (core, weight) in &queue.remote {
            match ticket.checked_sub(*weight as usize) {
                None => return Some(CoreId(*core)),
                Some(rest) => ticket = rest,
            }
        }
        None
    }

    /// Offers a message to the members of this core, beginning at `start`, until one takes it.
    pub(super) fn offer_local(
        &mut self,
        members: &[u32],
        start: usize,
        origin: &Origin,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        let echo = origin.echo || self.is_mutated(Mutation::EchoToQueueMembers);
        let origin = &Origin { echo, ..*origin };
        (0..members.len())
            .any(|step| self.deliver_to(members[(start + step) % members.len()], origin, message, io))
    }

    /// Queue envelopes of this core's clients came back: nobody took them there. The members of this core are
    /// tried, then those of cores that have not been asked.
    pub(crate) fn retry_returned(&mut self, batch: &Batch, io: &mut Io<'_, Mail>) {
        for envelope in &batch.envelopes {
            let message = batch.message(envelope);
            // The publisher may be gone; its message is not.
            let publisher = self.sessions.get_mut(envelope.session).filter(|s| s.cid == envelope.cid);
            let echo = publisher.as_ref().is_none_or(|session| session.echo);
            let origin = Origin {
                account: envelope.account,
                session: envelope.session,
                cid: envelope.cid,
                core: self.core.0,
                echo,
            };
            let found = self.accounts[envelope.account.index()].interest.lookup(message.subject);
            let is_forgotten = self.is_mutated(Mutation::RetriesNotAwaited);
            for name in batch.queues(envelope) {
                let Some(queue) = found.queue(name) else { continue };
                let start = self.pick(queue.local.len().max(1));
                let is_traced = envelope.traced != Traced::No;
                let taken = if is_traced {
                    self.retry_traced(envelope, &queue.local, start, &origin, &message, io)
                } else {
                    self.offer_local(&queue.local, start, &origin, &message, io)
                };
                if taken {
                    self.report_delivered(envelope.report);
                    continue;
                }
                let next = queue.remote.iter().find(|remote| envelope.tried & (1 << remote.0) == 0);
                if let Some((core, _)) = next.filter(|_| !self.is_mutated(Mutation::ReturnedTriedHereOnly)) {
                    let core = CoreId(*core);
                    let outgoing = &mut self.outgoing[core.index()];
                    let names = std::iter::once(name);
                    outgoing.envelopes.push(&origin, &message, false, names, envelope.report, envelope.tried);
                    self.statistics.mails_sent += 1;
                    self.outgoing[core.index()].envelopes.mark_last(envelope.traced);
                    self.expect_another_report(envelope.report);
                    if is_traced {
                        self.expect_another_part(envelope.report);
                    }
                    if let Some(session) = self.sessions.get_mut(envelope.session)
                        && session.cid == envelope.cid
                    {
                        session.reached_out = true;
                        session.awaits_returns |= !is_forgotten;
                    } else {
                        self.note_forward_retried();
                    }
                    self.bound_batch(core, io);
                }
            }
        }
    }
}
