//! A PUB whose headers may ask for a trace.

use super::operations::Flow;
use crate::mail::{Mail, Message, Origin};
use crate::shard::Shard;
use petrel_runtime::Io;

impl Shard {
    /// Publishes a message and tells what became of it, if it asks for that.
    #[cold]
    pub(super) fn publish_followed(
        &mut self,
        key: u32,
        origin: &Origin,
        message: &Message<'_>,
        wants_notice: bool,
        io: &mut Io<'_, Mail>,
    ) -> Flow {
        let original = self.mapped_from.take();
        if !self.begin_trace(origin, message, original, io) {
            return Flow::Next;
        }
        let destination = self.tracing.as_ref().map(|tracing| tracing.destination.clone());
        if let Some(destination) = destination
            && self.refuses_publish(key, &destination, io)
        {
            self.tracing = None;
            return Flow::Next;
        }
        let found = self.accounts[origin.account.index()].interest.lookup(message.subject);
        let flow = self.route_published(key, origin, message, &found, wants_notice, io);
        let is_awaited = self.tracing.as_ref().is_some_and(|tracing| tracing.outstanding > 0);
        if is_awaited && let Some(session) = self.sessions.get_mut(key) {
            // Who sees the PONG may rely on the event to be out.
            session.awaits_returns = true;
        }
        self.end_trace(io);
        flow
    }
}
