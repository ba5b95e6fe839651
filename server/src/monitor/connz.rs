//! `/connz`: the connections.

use super::query::{BadParameter, Query};
use super::shape::{Connection, Connz, Subscription};
use super::state::Monitor;
use super::time::{rfc3339, round_trip, seconds_between, timestamp, uptime};
use jiff::Timestamp;
use petrel_engine::{ConnectionQuery, ConnectionSnapshot};
use std::cmp::Reverse;

/// Connections on one page, unless asked otherwise.
const LIMIT_DEFAULT: usize = 1024;

/// The account of whoever was not given another.
const GLOBAL_ACCOUNT: &str = "$G";

/// The account of the system itself.
const SYSTEM_ACCOUNT: &str = "$SYS";

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
}

/// How subscriptions are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subscriptions {
    Hidden,
    Subjects,
    Detailed,
}

/// A request, understood.
#[derive(Debug)]
struct Request<'q> {
    sort: Sort,
    state: State,
    subscriptions: Subscriptions,
    auth: bool,
    offset: usize,
    limit: usize,
    /// 0: all.
    cid: u64,
    /// Empty: all.
    user: &'q str,
    /// Empty: all.
    account: &'q str,
    /// Empty: all.
    mqtt_client: &'q str,
}

impl<'q> Request<'q> {
    fn parse(query: &'q Query) -> Result<Request<'q>, BadParameter> {
        let sort = sort(query.text("sort"));
        let auth = query.boolean("auth")?;
        let subscriptions = match query.text("subs") {
            "detail" => Subscriptions::Detailed,
            _ if query.boolean("subs")? => Subscriptions::Subjects,
            _ => Subscriptions::Hidden,
        };
        let offset = usize::try_from(query.integer("offset")?).unwrap_or(0);
        let limit = usize::try_from(query.integer("limit")?).unwrap_or(0);
        let cid = query.unsigned("cid")?;
        let state = state(query.text("state"))?;
        let sort = sort?;
        if state != State::Closed && matches!(sort, Sort::Stop | Sort::Reason) {
            let name = query.text("sort");
            return Err(BadParameter(format!("sort by {name} only valid on closed connections")));
        }
        Ok(Request {
            sort,
            state,
            subscriptions,
            auth,
            offset,
            limit: match (cid, limit) {
                (0, 0) => LIMIT_DEFAULT,
                (0, limit) => limit,
                _ => 1,
            },
            cid,
            user: query.text("user"),
            account: query.text("acc"),
            mqtt_client: query.text("mqtt_client"),
        })
    }

    /// Whether a connection is listed. There are no MQTT clients.
    fn selects(&self, connection: &ConnectionSnapshot) -> bool {
        (self.cid == 0 || connection.cid == self.cid)
            && (self.user.is_empty() || connection.user.as_deref() == Some(self.user))
            && self.mqtt_client.is_empty()
    }

    /// What the cores are asked. `total` counts also what the filters by connection and user leave out, so
    /// only the account is filtered there.
    fn for_cores(&self) -> ConnectionQuery {
        ConnectionQuery {
            open: self.state != State::Closed,
            closed: self.state != State::Open,
            cid: None,
            subscriptions: self.subscriptions != Subscriptions::Hidden,
            user: None,
            account: Some(self.account.to_owned()).filter(|account| !account.is_empty()),
        }
    }
}

/// The answer.
///
/// # Errors
/// When a parameter cannot be read or does not fit another.
pub fn connz(monitor: &Monitor, query: &Query) -> Result<Connz, BadParameter> {
    let request = Request::parse(query)?;
    if !["", GLOBAL_ACCOUNT, SYSTEM_ACCOUNT].contains(&request.account) {
        return Ok(Connz {
            server_id: String::new(),
            now: rfc3339(Timestamp::now()),
            num_connections: 0,
            total: 0,
            offset: request.offset,
            limit: request.limit,
            connections: None,
        });
    }
    let mut snapshots = monitor.inquiry().connections(&request.for_cores());
    let now = Timestamp::now();
    let total = snapshots.len();
    snapshots.retain(|connection| request.selects(connection));
    sort_by(&mut snapshots, request.sort, now);
    let page = snapshots.into_iter().skip(request.offset).take(request.limit);
    let connections: Vec<Connection> = page.map(|snapshot| connection(snapshot, &request, now)).collect();
    Ok(Connz {
        server_id: monitor.about().server_id.clone(),
        now: rfc3339(now),
        num_connections: connections.len(),
        total,
        offset: request.offset,
        limit: request.limit,
        connections: Some(connections),
    })
}

fn connection(snapshot: ConnectionSnapshot, request: &Request<'_>, now: Timestamp) -> Connection {
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
        rtt: snapshot.rtt.filter(|rtt| !rtt.is_zero()).map(round_trip),
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
        authorized_user: None,
        account: None,
        subscriptions_list: Vec::new(),
        subscriptions_list_detail: Vec::new(),
        name_tag: None,
    };
    if request.auth {
        connection.authorized_user = snapshot.user;
        // The name tag of an account is its name until somebody gives it another; a closed connection is in
        // no account any more.
        connection.name_tag = stop.is_none().then(|| snapshot.account.clone());
        connection.account = Some(snapshot.account).filter(|account| account != GLOBAL_ACCOUNT);
    }
    match request.subscriptions {
        Subscriptions::Hidden => {}
        Subscriptions::Subjects => {
            let subjects = snapshot.subscriptions.into_iter().map(|subscription| subscription.subject);
            connection.subscriptions_list = subjects.collect();
            connection.subscriptions_list.sort_unstable();
        }
        Subscriptions::Detailed => {
            let details = snapshot.subscriptions.into_iter().map(|subscription| Subscription {
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
