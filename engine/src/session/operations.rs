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
        if self.options.trace.on {
            self.trace_operation(key, &op);
        }
        match op {
            ClientOp::Publish { subject, reply, header_bytes, message } => {
                self.publish(key, &Message { subject, reply, header_bytes, bytes: message }, io)
            }
            ClientOp::Ping => {
                self.note_ping_of(key, io.now());
                self.ping(key, io)
            }
            ClientOp::Pong => self.pong(key, io),
            ClientOp::Subscribe { subject, queue, sid } => {
                self.note_interest_of(key, io.now());
                self.subscribe(key, subject, queue, sid, io)
            }
            ClientOp::Unsubscribe { sid, max } => {
                self.note_interest_of(key, io.now());
                self.unsubscribe(key, sid, max, io)
            }
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
}
