//! What servers tell each other, and those who answer requests, about a client: the header `Nats-Request-Info`
//! (reference: security.md, section 6).

use crate::session::client::Session;
use crate::shard::Shard;
use petrel_protocol::headers;
use petrel_protocol::timestamp::rfc3339;
use serde::Serialize;

/// The name of the header.
pub(crate) const REQUEST_INFO: &[u8] = b"Nats-Request-Info";

/// A client, in upstream's names and order. What is empty is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ClientInfo {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) host: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) id: u64,
    #[serde(rename = "acc", skip_serializing_if = "String::is_empty")]
    pub(crate) account: String,
    #[serde(rename = "svc", skip_serializing_if = "String::is_empty")]
    pub(crate) service: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(rename = "lang", skip_serializing_if = "String::is_empty")]
    pub(crate) language: String,
    #[serde(rename = "ver", skip_serializing_if = "String::is_empty")]
    pub(crate) version: String,
    /// Nanoseconds.
    #[serde(rename = "rtt", skip_serializing_if = "is_zero")]
    pub(crate) round_trip: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) server: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) kind: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(crate) client_type: &'static str,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Shard {
    /// A client of this core. With `details` everything, else only its account and round-trip time.
    pub(crate) fn client_info(&self, session: &Session, details: bool) -> ClientInfo {
        let account = self.accounts[session.account.index()].name.to_string();
        let round_trip = session.rtt.map_or(0, |rtt| u64::try_from(rtt.as_nanos()).unwrap_or(u64::MAX));
        let brief = ClientInfo { account, round_trip, ..ClientInfo::default() };
        if !details {
            return brief;
        }
        let description = session.description.as_deref();
        ClientInfo {
            start: Some(rfc3339(session.start.0)),
            host: session.peer.ip().to_canonical().to_string(),
            id: session.cid,
            user: description.and_then(|description| description.user.clone()).unwrap_or_default(),
            name: description.map_or(String::new(), |description| description.name.clone()),
            language: description.map_or(String::new(), |description| description.lang.clone()),
            version: description.map_or(String::new(), |description| description.version.clone()),
            server: self.options.info.server_name.clone(),
            kind: "Client",
            client_type: "nats",
            ..brief
        }
    }
}

/// A message with one header set: what was there under that name is gone, the new one stands last. Returns headers and
/// payload, and how many bytes the headers are.
pub(crate) fn with_header(
    message: &[u8],
    header_bytes: Option<usize>,
    name: &[u8],
    value: &[u8],
) -> (Vec<u8>, usize) {
    let (head, payload) = message.split_at(header_bytes.unwrap_or(0));
    let mut changed = Vec::with_capacity(message.len() + name.len() + value.len() + 16);
    let is_it = |line: &[u8]| line.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&b':'));
    let end = head.strip_suffix(b"\r\n\r\n").map_or(0, <[u8]>::len);
    if end == 0 {
        changed.extend_from_slice(headers::VERSION);
        changed.extend_from_slice(b"\r\n");
    }
    let mut rest = &head[..end];
    while !rest.is_empty() {
        let line_end = memchr::memmem::find(rest, b"\r\n").unwrap_or(rest.len());
        if !is_it(&rest[..line_end]) {
            changed.extend_from_slice(&rest[..line_end]);
            changed.extend_from_slice(b"\r\n");
        }
        rest = rest.get(line_end + 2..).unwrap_or_default();
    }
    for piece in [name, b": ", value, b"\r\n\r\n"] {
        changed.extend_from_slice(piece);
    }
    let header_bytes = changed.len();
    changed.extend_from_slice(payload);
    (changed, header_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_set_behind_the_others() {
        let set = |message: &[u8], header_bytes| {
            let (changed, bytes) = with_header(message, header_bytes, b"Name", b"v");
            (String::from_utf8(changed).unwrap(), bytes)
        };
        assert_eq!(set(b"hi", None), ("NATS/1.0\r\nName: v\r\n\r\nhi".into(), 21));
        let kept = b"NATS/1.0\r\nX: y\r\n\r\nhi";
        assert_eq!(set(kept, Some(18)), ("NATS/1.0\r\nX: y\r\nName: v\r\n\r\nhi".into(), 27));
        let replaced = b"NATS/1.0\r\nName: old\r\nX: y\r\nName: older\r\nNamed: z\r\n\r\nhi";
        let bytes = replaced.len() - 2;
        let wanted = "NATS/1.0\r\nX: y\r\nNamed: z\r\nName: v\r\n\r\nhi";
        assert_eq!(set(replaced, Some(bytes)), (wanted.into(), wanted.len() - 2));
    }

    #[test]
    fn what_is_empty_is_left_out() {
        let brief = ClientInfo { account: "A".into(), round_trip: 7, ..ClientInfo::default() };
        assert_eq!(serde_json::to_string(&brief).unwrap(), r#"{"acc":"A","rtt":7}"#);
    }
}
