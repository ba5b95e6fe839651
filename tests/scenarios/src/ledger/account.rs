//! What accounts see of each other's messages.

use super::{ConnectionId, Ledger, Message, MessageId};

/// The account of a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Account {
    /// The only one, where there is one.
    #[default]
    Global,
    /// It exports the stream `pub.>`, the service `svc.>` and, with several answers, `many.>`.
    Exporter,
    /// It imports them as `in.pub.>`, `ask.>` and `get.>`.
    Importer,
}

impl Ledger {
    /// What a client sees of a subject that another one publishes to; `None`: nothing.
    pub(super) fn subject_seen(&self, from: ConnectionId, to: ConnectionId, subject: &str) -> Option<String> {
        let account = |id: ConnectionId| self.connections[id.0].profile.account;
        match (account(from), account(to)) {
            (one, other) if one == other => Some(subject.to_owned()),
            (Account::Exporter, Account::Importer) if subject.starts_with("pub.") => {
                Some(format!("in.{subject}"))
            }
            (Account::Exporter, Account::Importer) => self.ways_back.get(subject).cloned(),
            (Account::Importer, Account::Exporter) => {
                let ends = [("ask.", "svc."), ("get.", "many.")];
                ends.iter().find_map(|(here, there)| Some(format!("{there}{}", subject.strip_prefix(here)?)))
            }
            _ => None,
        }
    }

    /// Whether what one client publishes reaches the other as a request to a service.
    pub(super) fn is_request_elsewhere(&self, from: ConnectionId, to: ConnectionId) -> bool {
        let account = |id: ConnectionId| self.connections[id.0].profile.account;
        (account(from), account(to)) == (Account::Importer, Account::Exporter)
    }

    /// A request was read in another account: whoever answers it publishes to the reply that it came with.
    pub(super) fn note_way_back(&mut self, request: MessageId, reply: &str) {
        if let Some(inbox) = self.messages[request.0].publication.reply.clone() {
            self.ways_back.insert(reply.to_owned(), inbox);
            self.messages[request.0].way_back = Some(reply.to_owned());
        }
    }
}

impl Message {
    /// Where an answer goes, for who read the message.
    pub fn answer_to(&self) -> Option<&String> {
        self.way_back.as_ref().or(self.publication.reply.as_ref())
    }
}
