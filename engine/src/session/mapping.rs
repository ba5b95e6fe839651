//! A PUB of an account with mappings.

use super::operations::Flow;
use crate::account::Mapped;
use crate::mail::{Mail, Message};
use crate::mutation::Mutation;
use crate::route::trace::may_be_traced;
use crate::shard::Shard;
use petrel_runtime::Io;

impl Shard {
    /// Publishes a message under the subject that its account's mappings give it.
    pub(super) fn publish_mapped(&mut self, key: u32, message: &Message<'_>, io: &mut Io<'_, Mail>) -> Flow {
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        let is_drawn = !self.is_mutated(Mutation::WeightsDrawnOnce);
        let account = &mut self.accounts[session.account.index()];
        let mut subject = std::mem::take(&mut self.mapped_subject);
        subject.clear();
        let outcome = account.mapped.map(&account.edges.mappings, message.subject, &mut subject, || {
            if is_drawn { io.random() } else { 0 }
        });
        let flow = match outcome {
            Mapped::Same => self.publish_as(key, message, None, io),
            // Upstream publishes what it drops to a subject that nobody can want; so a request is told that nobody
            // received it.
            Mapped::Changed | Mapped::Dropped => {
                if self.is_mutated(Mutation::MappedAndKept) {
                    self.publish_as(key, message, None, io);
                }
                self.note_mapping(key, message, &subject);
                self.publish_as(key, &Message { subject: &subject, ..*message }, None, io)
            }
        };
        self.mapped_subject = subject;
        self.mapped_from = None;
        flow
    }

    /// Tells the log, and keeps for a trace, that a message goes by another subject.
    fn note_mapping(&mut self, key: u32, message: &Message<'_>, subject: &[u8]) {
        let Some(session) = self.sessions.get(key) else { return };
        if self.options.trace.on {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let (from, to) = (text(message.subject), text(subject));
            tracing::trace!("{} - <<- [MAPPING {from} -> {to}]", session.label());
        }
        let Some(headers) = message.header_bytes else { return };
        let has_account_trace = self.accounts[session.account.index()].edges.message_trace.is_some();
        if may_be_traced(&message.bytes[..headers], has_account_trace) {
            self.mapped_from = Some(message.subject.into());
        }
    }
}
