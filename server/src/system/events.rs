//! What the server tells: clients that come and go, refused logins, numbers of connections.

use super::envelope::Stationery;
use crate::monitor::accstatz::{AccountStatistics, Amount};
use crate::monitor::time::{rfc3339, timestamp};
use crate::monitor::varz::nanoseconds;
use crate::monitor::{Monitor, json};
use petrel_engine::{ConnectionSnapshot, Publication};
use serde::Serialize;

/// The account of whoever was not given another; the number of its connections is never told.
const GLOBAL_ACCOUNT: &str = "$G";

#[derive(Serialize)]
struct Client<'a> {
    start: String,
    host: String,
    id: u64,
    acc: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    lang: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    ver: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtt: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop: Option<String>,
    name_tag: &'a str,
    kind: &'static str,
    client_type: &'static str,
}

#[derive(Serialize)]
struct Connect<'a> {
    client: Client<'a>,
}

#[derive(Serialize)]
struct Disconnect<'a> {
    client: Client<'a>,
    /// What the client sent.
    sent: Amount,
    received: Amount,
    reason: String,
}

/// The client of an event. When it connects its round-trip time is not known yet.
fn client(connection: &ConnectionSnapshot) -> Client<'_> {
    let rtt = connection.rtt.filter(|_| connection.stop.is_some());
    Client {
        start: rfc3339(timestamp(connection.start)),
        host: connection.address.ip().to_string(),
        id: connection.cid,
        acc: &connection.account,
        user: connection.user.as_deref(),
        name: &connection.name,
        lang: &connection.lang,
        ver: &connection.version,
        rtt: rtt.map(nanoseconds),
        stop: connection.stop.map(|(time, _)| rfc3339(timestamp(time))),
        name_tag: &connection.account,
        kind: "Client",
        client_type: "nats",
    }
}

/// A client has logged in.
pub fn connected(
    monitor: &Monitor,
    stationery: &mut Stationery,
    connection: &ConnectionSnapshot,
) -> Publication {
    let rest = json::compact(&Connect { client: client(connection) });
    let event = stationery.event(&monitor.about(), "client_connect", &rest);
    let subject = format!("$SYS.ACCOUNT.{}.CONNECT", connection.account);
    in_system_account(monitor, &subject, event)
}

fn disconnect(monitor: &Monitor, stationery: &mut Stationery, connection: &ConnectionSnapshot) -> String {
    let rest = json::compact(&Disconnect {
        client: client(connection),
        sent: Amount { msgs: connection.in_msgs, bytes: connection.in_bytes },
        received: Amount { msgs: connection.out_msgs, bytes: connection.out_bytes },
        reason: connection.stop.map(|(_, reason)| reason.to_string()).unwrap_or_default(),
    });
    stationery.event(&monitor.about(), "client_disconnect", &rest)
}

/// A client is gone.
pub fn disconnected(
    monitor: &Monitor,
    stationery: &mut Stationery,
    connection: &ConnectionSnapshot,
) -> Publication {
    let event = disconnect(monitor, stationery, connection);
    let subject = format!("$SYS.ACCOUNT.{}.DISCONNECT", connection.account);
    in_system_account(monitor, &subject, event)
}

/// A client was refused: told in the system account and in the one where the client was.
pub fn login_refused(
    monitor: &Monitor,
    stationery: &mut Stationery,
    connection: &ConnectionSnapshot,
) -> [Publication; 2] {
    let subject = format!("$SYS.SERVER.{}.CLIENT.AUTH.ERR", monitor.about().server_id);
    let event = disconnect(monitor, stationery, connection);
    let told = in_system_account(monitor, &subject, event);
    let concerned = Publication {
        account: connection.account.clone(),
        subject: b"$SYS.ACCOUNT.CLIENT.AUTH.ERR".to_vec(),
        body: disconnect(monitor, stationery, connection).into(),
        ..Publication::default()
    };
    [told, concerned]
}

/// The event with the number of an account's connections; `None` when it has none.
pub fn connection_count(monitor: &Monitor, stationery: &mut Stationery, account: &str) -> Option<String> {
    let found = monitor.inquiry().accounts(Some(account), false);
    let statistics = AccountStatistics::of(found.first()?);
    (statistics.conns > 0).then(|| count_event(monitor, stationery, &statistics))
}

fn count_event(monitor: &Monitor, stationery: &mut Stationery, statistics: &AccountStatistics) -> String {
    stationery.event(&monitor.about(), "account_connections", &json::compact(statistics))
}

/// An account has more or fewer connections than before: told on both subjects, also when it has none left.
pub fn connections_changed(
    monitor: &Monitor,
    stationery: &mut Stationery,
    account: &str,
) -> Vec<Publication> {
    let found = monitor.inquiry().accounts(Some(account), false);
    let Some(statistics) = found.first().map(AccountStatistics::of) else { return Vec::new() };
    count_subjects(account)
        .iter()
        .map(|subject| in_system_account(monitor, subject, count_event(monitor, stationery, &statistics)))
        .collect()
}

/// The numbers of connections of all accounts that have some, as far as somebody listens.
pub fn all_connection_counts(monitor: &Monitor, stationery: &mut Stationery) -> Vec<Publication> {
    let mut accounts = monitor.inquiry().accounts(None, false);
    accounts.retain(|account| account.connections > 0 && *account.name != *GLOBAL_ACCOUNT);
    let mut publications = Vec::new();
    for some in accounts.chunks(SUBJECTS_AT_A_TIME) {
        let subjects: Vec<String> = some.iter().flat_map(|account| count_subjects(&account.name)).collect();
        let wanted = monitor.inquiry().interested(&subjects);
        for (account, wanted) in some.iter().zip(wanted.chunks(2)) {
            if wanted.contains(&true) {
                let statistics = AccountStatistics::of(account);
                for subject in count_subjects(&account.name) {
                    let event = count_event(monitor, stationery, &statistics);
                    publications.push(in_system_account(monitor, &subject, event));
                }
            }
        }
    }
    publications
}

/// Accounts whose listeners a core is asked for at once.
const SUBJECTS_AT_A_TIME: usize = 128;

fn count_subjects(account: &str) -> [String; 2] {
    [format!("$SYS.SERVER.ACCOUNT.{account}.CONNS"), format!("$SYS.ACCOUNT.{account}.SERVER.CONNS")]
}

/// A message in the system account.
pub fn in_system_account(monitor: &Monitor, subject: &str, body: String) -> Publication {
    Publication {
        account: monitor.about().system_account().to_owned(),
        subject: subject.as_bytes().to_vec(),
        body: body.into(),
        ..Publication::default()
    }
}
