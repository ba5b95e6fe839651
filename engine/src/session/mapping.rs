//! A PUB of an account with mappings.

use super::operations::Flow;
use crate::account::Mapped;
use crate::mail::{Mail, Message};
use crate::route::trace::may_be_traced;
use crate::shard::Shard;
use petrel_runtime::Io;

impl Shard {
    /// Publishes a message under the subject that its account's mappings give it.
    pub(super) fn publish_mapped(&mut self, key: u32, message: &Message<'_>, io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        let account = &mut self.accounts[session.account.index()];
        let mut subject = std::mem::take(&mut self.mapped_subject);
        subject.clear();
        let outcome =
            account.mapped.map(&account.edges.mappings, message.subject, &mut subject, || io.random());
        if self.options.trace.on && outcome != Mapped::Same {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (from, to) = (text(message.subject), text(&subject));
            tracing::trace!("{} - <<- [MAPPING {from} -> {to}]", session.label());
        }
        if let Some(headers) = message.header_bytes
            && outcome != Mapped::Same
            && may_be_traced(&message.bytes[..headers], account.edges.message_trace.is_some())
        {
            self.mapped_from = Some(message.subject.into());
        }
        let flow = match outcome {
            Mapped::Same => self.publish_as(key, message, io),
            // Upstream publishes what it drops to a subject that nobody can want; so a request is told that nobody
            // received it.
            Mapped::Changed | Mapped::Dropped => {
                self.publish_as(key, &Message { subject: &subject, ..*message }, io)
            }
        };
        self.mapped_subject = subject;
        self.mapped_from = None;
        flow
    }
}
