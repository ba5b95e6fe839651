//! How the control plane asks the cores: one question to all of them, long answers page by page.

use crossbeam_channel::{Receiver, Sender, bounded};
use petrel_engine::{
    AccountQuery, AccountSnapshot, ConnectionQuery, ConnectionSnapshot, CoreStatistics, NoticeWeight, Order,
    Publication, ReplyQuery, ReplySnapshot, SubscriptionPage, SubscriptionQuery, SubscriptionSnapshot,
    Warning,
};
use petrel_runtime::{CoreId, OrderSender};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long one answer may take.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(1);

/// How long all pages of an answer may take; what has come by then is the answer.
const PAGES_WAIT_MAX: Duration = Duration::from_secs(10);

/// Subscriptions that one answer about connections lists. Half a million are some 100 MB until they are sent.
const LISTED_SUBSCRIPTIONS_MAX: usize = 500_000;

/// Requests that one answer about an account lists, some hundreds more or less. Each is some 250 bytes of it.
const LISTED_REPLIES_MAX: usize = 16_384;

/// Asks all cores and merges what they answer. Blocks: not for use on a core.
#[derive(Clone)]
pub struct Inquiry {
    orders: Vec<OrderSender<Order>>,
}

impl Inquiry {
    /// Asks these cores.
    pub fn new(orders: Vec<OrderSender<Order>>) -> Inquiry {
        Inquiry { orders }
    }

    /// The counters of each core; `None` for a core that did not answer in time.
    pub fn statistics(&self) -> Vec<Option<CoreStatistics>> {
        self.ask_all(Order::Statistics)
    }

    /// The connections of all cores that the query selects, in no order, each once.
    pub fn connections(&self, query: &ConnectionQuery) -> Vec<ConnectionSnapshot> {
        let mut connections: Vec<ConnectionSnapshot> = Vec::new();
        self.for_each_connection(query, |connection| connections.push(connection));
        if query.open && query.closed {
            // One that ended between two pages was seen twice: it is closed.
            connections.sort_by_key(|connection| (connection.cid, connection.stop.is_none()));
            connections.dedup_by_key(|connection| connection.cid);
        }
        connections
    }

    /// Looks at the connections of all cores that the query selects.
    pub fn for_each_connection(&self, query: &ConnectionQuery, mut look: impl FnMut(ConnectionSnapshot)) {
        let end = Instant::now() + PAGES_WAIT_MAX;
        for core in &self.orders {
            let mut query = query.clone();
            while let Some(page) = ask(core, |answer| Order::Connections(query.clone(), answer)) {
                page.connections.into_iter().for_each(&mut look);
                let Some(next) = page.next.filter(|_| Instant::now() < end) else { break };
                query.from = next;
            }
        }
    }

    /// How many subscriptions a query selects, and those of a page of them.
    pub fn subscriptions(
        &self,
        query: &SubscriptionQuery,
        offset: usize,
        limit: usize,
    ) -> (usize, Vec<SubscriptionSnapshot>) {
        let (mut found, mut subscriptions) = (0, Vec::new());
        let window =
            |found: u64, count: usize| ((offset as u64).saturating_sub(found), limit.saturating_sub(count));
        let first = window(0, 0);
        let query = SubscriptionQuery { skip: first.0, take: first.1, ..query.clone() };
        self.for_each_subscription_page(&query, |page| {
            found += page.found;
            subscriptions.extend(page.subscriptions);
            window(found, subscriptions.len())
        });
        (usize::try_from(found).unwrap_or(usize::MAX), subscriptions)
    }

    /// Looks at all pages of all cores; `look` says how many of what the next one finds are not reported, and how
    /// many are at most.
    fn for_each_subscription_page(
        &self,
        query: &SubscriptionQuery,
        mut look: impl FnMut(SubscriptionPage) -> (u64, usize),
    ) {
        let end = Instant::now() + PAGES_WAIT_MAX;
        let (mut skip, mut take) = (query.skip, query.take);
        for core in &self.orders {
            let mut query = query.clone();
            loop {
                (query.skip, query.take) = (skip, take);
                let page = ask(core, |answer| Order::Subscriptions(query.clone(), answer));
                let Some(page) = page else { break };
                let next = page.next;
                (skip, take) = look(page);
                let Some(next) = next.filter(|_| Instant::now() < end) else { break };
                query.from = next;
            }
        }
    }

    /// The connections that hold one of the subscriptions that a query selects.
    pub fn connections_with(&self, query: &SubscriptionQuery) -> HashSet<u64> {
        let mut cids = HashSet::new();
        self.for_each_subscription_page(query, |page| {
            cids.extend(page.subscriptions.into_iter().map(|subscription| subscription.cid));
            (0, usize::MAX)
        });
        cids
    }

    /// The subscriptions of some connections, by connection, as many as one answer lists. `cids` need not be in
    /// order.
    pub fn subscriptions_of(
        &self,
        mut cids: Vec<u64>,
        account: Option<String>,
    ) -> HashMap<u64, Vec<SubscriptionSnapshot>> {
        cids.sort_unstable();
        let query =
            SubscriptionQuery { cids: Some(Arc::from(cids)), account, ..SubscriptionQuery::default() };
        let mut by_connection: HashMap<u64, Vec<SubscriptionSnapshot>> = HashMap::new();
        let (found, listed) = self.subscriptions(&query, 0, LISTED_SUBSCRIPTIONS_MAX);
        if found > listed.len() {
            tracing::warn!(
                "Monitoring lists {LISTED_SUBSCRIPTIONS_MAX} of {found} subscriptions; /subsz lists all of them, page by page"
            );
        }
        for subscription in listed {
            by_connection.entry(subscription.cid).or_default().push(subscription);
        }
        by_connection
    }

    /// The accounts, or one of them, each summed over the cores, by id.
    pub fn accounts(&self, account: Option<&str>, with_index: bool) -> Vec<AccountSnapshot> {
        let mut sums: Vec<AccountSnapshot> = Vec::new();
        let mut places: HashMap<Arc<str>, usize> = HashMap::new();
        let end = Instant::now() + PAGES_WAIT_MAX;
        for core in &self.orders {
            let mut query = AccountQuery { account: account.map(str::to_owned), with_index, from: 0 };
            while let Some(page) = ask(core, |answer| Order::Accounts(query.clone(), answer)) {
                for snapshot in page.accounts {
                    match places.get(&snapshot.name) {
                        Some(place) => sums[*place].add(&snapshot),
                        None => {
                            places.insert(snapshot.name.clone(), sums.len());
                            sums.push(snapshot);
                        }
                    }
                }
                let Some(next) = page.next.filter(|_| Instant::now() < end) else { break };
                query.from = next;
            }
        }
        sums
    }

    /// The requests to an account that wait for its answers, as many as one answer lists.
    pub fn replies(&self, account: &str) -> Vec<ReplySnapshot> {
        let end = Instant::now() + PAGES_WAIT_MAX;
        let mut replies = Vec::new();
        for core in &self.orders {
            let mut query = ReplyQuery { account: account.to_owned(), ..ReplyQuery::default() };
            while let Some(page) = ask(core, |answer| Order::Replies(query.clone(), answer)) {
                replies.extend(page.replies);
                let Some(next) = page.next.filter(|_| Instant::now() < end) else { break };
                if replies.len() >= LISTED_REPLIES_MAX {
                    tracing::warn!(
                        "Monitoring lists {} of the requests that account {account:?} has to answer",
                        replies.len()
                    );
                    return replies;
                }
                query.from = next;
            }
        }
        replies
    }

    /// For each of these subjects of the system account, whether anybody wants it.
    pub fn interested(&self, subjects: &[String]) -> Vec<bool> {
        let answer = self
            .orders
            .first()
            .and_then(|core| ask(core, |answer| Order::Interested(subjects.to_vec(), answer)));
        answer.unwrap_or_else(|| vec![false; subjects.len()])
    }

    /// Closes a client; false when there is none of this id.
    pub fn kick(&self, cid: u64) -> bool {
        self.ask_all(|answer| Order::Kick(cid, answer)).contains(&Some(true))
    }

    /// Tells a client that the server will go.
    pub fn warn(&self, cid: u64) -> Warning {
        let answers = self.ask_all(|answer| Order::Warn(cid, answer));
        answers.into_iter().flatten().find(|answer| *answer != Warning::Unknown).unwrap_or(Warning::Unknown)
    }

    /// Publishes as the server. Publications take effect in the order of the calls.
    pub fn publish(&self, publication: Publication) {
        if let Some(core) = self.orders.first() {
            core.send(Order::Publish(publication));
        }
    }

    /// Tells a core that one of its notices is worked off.
    pub fn handled(&self, core: CoreId, weight: NoticeWeight) {
        if let Some(core) = self.orders.get(core.index()) {
            core.send(Order::SystemHandled(weight));
        }
    }

    /// Waits until what was published before has reached the sockets of all cores.
    pub fn settle(&self) {
        // An answer is given within a turn, and mail is posted at its end: the second answer says that the first
        // turn has ended, the third that the other cores had a turn since.
        for _ in 0..3 {
            self.statistics();
        }
    }

    fn ask_all<T>(&self, order: impl Fn(Sender<T>) -> Order) -> Vec<Option<T>> {
        let deadline = Instant::now() + ANSWER_WAIT_MAX;
        let asked: Vec<Option<Receiver<T>>> = self
            .orders
            .iter()
            .map(|core| {
                let (sender, answer) = bounded(1);
                core.send(order(sender)).then_some(answer)
            })
            .collect();
        asked.into_iter().map(|answer| answer?.recv_deadline(deadline).ok()).collect()
    }
}

fn ask<T>(core: &OrderSender<Order>, order: impl FnOnce(Sender<T>) -> Order) -> Option<T> {
    let (sender, answer) = bounded(1);
    core.send(order(sender)).then(|| answer.recv_timeout(ANSWER_WAIT_MAX).ok())?
}
