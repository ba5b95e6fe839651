//! PUB and HPUB.

use super::client::{AfterBarrier, Session};
use super::operations::Flow;
use crate::account::AccountCounters;
use crate::interest::{Beyond, Match, Reach};
use crate::mail::{Mail, Message, Origin};
use crate::mutation::Mutation;
use crate::route::trace::may_be_traced;
use crate::shard::Shard;
use petrel_protocol::client::{ClosedReason, ProtocolError};
use petrel_protocol::quote::go_quote;
use petrel_protocol::subject;
use petrel_runtime::Io;
use std::rc::Rc;

impl Shard {
    #[inline]
    pub(super) fn publish(&mut self, key: u32, message: &Message<'_>, io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        let account = &mut self.accounts[session.account.index()];
        // What few clients and few messages need is asked for at once: the others pay for one branch.
        if session.publishes_with_care() | message.header_bytes.is_some() | may_be_reserved(message) {
            return self.publish_with_care(key, message, io);
        }
        let mapped;
        let mut message = *message;
        let found = if account.has_mappings {
            mapped = match account.mapped.known(message.subject) {
                Some(mapped) if !self.options.trace.on => mapped,
                _ => return self.publish_with_care(key, &message, io),
            };
            message.subject = mapped.destination().unwrap_or(message.subject);
            account.interest.lookup_remembered(message.subject, &mapped.receivers)
        } else {
            account.interest.lookup(message.subject)
        };
        let is_let = session.rights.as_ref().is_none_or(|rights| rights.let_publish(message.subject, &found));
        if !is_let || (account.has_mappings && may_be_reserved(&message)) {
            return self.publish_as(key, &message, Some(&found), io);
        }
        count_published(session, &mut account.counters, &message);
        let wants_notice = message.reply.is_some() && session.no_responders;
        let reach = found.reach();
        let flow = if reach == Reach::Here && self.tracing.is_none() {
            let origin = session.origin(key, self.core);
            let received = self.deliver_here(&origin, &message, &found, io);
            match message.reply {
                Some(reply) if wants_notice && !received => {
                    self.nobody_here(key, message.subject, reply, 0, 0, io)
                }
                _ => Flow::Next,
            }
        } else if reach != Reach::Nowhere || wants_notice {
            let origin = session.origin(key, self.core);
            self.route_published(key, &origin, &message, &found, wants_notice, io)
        } else {
            Flow::Next
        };
        self.provoke_panic(message.subject);
        flow
    }

    /// As [`Shard::publish`], for whom or what more has to be looked at.
    #[inline(never)]
    fn publish_with_care(&mut self, key: u32, message: &Message<'_>, io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        if message.header_bytes.is_some() && !session.headers {
            tracing::error!("{} - message headers not supported", session.label());
            self.fail(key, None, ClosedReason::ProtocolViolation, io);
            return Flow::Closed;
        }
        if self.accounts[session.account.index()].has_mappings {
            return self.publish_mapped(key, message, io);
        }
        self.publish_as(key, message, None, io)
    }

    /// Publishes a message under the subject that mappings have left it. `found` is who wants that, when it was looked
    /// up already.
    pub(super) fn publish_as(
        &mut self,
        key: u32,
        message: &Message<'_>,
        found: Option<&Rc<Match>>,
        io: &mut Io<'_, Mail>,
    ) -> Flow {
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        if session.changed_interest
            && self.core_count > 2
            && !self.is_mutated(Mutation::PublishAheadOfInterest)
            && !self.start_barrier(key, AfterBarrier::Verb, io)
        {
            return Flow::Again;
        }
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        let account = &mut self.accounts[session.account.index()];
        count_published(session, &mut account.counters, message);
        let wants_notice = message.reply.is_some() && session.no_responders;
        let (verbose, pedantic) = (session.verbose, session.pedantic);
        let origin = session.origin(key, self.core);
        let found = match found {
            Some(found) => Rc::clone(found),
            None => account.interest.lookup(message.subject),
        };
        let is_let = session.rights.as_ref().is_none_or(|rights| rights.let_publish(message.subject, &found));
        if may_be_reserved(message) && self.is_reserved(key, message, io) {
            return Flow::Next;
        }
        if !is_let && self.refuses_publish(key, message.subject, io) {
            let original = self.mapped_from.take();
            self.trace_refused(&origin, message, original, io);
            return Flow::Next;
        }
        if pedantic && !subject::is_valid_literal(message.subject) {
            // Upstream complains and routes it all the same.
            self.tell(key, &ProtocolError::InvalidPublishSubject, io);
        }
        if verbose {
            self.acknowledge(key, io);
        }
        let has_account_trace = self.accounts[origin.account.index()].edges.message_trace.is_some();
        if let Some(headers) = message.header_bytes
            && may_be_traced(&message.bytes[..headers], has_account_trace)
        {
            return self.publish_followed(key, &origin, message, wants_notice, io);
        }
        let flow = if !found.is_empty() || wants_notice {
            self.route_published(key, &origin, message, &found, wants_notice, io)
        } else {
            Flow::Next
        };
        self.provoke_panic(message.subject);
        flow
    }

    #[inline]
    pub(super) fn route_published(
        &mut self,
        key: u32,
        origin: &Origin,
        message: &Message<'_>,
        found: &Match,
        wants_notice: bool,
        io: &mut Io<'_, Mail>,
    ) -> Flow {
        if let Some(beyond) = &found.beyond {
            return self.publish_beyond(key, origin, message, (found, beyond), wants_notice, io);
        }
        let report = if wants_notice { self.token() } else { 0 };
        let (received, envelopes) = self.route(origin, message, found, report, io);
        self.statistics.mails_sent += u64::from(envelopes);
        let notice = wants_notice && !received;
        if envelopes > 0
            && let Some(session) = self.sessions.get_mut(key)
        {
            session.reached_out = true;
            session.awaits_returns |= notice || !found.queues.is_empty();
        }
        match message.reply {
            Some(reply) if notice => self.nobody_here(key, message.subject, reply, report, envelopes, io),
            _ => Flow::Next,
        }
    }

    /// As [`Shard::route_published`], of a message that leads out of its account.
    #[cold]
    fn publish_beyond(
        &mut self,
        key: u32,
        origin: &Origin,
        message: &Message<'_>,
        (found, beyond): (&Match, &Beyond),
        wants_notice: bool,
        io: &mut Io<'_, Mail>,
    ) -> Flow {
        // Whether anybody received a request is asked also for those who want no notice: else its way back stays open.
        let report = if message.reply.is_some() { self.token() } else { 0 };
        let (mut received, mut envelopes) = self.route(origin, message, found, report, io);
        let reached = self.route_beyond(origin, message, beyond, report, io);
        received |= reached.received;
        envelopes += reached.envelopes;
        self.statistics.mails_sent += u64::from(envelopes);
        if envelopes > 0
            && let Some(session) = self.sessions.get_mut(key)
        {
            session.reached_out = true;
            session.awaits_returns = true;
        }
        let Some(reply) = message.reply.filter(|_| !received) else { return Flow::Next };
        if envelopes > 0 && self.is_mutated(Mutation::ServiceNoticeByInterest) {
            return Flow::Next;
        }
        if envelopes > 0 {
            let subjects = (message.subject, reply);
            self.await_reports_of(report, key, envelopes, subjects, wants_notice, reached.requests);
            return Flow::Next;
        }
        if wants_notice {
            self.nobody_here(key, message.subject, reply, report, envelopes, io)
        } else {
            Flow::Next
        }
    }

    /// A request that nobody on this core received: the other cores report, or the notice goes out now.
    fn nobody_here(
        &mut self,
        key: u32,
        subject: &[u8],
        reply: &[u8],
        report: u64,
        envelopes: u32,
        io: &mut Io<'_, Mail>,
    ) -> Flow {
        if envelopes > 0 && !self.is_mutated(Mutation::NoticeByLocalDelivery) {
            if !self.is_mutated(Mutation::NoticeByInterest) {
                self.await_reports(report, key, envelopes, subject, reply);
            }
            return Flow::Next;
        }
        // The notice is an answer: who gets it may rely on the SUBs that it sent before the request.
        let changed_interest = self.sessions.get(key).is_some_and(|session| session.changed_interest);
        if changed_interest {
            let after = AfterBarrier::NoResponders { subject: subject.into(), reply: reply.into() };
            if !self.start_barrier(key, after, io) {
                return Flow::Held;
            }
        }
        self.send_no_responders(key, subject, reply, io);
        Flow::Next
    }

    /// Refuses what clients may not publish: subjects and replies that servers use among themselves.
    #[cold]
    fn is_reserved(&mut self, key: u32, message: &Message<'_>, io: &mut Io<'_, Mail>) -> bool {
        let Some(session) = self.sessions.get(key) else { return true };
        let is_system = session.account == self.options.directory.system();
        if let Some(reply) = message.reply
            && [b"_R_.".as_slice(), b"$JS.ACK.", b"_GR_.", b"$GR."]
                .iter()
                .any(|prefix| reply.starts_with(prefix))
        {
            let error = ProtocolError::PublishReplyPermission(reply.to_vec());
            tracing::error!("{} - Publish Violation - Reply {}", session.label(), go_quote(reply));
            self.tell(key, &error, io);
            return true;
        }
        let subject = message.subject;
        let is_raft = subject.starts_with(b"$NRG.") && !is_system;
        let is_gateway = subject.starts_with(b"_GR_.") || subject.starts_with(b"$GR.");
        if is_raft || is_gateway {
            let error = ProtocolError::PublishPermission(subject.to_vec());
            tracing::error!("{} - Publish Violation - Subject {}", session.label(), go_quote(subject));
            self.tell(key, &error, io);
            return true;
        }
        false
    }
}

#[inline]
fn count_published(session: &mut Session, account: &mut AccountCounters, message: &Message<'_>) {
    let bytes = message.bytes.len() as u64;
    session.in_msgs += 1;
    session.in_bytes += bytes;
    account.in_msgs += 1;
    account.in_bytes += bytes;
}

/// A quick look that lets nearly every message pass, inboxes too: it knows what reserved names begin with.
#[inline]
fn may_be_reserved(message: &Message<'_>) -> bool {
    let begins_like_one =
        |name: &[u8]| matches!(name, [b'$', b'G' | b'J' | b'N', ..] | [b'_', b'G' | b'R', ..]);
    begins_like_one(message.subject) || message.reply.is_some_and(begins_like_one)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_quick_look_finds_all_reserved_names_and_lets_inboxes_pass() {
        let looks = |subject: &'static str, reply: Option<&'static str>| {
            let reply = reply.map(str::as_bytes);
            may_be_reserved(&Message { subject: subject.as_bytes(), reply, header_bytes: None, bytes: b"" })
        };
        for name in ["$NRG.x", "_GR_.x", "$GR.x", "_R_.x", "$JS.ACK.x"] {
            assert!(looks(name, None) && looks("a", Some(name)), "{name}");
        }
        for name in ["_INBOX.x.y", "a", "", "_", "$", "orders.new", "$SYS.x"] {
            assert!(!looks(name, None) && !looks("a", Some(name)), "{name}");
        }
    }
}
