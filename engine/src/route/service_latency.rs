//! How long services take: events in the exporter's account (reference: security.md, section 6, "Latency metric").

use super::client_info::ClientInfo;
use super::service::CHAIN_MAX;
use super::service_reply::{self, Pending};
use crate::account::AccountId;
use crate::mail::{Mail, Message};
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_config::Latency;
use petrel_protocol::headers;
use petrel_protocol::timestamp::rfc3339;
use petrel_runtime::{Io, Monotonic, WallTime};
use serde::Serialize;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Headers by name, in the form that Go gives to names of headers.
pub(crate) type HeaderMap = BTreeMap<String, Vec<String>>;

/// What is measured of a request.
pub(crate) struct Measured {
    pub(crate) latency: Arc<Latency>,
    pub(crate) requestor: ClientInfo,
    /// Who answers, when that is known from another core.
    pub(crate) responder: Option<ClientInfo>,
    /// The headers that asked for it.
    pub(crate) header: Option<HeaderMap>,
    pub(crate) asked: Monotonic,
    pub(crate) asked_at: WallTime,
}

/// How a request ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Answered,
    /// The request had no reply subject.
    BadRequest,
    /// Nobody wants an answer any more.
    RequesterGone,
    /// Nobody received the request.
    Unavailable,
    /// No answer came in time.
    TimedOut,
}

impl Outcome {
    fn status(self) -> (u16, &'static str) {
        match self {
            Outcome::Answered => (200, ""),
            Outcome::BadRequest => (400, "Bad Request"),
            Outcome::RequesterGone => (408, "Request Timeout"),
            Outcome::Unavailable => (503, "Service Unavailable"),
            Outcome::TimedOut => (504, "Service Timeout"),
        }
    }
}

#[derive(Serialize)]
struct Event<'a> {
    r#type: &'static str,
    id: String,
    timestamp: String,
    status: u16,
    #[serde(skip_serializing_if = "str::is_empty")]
    description: &'static str,
    requestor: &'a ClientInfo,
    #[serde(skip_serializing_if = "Option::is_none")]
    responder: Option<&'a ClientInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    header: Option<&'a HeaderMap>,
    start: String,
    /// Nanoseconds, like the two that follow.
    service: u64,
    system: u64,
    total: u64,
}

impl Shard {
    /// Whether a request is measured: by chance, or because its headers ask for it; then those.
    pub(crate) fn samples(&mut self, latency: &Latency, header: Option<&[u8]>) -> Option<Option<HeaderMap>> {
        let percent = usize::from(latency.sampling_percent);
        if percent > 0 && (percent >= 100 || self.pick(100) < percent) {
            return Some(None);
        }
        header.and_then(sampled_by_headers).map(Some)
    }

    /// Publishes how a request ended, if it is measured. Returns whether that went to other cores.
    pub(crate) fn publish_latency(
        &mut self,
        pending: Pending,
        outcome: Outcome,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        let Pending { exporter, measured, .. } = pending;
        measured.is_some_and(|measured| self.publish_measured(exporter, &measured, outcome, io))
    }

    pub(crate) fn publish_measured(
        &mut self,
        exporter: AccountId,
        measured: &Measured,
        outcome: Outcome,
        io: &mut Io<'_, Mail>,
    ) -> bool {
        let (status, description) = outcome.status();
        let requestor = &measured.requestor;
        let (mut service, mut total) = (0, 0);
        let responder = measured.responder.as_ref().filter(|_| outcome == Outcome::Answered);
        if outcome == Outcome::Answered {
            let elapsed = u64::try_from(io.now().since(measured.asked).as_nanos()).unwrap_or(u64::MAX);
            service = elapsed.saturating_sub(responder.map_or(0, |responder| responder.round_trip));
            total = elapsed.saturating_add(requestor.round_trip);
        }
        let event = Event {
            r#type: "io.nats.server.metric.v1.service_latency",
            id: self.event_id(io),
            timestamp: rfc3339(io.wall_clock().0),
            status,
            description,
            requestor,
            responder,
            header: measured.header.as_ref(),
            start: rfc3339(measured.asked_at.0.saturating_sub(requestor.round_trip)),
            service,
            // What lies between the cores is not told apart from the rest.
            system: 0,
            total,
        };
        let body = serde_json::to_vec(&event).expect("an event is plain data");
        let subject = measured.latency.subject.as_bytes();
        let message = Message { subject, reply: None, header_bytes: None, bytes: &body };
        self.publish_internally(exporter, &message, io)
    }

    /// Notes who answers a request of this core: its own client, or one that another core has told of. Who answers a
    /// service that led to another one answers the first as well.
    pub(crate) fn take_responder(&mut self, subject: &[u8], responder: &ClientInfo) {
        let mut subject: Rc<[u8]> = subject.into();
        let lengths = if self.is_mutated(Mutation::RespondersOfLastServiceOnly) { 1 } else { CHAIN_MAX };
        for _ in 0..lengths {
            let Some(token) = self.pending_replies.token(&subject) else { return };
            let Some(pending) = self.pending_replies.get_mut(token) else { return };
            if let Some(measured) = &mut pending.measured {
                measured.responder = Some(responder.clone());
            }
            if !service_reply::is_measured(&pending.reply) {
                return;
            }
            subject = Rc::clone(&pending.reply);
        }
    }

    /// 22 letters and digits that no other event has.
    fn event_id(&mut self, io: &mut Io<'_, Mail>) -> String {
        const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut id = String::with_capacity(22);
        for _ in 0..2 {
            let mut random = io.random();
            for _ in 0..11 {
                id.push(char::from(LETTERS[usize::try_from(random % 62).unwrap_or(0)]));
                random /= 62;
            }
        }
        id
    }
}

/// The name of a header as Go writes it: the first letter and those behind dashes large, the others small.
pub(crate) fn canonical_name(name: &[u8]) -> String {
    let mut is_first = true;
    let letters = name.iter().map(|byte| {
        let letter = if is_first { byte.to_ascii_uppercase() } else { byte.to_ascii_lowercase() };
        is_first = *byte == b'-';
        char::from(letter)
    });
    letters.collect()
}

/// The headers that ask for a measurement, when they do. The first kind that is there decides.
fn sampled_by_headers(header: &[u8]) -> Option<HeaderMap> {
    let value = |name: &str| {
        let mut all = headers::iter(header);
        let found = all.find(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    let picked = |names: &[&str]| {
        let there =
            names.iter().filter_map(|name| Some((canonical_name(name.as_bytes()), vec![value(name)?])));
        there.collect::<HeaderMap>()
    };
    let flag = |text: &str| u8::from_str_radix(text, 16).is_ok_and(|flags| flags & 1 == 1);
    if let Some(uber) = value("Uber-Trace-Id") {
        let parts: Vec<&str> = uber.split(':').collect();
        return (parts.len() == 4 && flag(parts[3])).then(|| picked(&["Uber-Trace-Id"]));
    }
    let sampled = value("X-B3-Sampled");
    let is_off = sampled.as_deref() == Some("0");
    if sampled.as_deref() == Some("1") || (value("X-B3-TraceId").is_some() && !is_off) {
        return Some(picked(&["X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled"]));
    }
    if let Some(single) = value("B3") {
        let parts: Vec<&str> = single.split('-').collect();
        let is_off = parts.get(2) == Some(&"0") || parts == ["0"];
        return (!is_off).then(|| picked(&["B3"]));
    }
    let parent = value("Traceparent")?;
    let parts: Vec<&str> = parent.split('-').collect();
    let is_on = parts.len() == 4 && parts[3].len() == 2 && flag(parts[3]);
    is_on.then(|| picked(&["Traceparent", "Tracestate"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampled(lines: &[(&str, &str)]) -> Option<Vec<(String, String)>> {
        let lines: String = lines.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let map = sampled_by_headers(format!("NATS/1.0\r\n{lines}\r\n").as_bytes())?;
        Some(map.into_iter().map(|(name, values)| (name, values.join(","))).collect())
    }

    /// Which of these upstream measured, and the headers that it listed.
    #[test]
    fn headers_ask_as_upstream_reads_them() {
        let trace = "479fefe9525eddb:5adb976bfc1f95c1:479fefe9525eddb:1";
        let named = |name: &str, value: &str| Some(vec![(name.to_owned(), value.to_owned())]);
        assert_eq!(sampled(&[("uber-trace-id", trace)]), named("Uber-Trace-Id", trace));
        assert_eq!(sampled(&[("Uber-Trace-Id", "a:b:0:0")]), None);
        assert_eq!(sampled(&[("X-B3-Sampled", "0")]), None);
        assert_eq!(sampled(&[("X-B3-Sampled", "true")]), None);
        assert_eq!(sampled(&[("X-B3-TraceId", "80f1")]), named("X-B3-Traceid", "80f1"));
        assert_eq!(sampled(&[("X-B3-Flags", "1")]), None);
        let all = sampled(&[
            ("X-B3-TraceId", "t"),
            ("X-B3-ParentSpanId", "p"),
            ("X-B3-SpanId", "s"),
            ("X-B3-Sampled", "1"),
        ]);
        let names: Vec<String> = all.unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["X-B3-Parentspanid", "X-B3-Sampled", "X-B3-Spanid", "X-B3-Traceid"]);
        for (value, is_on) in
            [("a-b-1-c", true), ("0", false), ("1", true), ("d", true), ("a-b-0", false), ("a-b", true)]
        {
            assert_eq!(sampled(&[("B3", value)]).is_some(), is_on, "{value}");
        }
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";
        let (on, off) = (format!("{parent}1"), format!("{parent}0"));
        assert_eq!(sampled(&[("traceparent", &off)]), None);
        assert_eq!(sampled(&[("traceparent", &on)]), named("Traceparent", &on));
        assert_eq!(sampled(&[("Traceparent", &on), ("Tracestate", "x=1")]).unwrap().len(), 2);
        assert_eq!(sampled(&[("X", "y")]), None);
    }
}
