//! The event of a followed message, in upstream's names and order.

use super::service_latency::HeaderMap;
use petrel_protocol::timestamp::rfc3339;
use petrel_runtime::WallTime;
use serde::Serialize;
use std::borrow::Cow;

/// The kind of a client's connection.
const CLIENT: u8 = 0;

#[derive(Serialize)]
pub(super) struct Body<'a> {
    pub(super) server: ServerInfo<'a>,
    pub(super) request: &'a Request,
    pub(super) events: &'a [Event],
}

#[derive(Serialize)]
pub(super) struct ServerInfo<'a> {
    pub(super) name: &'a str,
    pub(super) host: &'a str,
    pub(super) id: &'a str,
    pub(super) ver: &'a str,
    pub(super) jetstream: bool,
    pub(super) flags: u64,
    pub(super) seq: u64,
    pub(super) time: String,
}

/// The message that is followed.
#[derive(Serialize)]
pub(super) struct Request {
    pub(super) header: HeaderMap,
    /// Bytes of headers and payload.
    pub(super) msgsize: usize,
}

/// One thing that became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Event {
    r#type: &'static str,
    ts: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cid: Option<u64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) acc: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subj: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    sub: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    queue: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) error: Cow<'static, str>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

impl Event {
    fn new(r#type: &'static str, now: WallTime) -> Event {
        Event { r#type, ts: rfc3339(now.0), ..Event::default() }
    }

    /// It came in.
    pub(super) fn ingress(now: WallTime, cid: u64, name: String, account: &str, subject: &[u8]) -> Event {
        Event {
            kind: Some(CLIENT),
            cid: Some(cid),
            name,
            acc: account.to_owned(),
            subj: Some(text(subject)),
            ..Event::new("in", now)
        }
    }

    /// Leaves the account of a receiver out where it is that of the publisher.
    pub(super) fn leave_out_account(&mut self, publisher: &str) {
        if self.r#type == "eg" && self.acc == publisher {
            self.acc.clear();
        }
    }

    /// Its subject was mapped.
    pub(super) fn mapping(now: WallTime, to: &[u8]) -> Event {
        Event { to: Some(text(to)), ..Event::new("sm", now) }
    }

    /// It went on to an account that imports the stream.
    pub(super) fn stream_export(now: WallTime, account: &str, to: &[u8]) -> Event {
        Event { acc: account.to_owned(), to: Some(text(to)), ..Event::new("se", now) }
    }

    /// It went on to an account that offers the service.
    pub(super) fn service_import(now: WallTime, account: &str, from: &[u8], to: &[u8]) -> Event {
        Event { acc: account.to_owned(), from: Some(text(from)), to: Some(text(to)), ..Event::new("si", now) }
    }

    /// It reached a subscription, whose connection is filled in.
    pub(super) fn egress(now: WallTime, subscription: &[u8], queue: Option<&[u8]>) -> Event {
        Event {
            kind: Some(CLIENT),
            sub: text(subscription),
            queue: queue.map_or(String::new(), text),
            ..Event::new("eg", now)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_upstreams_fields_in_upstreams_order() {
        let now = WallTime(1_000_000_000);
        let json = |event: &Event| serde_json::to_string(event).unwrap();
        let mut egress = Event::egress(now, b"a.*", Some(b"q"));
        egress.cid = Some(9);
        egress.acc = "IMP".into();
        egress.error = "Not delivered because of no echo".into();
        for (event, wanted) in [
            (
                Event::ingress(now, 9, "n".into(), "A", b"s"),
                r#""type":"in","ts":"1970-01-01T00:00:01Z","kind":0,"cid":9,"name":"n","acc":"A","subj":"s""#,
            ),
            (Event::mapping(now, b""), r#""type":"sm","ts":"1970-01-01T00:00:01Z","to":"""#),
            (
                Event::stream_export(now, "B", b"t"),
                r#""type":"se","ts":"1970-01-01T00:00:01Z","acc":"B","to":"t""#,
            ),
            (
                Event::service_import(now, "B", b"f", b"t"),
                r#""type":"si","ts":"1970-01-01T00:00:01Z","acc":"B","from":"f","to":"t""#,
            ),
            (
                egress,
                r#""type":"eg","ts":"1970-01-01T00:00:01Z","kind":0,"cid":9,"acc":"IMP","sub":"a.*","queue":"q","error":"Not delivered because of no echo""#,
            ),
        ] {
            assert_eq!(json(&event), format!("{{{wanted}}}"));
        }
    }
}
