//! What a client had subscribed to when its connection ended, for `/connz?state=closed`.

use crate::shard::Shard;
use crate::snapshot::SubscriptionSnapshot;

/// Bytes of subscriptions that one connection leaves behind; those beyond are counted, not listed.
const LISTED_BYTES_MAX: usize = 16 * 1024;

/// What it had.
#[derive(Debug, Default)]
pub(crate) struct Parting {
    pub(crate) count: u64,
    pub(crate) listed: Vec<SubscriptionSnapshot>,
}

impl Shard {
    /// Removes the subscriptions of a connection that ends, and notes in it what they were.
    pub(super) fn part_with_subscriptions(&mut self, key: u32) {
        let Some(session) = self.sessions.get(key) else { return };
        if session.parting.is_none() && !session.subscriptions.is_empty() {
            let account = &self.accounts[session.account.index()];
            let mut parting = Parting { count: session.subscriptions.len() as u64, listed: Vec::new() };
            let mut keys: Vec<u32> = session.subscriptions.iter().copied().collect();
            keys.sort_unstable();
            let mut bytes = 0;
            for subscription in keys.iter().filter_map(|key| account.interest.subscriptions().get(*key)) {
                let record = SubscriptionSnapshot::of(account, subscription, session.cid);
                bytes += record.bytes();
                if bytes > LISTED_BYTES_MAX {
                    break;
                }
                parting.listed.push(record);
            }
            if let Some(session) = self.sessions.get_mut(key) {
                session.parting = Some(Box::new(parting));
            }
        }
        self.remove_all_subscriptions(key);
    }
}
