//! Answers requests.

use std::sync::Arc;

use super::super::reader::Message;

/// A connection that answers each request with a payload of the run's size.
pub struct Responder {
    /// What stands behind the reply subject: size, payload and both line ends.
    tail: Arc<[u8]>,
}

impl Responder {
    /// A responder whose answers carry `payload`.
    pub fn new(payload: &[u8]) -> Self {
        let mut tail = format!(" {}\r\n", payload.len()).into_bytes();
        tail.extend_from_slice(payload);
        tail.extend_from_slice(b"\r\n");
        Self { tail: tail.into() }
    }

    /// Answers a request; a message without reply subject is none.
    pub fn on_message(&mut self, message: &Message<'_>, output: &mut Vec<u8>) {
        if !message.reply.is_empty() {
            output.extend_from_slice(b"PUB ");
            output.extend_from_slice(message.reply);
            output.extend_from_slice(&self.tail);
        }
    }
}
