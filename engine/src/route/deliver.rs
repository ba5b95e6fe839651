//! From a published message to the out-buffers of its receivers.

use super::large::LARGE_BYTES;
use crate::interest::{Match, unmarked};
use crate::mail::{Mail, Message, Origin};
use crate::mutation::Mutation;
use crate::session::outbound::BUFFER_FULL_BYTES;
use crate::shard::Shard;
use petrel_protocol::client::{ClosedReason, encode};
use petrel_runtime::{CoreId, Io};
use smallvec::SmallVec;

/// A batch for another core that is this large is mailed before the turn ends, to bound it.
const BATCH_BYTES_MAX: usize = 256 * 1024;

impl Shard {
    /// Gives a message that a client of this core published to everyone in `found`. Returns whether somebody
    /// on this core received it, and how many envelopes went to other cores; `report` (0: none) is the token
    /// under which those cores answer when nobody here did.
    pub(crate) fn route(
        &mut self,
        origin: &Origin,
        message: &Message<'_>,
        found: &Match,
        report: u64,
        io: &mut Io<'_, Mail>,
    ) -> (bool, u32) {
        if self.tracing.is_some() {
            return self.route_traced(origin, message, found, report, io);
        }
        let mut received = self.deliver_here(origin, message, found, io);
        if found.queues.is_empty() {
            if found.cores == 0 {
                return (received, 0);
            }
            let report = if received { 0 } else { report };
            let envelopes = self.send_plain(found.cores, origin, message, report, io);
            return (received, envelopes);
        }
        let mut picks: SmallVec<[(CoreId, &[u8]); 4]> = SmallVec::new();
        for queue in &found.queues {
            match self.offer_queue(queue, origin, message, io) {
                Some(core) => picks.push((core, &queue.name)),
                None => received |= self.last_offer_taken,
            }
        }
        let report = if received { 0 } else { report };
        let mut cores = found.cores;
        for (core, _) in &picks {
            cores |= 1 << core.0;
        }
        let mut envelopes = 0;
        for core in self.other_cores() {
            if cores & (1 << core.0) == 0 {
                continue;
            }
            let plain = found.cores & (1 << core.0) != 0;
            let queues = picks.iter().filter(|pick| pick.0 == core).map(|pick| pick.1);
            self.outgoing[core.index()].envelopes.push(origin, message, plain, queues, report, 0);
            self.bound_batch(core, io);
            envelopes += 1;
        }
        (received, envelopes)
    }

    /// Gives a message to the plain subscriptions of this core in `found`. Returns whether one took it.
    #[inline]
    pub(crate) fn deliver_here(
        &mut self,
        origin: &Origin,
        message: &Message<'_>,
        found: &Match,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        let mut received = false;
        for subscription in &found.plain {
            received |= self.deliver_to(*subscription, origin, message, io);
        }
        received
    }

    fn send_plain(
        &mut self,
        mut cores: u64,
        origin: &Origin,
        message: &Message<'_>,
        report: u64,
        io: &mut Io<'_, Mail>,
    ) -> u32 {
        let mut envelopes = 0;
        while cores != 0 {
            let core = CoreId(u16::try_from(cores.trailing_zeros()).unwrap_or(0));
            cores &= cores - 1;
            let batch = &mut self.outgoing[core.index()].envelopes;
            batch.push(origin, message, true, std::iter::empty(), report, 0);
            self.bound_batch(core, io);
            envelopes += 1;
        }
        envelopes
    }

    pub(crate) fn bound_batch(&mut self, core: CoreId, io: &mut Io<'_, Mail>) {
        if self.outgoing[core.index()].envelopes.bytes.len() > BATCH_BYTES_MAX {
            self.post(core, io);
        }
    }

    /// Appends a message to the out-buffer of one subscription of this core. False when it does not take it:
    /// its own publisher with echo off, at its maximum, on its way out, or too slow.
    #[inline]
    pub(crate) fn deliver_to(
        &mut self,
        subscription_key: u32,
        origin: &Origin,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        let account = origin.account.index();
        let (subscription_key, passes) = unmarked(subscription_key);
        let is_boundless = self.is_mutated(Mutation::MaximumIgnored);
        let subscriptions = self.accounts[account].interest.subscriptions_mut();
        let Some(mut subscription) = subscriptions.get_mut(subscription_key) else { return false };
        if subscription.is_shadow() {
            return self.deliver_to_shadow(subscription_key, origin, message, io);
        }
        let receiver_key = subscription.session;
        let Some(mut receiver) = self.sessions.get_mut(receiver_key) else {
            return self.deliver_to_server(subscription_key, origin, message);
        };
        let is_own = origin.core == self.core.0 && origin.session == receiver_key;
        if (is_own && !origin.echo) || !receiver.takes_messages() {
            return false;
        }
        let max = if is_boundless { 0 } else { subscription.max() };
        if max != 0 && subscription.delivered >= max {
            return false;
        }
        if receiver.out.is_writing() && receiver.out.pending_bytes() > self.options.limits.pending_max / 4 * 3
        {
            if !self.accept_while_slow(receiver_key, origin, io) {
                return false;
            }
            // Borrowed again: what a slow receiver needs was decided on the whole shard.
            let subscriptions = self.accounts[account].interest.subscriptions_mut();
            match (subscriptions.get_mut(subscription_key), self.sessions.get_mut(receiver_key)) {
                (Some(found), Some(session)) => (subscription, receiver) = (found, session),
                _ => return false,
            }
        }
        let is_filtered = subscription.is_filtered() && !passes;
        if (is_filtered || receiver.replies.is_some())
            && !receiver.admits_delivery(is_filtered, message.subject, message.reply, io.now())
        {
            return false;
        }
        subscription.delivered += 1;
        let is_last = max != 0 && subscription.delivered >= max;
        let (header_bytes, bytes) = match message.header_bytes {
            Some(headers) if !receiver.headers => (None, &message.bytes[headers..]),
            header_bytes => (header_bytes, message.bytes),
        };
        if receiver.out.current.capacity() == 0 {
            receiver.out.current = self.pool.take();
        }
        let (subject, reply) = (message.subject, message.reply);
        if bytes.len() >= LARGE_BYTES && !receiver.out.is_writing() && receiver.transport.is_none() {
            let out = &mut receiver.out.current;
            encode::message_head(out, subject, &subscription.sid, reply, header_bytes, bytes.len());
            if self.source.note(receiver_key, out.len(), bytes) {
                receiver.out.detached_bytes += bytes.len();
            } else {
                out.extend_from_slice(bytes);
            }
            receiver.out.current.extend_from_slice(encode::LINE_END);
        } else {
            let out = &mut receiver.out.current;
            encode::message(out, subject, &subscription.sid, reply, header_bytes, bytes);
        }
        let out = &receiver.out.current;
        let is_full = out.len() >= BUFFER_FULL_BYTES;
        receiver.out_msgs += 1;
        receiver.out_bytes += bytes.len() as u64;
        let counters = &mut self.accounts[receiver.account.index()].counters;
        counters.out_msgs += 1;
        counters.out_bytes += bytes.len() as u64;
        if !receiver.touched {
            receiver.touched = true;
            self.touched.push(receiver_key);
        }
        if self.options.trace.on {
            self.trace_delivery(receiver_key, subscription_key, origin.account, message);
        }
        if is_full {
            self.buffer_is_full(receiver_key, io);
        }
        if is_last {
            self.remove_subscription(origin.account, subscription_key);
        }
        true
    }

    /// What a receiver gets that is more than three quarters full: more in its queue and a stall of the
    /// publisher, or its end. False when the message is not for it any more.
    #[cold]
    fn accept_while_slow(&mut self, key: u32, origin: &Origin, io: &Io<'_, Mail>) -> bool {
        let pending_max = self.options.limits.pending_max;
        let Some(receiver) = self.sessions.get_mut(key) else { return false };
        let pending = receiver.out.pending_bytes();
        if pending > pending_max {
            tracing::info!(
                "{} - Slow Consumer Detected: MaxPending of {pending_max} Exceeded",
                receiver.label()
            );
            self.doom(key, ClosedReason::SlowConsumerPendingBytes);
            return false;
        }
        if self.options.no_fast_producer_stall {
            self.statistics.dropped_msgs += 1;
            return false;
        }
        self.stall_publisher(key, pending >= pending_max, origin, io);
        true
    }
}
