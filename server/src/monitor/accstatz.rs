//! `/accstatz`: the counters of the accounts.

use super::query::{BadParameter, Query};
use super::state::Monitor;
use super::time::rfc3339;
use crate::system::Body;
use jiff::Timestamp;
use petrel_engine::AccountSnapshot;
use serde::Serialize;

/// `/accstatz`.
#[derive(Serialize)]
pub struct Accstatz {
    server_id: String,
    now: String,
    /// The accounts.
    pub account_statz: Vec<AccountStatistics>,
}

/// The counters of an account.
#[derive(Clone, Debug, Serialize)]
pub struct AccountStatistics {
    /// The account.
    pub acc: String,
    /// Its name tag: the name, until somebody gives it another.
    pub name: String,
    /// Clients.
    pub conns: u64,
    leafnodes: u64,
    total_conns: u64,
    /// Subscriptions.
    pub num_subscriptions: u64,
    /// Messages to clients.
    pub sent: Flow,
    /// Messages from clients.
    pub received: Flow,
    /// Connections closed because they were slow.
    pub slow_consumers: u64,
}

/// Messages in one direction.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Flow {
    /// Messages.
    pub msgs: u64,
    /// Bytes of headers and payload.
    pub bytes: u64,
    gateways: Amount,
    routes: Amount,
    leafs: Amount,
}

/// A number of messages.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Amount {
    /// Messages.
    pub msgs: u64,
    /// Bytes of headers and payload.
    pub bytes: u64,
}

impl AccountStatistics {
    /// Shows what the cores counted.
    pub fn of(account: &AccountSnapshot) -> AccountStatistics {
        AccountStatistics {
            acc: account.name.to_string(),
            name: account.name.to_string(),
            conns: account.connections,
            leafnodes: 0,
            total_conns: account.connections,
            num_subscriptions: account.subscriptions,
            sent: Flow { msgs: account.out_msgs, bytes: account.out_bytes, ..Flow::default() },
            received: Flow { msgs: account.in_msgs, bytes: account.in_bytes, ..Flow::default() },
            slow_consumers: account.slow_consumers,
        }
    }
}

/// A request, understood.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Empty: all.
    accounts: Vec<String>,
    /// Accounts without connections too.
    pub unused: bool,
}

impl Request {
    /// Reads the parameters of a request over HTTP.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn from_query(query: &Query) -> Result<Request, BadParameter> {
        Ok(Request { accounts: Vec::new(), unused: query.boolean("unused")? })
    }

    /// Reads the options of a request to the system account.
    pub fn from_body(body: &mut Body) -> Request {
        Request { accounts: body.texts("accounts"), unused: body.boolean("include_unused") }
    }

    /// Asks for one account; for none when others were asked for by name.
    pub fn of_account(mut self, account: &str) -> Request {
        self.accounts = vec![account.to_owned()];
        self
    }

    /// Whether others than this account were asked for by name, and it was not.
    pub fn leaves_out(&self, account: &str) -> bool {
        !self.accounts.is_empty() && !self.accounts.iter().any(|name| name == account)
    }
}

/// The answer.
pub fn accstatz(monitor: &Monitor, request: &Request) -> Accstatz {
    let only = match request.accounts.as_slice() {
        [account] => Some(account.as_str()),
        _ => None,
    };
    let accounts = monitor.inquiry().accounts(only, false);
    let listed = accounts
        .iter()
        .filter(|account| (request.unused || account.connections > 0) && !request.leaves_out(&account.name));
    Accstatz {
        server_id: monitor.about().server_id.clone(),
        now: rfc3339(Timestamp::now()),
        account_statz: listed.map(AccountStatistics::of).collect(),
    }
}
