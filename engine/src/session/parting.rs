//! What a client had subscribed to when its connection ended, for `/connz?state=closed`.

use crate::shard::Shard;
use crate::snapshot::SubscriptionSnapshot;

/// Bytes of subscriptions that one connection leaves behind; those beyond are counted, not listed.
const LISTED_BYTES_MAX: usize = 16 * 1024;

/// So many of the shortest would be as long.
const LISTED_MAX: usize = LISTED_BYTES_MAX / size_of::<SubscriptionSnapshot>() + 1;

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
            // The oldest are listed. Of a million not all are put in order for that.
            if keys.len() > LISTED_MAX {
                keys.select_nth_unstable(LISTED_MAX);
                keys.truncate(LISTED_MAX);
            }
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

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::order::Order;
    use crate::snapshot::ConnectionQuery;
    use crate::workbench::{Workbench, quick_world};

    #[test]
    fn the_first_subscriptions_are_listed_in_their_order() {
        let mut bench = Workbench::new(quick_world(1), 1, Options::default());
        let client = bench.client();
        for hundred in 0..10 {
            let subscribe = |number: u32| format!("SUB s.{number} {number}\r\n");
            let text: String = (hundred * 100..(hundred + 1) * 100).map(subscribe).collect();
            bench.say_and_wait(client, &text);
        }
        bench.say_and_wait(client, "-ERR 'over'\r\n");
        let (sender, answer) = crossbeam_channel::unbounded();
        let query = ConnectionQuery { closed: true, ..ConnectionQuery::default() };
        bench.world.order(bench.server, 0, Order::Connections(query, sender));
        bench.world.run_for(std::time::Duration::from_secs(1));
        let page = answer.try_recv().expect("an answer");
        let [closed] = &page.connections[..] else { panic!("{page:?}") };
        assert_eq!(closed.subscription_count, 1000);
        let sids: Vec<usize> = closed.subscriptions.iter().filter_map(|one| one.sid.parse().ok()).collect();
        assert!(sids.len() > 50, "{}", sids.len());
        assert_eq!(sids, (0..sids.len()).collect::<Vec<_>>());
    }
}
