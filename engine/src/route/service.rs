//! Service imports: what is published here goes on in the account that offers the service, and its answers come back
//! (reference: security.md, section 6).

use super::client_info::{ClientInfo, REQUEST_INFO, with_header};
use super::service_latency::{Measured, Outcome};
use super::service_reply::Pending;
use super::trace::{DESTINATION, DISABLED};
use super::trace_event::Event;
use crate::account::{AccountId, Mapped, ServiceImport};
use crate::interest::{Beyond, Match};
use crate::mail::{Mail, Message, Origin};
use crate::session::keepalive::TimerKind;
use crate::shard::{NO_SESSION, Shard};
use petrel_config::ResponseType;
use petrel_runtime::{CoreId, Io};
use smallvec::SmallVec;
use std::sync::Arc;

/// Services that lead to services: no further than this. Cycles are refused when imports are compiled; mappings can
/// still lead in circles.
pub(super) const CHAIN_MAX: usize = 16;

/// Requests that expire in one turn.
const EXPIRED_A_TURN: usize = 256;

/// Tokens of the requests that one message became.
pub(crate) type Requests = SmallVec<[u64; 2]>;

/// What a message that leads beyond its account has come to.
#[derive(Default)]
pub(crate) struct Reached {
    /// Somebody on this core received it.
    pub(crate) received: bool,
    /// Envelopes to other cores.
    pub(crate) envelopes: u32,
    /// Requests that wait for an answer.
    pub(crate) requests: Requests,
}

/// A request on its way over one or several imports.
struct Journey {
    /// Who asks; `None` before the first import.
    asker: Option<ClientInfo>,
    shares: bool,
    length: usize,
    report: u64,
    reached: Reached,
}

impl Shard {
    /// Takes a message where it leads beyond its account. `report`: the token under which other cores answer.
    pub(crate) fn route_beyond(
        &mut self,
        origin: &Origin,
        message: &Message<'_>,
        beyond: &Beyond,
        report: u64,
        io: &mut Io<'_, Mail>,
    ) -> Reached {
        let mut journey =
            Journey { asker: None, shares: false, length: 0, report, reached: Reached::default() };
        self.follow(origin, message, beyond, &mut journey, io);
        journey.reached
    }

    fn follow(
        &mut self,
        origin: &Origin,
        message: &Message<'_>,
        beyond: &Beyond,
        journey: &mut Journey,
        io: &mut Io<'_, Mail>,
    ) {
        if let Some(owner) = beyond.owner {
            if owner == self.core.0 {
                journey.reached.received |= self.answer(origin, message, io);
            } else {
                self.tell_responder(CoreId(owner), origin, message.subject, io);
            }
        }
        if journey.length >= CHAIN_MAX {
            return;
        }
        for place in &beyond.services {
            let services = &self.accounts[origin.account.index()].edges.services;
            let Some(import) = services.get(usize::from(*place)).map(Arc::clone) else { continue };
            self.request(&import, origin, message, journey, io);
        }
    }

    /// Publishes a message in the account that offers a service.
    fn request(
        &mut self,
        import: &ServiceImport,
        origin: &Origin,
        message: &Message<'_>,
        journey: &mut Journey,
        io: &mut Io<'_, Mail>,
    ) {
        let mut subject = Vec::new();
        if !import.outwards.apply(message.subject, &mut subject, 0) {
            return;
        }
        if self.map_there(import.exporter, &mut subject, io) == Mapped::Dropped {
            return;
        }
        let earlier = (journey.asker.clone(), journey.shares);
        let asker = self.asker(import, origin, journey);
        let measured = self.measured(import, origin, message, io);
        if message.reply.is_none()
            && let Some(measured) = &measured
            && self.publish_measured(import.exporter, measured, Outcome::BadRequest, io)
        {
            self.note_forward(origin);
        }
        let token =
            message.reply.map(|reply| self.expect_answer(import, origin.account, reply, measured, io));
        let reply = token.map(|token| self.reply_subject(token));
        let info = serde_json::to_vec(&asker).expect("what is known of a client is plain data");
        let (bytes, header_bytes) = with_header(message.bytes, message.header_bytes, REQUEST_INFO, &info);
        let (bytes, header_bytes) =
            self.trace_request(import, message.subject, &subject, bytes, header_bytes, io);
        let there = Origin { account: import.exporter, ..*origin };
        let request = Message {
            subject: &subject,
            reply: reply.as_deref(),
            header_bytes: Some(header_bytes),
            bytes: &bytes,
        };
        let found = self.accounts[import.exporter.index()].interest.lookup(&subject);
        // What the exporter does not let pass goes on unseen.
        let unseen = if import.service.allow_trace { None } else { self.tracing.take() };
        let received_before = std::mem::take(&mut journey.reached.received);
        let envelopes_before = journey.reached.envelopes;
        let is_delivered = unseen.as_ref().is_none_or(|tracing| !tracing.only);
        let (received, envelopes) =
            if is_delivered { self.route(&there, &request, &found, journey.report, io) } else { (true, 0) };
        journey.reached.received = received;
        journey.reached.envelopes += envelopes;
        if let Some(beyond) = found.beyond.as_ref().filter(|_| is_delivered) {
            journey.length += 1;
            self.follow(&there, &request, beyond, journey, io);
            journey.length -= 1;
        }
        self.tracing = self.tracing.take().or(unseen);
        (journey.asker, journey.shares) = earlier;
        let is_taken = journey.reached.received || journey.reached.envelopes > envelopes_before;
        journey.reached.received |= received_before;
        match token {
            Some(token) if is_taken => journey.reached.requests.push(token),
            Some(token) if self.request_failed(token, io) => self.note_forward(origin),
            _ => {}
        }
    }

    /// Notes that a followed message goes to another account, and gives it the destination that traces have there.
    fn trace_request(
        &mut self,
        import: &ServiceImport,
        from: &[u8],
        to: &[u8],
        bytes: Vec<u8>,
        header_bytes: usize,
        io: &mut Io<'_, Mail>,
    ) -> (Vec<u8>, usize) {
        let Some(tracing) = &mut self.tracing else { return (bytes, header_bytes) };
        let exporter = &self.accounts[import.exporter.index()].name;
        tracing.events.push(Event::service_import(io.wall_clock(), exporter, from, to));
        if !import.service.allow_trace {
            return with_header(&bytes, Some(header_bytes), DESTINATION, DISABLED);
        }
        let (account, exporter) = (tracing.account, import.exporter);
        let pending = Pending::new(account, &tracing.destination, exporter, import.service.threshold);
        let pending = Pending { response: ResponseType::Stream, ..pending };
        let token = self.remember(pending, io);
        let subject = self.reply_subject(token);
        with_header(&bytes, Some(header_bytes), DESTINATION, &subject)
    }

    /// What the exporter's mappings make of the subject of a service.
    fn map_there(&mut self, exporter: AccountId, subject: &mut Vec<u8>, io: &mut Io<'_, Mail>) -> Mapped {
        let account = &mut self.accounts[exporter.index()];
        if !account.has_mappings {
            return Mapped::Same;
        }
        let mut mapped = Vec::new();
        let outcome = account.mapped.map(&account.edges.mappings, subject, &mut mapped, || io.random());
        if outcome == Mapped::Changed {
            *subject = mapped;
        }
        outcome
    }

    /// Who asks, as this import tells it; the journey goes on with that.
    fn asker(&self, import: &ServiceImport, origin: &Origin, journey: &mut Journey) -> ClientInfo {
        let asker = match &journey.asker {
            None => {
                journey.shares = import.share;
                let session = self.sessions.get(origin.session).filter(|_| origin.core == self.core.0);
                session.map_or_else(ClientInfo::default, |session| self.client_info(session, import.share))
            }
            Some(asker) => {
                let mut asker = asker.clone();
                asker.service = self.accounts[origin.account.index()].name.to_string();
                if import.share && !journey.shares {
                    asker.server = self.options.info.server_name.clone();
                }
                asker
            }
        };
        journey.asker = Some(asker.clone());
        asker
    }

    fn measured(
        &mut self,
        import: &ServiceImport,
        origin: &Origin,
        message: &Message<'_>,
        io: &Io<'_, Mail>,
    ) -> Option<Box<Measured>> {
        let latency = import.service.latency.as_ref()?;
        let header = self.samples(latency, message.header_bytes.map(|bytes| &message.bytes[..bytes]))?;
        // The client itself, over however many services it asks.
        let session = self.sessions.get(origin.session).filter(|_| origin.core == self.core.0);
        let requestor = session.map(|session| self.client_info(session, import.share));
        Some(Box::new(Measured {
            latency: Arc::clone(latency),
            requestor: requestor.unwrap_or_default(),
            responder: None,
            header,
            asked: io.now(),
            asked_at: io.wall_clock(),
        }))
    }

    /// Remembers where the answers of a request go. Returns its token.
    fn expect_answer(
        &mut self,
        import: &ServiceImport,
        importer: AccountId,
        reply: &[u8],
        measured: Option<Box<Measured>>,
        io: &mut Io<'_, Mail>,
    ) -> u64 {
        let pending = Pending::new(importer, reply, import.exporter, import.service.threshold);
        let response = import.service.response;
        self.remember(Pending { response, share: import.share, measured, ..pending }, io)
    }

    /// Keeps the way back of a request. Returns its token.
    pub(super) fn remember(&mut self, mut pending: Pending, io: &mut Io<'_, Mail>) -> u64 {
        let due = io.now().after(pending.threshold);
        pending.due = due;
        pending.fingerprint = self.accounts[pending.importer.index()].interest.fingerprint(&pending.reply);
        while let Some(given_up) = self.pending_replies.make_room(&pending.reply) {
            self.statistics.requests_given_up += 1;
            self.publish_latency(given_up, Outcome::TimedOut, io);
        }
        let token = self.pending_replies.insert(pending, io.random());
        if self.pending_replies.timer.is_none_or(|(timer_due, _)| due < timer_due) {
            self.set_reply_timer(io);
        }
        token
    }

    fn set_reply_timer(&mut self, io: &mut Io<'_, Mail>) {
        if let Some((_, timer)) = self.pending_replies.timer.take() {
            io.cancel_timer(timer);
        }
        if let Some(due) = self.pending_replies.next_due() {
            let timer = self.set_timer(TimerKind::ServiceReplies, NO_SESSION, due, io);
            self.pending_replies.timer = Some((due, timer));
        }
    }

    pub(crate) fn reply_subject(&self, token: u64) -> Vec<u8> {
        let mut subject = self.pending_replies.subject(token);
        if self.pending_replies.get(token).is_some_and(Pending::wants_responder) {
            // Upstream writes eight letters of its id here.
            subject.extend_from_slice(b".");
            subject.extend_from_slice(&self.pending_replies.server_mark());
            subject.extend_from_slice(b".T");
        }
        subject
    }

    /// Nobody received a request. Returns whether that was told on other cores.
    pub(crate) fn request_failed(&mut self, token: u64, io: &mut Io<'_, Mail>) -> bool {
        let failed = self.pending_replies.remove(token);
        failed.is_some_and(|pending| self.publish_latency(pending, Outcome::Unavailable, io))
    }

    /// The timer of the requests that wait is due.
    pub(crate) fn expire_requests(&mut self, io: &mut Io<'_, Mail>) {
        // The rest with the next turn, which comes at once: each may be told of.
        for _ in 0..EXPIRED_A_TURN {
            let Some(pending) = self.pending_replies.expired(io.now()) else { break };
            self.publish_latency(pending, Outcome::TimedOut, io);
        }
        self.set_reply_timer(io);
    }

    /// Publishes something of the server's own. Returns whether it went to other cores.
    pub(crate) fn publish_internally(
        &mut self,
        account: AccountId,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        let origin = Origin { account, session: NO_SESSION, cid: 0, core: self.core.0, echo: true };
        let found: std::rc::Rc<Match> = self.accounts[account.index()].interest.lookup(message.subject);
        let (_, envelopes) = self.route(&origin, message, &found, 0, io);
        self.statistics.mails_sent += u64::from(envelopes);
        envelopes > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Directory;
    use crate::options::Options;
    use crate::workbench::{Workbench, quick_world};
    use petrel_config as config;
    use std::sync::Arc;
    use std::time::Duration;

    const THRESHOLD: Duration = Duration::from_secs(3);

    fn directory() -> Directory {
        let account = |name: &str, user: &str| {
            let credential = config::Credential::Password { name: user.into(), password: user.into() };
            let users = vec![config::User { credential, permissions: None, connection_types: None }];
            config::Account { name: name.into(), users, ..config::Account::default() }
        };
        let kind = config::ExportKind::Service {
            response: ResponseType::Singleton,
            threshold: Some(THRESHOLD),
            latency: None,
        };
        let (accounts, account_token_position) = (None, None);
        let export = config::Export {
            subject: "svc".into(),
            accounts,
            account_token_position,
            allow_trace: false,
            kind,
        };
        let import = config::Import {
            account: "EXP".into(),
            subject: "svc".into(),
            to: None,
            prefix: None,
            allow_trace: false,
            share: false,
            is_service: true,
        };
        let accounts = vec![
            config::Account { exports: vec![export], ..account("EXP", "e") },
            config::Account { imports: vec![import], ..account("IMP", "i") },
        ];
        let options = config::Options { accounts, ..config::Options::default() };
        Directory::compile(&options, None).expect("accounts that fit together")
    }

    /// All that had come at once expired at once.
    #[test]
    fn requests_expire_a_few_in_a_turn() {
        const REQUESTS: usize = 2000;
        let options = Options { directory: Arc::new(directory()), ..Options::default() };
        let mut bench = Workbench::new(quick_world(1), 1, options);
        let greeting =
            |user: &str| format!("CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"{user}\"}}\r\n");
        bench.client_that_says(&format!("{}SUB svc 1\r\nPING\r\n", greeting("e")));
        let request = "PUB svc inbox 1\r\nq\r\n".repeat(REQUESTS);
        bench.client_that_says(&format!("{}SUB inbox 1\r\n{request}PING\r\n", greeting("i")));
        let waiting = |shard: &mut Shard| shard.pending_replies.len();
        assert_eq!(bench.core(0, waiting), REQUESTS);
        bench.world.run_for(THRESHOLD / 2);
        let (mut last, mut most) = (REQUESTS, 0);
        let server = bench.server;
        let is_over = bench.world.run_until_done(THRESHOLD, |world| {
            let now = world.with_program(server, 0, waiting);
            most = most.max(last - now);
            last = now;
            now == 0
        });
        assert!(is_over);
        assert!(most <= EXPIRED_A_TURN, "{most} in a turn");
    }
}
