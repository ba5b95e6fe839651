//! `/jsz` of a server without JetStream.

use super::query::{BadParameter, Query};
use super::state::Monitor;
use super::time::rfc3339;
use crate::system::Body;
use jiff::Timestamp;
use serde::Serialize;

/// `/jsz`: everything is 0.
#[derive(Serialize)]
pub struct Jsz {
    memory: u64,
    storage: u64,
    reserved_memory: u64,
    reserved_storage: u64,
    accounts: u64,
    ha_assets: u64,
    api: Api,
    server_id: String,
    now: String,
    disabled: bool,
    config: Limits,
    streams: u64,
    consumers: u64,
    messages: u64,
    bytes: u64,
    total: u64,
}

#[derive(Default, Serialize)]
struct Api {
    level: u64,
    total: u64,
    errors: u64,
}

#[derive(Default, Serialize)]
struct Limits {
    max_memory: u64,
    max_storage: u64,
}

/// Parameters that are read although nothing depends on them: a wrong one is an error all the same.
const BOOLEANS: &[&str] =
    &["accounts", "streams", "consumers", "direct-consumers", "config", "raft", "stream-leader-only"];

/// Reads the parameters of a request over HTTP.
///
/// # Errors
/// When one cannot be read, or the leader alone was asked for: a server without JetStream never is one.
pub fn check_query(query: &Query) -> Result<(), BadParameter> {
    for name in BOOLEANS {
        query.boolean(name)?;
    }
    query.integer("limit")?;
    query.integer("offset")?;
    match query.boolean("leader-only")? {
        true => Err(BadParameter("filtered response: not leader".into())),
        false => Ok(()),
    }
}

/// Reads the options of a request to the system account. False when the leader alone was asked for: over the bus
/// the others are silent.
pub fn is_for_us(body: &mut Body) -> bool {
    for name in ["accounts", "streams", "consumer", "direct_consumer", "config", "raft", "stream_leader_only"]
    {
        body.boolean(name);
    }
    body.text("account");
    body.integer("offset");
    body.integer("limit");
    !body.boolean("leader_only")
}

/// The answer.
pub fn jsz(monitor: &Monitor) -> Jsz {
    Jsz {
        memory: 0,
        storage: 0,
        reserved_memory: 0,
        reserved_storage: 0,
        accounts: 0,
        ha_assets: 0,
        api: Api::default(),
        server_id: monitor.about().server_id.clone(),
        now: rfc3339(Timestamp::now()),
        disabled: true,
        config: Limits::default(),
        streams: 0,
        consumers: 0,
        messages: 0,
        bytes: 0,
        total: 0,
    }
}
