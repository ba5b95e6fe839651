//! Requests about an account. Clients of other accounts reach them through an import that fills in their own account.

use super::body::Body;
use super::envelope::{Outcome, Stationery};
use super::events::connection_count;
use super::reading::read_request;
use crate::monitor::query::BadParameter;
use crate::monitor::{Monitor, accountz, accstatz, connz, json, links, subsz};

/// Endpoints of an account as upstream's option types are called after them, and those types.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("SUBSZ", "Subsz", "SubszOptions"),
    ("CONNZ", "Connz", "ConnzOptions"),
    ("LEAFZ", "Leafz", "LeafzOptions"),
    ("JSZ", "Jsz", "JSzOptions"),
    ("INFO", "AccInfo", "AccInfoOptions"),
    ("STATZ", "AccountStatz", "AccountStatzOptions"),
];

/// What a request about an account came to.
pub fn account_request(
    monitor: &Monitor,
    stationery: &mut Stationery,
    account: &str,
    endpoint: &str,
    body: &[u8],
) -> Outcome {
    if endpoint == "CONNS" {
        let count = connection_count(monitor, stationery, account);
        return count.map_or(Outcome::Silent, Outcome::Bare);
    }
    let Some((_, name, options)) = OPTIONS.iter().find(|(known, ..)| *known == endpoint) else {
        return Outcome::Silent;
    };
    match read_request(monitor, body, (name, options), |body| read(body, endpoint)) {
        Ok(request) => request
            .and_then(|request| answer(monitor, account, request))
            .unwrap_or_else(|error| Outcome::Failed(error.0)),
        Err(outcome) => outcome,
    }
}

/// The counters of all accounts.
pub fn all_accounts(monitor: &Monitor, body: &[u8]) -> Outcome {
    let names = ("AccountStatz", "AccountStatzOptions");
    match read_request(monitor, body, names, accstatz::Request::from_body) {
        Ok(request) => statistics(monitor, &request),
        Err(outcome) => outcome,
    }
}

enum Request {
    Subscriptions(subsz::Request),
    Connections(Box<connz::Request>),
    Leafnodes,
    JetStream,
    Information,
    Statistics(accstatz::Request),
}

fn read(body: &mut Body, endpoint: &str) -> Result<Request, BadParameter> {
    Ok(match endpoint {
        "SUBSZ" => Request::Subscriptions(subsz::Request::from_body(body)?),
        "CONNZ" => Request::Connections(Box::new(connz::Request::from_body(body)?)),
        "LEAFZ" => {
            links::read_leafz(body);
            Request::Leafnodes
        }
        "JSZ" => Request::JetStream,
        "INFO" => Request::Information,
        _ => Request::Statistics(accstatz::Request::from_body(body)),
    })
}

fn answer(monitor: &Monitor, account: &str, request: Request) -> Result<Outcome, BadParameter> {
    let data = match request {
        Request::Subscriptions(request) => {
            json::compact(&subsz::subsz(monitor, &request.of_account(account)))
        }
        Request::Connections(request) => json::compact(&connz::connz(monitor, &request.of_account(account))),
        Request::Leafnodes => json::compact(&links::leafz(monitor)),
        Request::JetStream => return Err(BadParameter("jetstream not enabled".into())),
        Request::Information => json::compact(&accountz::detail(monitor, account)?),
        Request::Statistics(request) => return Ok(statistics(monitor, &request.of_account(account))),
    };
    Ok(Outcome::Data(data))
}

/// The counters of accounts. Without any there is nothing to say, but to who wants to hear of unused ones too.
fn statistics(monitor: &Monitor, request: &accstatz::Request) -> Outcome {
    let accstatz = accstatz::accstatz(monitor, request);
    match accstatz.account_statz.is_empty() && !request.unused {
        true => Outcome::Silent,
        false => Outcome::Data(json::compact(&accstatz)),
    }
}
