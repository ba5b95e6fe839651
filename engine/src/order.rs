//! What control-plane threads ask of a core, and what they get back.

use crate::account::Secret;
use crate::latencies::Latencies;
use crate::options::Options;
use crate::snapshot::{
    AccountPage, AccountQuery, ConnectionPage, ConnectionQuery, ReplyPage, ReplyQuery, SubscriptionPage,
    SubscriptionQuery,
};
use crate::sums::add_counters;
use crate::system::{NoticeWeight, Publication, SystemNotice, Warning};
use crate::transport::HandshakeAnswer;
use petrel_runtime::CoreId;
use std::iter::Sum;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};

/// An order to one core. Answers come through the sender that the order carries; a sender whose receiver is
/// gone is ignored.
pub enum Order {
    /// Report the counters.
    Statistics(crossbeam_channel::Sender<CoreStatistics>),
    /// Report a page of the connections that the query selects, unsorted: the asker merges all pages of all
    /// cores. Closed ones are reported by core 0, which owns the ring.
    Connections(ConnectionQuery, crossbeam_channel::Sender<ConnectionPage>),
    /// Report a page of the subscriptions that the query selects.
    Subscriptions(SubscriptionQuery, crossbeam_channel::Sender<SubscriptionPage>),
    /// Report a page of the accounts that the query selects.
    Accounts(AccountQuery, crossbeam_channel::Sender<AccountPage>),
    /// Report a page of the requests to other accounts that the query selects.
    Replies(ReplyQuery, crossbeam_channel::Sender<ReplyPage>),
    /// Publish a message as the server itself.
    Publish(Publication),
    /// Say for each of these subjects of the system account whether somebody wants it.
    Interested(Vec<String>, crossbeam_channel::Sender<Vec<bool>>),
    /// A [`Notice::System`] of this core that counted for this is worked off.
    SystemHandled(NoticeWeight),
    /// Close a client; answer whether it is on this core.
    Kick(u64, crossbeam_channel::Sender<bool>),
    /// Tell a client that the server will go; answer what became of it.
    Warn(u64, crossbeam_channel::Sender<Warning>),
    /// First step of a reload: get to know the new accounts, then answer. All cores answer before the next step.
    PrepareReload(Arc<Options>, crossbeam_channel::Sender<()>),
    /// Second step of a reload: go over to these options, then answer.
    Reload(Arc<Options>, crossbeam_channel::Sender<()>),
    /// Behind a reload: answer when no client of this core has to go because there are too many. What cores mail to each
    /// other about that is handled in between when all of them are asked some times, see [`SETTLING_ROUNDS`].
    Settle(crossbeam_channel::Sender<()>),
    /// A password was checked ([`Notice::CheckPassword`]).
    PasswordChecked(PasswordTicket, PasswordVerdict),
    /// A step of a handshake is done.
    Handshake(Box<HandshakeAnswer>),
    /// Stop accepting, tell the clients, close them one by one, then report on the notice channel.
    LameDuck,
    /// Close everything in order and stop the loop.
    Shutdown,
}

/// How often all cores are asked to [`Order::Settle`], one round after the other, until nobody has to go: behind the first
/// round all have mailed what they found, with the second core 0 has picked whom accounts have no room for, behind the third
/// it has mailed that, and with the fourth it is carried out.
pub const SETTLING_ROUNDS: usize = 4;

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
    /// Something for the system account's services, of this core.
    System(CoreId, Box<SystemNotice>),
}

/// Who waits for a password to be checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PasswordTicket {
    /// The core that gets the answer.
    pub core: CoreId,
    /// The session on that core.
    pub session: u32,
    /// Its connection's id, so that nobody else gets the answer.
    pub cid: u64,
}

/// A password, or token, to be checked against a bcrypt hash.
#[derive(Debug)]
pub struct PasswordCheck {
    /// For the answer.
    pub ticket: PasswordTicket,
    /// Where the client comes from.
    pub origin: IpAddr,
    /// The hash.
    pub hash: Secret,
    /// What the client presented.
    pub password: Secret,
    waiting: Weak<()>,
}

impl PasswordCheck {
    /// A check. Nobody waits for it any more when `waiting` has no strong count.
    pub fn new(
        ticket: PasswordTicket,
        origin: IpAddr,
        hash: Secret,
        password: &str,
        waiting: Weak<()>,
    ) -> PasswordCheck {
        PasswordCheck { ticket, origin, hash, password: Secret::new(password), waiting }
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
    /// Subscriptions held now, the server's own and service imports included; those are core 0's.
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
    /// Reads that were put off until other cores had room for what they would bring.
    pub room_waits: u64,
    /// Queue envelopes of other cores that nobody here took, and that went back.
    pub queue_returns: u64,
    /// Requests whose 503 notice, or the lack of it, waited for other cores' reports.
    pub reports_awaited: u64,
    /// Requests to other accounts that were given up because too many waited for an answer.
    pub requests_given_up: u64,
    /// Requests to the system account and events that were dropped because too many waited.
    pub dropped_system_notices: u64,
    /// What was measured.
    pub latencies: Latencies,
}

impl CoreStatistics {
    /// Adds what another core has counted.
    pub fn add(&mut self, other: &CoreStatistics) {
        add_counters!(self, other, CoreStatistics {
            connections,
            total_connections,
            in_msgs,
            in_bytes,
            out_msgs,
            out_bytes,
            slow_consumers,
            stale_connections,
            stalled_clients,
            subscriptions,
            panics,
            pending_bytes,
            dropped_msgs,
            mails_sent,
            refused_connections,
            barriers_waited,
            publishes_delayed,
            room_waits,
            queue_returns,
            reports_awaited,
            requests_given_up,
            dropped_system_notices,
        } but { latencies });
        self.latencies.add(&other.latencies);
    }
}

/// The node's figures, of the cores that have answered.
impl<'c> Sum<&'c CoreStatistics> for CoreStatistics {
    fn sum<I: Iterator<Item = &'c CoreStatistics>>(cores: I) -> CoreStatistics {
        cores.fold(CoreStatistics::default(), |mut sum, core| {
            sum.add(core);
            sum
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_that_do_not_answer_count_nothing() {
        let core = CoreStatistics { in_msgs: 2, pending_bytes: 3, ..CoreStatistics::default() };
        let sum: CoreStatistics = [Some(core.clone()), None, Some(core)].iter().flatten().sum();
        assert_eq!((sum.in_msgs, sum.pending_bytes, sum.out_msgs), (4, 6, 0));
    }
}
