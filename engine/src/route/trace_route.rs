//! How a followed message is routed: as any other, and every step is noted.

use super::trace::{TracePart, Tracing};
use crate::interest::{Match, QueueMatch};
use crate::mail::{Batch, Envelope, Mail, Message, Origin, Traced};
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_runtime::{CoreId, Io};
use smallvec::SmallVec;

impl Shard {
    /// As [`Shard::route`], of a message that is followed.
    #[cold]
    pub(super) fn route_traced(
        &mut self,
        origin: &Origin,
        message: &Message<'_>,
        found: &Match,
        report: u64,
        io: &mut Io<'_, Mail>,
    ) -> (bool, u32) {
        let mut received = false;
        for subscription in &found.plain {
            received |= self.trace_to(*subscription, origin, message, io);
        }
        let mut picks: SmallVec<[(CoreId, &[u8]); 4]> = SmallVec::new();
        for queue in &found.queues {
            match self.offer_queue_traced(queue, origin, message, io) {
                Ok(taken) => received |= taken,
                Err(core) => picks.push((core, &queue.name)),
            }
        }
        let Some(tracing) = &mut self.tracing else { return (received, 0) };
        if report != 0 && tracing.outstanding == 0 {
            // One token serves both: reports and traces of one message never part.
            tracing.token = report;
        }
        let (token, traced) = (tracing.token, if tracing.only { Traced::Only } else { Traced::Along });
        let mut envelopes = 0;
        for core in self.other_cores() {
            let plain = found.cores & (1 << core.0) != 0;
            if !plain && !picks.iter().any(|pick| pick.0 == core) {
                continue;
            }
            let queues = picks.iter().filter(|pick| pick.0 == core).map(|pick| pick.1);
            let batch = &mut self.outgoing[core.index()].envelopes;
            batch.push(origin, message, plain, queues, token, 0);
            batch.mark_last(traced);
            self.bound_batch(core, io);
            envelopes += 1;
        }
        if let Some(tracing) = &mut self.tracing {
            tracing.outstanding += envelopes;
        }
        (received, envelopes)
    }

    /// Offers a followed message to a queue group. Ok: decided here, whether somebody took it. Err: a member on that
    /// core was picked.
    fn offer_queue_traced(
        &mut self,
        queue: &QueueMatch,
        origin: &Origin,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> Result<bool, CoreId> {
        let remote: usize = queue.remote.iter().map(|remote| remote.1 as usize).sum();
        let mut ticket = self.pick(queue.local.len() + remote);
        if ticket < queue.local.len() {
            if self.offer_local_traced(&queue.local, ticket, origin, message, io) {
                return Ok(true);
            }
            return queue.remote.first().map_or(Ok(false), |remote| Err(CoreId(remote.0)));
        }
        ticket -= queue.local.len();
        for (core, weight) in &queue.remote {
            match ticket.checked_sub(*weight as usize) {
                None => return Err(CoreId(*core)),
                Some(rest) => ticket = rest,
            }
        }
        Ok(false)
    }

    fn offer_local_traced(
        &mut self,
        members: &[u32],
        start: usize,
        origin: &Origin,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        (0..members.len())
            .any(|step| self.trace_to(members[(start + step) % members.len()], origin, message, io))
    }

    /// Delivers one followed message of another core, and gathers for that core what became of it. Returns whether
    /// somebody received it, and the queue groups that nobody took it for.
    #[cold]
    pub(super) fn deliver_traced<'b>(
        &mut self,
        origin: &Origin,
        batch: &'b Batch,
        envelope: &Envelope,
        found: &Match,
        io: &mut Io<'_, Mail>,
    ) -> (bool, Vec<&'b [u8]>) {
        let message = batch.message(envelope);
        self.tracing = Some(Box::new(Tracing::part(envelope.account, envelope.traced == Traced::Only)));
        let mut delivered = false;
        let mut untaken = Vec::new();
        if envelope.plain {
            for subscription in &found.plain {
                delivered |= self.trace_to(*subscription, origin, &message, io);
            }
            let is_owner = found.beyond.as_ref().is_some_and(|beyond| beyond.owner == Some(self.core.0));
            if is_owner && !self.is_mutated(Mutation::AnswersNotFollowed) {
                delivered |= self.answer(origin, &message, io);
            }
        }
        for name in batch.queues(envelope) {
            let queue = found.queue(name);
            let taken = queue.is_some_and(|queue| {
                let start = self.pick(queue.local.len().max(1));
                self.offer_local_traced(&queue.local, start, origin, &message, io)
            });
            delivered |= taken;
            if !taken {
                untaken.push(name);
            }
        }
        let events = self.tracing.take().map_or(Vec::new(), |tracing| tracing.events);
        let part = TracePart { token: envelope.report, events };
        self.outgoing[usize::from(origin.core)].traced.push(part);
        (delivered, untaken)
    }

    /// As the retry of any queue envelope that came back: offers it to the members of this core, and notes that.
    #[cold]
    pub(super) fn retry_traced(
        &mut self,
        envelope: &Envelope,
        members: &[u32],
        start: usize,
        origin: &Origin,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        self.tracing = Some(Box::new(Tracing::part(envelope.account, envelope.traced == Traced::Only)));
        let taken = self.offer_local_traced(members, start, origin, message, io);
        let events = self.tracing.take().map_or(Vec::new(), |tracing| tracing.events);
        if let Some(tracing) = self.pending_traces.get_mut(envelope.report) {
            tracing.events.extend(events);
        }
        taken
    }

    /// A followed queue envelope goes on to another core, which will report as well.
    pub(super) fn expect_another_part(&mut self, token: u64) {
        if let Some(tracing) = self.pending_traces.get_mut(token) {
            tracing.outstanding += 1;
        }
    }
}
