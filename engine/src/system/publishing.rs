//! What the server itself publishes: answers and events.

use super::INTERNAL_SESSION;
use crate::mail::{Mail, Message, Origin};
use crate::shard::Shard;
use bytes::Bytes;
use petrel_runtime::Io;

/// A message of the server.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// The account; an unknown one makes the message go nowhere.
    pub account: String,
    /// The subject.
    pub subject: Vec<u8>,
    /// Where answers go.
    pub reply: Option<Vec<u8>>,
    /// Headers with their first line and the empty last one; empty: none.
    pub headers: Vec<u8>,
    /// The payload: megabytes, when a large page of monitoring is asked for.
    pub body: Bytes,
}

impl Shard {
    /// Publishes to whoever wants it, on all cores.
    pub(crate) fn publish_as_server(&mut self, publication: &Publication, io: &mut Io<'_, Mail>) {
        let Some(account) = self.options.directory.account(&publication.account) else { return };
        let joined;
        let bytes: &[u8] = if publication.headers.is_empty() {
            &publication.body
        } else {
            joined = [&publication.headers[..], &publication.body].concat();
            &joined
        };
        let message = Message {
            subject: &publication.subject,
            reply: publication.reply.as_deref(),
            header_bytes: (!publication.headers.is_empty()).then_some(publication.headers.len()),
            bytes,
        };
        if self.options.trace.on {
            self.trace_publication(&message);
        }
        let origin = Origin { account, session: INTERNAL_SESSION, cid: 0, core: self.core.0, echo: true };
        let found = self.accounts[account.index()].interest.lookup(message.subject);
        let (_, envelopes) = self.route(&origin, &message, &found, 0, io);
        self.statistics.mails_sent += u64::from(envelopes);
        if let Some(beyond) = &found.beyond {
            // Who asked through an import is led back to.
            let reached = self.route_beyond(&origin, &message, beyond, 0, io);
            self.statistics.mails_sent += u64::from(reached.envelopes);
        }
    }
}
