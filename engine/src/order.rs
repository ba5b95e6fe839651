//! What control-plane threads ask of a core, and what they get back.

use crate::account::Secret;
use crate::options::Options;
use petrel_protocol::client::ClosedReason;
use petrel_runtime::{CoreId, WallTime};
use std::net::SocketAddr;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// An order to one core. Answers come through the sender that the order carries; a sender whose receiver is
/// gone is ignored.
pub enum Order {
    /// Report the counters.
    Statistics(crossbeam_channel::Sender<CoreStatistics>),
    /// Report the connections that the query selects, unsorted and unpaged: the asker merges all cores.
    /// Closed ones are reported by core 0, which owns the ring.
    Connections(ConnectionQuery, crossbeam_channel::Sender<Vec<ConnectionSnapshot>>),
    /// First step of a reload: get to know the new accounts, then answer. All cores answer before the next step.
    PrepareReload(Arc<Options>, crossbeam_channel::Sender<()>),
    /// Second step of a reload: go over to these options, then answer.
    Reload(Arc<Options>, crossbeam_channel::Sender<()>),
    /// A password was checked ([`Notice::CheckPassword`]).
    PasswordChecked(PasswordTicket, PasswordVerdict),
    /// Stop accepting, tell the clients, close them one by one, then report on the notice channel.
    LameDuck,
    /// Close everything in order and stop the loop.
    Shutdown,
}

/// What a core tells the control plane without being asked. Sent on the channel given to the shard.
#[derive(Debug)]
pub enum Notice {
    /// Core 0 listens on this address.
    Listening(SocketAddr),
    /// Core 0 could not listen.
    ListenFailed(SocketAddr, std::io::Error),
    /// Lame duck mode has ended: no client is left on this node.
    LameDuckEnded,
    /// Check a password off the cores, then answer with [`Order::PasswordChecked`].
    CheckPassword(PasswordCheck),
}

/// Who waits for a password to be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordTicket {
    /// The core that gets the answer.
    pub core: CoreId,
    /// The session on that core.
    pub(crate) session: u32,
    pub(crate) cid: u64,
}

/// A password, or token, to be checked against a bcrypt hash.
#[derive(Debug)]
pub struct PasswordCheck {
    /// For the answer.
    pub ticket: PasswordTicket,
    /// The hash.
    pub hash: Secret,
    /// What the client presented.
    pub password: Secret,
    waiting: Weak<()>,
}

impl PasswordCheck {
    pub(crate) fn new(
        ticket: PasswordTicket,
        hash: Secret,
        password: &str,
        waiting: Weak<()>,
    ) -> PasswordCheck {
        PasswordCheck { ticket, hash, password: Secret::new(password), waiting }
    }

    /// Whether the connection still waits for the answer.
    pub fn is_awaited(&self) -> bool {
        self.waiting.strong_count() > 0
    }
}

/// What came of a check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PasswordVerdict {
    /// The password is right.
    Matches,
    /// It is wrong, or the hash is none.
    Differs,
    /// Too many checks were waiting: the client is closed as one that was too late.
    NotChecked,
}

/// Counters of one core; the node's figures are sums over the cores. All count since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CoreStatistics {
    /// Connections open now.
    pub connections: u64,
    /// Connections accepted; counted by core 0.
    pub total_connections: u64,
    pub in_msgs: u64,
    pub in_bytes: u64,
    pub out_msgs: u64,
    pub out_bytes: u64,
    pub slow_consumers: u64,
    pub stale_connections: u64,
    /// Times a publisher was stalled for a slow receiver.
    pub stalled_clients: u64,
    /// Subscriptions held now.
    pub subscriptions: u64,
    /// Panics caught.
    pub panics: u64,
    /// Bytes queued for clients now.
    pub pending_bytes: u64,
    /// Messages dropped because a limit was reached, as far as that is permitted.
    pub dropped_msgs: u64,
    /// Envelopes sent to other cores.
    pub mails_sent: u64,
    /// Connections refused because descriptors ran out or a limit was reached.
    pub refused_connections: u64,
    /// PINGs whose PONG waited for other cores.
    pub barriers_waited: u64,
    /// Messages that waited until the other cores knew a change of their publisher's interest.
    pub publishes_delayed: u64,
    /// Queue envelopes of other cores that nobody here took, and that went back.
    pub queue_returns: u64,
    /// Requests whose 503 notice, or the lack of it, waited for other cores' reports.
    pub reports_awaited: u64,
    /// Requests to other accounts that were given up because too many waited for an answer.
    pub requests_given_up: u64,
}

/// Which connections to report.
#[derive(Clone, Debug, Default)]
pub struct ConnectionQuery {
    /// Open ones.
    pub open: bool,
    /// Closed ones.
    pub closed: bool,
    /// Only this connection.
    pub cid: Option<u64>,
    /// Include the subjects of subscriptions.
    pub subscriptions: bool,
    /// Only connections of this user.
    pub user: Option<String>,
    /// Only connections of this account.
    pub account: Option<String>,
}

/// A connection as monitoring shows it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct ConnectionSnapshot {
    pub cid: u64,
    pub address: SocketAddr,
    pub start: WallTime,
    pub last_activity: WallTime,
    /// When and why it was closed.
    pub stop: Option<(WallTime, ClosedReason)>,
    pub rtt: Option<Duration>,
    pub pending_bytes: u64,
    pub in_msgs: u64,
    pub out_msgs: u64,
    pub in_bytes: u64,
    pub out_bytes: u64,
    pub stalls: u64,
    pub name: String,
    pub lang: String,
    pub version: String,
    pub user: Option<String>,
    pub account: String,
    pub subscription_count: u64,
    pub subscriptions: Vec<SubscriptionSnapshot>,
}

/// A subscription as monitoring shows it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SubscriptionSnapshot {
    pub subject: String,
    pub queue: Option<String>,
    pub sid: String,
    /// Messages delivered.
    pub msgs: u64,
    /// Deliveries after which it ends; 0: none.
    pub max: u64,
}
