//! What this core tells monitoring.

use crate::mail::Mail;
use crate::order::{ConnectionQuery, ConnectionSnapshot, CoreStatistics, SubscriptionSnapshot};
use crate::session::client::Session;
use crate::shard::Shard;
use petrel_runtime::{Io, WallTime};

impl Shard {
    /// The counters as they are now.
    pub(crate) fn current_statistics(&self) -> CoreStatistics {
        let mut statistics = self.statistics.clone();
        statistics.pending_bytes = self.held_bytes as u64;
        statistics
    }

    /// The connections that a query selects.
    pub(crate) fn connections(&self, query: &ConnectionQuery, io: &Io<'_, Mail>) -> Vec<ConnectionSnapshot> {
        let selects = |record: &ConnectionSnapshot| {
            query.cid.is_none_or(|cid| cid == record.cid)
                && query.user.as_ref().is_none_or(|user| Some(user) == record.user.as_ref())
                && query.account.as_ref().is_none_or(|account| *account == record.account)
        };
        let mut records = Vec::new();
        if query.open {
            // `last_activity` is kept as monotonic time: a look at the wall clock for every read would cost.
            let (now, wall) = (io.now(), io.wall_clock());
            for (_, session) in self.sessions.iter() {
                let mut record = self.snapshot(session, query.subscriptions);
                let idle = u64::try_from(now.since(session.last_activity).as_nanos()).unwrap_or(u64::MAX);
                record.last_activity = WallTime(wall.0.saturating_sub(idle).max(session.start.0));
                if selects(&record) {
                    records.push(record);
                }
            }
        }
        if query.closed
            && let Some(acceptor) = &self.acceptor
        {
            records.extend(acceptor.closed.iter().filter(|record| selects(record)).cloned());
        }
        records
    }

    /// A connection as monitoring shows it. Its last activity is filled in as the time between accept and the
    /// last read, on the wall clock.
    pub(crate) fn snapshot(&self, session: &Session, with_subscriptions: bool) -> ConnectionSnapshot {
        let account = &self.accounts[session.account.index()];
        let active = u64::try_from(session.last_activity.since(session.accepted).as_nanos()).unwrap_or(0);
        let description = session.description.as_deref();
        let text = |pick: fn(&crate::session::client::Description) -> &String| {
            description.map_or(String::new(), |description| pick(description).clone())
        };
        let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut subscriptions = Vec::new();
        if with_subscriptions {
            for key in &session.subscriptions {
                let Some(subscription) = account.interest.subscriptions().get(*key) else { continue };
                subscriptions.push(SubscriptionSnapshot {
                    subject: lossy(&account.interest.subject_of(subscription)),
                    queue: subscription.queue().map(lossy),
                    sid: lossy(&subscription.sid),
                    msgs: subscription.delivered,
                    max: subscription.max(),
                });
            }
        }
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
            subscription_count: session.subscriptions.len() as u64,
            subscriptions,
        }
    }
}
