//! From a request to its answer.

use super::Reload;
use super::account::{account_request, all_accounts};
use super::envelope::{Outcome, Stationery};
use super::server::server_request;
use super::subject::{Asked, asked};
use super::user::user_info;
use crate::monitor::Monitor;
use petrel_engine::{Encoding, Publication, SubscriptionQuery, SystemRequest};
use serde::Deserialize;

/// What an import says of who asks (header `Nats-Request-Info`).
#[derive(Debug, Default, Deserialize)]
struct Asker {
    #[serde(default)]
    acc: String,
    #[serde(default)]
    id: u64,
}

/// Answers a request; `None`: there is nothing to say, or nobody to say it to.
pub fn answer(
    monitor: &Monitor,
    reload: &Reload,
    stationery: &mut Stationery,
    request: &SystemRequest,
) -> Option<Publication> {
    let reply = request.reply.clone()?;
    let headers = |name: &str| header(&request.headers, name);
    let asker: Option<Asker> = headers("Nats-Request-Info").and_then(|text| serde_json::from_str(&text).ok());
    let outcome = outcome(monitor, reload, stationery, request, asker.as_ref());
    let text = stationery.answer(&monitor.about(), &outcome)?;
    let encoding = Encoding::asked_for(headers("Accept-Encoding").as_deref());
    Some(Publication {
        account: monitor.about().system_account().to_owned(),
        subject: reply,
        reply: None,
        headers: encoding.headers(),
        body: encoding.encode(text.into_bytes()).into(),
    })
}

fn outcome(
    monitor: &Monitor,
    reload: &Reload,
    stationery: &mut Stationery,
    request: &SystemRequest,
    asker: Option<&Asker>,
) -> Outcome {
    let body = &request.body;
    match asked(&request.subject) {
        Asked::Server(endpoint) => server_request(monitor, reload, endpoint, body),
        Asked::Account { name, endpoint } => {
            // Who asks through an import hears of its own account only.
            if asker.is_some_and(|asker| !asker.acc.is_empty() && asker.acc != name) {
                return Outcome::Silent;
            }
            account_request(monitor, stationery, name, endpoint, body)
        }
        Asked::AllAccounts => all_accounts(monitor, body),
        Asked::User => {
            let cid = asker.map(|asker| asker.id).filter(|cid| *cid > 0).unwrap_or(request.cid);
            user_info(monitor, cid)
        }
        Asked::Subscribers => Outcome::Bare(subscribers(monitor, body, asker)),
        Asked::Nothing => Outcome::Silent,
    }
}

/// The number of clients' subscriptions to a subject, in a queue group if the body names one, in the account of who
/// asks.
fn subscribers(monitor: &Monitor, body: &[u8], asker: Option<&Asker>) -> String {
    let text = String::from_utf8_lossy(body);
    let mut words = text.split_ascii_whitespace();
    let Some(subject) = words.next() else { return "0".to_owned() };
    let account = asker.map(|asker| asker.acc.clone()).filter(|account| !account.is_empty());
    let query = SubscriptionQuery {
        account: Some(account.unwrap_or_else(|| monitor.about().system_account().to_owned())),
        test: Some(subject.as_bytes().to_vec()),
        queue: words.next().map(|queue| queue.as_bytes().to_vec()),
        clients_only: true,
        ..SubscriptionQuery::default()
    };
    monitor.inquiry().subscriptions(&query, 0, 0).0.to_string()
}

/// The first value of a header.
pub(super) fn header(headers: &[u8], name: &str) -> Option<String> {
    let text = String::from_utf8_lossy(headers);
    let mut lines = text.split("\r\n").skip(1);
    lines.find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_in_any_case() {
        let headers = b"NATS/1.0\r\nA: 1\r\naccept-encoding:  gzip \r\nAccept-Encoding: s2\r\n\r\n";
        assert_eq!(header(headers, "Accept-Encoding").as_deref(), Some("gzip"));
        assert_eq!(header(headers, "B"), None);
        assert_eq!(header(b"", "B"), None);
    }
}
