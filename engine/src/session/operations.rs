//! What a client says, verb by verb: each is handed to its room.

use crate::mail::{Mail, Message};
use crate::shard::Shard;
use petrel_protocol::client::{ClientOp, ClosedReason};
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
    #[inline]
    pub(super) fn operation(&mut self, key: u32, op: ClientOp<'_>, io: &mut Io<'_, Mail>) -> Flow {
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
