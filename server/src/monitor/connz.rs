//! `/connz`: the connections.

use super::query::{BadParameter, Query};
use super::shape::{Connection, Connz, PeerCertificate, Subscription};
use super::state::Monitor;
use super::time::{rfc3339, round_trip, seconds_between, timestamp, uptime};
use crate::system::Body;
use jiff::Timestamp;
use petrel_engine::transport;
use petrel_engine::{ConnectionQuery, ConnectionSnapshot, SubscriptionQuery, SubscriptionSnapshot};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

/// Connections on one page, unless asked otherwise.
const LIMIT_DEFAULT: usize = 1024;

/// The account of whoever was not given another.
const GLOBAL_ACCOUNT: &str = "$G";

/// What may be sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sort {
    Cid,
    Start,
    Subs,
    Pending,
    MessagesTo,
    MessagesFrom,
    BytesTo,
    BytesFrom,
    Last,
    Idle,
    Uptime,
    Stop,
    Reason,
    RoundTrip,
}

/// Which connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    All,
    /// A number that upstream does not know selects none.
    Unknown,
}

/// How subscriptions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscriptions {
    Hidden,
    Subjects,
    Detailed,
}

/// A request, understood.
#[derive(Clone, Debug)]
pub struct Request {
    sort: Sort,
    state: State,
    subscriptions: Subscriptions,
    auth: bool,
    offset: usize,
    limit: usize,
    /// 0: all.
    cid: u64,
    /// Empty: all.
    user: String,
    /// Empty: all.
    account: String,
    /// Empty: all.
    mqtt_client: String,
    /// Only connections with a subscription to such subjects; empty: all.
    filter_subject: String,
}

impl Request {
    /// Reads the parameters of a request over HTTP.
    ///
    /// # Errors
    /// When one cannot be read or does not fit another.
    pub fn from_query(query: &Query) -> Result<Request, BadParameter> {
        let auth = query.boolean("auth")?;
        let subscriptions = match query.text("subs") {
            word if word.eq_ignore_ascii_case("detail") => Subscriptions::Detailed,
            _ if query.boolean("subs")? => Subscriptions::Subjects,
            _ => Subscriptions::Hidden,
        };
        let request = Request {
            sort: Sort::Cid,
            auth,
            subscriptions,
            offset: usize::try_from(query.integer("offset")?).unwrap_or(0),
            limit: usize::try_from(query.integer("limit")?).unwrap_or(0),
            cid: query.unsigned("cid")?,
            state: state(query.text("state"))?,
            user: query.text("user").to_owned(),
            account: query.text("acc").to_owned(),
            mqtt_client: query.text("mqtt_client").to_owned(),
            filter_subject: String::new(),
        };
        request.sorted_by(query.text("sort"))
    }

    /// Reads the options of a request to the system account.
    ///
    /// # Errors
    /// When one does not fit another.
    pub fn from_body(body: &mut Body) -> Result<Request, BadParameter> {
        let subscriptions = match (body.boolean("subscriptions"), body.boolean("subscriptions_detail")) {
            (_, true) => Subscriptions::Detailed,
            (true, false) => Subscriptions::Subjects,
            (false, false) => Subscriptions::Hidden,
        };
        let sort = body.text_of("sort", "server.SortOpt");
        let request = Request {
            sort: Sort::Cid,
            auth: body.boolean("auth"),
            subscriptions,
            offset: usize::try_from(body.integer("offset")).unwrap_or(0),
            limit: usize::try_from(body.integer("limit")).unwrap_or(0),
            cid: body.unsigned("cid"),
            state: match body.integer_of("state", "server.ConnState") {
                0 => State::Open,
                1 => State::Closed,
                2 => State::All,
                _ => State::Unknown,
            },
            user: body.text("user"),
            account: body.text("acc"),
            mqtt_client: body.text("mqtt_client"),
            filter_subject: body.text("filter_subject"),
        };
        if !request.filter_subject.is_empty() && request.account.is_empty() {
            return Err(BadParameter("filter by subject only valid with account filtering".into()));
        }
        request.sorted_by(&sort)
    }

    fn sorted_by(mut self, name: &str) -> Result<Request, BadParameter> {
        self.sort = sort(name)?;
        if self.state != State::Closed && matches!(self.sort, Sort::Stop | Sort::Reason) {
            return Err(BadParameter(format!("sort by {name} only valid on closed connections")));
        }
        self.limit = match (self.cid, self.limit) {
            (0, 0) => LIMIT_DEFAULT,
            (0, limit) => limit,
            _ => 1,
        };
        Ok(self)
    }

    /// Asks for the connections of one account.
    pub fn of_account(self, account: &str) -> Request {
        Request { account: account.to_owned(), ..self }
    }

    /// Whether a connection is listed. There are no MQTT clients.
    fn selects(&self, connection: &ConnectionSnapshot) -> bool {
        (self.cid == 0 || connection.cid == self.cid)
            && (self.user.is_empty() || connection.user.as_deref() == Some(&self.user))
            && self.mqtt_client.is_empty()
    }

    /// What the cores are asked. `total` counts also what the filters by connection and user leave out, so
    /// only the account is filtered there.
    fn for_cores(&self) -> ConnectionQuery {
        ConnectionQuery {
            open: matches!(self.state, State::Open | State::All),
            closed: matches!(self.state, State::Closed | State::All),
            account: self.account(),
            ..ConnectionQuery::default()
        }
    }

    fn account(&self) -> Option<String> {
        Some(self.account.clone()).filter(|account| !account.is_empty())
    }
}

/// The answer.
pub fn connz(monitor: &Monitor, request: &Request) -> Connz {
    let now = Timestamp::now();
    let inquiry = monitor.inquiry();
    let mut answer = Connz {
        server_id: String::new(),
        now: rfc3339(now),
        num_connections: 0,
        total: 0,
        offset: request.offset,
        limit: request.limit,
        connections: None,
    };
    if !request.account.is_empty() && inquiry.accounts(Some(&request.account), false).is_empty() {
        return answer;
    }
    let mut snapshots = inquiry.connections(&request.for_cores());
    answer.total = snapshots.len();
    snapshots.retain(|connection| request.selects(connection));
    if !request.filter_subject.is_empty() {
        let interested = interested(monitor, request);
        snapshots.retain(|connection| interested.contains(&connection.cid));
    }
    sort_by(&mut snapshots, request.sort, now);
    let page: Vec<ConnectionSnapshot> =
        snapshots.into_iter().skip(request.offset).take(request.limit).collect();
    let mut subscriptions = HashMap::new();
    if request.subscriptions != Subscriptions::Hidden {
        let open = page.iter().filter(|connection| connection.stop.is_none());
        let cids: Vec<u64> = open.map(|connection| connection.cid).collect();
        subscriptions = inquiry.subscriptions_of(cids, request.account());
    }
    let connections: Vec<Connection> = page
        .into_iter()
        .map(|snapshot| {
            let own = match snapshot.stop {
                Some(_) => snapshot.subscriptions.to_vec(),
                None => subscriptions.remove(&snapshot.cid).unwrap_or_default(),
            };
            connection(snapshot, own, request, now)
        })
        .collect();
    answer.server_id.clone_from(&monitor.about().server_id);
    answer.num_connections = connections.len();
    answer.connections = Some(connections);
    answer
}

/// The connections that have a subscription to what is filtered by.
fn interested(monitor: &Monitor, request: &Request) -> HashSet<u64> {
    let query = SubscriptionQuery {
        account: request.account(),
        test: Some(request.filter_subject.clone().into_bytes()),
        clients_only: true,
        take: usize::MAX,
        ..SubscriptionQuery::default()
    };
    monitor.inquiry().connections_with(&query)
}

fn connection(
    snapshot: ConnectionSnapshot,
    subscriptions: Vec<SubscriptionSnapshot>,
    request: &Request,
    now: Timestamp,
) -> Connection {
    let start = timestamp(snapshot.start);
    let last_activity = timestamp(snapshot.last_activity);
    let stop = snapshot.stop.map(|(time, _)| timestamp(time));
    let end = stop.unwrap_or(now);
    let mut connection = Connection {
        cid: snapshot.cid,
        kind: "Client",
        kind_of_client: "nats",
        ip: snapshot.address.ip().to_string(),
        port: snapshot.address.port(),
        start: rfc3339(start),
        last_activity: rfc3339(last_activity),
        stop: stop.map(rfc3339),
        reason: snapshot.stop.map(|(_, reason)| reason.to_string()),
        rtt: round_trip(snapshot.rtt.unwrap_or_default()),
        uptime: uptime(seconds_between(start, end)),
        idle: uptime(seconds_between(last_activity, end)),
        pending_bytes: snapshot.pending_bytes,
        in_msgs: snapshot.in_msgs,
        out_msgs: snapshot.out_msgs,
        in_bytes: snapshot.in_bytes,
        out_bytes: snapshot.out_bytes,
        stalls: snapshot.stalls,
        subscriptions: snapshot.subscription_count,
        name: snapshot.name,
        lang: snapshot.lang,
        version: snapshot.version,
        tls_version: snapshot.tls.as_ref().map_or("", |tls| tls.version),
        tls_cipher_suite: snapshot.tls.as_ref().map_or("", |tls| tls.cipher_suite),
        tls_peer_certs: Vec::new(),
        tls_first: snapshot.tls_first,
        authorized_user: None,
        account: None,
        subscriptions_list: Vec::new(),
        subscriptions_list_detail: Vec::new(),
        name_tag: None,
    };
    if request.auth {
        // Of closed connections upstream shows no certificates: they went with the socket.
        let certificates = snapshot.tls.iter().filter(|_| stop.is_none()).flat_map(|tls| &tls.certificates);
        connection.tls_peer_certs = certificates.map(peer_certificate).collect();
        connection.authorized_user = snapshot.user;
        // The name tag of an account is its name until somebody gives it another. Of closed connections upstream names
        // that of the global account as little as the account.
        let has_tag = stop.is_none() || snapshot.account != GLOBAL_ACCOUNT;
        connection.name_tag = has_tag.then(|| snapshot.account.clone());
        connection.account = Some(snapshot.account).filter(|account| account != GLOBAL_ACCOUNT);
    }
    match request.subscriptions {
        Subscriptions::Hidden => {}
        Subscriptions::Subjects => {
            let subjects = subscriptions.into_iter().map(|subscription| subscription.subject);
            connection.subscriptions_list = subjects.collect();
            connection.subscriptions_list.sort_unstable();
        }
        Subscriptions::Detailed => {
            let details = subscriptions.into_iter().map(|subscription| Subscription {
                // As upstream has it: of closed connections only.
                account: stop.map(|_| subscription.account.to_string()),
                account_tag: stop.map(|_| subscription.account.to_string()),
                subject: subscription.subject,
                qgroup: subscription.queue,
                sid: subscription.sid,
                msgs: subscription.msgs,
                max: subscription.max,
                cid: snapshot.cid,
            });
            connection.subscriptions_list_detail = details.collect();
        }
    }
    connection
}

fn peer_certificate(certificate: &transport::PeerCertificate) -> PeerCertificate {
    PeerCertificate {
        subject: certificate.subject.clone(),
        spki_sha256: transport::digest_text(&certificate.key_digest),
        cert_sha256: transport::digest_text(&certificate.digest),
    }
}

fn sort(name: &str) -> Result<Sort, BadParameter> {
    Ok(match name {
        "" | "cid" => Sort::Cid,
        "start" => Sort::Start,
        "subs" => Sort::Subs,
        "pending" => Sort::Pending,
        "msgs_to" => Sort::MessagesTo,
        "msgs_from" => Sort::MessagesFrom,
        "bytes_to" => Sort::BytesTo,
        "bytes_from" => Sort::BytesFrom,
        "last" => Sort::Last,
        "idle" => Sort::Idle,
        "uptime" => Sort::Uptime,
        "stop" => Sort::Stop,
        "reason" => Sort::Reason,
        "rtt" => Sort::RoundTrip,
        other => return Err(BadParameter(format!("invalid sorting option: {other}"))),
    })
}

fn state(name: &str) -> Result<State, BadParameter> {
    match name.to_lowercase().as_str() {
        "" | "open" => Ok(State::Open),
        "closed" => Ok(State::Closed),
        "any" | "all" => Ok(State::All),
        _ => Err(BadParameter(format!("Error decoding state for {name}"))),
    }
}

/// Sorts ascending by connection, start, uptime and reason, descending by all else; equal ones by connection.
fn sort_by(connections: &mut [ConnectionSnapshot], sort: Sort, now: Timestamp) {
    connections.sort_unstable_by_key(|connection| connection.cid);
    let end = |connection: &ConnectionSnapshot| {
        connection.stop.map_or(now, |(time, _)| timestamp(time)).as_nanosecond()
    };
    let age = |connection: &ConnectionSnapshot, since: Timestamp| end(connection) - since.as_nanosecond();
    match sort {
        Sort::Cid => {}
        Sort::Start => connections.sort_by_key(|connection| connection.start),
        Sort::Subs => connections.sort_by_key(|connection| Reverse(connection.subscription_count)),
        Sort::Pending => connections.sort_by_key(|connection| Reverse(connection.pending_bytes)),
        Sort::MessagesTo => connections.sort_by_key(|connection| Reverse(connection.out_msgs)),
        Sort::MessagesFrom => connections.sort_by_key(|connection| Reverse(connection.in_msgs)),
        Sort::BytesTo => connections.sort_by_key(|connection| Reverse(connection.out_bytes)),
        Sort::BytesFrom => connections.sort_by_key(|connection| Reverse(connection.in_bytes)),
        Sort::Last => connections.sort_by_key(|connection| Reverse(connection.last_activity)),
        Sort::Idle => {
            connections
                .sort_by_key(|connection| Reverse(age(connection, timestamp(connection.last_activity))));
        }
        Sort::Uptime => connections.sort_by_key(|connection| age(connection, timestamp(connection.start))),
        Sort::Stop => connections.sort_by_key(|connection| Reverse(end(connection))),
        Sort::Reason => connections.sort_by_key(|connection| {
            connection.stop.map(|(_, reason)| reason.to_string()).unwrap_or_default()
        }),
        Sort::RoundTrip => connections.sort_by_key(|connection| Reverse(connection.rtt)),
    }
}
