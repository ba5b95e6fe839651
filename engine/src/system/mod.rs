//! The server as a member of the system account: it is asked there and tells there what happens (reference:
//! monitoring.md, sections 8 and 9).
//!
//! The engine's part is small. Core 0 holds ordinary subscriptions in the system account under the session key
//! [`INTERNAL_SESSION`]; what they get becomes a [`SystemNotice`] for the control plane, and so do events that
//! somebody wants to hear of. The control plane answers with [`Publication`]s.

mod events;
mod publishing;
mod queue;
mod subjects;

pub use publishing::Publication;
pub use queue::NOTICES_MAX as SYSTEM_NOTICES_MAX;
pub(crate) use queue::SystemQueue;
pub use queue::{NoticeKind, NoticeWeight};

use crate::mail::{Message, Origin};
use crate::order::Notice;
use crate::session::client::Phase;
use crate::shard::Shard;
use crate::snapshot::ConnectionSnapshot;
use bytes::Bytes;
use petrel_protocol::client::ClosedReason;
use petrel_runtime::Io;
use queue::Admission;
use std::sync::Arc;

/// The session key of the server's own subscriptions; no session has it.
pub(crate) const INTERNAL_SESSION: u32 = u32::MAX - 1;
/// Something for the system account's services.
#[derive(Debug)]
pub enum SystemNotice {
    /// Somebody asks.
    Request(SystemRequest),
    /// A client has logged in.
    Connected(ConnectionSnapshot),
    /// A client is gone.
    Disconnected(ConnectionSnapshot),
    /// A client was refused.
    LoginRefused(ConnectionSnapshot),
    /// An account has more or fewer clients than before.
    AccountChanged(Arc<str>),
}

/// A message to the system account's services.
#[derive(Debug)]
pub struct SystemRequest {
    /// The subject it was published to.
    pub subject: String,
    /// Where the answer goes.
    pub reply: Option<Vec<u8>>,
    /// The headers, with their first line.
    pub headers: Bytes,
    /// The payload.
    pub body: Bytes,
    /// The connection that published it, if it was a client of the system account; 0: none.
    pub cid: u64,
}

/// What became of a warning to a client.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Warning {
    /// It was told.
    Told,
    /// It does not understand it, or is not ready.
    NotReady,
    /// It is not on this core.
    Unknown,
}

impl Shard {
    /// Core 0 subscribes to what the server is asked on.
    pub(crate) fn start_system_services(&mut self) {
        if !self.options.system_services || self.core.0 != 0 {
            return;
        }
        let system = self.options.directory.system();
        for (number, subject) in subjects::subscribed(&self.options.info.server_id).into_iter().enumerate() {
            let sid = (number + 1).to_string();
            if self.options.trace.on {
                self.trace_own_subscription(&subject, &sid);
            }
            let interest = &mut self.accounts[system.index()].interest;
            let (_, change) = interest.subscribe(INTERNAL_SESSION, subject.as_bytes(), None, sid.as_bytes());
            self.tell_cores(INTERNAL_SESSION, system, change);
        }
    }

    /// A message for a subscription that no session has: the server's own take it. False when it is not one.
    #[cold]
    pub(crate) fn deliver_to_server(
        &mut self,
        subscription_key: u32,
        origin: &Origin,
        message: &Message<'_>,
    ) -> bool {
        let subscriptions = self.accounts[origin.account.index()].interest.subscriptions_mut();
        let Some(subscription) = subscriptions.get_mut(subscription_key) else { return false };
        // What the server publishes itself is no request: nothing goes round and round.
        if subscription.session != INTERNAL_SESSION || origin.session >= INTERNAL_SESSION {
            return false;
        }
        subscription.delivered += 1;
        let mut headers = Bytes::copy_from_slice(message.bytes);
        let body = headers.split_off(message.header_bytes.unwrap_or(0));
        self.notify(SystemNotice::Request(SystemRequest {
            subject: String::from_utf8_lossy(message.subject).into_owned(),
            reply: message.reply.map(<[u8]>::to_vec),
            headers,
            body,
            cid: origin.cid,
        }));
        true
    }

    /// Tells the control plane, as long as not too much waits there already. Whether it was told.
    fn notify(&mut self, notice: SystemNotice) -> bool {
        let admission = self.system.admit(notice.weight());
        if admission != Admission::Given {
            self.statistics.dropped_system_notices += 1;
            if admission == Admission::DroppedFirst {
                let noun =
                    if matches!(notice, SystemNotice::Request(_)) { "requests to" } else { "events of" };
                tracing::warn!(
                    "Too many {noun} the system account: dropping what comes until some of the {} that wait are \
                     worked off",
                    self.options.system_notices_max
                );
            }
            return false;
        }
        // Nobody listens when the node is being taken down.
        let _ = self.notices.send(Notice::System(self.core, Box::new(notice)));
        true
    }

    /// The control plane is done with a notice.
    pub(crate) fn system_handled(&mut self, weight: NoticeWeight) {
        self.system.handled(weight);
        // One for one: each of them is handled in its turn, and makes room for the next.
        if let Some(account) = self.system.recall() {
            self.tell_account_changed(account);
        }
    }

    /// Closes the client with this id, if it is on this core.
    pub(crate) fn kick(&mut self, cid: u64, io: &mut Io<'_, crate::mail::Mail>) -> bool {
        let Some(key) = self.key_of(cid) else { return false };
        self.fail(key, None, ClosedReason::Kicked, io);
        true
    }

    /// Tells the client with this id that the server will go, if it is on this core.
    pub(crate) fn warn(&mut self, cid: u64, io: &mut Io<'_, crate::mail::Mail>) -> Warning {
        let Some(key) = self.key_of(cid) else { return Warning::Unknown };
        let Some(session) = self.sessions.get(key) else { return Warning::Unknown };
        if !(session.understands_info && session.ponged && session.takes_messages()) {
            return Warning::NotReady;
        }
        let mut info = self.info_for(key);
        info.ldm = true;
        if let Some(session) = self.sessions.get_mut(key) {
            info.encode(&mut session.out.current);
        }
        self.touch(key, io);
        Warning::Told
    }

    /// The open session with a connection id. A walk over all of them: for operators, not for messages.
    fn key_of(&self, cid: u64) -> Option<u32> {
        let is_open = |session: &crate::session::client::Session| {
            session.cid == cid && !matches!(session.phase, Phase::Closing(_))
        };
        self.sessions.iter().find(|(_, session)| is_open(session)).map(|(key, _)| key)
    }
}
