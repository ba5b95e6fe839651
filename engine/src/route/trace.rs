//! Message tracing: a message that asks where it goes is followed, and one event of this server tells it
//! (reference: monitoring.md, section 10).
//!
//! Other cores gather what becomes of their envelopes and report it to the core of the publisher, which publishes the
//! event when the last has reported.

use super::service_latency::HeaderMap;
use super::service_reply;
use super::trace_event::{Body, Event, Request, ServerInfo};
use crate::account::AccountId;
use crate::encoding::Encoding;
use crate::mail::{Mail, Message, Origin};
use crate::mutation::Mutation;
use crate::session::client::Phase;
use crate::shard::{NO_SESSION, Shard};
use crate::system::INTERNAL_SESSION;
use hashbrown::HashMap;
use petrel_protocol::client::ProtocolError;
use petrel_protocol::timestamp::rfc3339;
use petrel_protocol::{headers, subject};
use petrel_runtime::Io;
use std::sync::Arc;

pub(crate) const DESTINATION: &[u8] = b"Nats-Trace-Dest";
const ONLY: &[u8] = b"Nats-Trace-Only";
/// What an older form of tracing added: such a message is under way in a trace already.
const ORIGIN_ACCOUNT: &[u8] = b"Nats-Trace-Origin-Account";
const PARENT: &[u8] = b"traceparent";
/// The destination of a message that is traced no further.
pub(crate) const DISABLED: &[u8] = b"trace disabled";

/// A message that is being followed.
pub(crate) struct Tracing {
    /// The account that it was published in; the event goes there.
    pub(crate) account: AccountId,
    pub(crate) destination: Box<[u8]>,
    /// It is followed and not delivered.
    pub(crate) only: bool,
    request: Request,
    pub(crate) events: Vec<Event>,
    /// Whose message it is: the session on this core and its connection id.
    publisher: (u32, u64),
    /// The token under which other cores report.
    pub(crate) token: u64,
    /// Reports still missing.
    pub(crate) outstanding: u32,
}

impl Tracing {
    /// What one core sees of a message of another.
    pub(super) fn part(account: AccountId, only: bool) -> Tracing {
        let request = Request { header: HeaderMap::new(), msgsize: 0 };
        let (destination, events) = (Box::default(), Vec::new());
        let publisher = (NO_SESSION, 0);
        Tracing { account, destination, only, request, events, publisher, token: 0, outstanding: 0 }
    }
}

/// What another core saw of a followed message.
pub struct TracePart {
    pub(crate) token: u64,
    pub(crate) events: Vec<Event>,
}

/// Followed messages that other cores have not reported on. Bounded by what is in the mailboxes: every entry has an
/// envelope or a report under way.
pub(crate) struct PendingTraces {
    by_token: HashMap<u64, Box<Tracing>, ahash::RandomState>,
    /// Events published so far.
    published: u64,
}

impl PendingTraces {
    pub(crate) fn new(hasher: ahash::RandomState) -> PendingTraces {
        PendingTraces { by_token: HashMap::with_hasher(hasher), published: 0 }
    }

    pub(crate) fn get_mut(&mut self, token: u64) -> Option<&mut Tracing> {
        self.by_token.get_mut(&token).map(|tracing| &mut **tracing)
    }
}

/// What the headers of a message ask for.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Nothing,
    /// It must not be delivered, and there is nowhere to tell.
    Drop,
    Follow {
        destination: Box<[u8]>,
        only: bool,
    },
}

/// A quick look that lets nearly every message pass.
pub(crate) fn may_be_traced(header: &[u8], follows_parents: bool) -> bool {
    memchr::memmem::find(header, DESTINATION).is_some() || follows_parents
}

fn wish(header: &[u8], parent_destination: Option<&[u8]>) -> Wish {
    let named = headers::value(header, DESTINATION).filter(|value| !value.is_empty());
    if headers::value(header, ORIGIN_ACCOUNT).is_some() || named == Some(DISABLED) {
        return Wish::Nothing;
    }
    let only = headers::value(header, ONLY).is_some_and(|value| {
        value == b"1" || value.eq_ignore_ascii_case(b"true") || value.eq_ignore_ascii_case(b"on")
    });
    // Upstream delivers what only a parent has it follow.
    let only = only && named.is_some();
    let Some(destination) = named.or(parent_destination.filter(|_| has_sampled_parent(header))) else {
        return Wish::Nothing;
    };
    match subject::is_valid_literal(destination) {
        true => Wish::Follow { destination: destination.into(), only },
        false if only => Wish::Drop,
        false => Wish::Nothing,
    }
}

/// Whether a W3C parent says that it is sampled.
fn has_sampled_parent(header: &[u8]) -> bool {
    let mut all = headers::iter(header);
    let Some((_, value)) = all.find(|(key, _)| key.eq_ignore_ascii_case(PARENT)) else { return false };
    let parts: Vec<&[u8]> = value.split(|byte| *byte == b'-').collect();
    let flags = parts.get(3).and_then(|flags| std::str::from_utf8(flags).ok());
    parts.len() == 4
        && flags.is_some_and(|flags| u8::from_str_radix(flags, 16).is_ok_and(|flags| flags & 1 == 1))
}

/// All headers as the event shows them: names as they are written.
fn header_map(header: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    for (name, value) in headers::iter(header).filter(|(_, value)| !value.is_empty()) {
        map.entry(text(name)).or_default().push(text(value));
    }
    map
}

impl Shard {
    /// Begins to follow a message, when its headers ask for it. False: it must be dropped. `original`: its subject
    /// before mappings.
    pub(crate) fn begin_trace(
        &mut self,
        origin: &Origin,
        message: &Message<'_>,
        original: Option<Box<[u8]>>,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        let header = &message.bytes[..message.header_bytes.unwrap_or(0)];
        let edges = &self.accounts[origin.account.index()].edges;
        let parents = edges.message_trace.as_ref().map(|trace| trace.destination.clone().into_bytes());
        let percent = edges.message_trace.as_ref().map_or(0, |trace| usize::from(trace.sampling_percent));
        let is_named = headers::value(header, DESTINATION).is_some_and(|value| !value.is_empty());
        let is_sampled = is_named || percent >= 100 || self.pick(100) < percent;
        match wish(header, parents.as_deref().filter(|_| is_sampled)) {
            Wish::Nothing => true,
            Wish::Drop => false,
            Wish::Follow { destination, only } => {
                let request = Request { header: header_map(header), msgsize: message.bytes.len() };
                let mut events =
                    vec![self.ingress(origin, original.as_deref().unwrap_or(message.subject), io)];
                if original.is_some() {
                    events.push(Event::mapping(io.wall_clock(), message.subject));
                }
                let (account, token) = (origin.account, self.token());
                self.tracing = Some(Box::new(Tracing {
                    account,
                    destination,
                    only,
                    request,
                    events,
                    publisher: (origin.session, origin.cid),
                    token,
                    outstanding: 0,
                }));
                true
            }
        }
    }

    fn ingress(&self, origin: &Origin, subject: &[u8], io: &Io<'_, Mail>) -> Event {
        let account = &self.accounts[origin.account.index()].name;
        let name = self.session_name(origin.session);
        Event::ingress(io.wall_clock(), origin.cid, name, account, subject)
    }

    fn session_name(&self, key: u32) -> String {
        let description = self.sessions.get(key).and_then(|session| session.description.as_deref());
        description.map_or(String::new(), |description| description.name.clone())
    }

    /// Ends following a message on this core: the event goes out when no other core is to report.
    pub(crate) fn end_trace(&mut self, io: &mut Io<'_, Mail>) {
        let Some(tracing) = self.tracing.take() else { return };
        if tracing.outstanding > 0 && !self.is_mutated(Mutation::TracesNotGathered) {
            self.pending_traces.by_token.insert(tracing.token, tracing);
        } else {
            self.publish_trace(*tracing, io);
        }
    }

    /// A message that may not be published: when it is followed, the event says so.
    #[cold]
    pub(crate) fn trace_refused(
        &mut self,
        origin: &Origin,
        message: &Message<'_>,
        original: Option<Box<[u8]>>,
        io: &mut Io<'_, Mail>,
    ) {
        let is_followed = message.header_bytes.is_some() && self.begin_trace(origin, message, original, io);
        let Some(mut tracing) = self.tracing.take().filter(|_| is_followed) else { return };
        let session = self.sessions.get(origin.session);
        let rights = session.and_then(|session| session.rights.as_ref());
        if rights.is_some_and(|rights| !rights.may_publish(&tracing.destination)) {
            return;
        }
        if let Some(ingress) = tracing.events.first_mut() {
            ingress.error = ProtocolError::PublishPermission(message.subject.to_vec()).to_string().into();
        }
        self.publish_trace(*tracing, io);
    }

    /// Another core reports on a followed message.
    pub(crate) fn take_trace_part(&mut self, part: TracePart, io: &mut Io<'_, Mail>) {
        let Some(tracing) = self.pending_traces.by_token.get_mut(&part.token) else { return };
        tracing.events.extend(part.events);
        tracing.outstanding -= 1;
        if tracing.outstanding == 0
            && let Some(tracing) = self.pending_traces.by_token.remove(&part.token)
        {
            self.publish_trace(*tracing, io);
        }
    }

    fn publish_trace(&mut self, mut tracing: Tracing, io: &mut Io<'_, Mail>) {
        if service_reply::owner(&tracing.destination).is_some() {
            // Upstream's events about a service are not led back over it either.
            return;
        }
        let account = Arc::clone(&self.accounts[tracing.account.index()].name);
        for event in &mut tracing.events {
            event.leave_out_account(&account);
        }
        self.pending_traces.published += 1;
        let info = &self.options.info;
        let body = Body {
            server: ServerInfo {
                name: &info.server_name,
                host: &info.host,
                id: &info.server_id,
                ver: &info.version,
                jetstream: false,
                flags: 0,
                seq: self.pending_traces.published * self.core_count as u64 + u64::from(self.core.0),
                time: rfc3339(io.wall_clock().0),
            },
            request: &tracing.request,
            events: &tracing.events,
        };
        let body = serde_json::to_vec(&body).expect("an event is plain data");
        let accepted = tracing.request.header.get("Accept-Encoding").and_then(|values| values.first());
        let encoding = Encoding::asked_for(accepted.map(String::as_str));
        let mut bytes = encoding.headers();
        let header_bytes = (!bytes.is_empty()).then_some(bytes.len());
        bytes.extend(encoding.encode(body));
        let subject = &tracing.destination;
        let message = Message { subject, reply: None, header_bytes, bytes: &bytes };
        if self.publish_internally(tracing.account, &message, io) {
            // Who sees the PONG may rely on the event to be out.
            self.note_consequence(tracing.publisher.0, tracing.publisher.1);
        }
    }

    /// As [`Shard::deliver_to`], of a followed message: what becomes of it is noted, and it is delivered unless it is
    /// only followed.
    pub(crate) fn trace_to(
        &mut self,
        key: u32,
        origin: &Origin,
        message: &Message<'_>,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        let Some(mut tracing) = self.tracing.take() else { return false };
        let interest = &self.accounts[origin.account.index()].interest;
        let Some(subscription) = interest.subscriptions().get(key) else {
            self.tracing = Some(tracing);
            return false;
        };
        let mut event =
            Event::egress(io.wall_clock(), &interest.subject_of(subscription), subscription.queue());
        let (mut receiver, mut account) = (key, origin.account);
        let mut there = message.subject.to_vec();
        if let Some(shadow) = subscription.shadow().cloned() {
            there.clear();
            shadow.import.inwards.apply(message.subject, &mut there, 0);
            let name = &self.accounts[shadow.account.index()].name;
            tracing.events.push(Event::stream_export(io.wall_clock(), name, &there));
            if !shadow.import.allow_trace {
                let only = tracing.only;
                self.tracing = Some(tracing);
                return only || self.deliver_to(key, origin, message, io);
            }
            (receiver, account) = (shadow.parent, shadow.account);
        }
        let error = self.refusal_of(receiver, account, origin, &there);
        let session = self.accounts[account.index()].interest.subscriptions().get(receiver);
        let session = session.map_or(NO_SESSION, |subscription| subscription.session);
        event.cid = self.sessions.get(session).map(|session| session.cid);
        event.name = self.session_name(session);
        event.acc = self.accounts[account.index()].name.to_string();
        event.error = error.unwrap_or_default().into();
        tracing.events.push(event);
        let only = tracing.only;
        self.tracing = Some(tracing);
        error.is_none() && (only || self.deliver_to(key, origin, message, io))
    }

    /// Why a subscription does not get a message, in upstream's words.
    fn refusal_of(
        &self,
        key: u32,
        account: AccountId,
        origin: &Origin,
        subject: &[u8],
    ) -> Option<&'static str> {
        let subscription = self.accounts[account.index()].interest.subscriptions().get(key)?;
        if subscription.session == INTERNAL_SESSION {
            return None;
        }
        let Some(session) = self.sessions.get(subscription.session) else {
            return Some("Not delivered because client is closed");
        };
        let is_own = origin.core == self.core.0 && origin.session == subscription.session;
        if is_own && !origin.echo {
            return Some("Not delivered because of no echo");
        }
        if matches!(session.phase, Phase::Closing(_)) {
            return Some("Not delivered because client is closed");
        }
        let rights = session.rights.as_ref().filter(|_| subscription.is_filtered());
        if rights.is_some_and(|rights| rights.permissions.is_denied(subject)) {
            return Some("Not delivered because subscription denies this subject");
        }
        let max = subscription.max();
        (max != 0 && subscription.delivered >= max)
            .then_some("Not delivered because auto-unsubscribe exceeded")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &[(&str, &str)]) -> Vec<u8> {
        let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        format!("NATS/1.0\r\n{lines}\r\n").into_bytes()
    }

    fn follow(destination: &str, only: bool) -> Wish {
        Wish::Follow { destination: destination.as_bytes().into(), only }
    }

    #[test]
    fn headers_ask_for_a_trace_as_upstream_reads_them() {
        let named = |lines: &[(&str, &str)]| wish(&header(lines), None);
        assert_eq!(named(&[("Nats-Trace-Dest", "tr.1")]), follow("tr.1", false));
        for (value, only) in [
            ("true", true),
            ("TRUE", true),
            ("1", true),
            ("on", true),
            ("0", false),
            ("yes", false),
            ("", false),
        ] {
            let lines = [("Nats-Trace-Dest", "tr.1"), ("Nats-Trace-Only", value)];
            assert_eq!(named(&lines), follow("tr.1", only), "{value}");
        }
        for destination in ["tr.*", "tr..x", "", "trace disabled"] {
            assert_eq!(named(&[("Nats-Trace-Dest", destination)]), Wish::Nothing, "{destination}");
        }
        assert_eq!(named(&[("Nats-Trace-Dest", "tr.*"), ("Nats-Trace-Only", "1")]), Wish::Drop);
        assert_eq!(named(&[("nats-trace-dest", "tr.1")]), Wish::Nothing);
        assert_eq!(named(&[("Nats-Trace-Dest", "tr.1"), ("Nats-Trace-Origin-Account", "X")]), Wish::Nothing);
    }

    #[test]
    fn a_sampled_parent_asks_where_the_account_says_so() {
        let parent = |flags: &str| header(&[("TraceParent", &format!("00-4bf9-00f0-{flags}"))]);
        assert_eq!(wish(&parent("01"), Some(b"tp")), follow("tp", false));
        assert_eq!(wish(&parent("00"), Some(b"tp")), Wish::Nothing);
        assert_eq!(wish(&parent("01"), None), Wish::Nothing);
        let both = header(&[("traceparent", "00-4bf9-00f0-01"), ("Nats-Trace-Dest", "tr")]);
        assert_eq!(wish(&both, Some(b"tp")), follow("tr", false));
    }
}
