//! Messages of other cores' clients for sessions of this core.

use crate::mail::{Batch, Envelope, Mail, Message, Origin, Report, Traced};
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_runtime::{CoreId, Io};

impl Shard {
    /// Delivers a batch of another core to the sessions of this one, from the envelope `next` on, which counts those that
    /// were begun.
    pub(crate) fn deliver_batch(
        &mut self,
        from: CoreId,
        batch: &Batch,
        next: &mut usize,
        io: &mut Io<'_, Mail>,
    ) {
        self.source.open(&batch.bytes);
        for envelope in &batch.envelopes[*next..] {
            *next += 1;
            let message = batch.message(envelope);
            // The publisher is not on this core: echo does not come into it.
            let origin = Origin {
                account: envelope.account,
                session: envelope.session,
                cid: envelope.cid,
                core: from.0,
                echo: true,
            };
            let account = &mut self.accounts[envelope.account.index()];
            account.counters.envelopes += 1;
            let found = account.interest.lookup(message.subject);
            let mut delivered = false;
            if envelope.traced != Traced::No {
                let (received, untaken) = self.deliver_traced(&origin, batch, envelope, &found, io);
                delivered = received;
                for name in untaken {
                    self.give_back(&origin, envelope, &message, name);
                }
            } else if envelope.plain {
                for subscription in &found.plain {
                    delivered |= self.deliver_to(*subscription, &origin, &message, io);
                }
            }
            if let Some(beyond) = &found.beyond
                && beyond.owner == Some(self.core.0)
                && envelope.plain
                && envelope.traced == Traced::No
            {
                delivered |= self.answer(&origin, &message, io);
            }
            if envelope.queues_bytes > 0 && envelope.traced == Traced::No {
                for name in batch.queues(envelope) {
                    let queue = found.queue(name);
                    let taken = queue.is_some_and(|queue| {
                        let start = self.pick(queue.local.len().max(1));
                        self.offer_local(&queue.local, start, &origin, &message, io)
                    });
                    delivered |= taken;
                    if !taken {
                        self.give_back(&origin, envelope, &message, name);
                    }
                }
            }
            self.provoke_panic_over_mail(message.subject);
            if envelope.report != 0 {
                let report = Report { token: envelope.report, delivered };
                self.outgoing[from.index()].reports.push(report);
            }
        }
        self.close_source(&batch.bytes, io);
    }

    /// Returns a queue envelope to the core it came from, which tries others.
    fn give_back(&mut self, origin: &Origin, envelope: &Envelope, message: &Message<'_>, name: &[u8]) {
        if self.is_mutated(Mutation::QueueEnvelopeNotReturned) {
            return;
        }
        self.statistics.queue_returns += 1;
        let tried = envelope.tried | (1 << self.core.0);
        let names = std::iter::once(name);
        let returned = &mut self.outgoing[usize::from(origin.core)].returned;
        returned.push(origin, message, false, names, envelope.report, tried);
        returned.mark_last(envelope.traced);
    }
}
