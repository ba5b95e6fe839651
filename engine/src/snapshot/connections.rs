//! Connections, open and closed.

use crate::mail::Mail;
use crate::order::CoreStatistics;
use crate::session::client::{Description, Session};
use crate::shard::Shard;
use crate::snapshot::SubscriptionSnapshot;
use crate::transport::TlsPeer;
use petrel_protocol::client::ClosedReason;
use petrel_runtime::{Io, WallTime};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Sessions or closed connections that one page looks at.
const LOOKED_AT_MAX: usize = 256;
/// From here on a position lies in the ring of closed connections.
const CLOSED: u64 = 1 << 40;

/// Which connections to report, and from where on.
#[derive(Clone, Debug, Default)]
pub struct ConnectionQuery {
    /// Open ones.
    pub open: bool,
    /// Closed ones; core 0 has them.
    pub closed: bool,
    /// Only this connection.
    pub cid: Option<u64>,
    /// Only connections of this user.
    pub user: Option<String>,
    /// Only connections of this account.
    pub account: Option<String>,
    /// Where to go on: 0, then [`ConnectionPage::next`].
    pub from: u64,
}

/// Some of the connections that a query selects.
#[derive(Clone, Debug, Default)]
pub struct ConnectionPage {
    /// In no order.
    pub connections: Vec<ConnectionSnapshot>,
    /// Where to go on; `None`: that was all.
    pub next: Option<u64>,
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
    /// How it speaks TLS, and with which certificates; `None`: it does not.
    pub tls: Option<Arc<TlsPeer>>,
    /// TLS came before INFO.
    pub tls_first: bool,
    pub subscription_count: u64,
    /// Of a closed one: what it had subscribed to, as far as that is kept.
    pub subscriptions: Arc<[SubscriptionSnapshot]>,
}

impl Shard {
    /// The counters as they are now.
    pub(crate) fn current_statistics(&self, io: &Io<'_, Mail>) -> CoreStatistics {
        let mut statistics = self.statistics.clone();
        statistics.latencies.turns.clone_from(io.turn_lengths());
        statistics.pending_bytes = self.held_bytes as u64;
        statistics.room_waits = self.waiting_for_room.count();
        for account in &self.accounts {
            let counters = &account.counters;
            statistics.in_msgs += counters.in_msgs;
            statistics.in_bytes += counters.in_bytes;
            statistics.out_msgs += counters.out_msgs;
            statistics.out_bytes += counters.out_bytes;
            let own = account.interest.subscriptions().len() as u64;
            statistics.subscriptions += own + self.service_subscriptions(account);
        }
        statistics
    }

    /// A page of the connections that a query selects: open ones first.
    pub(crate) fn connections(&self, query: &ConnectionQuery, io: &Io<'_, Mail>) -> ConnectionPage {
        let mut page = ConnectionPage::default();
        let mut looked_at = 0;
        if query.open && query.from < CLOSED {
            // Activity is kept as monotonic time: a look at the wall clock for every read would cost.
            let (now, wall) = (io.now(), io.wall_clock());
            let from = u32::try_from(query.from).unwrap_or(u32::MAX);
            for (key, session) in self.sessions.iter_from(from) {
                if looked_at == LOOKED_AT_MAX {
                    page.next = Some(u64::from(key));
                    return page;
                }
                looked_at += 1;
                if !self.selects(query, session) {
                    continue;
                }
                let mut record = self.snapshot(session);
                let idle = u64::try_from(now.since(session.activity.shown).as_nanos()).unwrap_or(u64::MAX);
                record.last_activity = WallTime(wall.0.saturating_sub(idle).max(session.start.0));
                page.connections.push(record);
            }
        }
        if let Some(acceptor) = self.acceptor.as_ref().filter(|_| query.closed) {
            let from = query.from.saturating_sub(CLOSED);
            for (number, record) in acceptor.closed.iter_from(from) {
                if looked_at == LOOKED_AT_MAX {
                    page.next = Some(CLOSED + number);
                    return page;
                }
                looked_at += 1;
                let is_selected = query.cid.is_none_or(|cid| cid == record.cid)
                    && query.user.as_ref().is_none_or(|user| Some(user) == record.user.as_ref())
                    && query.account.as_ref().is_none_or(|account| *account == record.account);
                if is_selected {
                    page.connections.push(record.clone());
                }
            }
        }
        page
    }

    fn selects(&self, query: &ConnectionQuery, session: &Session) -> bool {
        let user = || session.description.as_ref().and_then(|description| description.user.as_ref());
        query.cid.is_none_or(|cid| cid == session.cid)
            && query.user.as_ref().is_none_or(|wanted| Some(wanted) == user())
            && query
                .account
                .as_ref()
                .is_none_or(|wanted| **wanted == *self.accounts[session.account.index()].name)
    }

    /// A connection as monitoring shows it. Its last activity is filled in as the time between accept and that
    /// activity, on the wall clock.
    pub(crate) fn snapshot(&self, session: &Session) -> ConnectionSnapshot {
        let account = &self.accounts[session.account.index()];
        let active = u64::try_from(session.activity.shown.since(session.accepted).as_nanos()).unwrap_or(0);
        let description = session.description.as_deref();
        let text = |pick: fn(&Description) -> &String| {
            description.map_or(String::new(), |description| pick(description).clone())
        };
        ConnectionSnapshot {
            cid: session.cid,
            address: session.peer,
            start: session.start,
            last_activity: WallTime(session.start.0 + active),
            stop: None,
            rtt: session.rtt,
            pending_bytes: session.out.pending_bytes() as u64,
            in_msgs: session.in_msgs,
            out_msgs: session.out_msgs,
            in_bytes: session.in_bytes,
            out_bytes: session.out_bytes,
            stalls: session.stalls,
            name: text(|description| &description.name),
            lang: text(|description| &description.lang),
            version: text(|description| &description.version),
            user: description.and_then(|description| description.user.clone()),
            account: account.name.to_string(),
            tls: session.transport.as_ref().and_then(|transport| transport.peer.clone()),
            tls_first: session.transport.as_ref().is_some_and(|transport| transport.first),
            subscription_count: match &session.parting {
                Some(parting) => parting.count,
                None => session.subscriptions.len() as u64,
            },
            subscriptions: match &session.parting {
                Some(parting) => parting.listed.as_slice().into(),
                None => Arc::default(),
            },
        }
    }
}
