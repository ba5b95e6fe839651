//! The answers of services: they go back to the account that asked, over the core that knows who that was.

use super::client_info::with_header;
use super::service_latency::Outcome;
use super::service_reply::{self, Pending};
use super::trace::{DESTINATION, DISABLED, Tracing};
use super::trace_event::Event;
use crate::account::AccountId;
use crate::mail::{Mail, Message, Origin, Responder};
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_config::ResponseType;
use petrel_runtime::{CoreId, Io};
use std::rc::Rc;
use std::time::Duration;

/// How long the way back to a responder is kept that asks in its answer.
const COUNTER_REQUEST_THRESHOLD: Duration = Duration::from_secs(120);

impl Shard {
    /// An answer to a request of this core was published in the exporter's account: it goes on in the importer's.
    /// Returns whether somebody takes it.
    pub(crate) fn answer(&mut self, origin: &Origin, message: &Message<'_>, io: &mut Io<'_, Mail>) -> bool {
        let Some(token) = self.pending_replies.token(message.subject) else { return false };
        let Some(pending) = self.pending_replies.get(token) else { return false };
        if pending.exporter != origin.account && !self.is_mutated(Mutation::AnswersOfAnyAccount) {
            return false;
        }
        let (importer, reply) = (pending.importer, Rc::clone(&pending.reply));
        let wants_responder = pending.wants_responder();
        let is_last = pending.response == ResponseType::Singleton || message.bytes.is_empty();
        let is_last = is_last || self.is_mutated(Mutation::AnswersEndEarly);
        let is_last = is_last && !self.is_mutated(Mutation::AnsweredTwice);
        if wants_responder && origin.core == self.core.0 {
            let responder = self.sessions.get(origin.session).map(|session| self.client_info(session, true));
            if let Some(responder) = responder {
                self.take_responder(message.subject, &responder);
            }
        }
        let done = if is_last { self.pending_replies.remove(token) } else { None };
        let back = message.reply.map(|reply| {
            // The responder asks in its answer: whoever answers that is led back to it.
            let pending = Pending::new(origin.account, reply, importer, COUNTER_REQUEST_THRESHOLD);
            let token = self.remember(pending, io);
            self.reply_subject(token)
        });
        let here = Origin { account: importer, ..*origin };
        let mut answer = Message { subject: &reply, reply: back.as_deref(), ..*message };
        let mut tracing = self.tracing.take();
        let unfollowed;
        if let Some(tracing) = &mut tracing {
            unfollowed = self.follow_answer(tracing, message, importer, &reply, io);
            answer.bytes = &unfollowed.0;
            answer.header_bytes = Some(unfollowed.1);
        }
        let is_delivered = tracing.as_ref().is_none_or(|tracing| !tracing.only);
        let received = !is_delivered || self.give_answer(&here, &answer, io);
        self.tracing = tracing;
        match done {
            Some(done) => {
                if self.publish_latency(done, Outcome::Answered, io) {
                    self.note_forward(origin);
                }
            }
            None if received => self.pending_replies.prolong(token, io.now()),
            // Whoever asked does not listen.
            None => drop(self.pending_replies.remove(token)),
        }
        received
    }

    /// Notes that a followed answer goes to another account; it is followed no further, as upstream's. Returns the
    /// message that says so, and the bytes of its headers.
    fn follow_answer(
        &mut self,
        tracing: &mut Tracing,
        message: &Message<'_>,
        importer: AccountId,
        reply: &[u8],
        io: &Io<'_, Mail>,
    ) -> (Vec<u8>, usize) {
        let name = &self.accounts[importer.index()].name;
        tracing.events.push(Event::service_import(io.wall_clock(), name, message.subject, reply));
        with_header(message.bytes, message.header_bytes, DESTINATION, DISABLED)
    }

    /// Publishes an answer in the account that asked. Returns whether somebody takes it.
    fn give_answer(&mut self, here: &Origin, answer: &Message<'_>, io: &mut Io<'_, Mail>) -> bool {
        let found = self.accounts[here.account.index()].interest.lookup(answer.subject);
        let (mut received, mut envelopes) = self.route(here, answer, &found, 0, io);
        if let Some(beyond) = &found.beyond {
            let reached = self.route_beyond(here, answer, beyond, 0, io);
            received |= reached.received;
            envelopes += reached.envelopes;
        }
        self.statistics.mails_sent += u64::from(envelopes);
        if envelopes > 0 {
            self.note_forward(here);
        }
        received || envelopes > 0
    }

    /// Tells the core that measures a request who answers it.
    pub(super) fn tell_responder(
        &mut self,
        owner: CoreId,
        origin: &Origin,
        subject: &[u8],
        io: &mut Io<'_, Mail>,
    ) {
        if !service_reply::is_measured(subject)
            || origin.core != self.core.0
            || owner.index() >= self.core_count
        {
            return;
        }
        if let Some(session) = self.sessions.get(origin.session) {
            let responder = self.client_info(session, true);
            let responder = Responder { subject: subject.into(), client: responder };
            io.mail(owner, Mail::Responder(Box::new(responder)));
        }
    }
}
