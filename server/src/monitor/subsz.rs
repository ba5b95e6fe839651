//! `/subsz`: what the indexes hold.

use super::json::Float;
use super::query::{BadParameter, Query};
use super::shape::Subscription;
use super::state::Monitor;
use super::time::rfc3339;
use crate::system::Body;
use jiff::Timestamp;
use petrel_engine::{AccountSnapshot, SubscriptionQuery, SubscriptionSnapshot};
use petrel_protocol::subject::is_valid_literal;
use serde::Serialize;

/// Subscriptions on one page, unless asked otherwise.
const LIMIT_DEFAULT: usize = 1024;

/// `/subsz`.
#[derive(Serialize)]
pub struct Subsz {
    server_id: String,
    now: String,
    #[serde(flatten)]
    statistics: IndexStatistics,
    total: usize,
    offset: usize,
    limit: usize,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscriptions_list: Vec<Subscription>,
}

/// The figures of one or more indexes. Each core has its own; its other cores count as one receiver each.
#[derive(Serialize)]
pub struct IndexStatistics {
    num_subscriptions: u64,
    num_cache: u64,
    num_inserts: u64,
    num_removes: u64,
    num_matches: u64,
    cache_hit_rate: Float,
    max_fanout: u64,
    avg_fanout: Float,
}

impl IndexStatistics {
    /// The figures of these accounts together.
    pub fn of(accounts: &[AccountSnapshot]) -> IndexStatistics {
        let sum = |pick: fn(&AccountSnapshot) -> u64| accounts.iter().map(pick).sum::<u64>();
        let (matches, cached) = (sum(|account| account.matches), sum(|account| account.cached));
        let hits = matches.saturating_sub(sum(|account| account.searches));
        let share = |part: u64, whole: u64| Float(if whole == 0 { 0.0 } else { part as f64 / whole as f64 });
        IndexStatistics {
            num_subscriptions: sum(|account| account.subscriptions),
            num_cache: cached,
            num_inserts: sum(|account| account.inserts),
            num_removes: sum(|account| account.removes),
            num_matches: matches,
            cache_hit_rate: share(hits, matches),
            max_fanout: accounts.iter().map(|account| account.fanout_max).max().unwrap_or(0),
            avg_fanout: share(sum(|account| account.fanout_sum), cached),
        }
    }
}

/// A request, understood.
#[derive(Clone, Debug, Default)]
pub struct Request {
    subscriptions: bool,
    offset: usize,
    limit: usize,
    /// Empty: all.
    account: String,
    /// Empty: all.
    test: String,
}

impl Request {
    /// Reads the parameters of a request over HTTP.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn from_query(query: &Query) -> Result<Request, BadParameter> {
        let subscriptions = query.boolean("subs")?;
        Request {
            subscriptions,
            offset: usize::try_from(query.integer("offset")?).unwrap_or(0),
            limit: usize::try_from(query.integer("limit")?).unwrap_or(0),
            account: query.text("acc").to_owned(),
            test: query.text("test").to_owned(),
        }
        .checked()
    }

    /// Reads the options of a request to the system account.
    ///
    /// # Errors
    /// When one does not fit.
    pub fn from_body(body: &mut Body) -> Result<Request, BadParameter> {
        Request {
            offset: usize::try_from(body.integer("offset")).unwrap_or(0),
            limit: usize::try_from(body.integer("limit")).unwrap_or(0),
            subscriptions: body.boolean("subscriptions"),
            account: body.text("account"),
            test: body.text("test"),
        }
        .checked()
    }

    fn checked(mut self) -> Result<Request, BadParameter> {
        if self.limit == 0 {
            self.limit = LIMIT_DEFAULT;
        }
        if !self.test.is_empty() && !is_valid_literal(self.test.as_bytes()) {
            let text = format!("invalid test subject, must be valid publish subject: {}", self.test);
            return Err(BadParameter(text));
        }
        Ok(self)
    }

    /// Asks for the subscriptions of one account, listed.
    pub fn of_account(self, account: &str) -> Request {
        Request { account: account.to_owned(), subscriptions: true, ..self }
    }
}

/// The answer.
pub fn subsz(monitor: &Monitor, request: &Request) -> Subsz {
    let account = Some(request.account.as_str()).filter(|account| !account.is_empty());
    let accounts = monitor.inquiry().accounts(account, true);
    let (mut total, mut list) = (0, Vec::new());
    if request.subscriptions {
        let query = SubscriptionQuery {
            account: account.map(str::to_owned),
            test: Some(request.test.clone().into_bytes()).filter(|test| !test.is_empty()),
            ..SubscriptionQuery::default()
        };
        (total, list) = monitor.inquiry().subscriptions(&query, request.offset, request.limit);
    }
    Subsz {
        server_id: monitor.about().server_id.clone(),
        now: rfc3339(Timestamp::now()),
        statistics: IndexStatistics::of(&accounts),
        total,
        offset: request.offset,
        limit: request.limit,
        subscriptions_list: list.into_iter().map(shown).collect(),
    }
}

fn shown(subscription: SubscriptionSnapshot) -> Subscription {
    Subscription {
        account: Some(subscription.account.to_string()),
        account_tag: Some(subscription.account.to_string()),
        subject: subscription.subject,
        qgroup: subscription.queue,
        sid: subscription.sid,
        msgs: subscription.msgs,
        max: subscription.max,
        cid: subscription.cid,
    }
}
