//! Accounts: their counters, and what their index holds.

use crate::account::Account;
use crate::shard::Shard;
use crate::sums::add_counters;
use std::sync::Arc;

/// Accounts that one page reports.
const ACCOUNTS_MAX: usize = 256;
/// Cached results that one page looks at before it ends.
const RESULTS_MAX: usize = 4096;

/// Which accounts to report, and from where on.
#[derive(Clone, Debug, Default)]
pub struct AccountQuery {
    /// Only this one.
    pub account: Option<String>,
    /// With the figures of the index, which take longer.
    pub with_index: bool,
    /// Where to go on: 0, then [`AccountPage::next`].
    pub from: usize,
}

/// Some of the accounts that a query selects.
#[derive(Clone, Debug, Default)]
pub struct AccountPage {
    /// By id.
    pub accounts: Vec<AccountSnapshot>,
    /// Where to go on; `None`: that was all.
    pub next: Option<usize>,
}

/// What a core knows of an account. A node's figures are sums over its cores, the largest fan-out excepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct AccountSnapshot {
    pub name: Arc<str>,
    /// Clients logged in now.
    pub connections: u64,
    pub in_msgs: u64,
    pub in_bytes: u64,
    pub out_msgs: u64,
    pub out_bytes: u64,
    pub slow_consumers: u64,
    /// Subscriptions held now, the server's own and service imports included.
    pub subscriptions: u64,
    /// Subscriptions made and removed since the start.
    pub inserts: u64,
    pub removes: u64,
    /// Messages whose receivers were looked up, and how many of them the index had to be searched for.
    pub matches: u64,
    pub searches: u64,
    /// Results in the cache, the receivers in all of them, and the most in one.
    pub cached: u64,
    pub fanout_sum: u64,
    pub fanout_max: u64,
}

impl AccountSnapshot {
    /// Adds what another core knows of the same account.
    pub fn add(&mut self, other: &AccountSnapshot) {
        add_counters!(self, other, AccountSnapshot {
            connections,
            in_msgs,
            in_bytes,
            out_msgs,
            out_bytes,
            slow_consumers,
            subscriptions,
            inserts,
            removes,
            matches,
            searches,
            cached,
            fanout_sum,
        } but { name, fanout_max });
        self.fanout_max = self.fanout_max.max(other.fanout_max);
    }
}

impl Shard {
    /// Each service import counts as a subscription of the server's own, as it is one upstream; once for the whole node.
    pub(crate) fn service_subscriptions(&self, account: &Account) -> u64 {
        if self.core.0 == 0 { account.edges.services.len() as u64 } else { 0 }
    }

    /// A page of the accounts that a query selects.
    pub(crate) fn account_page(&self, query: &AccountQuery) -> AccountPage {
        let mut page = AccountPage::default();
        let mut results = 0;
        for (index, account) in self.accounts.iter().enumerate().skip(query.from) {
            if query.account.as_ref().is_some_and(|name| **name != *account.name) {
                continue;
            }
            if page.accounts.len() == ACCOUNTS_MAX || results > RESULTS_MAX {
                page.next = Some(index);
                return page;
            }
            let counters = &account.counters;
            let index_counters = account.interest.counters();
            let imports = self.service_subscriptions(account);
            let mut snapshot = AccountSnapshot {
                name: account.name.clone(),
                connections: counters.connections,
                in_msgs: counters.in_msgs,
                in_bytes: counters.in_bytes,
                out_msgs: counters.out_msgs,
                out_bytes: counters.out_bytes,
                slow_consumers: counters.slow_consumers,
                subscriptions: account.interest.subscriptions().len() as u64 + imports,
                inserts: index_counters.inserts + imports,
                removes: index_counters.removes,
                matches: counters.in_msgs + counters.envelopes,
                searches: index_counters.searches,
                ..AccountSnapshot::default()
            };
            if query.with_index {
                for receivers in account.interest.cached_fanouts() {
                    results += 1;
                    snapshot.cached += 1;
                    snapshot.fanout_sum += receivers;
                    snapshot.fanout_max = snapshot.fanout_max.max(receivers);
                }
            }
            page.accounts.push(snapshot);
        }
        page
    }
}
