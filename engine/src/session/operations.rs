//! What a client says, verb by verb.

use super::authentication::authenticate;
use super::client::{AfterBarrier, Description, Holds, Phase, Session};
use crate::interest::Match;
use crate::mail::{Mail, Message, Origin};
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::client::{
    ClientOp, ClosedReason, ConnectOptions, ParseError, Parsed, ProtocolError, encode, parse,
};
use petrel_protocol::subject;
use petrel_runtime::Io;

/// How a connection goes on after a verb.
pub(super) enum Flow {
    /// With the next verb.
    Next,
    /// With this verb again, when what it waits for has happened.
    Again,
    /// With the next verb, when what this one waits for has happened.
    Held,
    /// Not at all.
    Closed,
}

impl Shard {
    /// Takes bytes that arrived for a session.
    pub(crate) fn received(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.last_activity = io.now();
        if matches!(session.phase, Phase::Closing(_)) {
            return;
        }
        if !self.has_room_everywhere(io) {
            self.waiting_for_room.push(key);
            self.hold(key, Holds::MAILBOX, io);
        }
        let rest = self.complete_input(key, data, io);
        let used = match self.sessions.get(key) {
            Some(session) if session.input.is_empty() && !session.holds.any() => self.work(key, rest, io),
            _ => 0,
        };
        if used < rest.len() {
            self.keep_input(key, &rest[used..]);
        }
        self.apply_stall(key, io);
    }

    /// Whether a client may be read: every other core has room for what it may cause there.
    pub(crate) fn has_room_everywhere(&self, io: &mut Io<'_, Mail>) -> bool {
        let in_transit_max = IN_TRANSIT_BYTES_MAX.min(self.options.limits.pending_max / 8);
        // Every mailbox is asked, also after one said no: each that is full must promise to tell.
        let mut has_room = true;
        for core in self.other_cores() {
            has_room &= io.mail_has_room(core);
            has_room &= self.outgoing[core.index()].in_transit_bytes() < in_transit_max;
        }
        has_room
    }

    /// Completes the verb that the session's input begins with, taking no more of `data` than it needs, so
    /// that everything behind it is parsed where it lies. Returns what is left of `data`.
    fn complete_input<'d>(&mut self, key: u32, data: &'d [u8], io: &mut Io<'_, Mail>) -> &'d [u8] {
        let mut rest = data;
        loop {
            let Some(session) = self.sessions.get_mut(key) else { return rest };
            if rest.is_empty() || session.input.is_empty() || session.holds.any() {
                return rest;
            }
            let missing = session.input_needed.saturating_sub(session.input.len());
            let take = if missing > 1 {
                missing.min(rest.len())
            } else {
                // The control line is incomplete: up to its end.
                memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)
            };
            let before = session.input.capacity();
            session.input.extend_from_slice(&rest[..take]);
            self.held_bytes += session.input.capacity() - before;
            rest = &rest[take..];
            // One byte early: a payload's closing CRLF may be wrong in its first byte.
            if session.input.len() + 1 >= session.input_needed {
                self.work_input(key, io);
            }
        }
    }

    /// Works off what a session's input holds.
    pub(crate) fn work_input(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let mut input = std::mem::take(&mut session.input);
        self.held_bytes -= input.capacity();
        let used = self.work(key, &input, io);
        match self.sessions.get_mut(key) {
            Some(session) if used < input.len() => {
                input.drain(..used);
                self.held_bytes += input.capacity();
                session.input = input;
            }
            _ => self.pool.give(input),
        }
    }

    /// Keeps what could not be worked off: an incomplete verb, or more of a held connection.
    fn keep_input(&mut self, key: u32, rest: &[u8]) {
        let is_dropped = self.is_mutated(Mutation::HeldInputDropped);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if matches!(session.phase, Phase::Closing(_)) || (is_dropped && session.holds.any()) {
            return;
        }
        let before = session.input.capacity();
        if before == 0 && rest.len() > SMALL_INPUT_BYTES {
            session.input = self.pool.take();
        }
        let needed = session.input_needed.min(INPUT_RESERVE_BYTES_MAX);
        session.input.reserve(needed.max(rest.len()).saturating_sub(session.input.len()));
        session.input.extend_from_slice(rest);
        self.held_bytes += session.input.capacity() - before;
    }

    /// Carries out the verbs that `data` begins with. Returns how many bytes are done with: all but an
    /// incomplete verb, or all but what is held back.
    fn work(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) -> usize {
        self.source.open(data);
        let done = self.work_verbs(key, data, io);
        self.close_source(data, io);
        done
    }

    fn work_verbs(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) -> usize {
        let limits = self.parse_limits;
        let mut done = 0;
        while done < data.len() {
            if self.must_connect_first(key, data[done]) {
                self.refuse_login(key, None, io);
                return data.len();
            }
            match parse(&data[done..], &limits) {
                Ok(Parsed::Op { op, consumed }) => match self.operation(key, op, io) {
                    Flow::Next => done += consumed,
                    Flow::Held => {
                        done += consumed;
                        break;
                    }
                    Flow::Again => break,
                    Flow::Closed => return data.len(),
                },
                Ok(Parsed::Incomplete { at_least }) => {
                    if self.has_unannounced_headers(key, &data[done..]) {
                        self.refuse_input(key, ParseError::Violation, io);
                        return data.len();
                    }
                    if let Some(session) = self.sessions.get_mut(key) {
                        session.input_needed = at_least;
                    }
                    return done;
                }
                Err(ParseError::PayloadExceeded) if self.has_unannounced_headers(key, &data[done..]) => {
                    self.refuse_input(key, ParseError::Violation, io);
                    return data.len();
                }
                Err(error) => {
                    self.refuse_input(key, error, io);
                    return data.len();
                }
            }
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.input_needed = 0;
        }
        done
    }

    /// Whether the connection has to log in and begins with something else.
    fn must_connect_first(&self, key: u32, first: u8) -> bool {
        !matches!(first, b'C' | b'c')
            && self.options.info.auth_required
            && self.sessions.get(key).is_some_and(|session| !session.connected)
    }

    /// Whether `data` begins with the whole control line of an `HPUB` of a client that did not announce headers:
    /// it is refused before its payload comes.
    fn has_unannounced_headers(&self, key: u32, data: &[u8]) -> bool {
        matches!(data.first(), Some(b'H' | b'h'))
            && memchr::memchr(b'\n', data).is_some()
            && self.sessions.get(key).is_some_and(|session| !session.headers)
    }

    fn refuse_input(&mut self, key: u32, error: ParseError, io: &mut Io<'_, Mail>) {
        self.fail(key, error.told().as_ref(), error.closed_reason(), io);
    }

    #[inline]
    fn operation(&mut self, key: u32, op: ClientOp<'_>, io: &mut Io<'_, Mail>) -> Flow {
        if self.options.trace {
            self.trace_operation(key, &op);
        }
        match op {
            ClientOp::Publish { subject, reply, header_bytes, message } => {
                self.publish(key, &Message { subject, reply, header_bytes, bytes: message }, io)
            }
            ClientOp::Ping => self.ping(key, io),
            ClientOp::Pong => self.pong(key, io),
            ClientOp::Subscribe { subject, queue, sid } => self.subscribe(key, subject, queue, sid, io),
            ClientOp::Unsubscribe { sid, max } => self.unsubscribe(key, sid, max, io),
            ClientOp::Connect(json) => self.connect(key, json, io),
            ClientOp::Info(_) | ClientOp::Ok => Flow::Next,
            ClientOp::Err(text) => {
                if let Some(session) = self.sessions.get(key) {
                    let text = String::from_utf8_lossy(text);
                    tracing::error!("{} - Client Error {}", session.label(), text.trim());
                }
                self.fail(key, None, ClosedReason::ParseError, io);
                Flow::Closed
            }
        }
    }

    fn trace_operation(&self, key: u32, op: &ClientOp<'_>) {
        let Some(session) = self.sessions.get(key) else { return };
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let line = match op {
            ClientOp::Publish { subject, reply, header_bytes, message } => {
                let verb = if header_bytes.is_some() { "HPUB" } else { "PUB" };
                let reply = reply.map_or(String::new(), |reply| format!("{} ", text(reply)));
                let headers = header_bytes.map_or(String::new(), |bytes| format!("{bytes} "));
                let label = session.label();
                tracing::trace!("{label} - <<- [{verb} {} {reply}{headers}{}]", text(subject), message.len());
                format!("MSG_PAYLOAD: [{:?}]", text(message))
            }
            ClientOp::Connect(json) => format!("[CONNECT {}]", without_secrets(json)),
            ClientOp::Subscribe { subject, queue, sid } => {
                format!("[SUB {} {} {}]", text(subject), text(queue.unwrap_or_default()), text(sid))
            }
            ClientOp::Unsubscribe { sid, max } => format!("[UNSUB {} {}]", text(sid), max.unwrap_or(0)),
            ClientOp::Ping => "[PING]".into(),
            ClientOp::Pong => "[PONG]".into(),
            ClientOp::Info(_) => "[INFO]".into(),
            ClientOp::Ok => "[+OK]".into(),
            ClientOp::Err(error) => format!("[-ERR {}]", text(error)),
        };
        tracing::trace!("{} - <<- {line}", session.label());
    }

    #[inline]
    fn publish(&mut self, key: u32, message: &Message<'_>, io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        if message.header_bytes.is_some() && !session.headers {
            self.fail(key, None, ClosedReason::ProtocolViolation, io);
            return Flow::Closed;
        }
        if session.changed_interest
            && self.core_count > 2
            && !self.is_mutated(Mutation::PublishAheadOfInterest)
            && !self.start_barrier(key, AfterBarrier::Verb, io)
        {
            return Flow::Again;
        }
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        session.in_msgs += 1;
        session.in_bytes += message.bytes.len() as u64;
        self.statistics.in_msgs += 1;
        self.statistics.in_bytes += message.bytes.len() as u64;
        if may_be_reserved(message) && self.is_reserved(key, message, io) {
            return Flow::Next;
        }
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        let origin = Origin {
            account: session.account,
            session: key,
            cid: session.cid,
            core: self.core.0,
            echo: session.echo,
        };
        let wants_notice = message.reply.is_some() && session.no_responders;
        let (verbose, pedantic) = (session.verbose, session.pedantic);
        if pedantic && !subject::is_valid_literal(message.subject) {
            // Upstream complains and routes it all the same.
            self.tell(key, &ProtocolError::InvalidPublishSubject, io);
        }
        if verbose {
            self.acknowledge(key, io);
        }
        let found = self.accounts[origin.account.index()].interest.lookup(message.subject);
        if !found.is_empty() || wants_notice {
            return self.route_published(key, &origin, message, &found, wants_notice, io);
        }
        Flow::Next
    }

    #[inline]
    fn route_published(
        &mut self,
        key: u32,
        origin: &Origin,
        message: &Message<'_>,
        found: &Match,
        wants_notice: bool,
        io: &mut Io<'_, Mail>,
    ) -> Flow {
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
        let is_system = session.account == crate::account::AccountId::SYSTEM;
        if let Some(reply) = message.reply
            && [b"_R_.".as_slice(), b"$JS.ACK.", b"_GR_.", b"$GR."]
                .iter()
                .any(|prefix| reply.starts_with(prefix))
        {
            let error = ProtocolError::PublishReplyPermission(reply.to_vec());
            tracing::error!("{} - Publish Violation - Reply {error}", session.label());
            self.tell(key, &error, io);
            return true;
        }
        let subject = message.subject;
        let is_raft = subject.starts_with(b"$NRG.") && !is_system;
        let is_gateway = subject.starts_with(b"_GR_.") || subject.starts_with(b"$GR.");
        if is_raft || is_gateway {
            let error = ProtocolError::PublishPermission(subject.to_vec());
            tracing::error!("{} - Publish Violation - {error}", session.label());
            self.tell(key, &error, io);
            return true;
        }
        false
    }

    fn connect(&mut self, key: u32, json: &[u8], io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        let mut connect = options_so_far(session);
        if let Err(error) = connect.merge(json) {
            tracing::debug!("{} - {error}", session.label());
            self.fail(key, None, ClosedReason::ProtocolViolation, io);
            return Flow::Closed;
        }
        // Before the login: a refused client is listed under its name as well.
        describe(session, &connect, None);
        let Some(identity) = authenticate(&self.options.authorization, &connect) else {
            self.refuse_login(key, Some(&connect), io);
            return Flow::Closed;
        };
        let first = !session.connected;
        if !first {
            // Upstream binds the connection anew: what it had subscribed to is gone.
            self.remove_all_subscriptions(key);
        }
        let Some(session) = self.sessions.get_mut(key) else { return Flow::Closed };
        session.connected = true;
        session.phase = Phase::Open;
        session.verbose = connect.verbose;
        session.pedantic = connect.pedantic;
        session.echo = connect.echo;
        session.headers = self.options.headers && connect.headers;
        session.no_responders = connect.no_responders;
        session.understands_info = connect.protocol >= 1;
        if first {
            let rtt = io.now().since(session.accepted);
            session.rtt = Some(rtt.max(std::time::Duration::from_nanos(1)));
        }
        describe(session, &connect, identity.user);
        if !(0..=1).contains(&connect.protocol) {
            let error = ProtocolError::InvalidClientProtocol;
            self.fail(key, Some(&error), ClosedReason::BadClientProtocolVersion, io);
            return Flow::Closed;
        }
        if connect.no_responders && !session.headers {
            let error = ProtocolError::NoRespondersRequiresHeaders;
            self.fail(key, Some(&error), ClosedReason::NoRespondersRequiresHeaders, io);
            return Flow::Closed;
        }
        let verbose = session.verbose;
        if first {
            self.start_pinging(key, io);
        }
        if verbose {
            self.acknowledge(key, io);
        }
        Flow::Next
    }

    fn ping(&mut self, key: u32, io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        if session.reached_out
            && !self.is_mutated(Mutation::PongWithoutBarrier)
            && !self.start_barrier(key, AfterBarrier::Pong, io)
        {
            return Flow::Held;
        }
        self.send_pong(key, io);
        Flow::Next
    }

    /// Answers a PING. After the first one a client that understands it gets an INFO about its connection.
    pub(crate) fn send_pong(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.out.current.extend_from_slice(encode::PONG);
        let first = session.connected && !std::mem::replace(&mut session.ponged, true);
        if first && session.understands_info {
            let mut info = self.info_for(key);
            info.connect_info = true;
            if let Some(session) = self.sessions.get_mut(key) {
                let account = &self.accounts[session.account.index()];
                info.remote_account = account.name.to_owned();
                info.acc_is_sys = session.account == crate::account::AccountId::SYSTEM;
                info.encode(&mut session.out.current);
            }
        }
        self.touch(key, io);
    }
}

/// Bytes of envelopes on their way to one other core beyond which no client is read. A receiver there that is nearly
/// full stalls the publishers here; what is under way by then must fit into the rest of its `max_pending`, so an eighth
/// of that is the limit where it is less.
const IN_TRANSIT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an incomplete verb that are kept in an allocation of their own size.
const SMALL_INPUT_BYTES: usize = 1024;
/// Most bytes that are reserved on the word of a control line alone; the rest is reserved as it comes.
const INPUT_RESERVE_BYTES_MAX: usize = 256 * 1024;

/// A quick look that lets nearly every message pass: reserved names begin with `$` or `_`.
#[inline]
fn may_be_reserved(message: &Message<'_>) -> bool {
    let begins_like_one = |name: &[u8]| matches!(name.first(), Some(b'$' | b'_'));
    begins_like_one(message.subject) || message.reply.is_some_and(begins_like_one)
}

/// The options that a further CONNECT changes.
fn options_so_far(session: &Session) -> ConnectOptions {
    ConnectOptions {
        verbose: session.verbose,
        pedantic: session.pedantic,
        echo: session.echo,
        headers: session.headers,
        no_responders: session.no_responders,
        protocol: i64::from(session.understands_info),
        ..ConnectOptions::default()
    }
}

fn describe(session: &mut Session, connect: &ConnectOptions, user: Option<String>) {
    let says_something = user.is_some()
        || [&connect.name, &connect.lang, &connect.version].iter().any(|text| !text.is_empty());
    if says_something {
        session.description = Some(Box::new(Description {
            name: connect.name.clone(),
            lang: connect.lang.clone(),
            version: connect.version.clone(),
            user,
        }));
    }
}

/// A CONNECT for the log: credentials are left out.
fn without_secrets(json: &[u8]) -> String {
    const SECRETS: [&str; 5] = ["pass", "auth_token", "jwt", "sig", "proxy_sig"];
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(json) else {
        return "not a JSON object".into();
    };
    for (name, value) in &mut fields {
        if SECRETS.iter().any(|secret| name.eq_ignore_ascii_case(secret)) {
            *value = "[REDACTED]".into();
        }
    }
    serde_json::Value::Object(fields).to_string()
}
