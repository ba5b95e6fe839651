//! Protocol lines in the log (`-V`), as upstream writes them. Nothing here runs unless they are asked for.

use crate::account::AccountId;
use crate::mail::Message;
use crate::options::Trace;
use crate::shard::Shard;
use petrel_protocol::client::{ClientOp, without_secrets};
use petrel_protocol::quote::go_quote;

/// Who the server itself is in the log.
const SERVER: &str = "SYSTEM";

impl Shard {
    /// Logs what the server publishes as a member of the system account, where lines of that are asked for (`-VV`).
    #[cold]
    pub(crate) fn trace_publication(&self, message: &Message<'_>) {
        if self.options.trace.server {
            let (subject, reply) = (text(message.subject), text(message.reply.unwrap_or_default()));
            tracing::trace!("{SERVER} - <<- [PUB {subject} {reply} {}]", message.bytes.len());
            self.trace_payload(SERVER, "<<-", message);
        }
    }

    /// Logs what the server subscribes to as a member of the system account, likewise.
    #[cold]
    pub(crate) fn trace_own_subscription(&self, subject: &str, sid: &str) {
        if self.options.trace.server {
            tracing::trace!("{SERVER} - <<- [SUB {subject}  {sid}]");
        }
    }

    /// Logs what a client said.
    #[cold]
    pub(super) fn trace_operation(&self, key: u32, op: &ClientOp<'_>) {
        let Some(session) = self.sessions.get(key) else { return };
        let label = session.label();
        if let ClientOp::Publish { subject, reply, header_bytes, message } = op {
            let message = Message { subject, reply: *reply, header_bytes: *header_bytes, bytes: message };
            let verb = if header_bytes.is_some() { "HPUB" } else { "PUB" };
            tracing::trace!("{label} - <<- [{verb} {}]", arguments(&[message.subject], &message));
            self.trace_payload(&label, "<<-", &message);
            return;
        }
        tracing::trace!("{label} - <<- [{}]", line(op));
    }

    /// Logs what a client is told.
    #[cold]
    pub(crate) fn trace_answer(&self, key: u32, text: &str) {
        if let Some(session) = self.sessions.get(key) {
            tracing::trace!("{} - ->> [{text}]", session.label());
        }
    }

    /// Logs a message on its way to a client.
    #[cold]
    pub(crate) fn trace_delivery(
        &mut self,
        key: u32,
        subscription: u32,
        account: AccountId,
        message: &Message<'_>,
    ) {
        let subscriptions = self.accounts[account.index()].interest.subscriptions_mut();
        let Some(sid) = subscriptions.get_mut(subscription).map(|found| found.sid.to_vec()) else { return };
        let Some(session) = self.sessions.get(key) else { return };
        let label = session.label();
        let has_headers = session.headers && message.header_bytes.is_some();
        let verb = if has_headers { "HMSG" } else { "MSG" };
        // A client that takes no headers gets the payload alone.
        let shown = match message.header_bytes {
            Some(length) if !session.headers => {
                Message { header_bytes: None, bytes: &message.bytes[length..], ..*message }
            }
            _ => *message,
        };
        tracing::trace!("{label} - ->> [{verb} {}]", arguments(&[message.subject, &sid], &shown));
        self.trace_payload(&label, "->>", &shown);
    }

    /// Logs that a subscription has gone: by UNSUB, at its maximum, or with its client. When the server ends, upstream
    /// says nothing of what ends with it.
    #[cold]
    pub(super) fn trace_removal(&self, key: u32, sid: &[u8]) {
        if let Some(session) = self.sessions.get(key).filter(|_| !self.is_ending) {
            tracing::trace!("{} - <-> [DELSUB {}]", session.label(), text(sid));
        }
    }

    fn trace_payload(&self, label: &str, direction: &str, message: &Message<'_>) {
        if let Some(shown) = self.options.trace.excerpt(message) {
            tracing::trace!("{label} - {direction} MSG_PAYLOAD: [{shown}]");
        }
    }
}

impl Trace {
    /// The part of a message that is shown, in quotes; `None` when there is none.
    fn excerpt(&self, message: &Message<'_>) -> Option<String> {
        let bytes = match message.header_bytes {
            Some(length) if self.headers_only => message.bytes[..length].trim_ascii_end(),
            None if self.headers_only => return None,
            _ => message.bytes,
        };
        if bytes.is_empty() {
            return None;
        }
        if self.message_bytes_max > 0 && bytes.len() > self.message_bytes_max {
            let quoted = go_quote(&bytes[..self.message_bytes_max]);
            return Some(format!("{}...\"", quoted.strip_suffix('"').unwrap_or(&quoted)));
        }
        Some(go_quote(bytes))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What follows the verb of a message, without what is not there.
fn arguments(names: &[&[u8]], message: &Message<'_>) -> String {
    let mut words: Vec<String> = names.iter().map(|name| text(name)).collect();
    words.extend(message.reply.map(text));
    words.extend(message.header_bytes.map(|length| length.to_string()));
    words.push(message.bytes.len().to_string());
    words.join(" ")
}

/// A verb other than one that publishes.
fn line(op: &ClientOp<'_>) -> String {
    match op {
        ClientOp::Publish { .. } => "PUB".into(),
        ClientOp::Connect(json) => format!("CONNECT {}", without_secrets(json)),
        ClientOp::Subscribe { subject, queue, sid } => {
            let words: Vec<String> =
                [Some(*subject), *queue, Some(*sid)].into_iter().flatten().map(text).collect();
            format!("SUB {}", words.join(" "))
        }
        ClientOp::Unsubscribe { sid, max: None } => format!("UNSUB {}", text(sid)),
        ClientOp::Unsubscribe { sid, max: Some(max) } => format!("UNSUB {} {max}", text(sid)),
        ClientOp::Ping => "PING".into(),
        ClientOp::Pong => "PONG".into(),
        ClientOp::Info(_) => "INFO".into(),
        ClientOp::Ok => "+OK".into(),
        ClientOp::Err(error) => format!("-ERR {}", text(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(header_bytes: Option<usize>, bytes: &[u8]) -> Message<'_> {
        Message { subject: b"a.b", reply: Some(b"r"), header_bytes, bytes }
    }

    #[test]
    fn excerpts_read_as_upstreams() {
        let all = Trace::default();
        let short = Trace { message_bytes_max: 5, ..Trace::default() };
        let headers = Trace { headers_only: true, ..Trace::default() };
        let both = Trace { headers_only: true, ..short };
        let plain = message(None, b"hello\x01world");
        let block = b"NATS/1.0\r\nX: 1\r\nYY: zz\r\n\r\nok";
        let with_headers = message(Some(26), block);
        for (trace, message, expected) in [
            (all, plain, Some(r#""hello\x01world""#)),
            (short, plain, Some(r#""hello...""#)),
            (headers, plain, None),
            (all, with_headers, Some(r#""NATS/1.0\r\nX: 1\r\nYY: zz\r\n\r\nok""#)),
            (headers, with_headers, Some(r#""NATS/1.0\r\nX: 1\r\nYY: zz""#)),
            (both, with_headers, Some(r#""NATS/...""#)),
            (all, message(None, b""), None),
        ] {
            assert_eq!(trace.excerpt(&message).as_deref(), expected);
        }
    }

    #[test]
    fn what_is_not_there_leaves_no_gap() {
        assert_eq!(arguments(&[b"a.b"], &message(None, b"xy")), "a.b r 2");
        assert_eq!(arguments(&[b"a.b", b"7"], &message(Some(1), b"xy")), "a.b 7 r 1 2");
        assert_eq!(line(&ClientOp::Subscribe { subject: b"a", queue: None, sid: b"1" }), "SUB a 1");
        assert_eq!(line(&ClientOp::Subscribe { subject: b"a", queue: Some(b"q"), sid: b"1" }), "SUB a q 1");
        assert_eq!(line(&ClientOp::Unsubscribe { sid: b"1", max: None }), "UNSUB 1");
        assert_eq!(line(&ClientOp::Unsubscribe { sid: b"1", max: Some(5) }), "UNSUB 1 5");
    }

    #[test]
    fn credentials_are_not_logged() {
        let connect = ClientOp::Connect(br#"{"user":"x","pass":"hunter2","lang":"y"}"#);
        assert_eq!(line(&connect), r#"CONNECT {"user":"x","pass":"[REDACTED]","lang":"y"}"#);
        assert_eq!(line(&ClientOp::Connect(b"pass:hunter2")), "CONNECT [REDACTED]");
    }
}
