//! `/routez`, `/gatewayz`, `/leafz`: connections to other servers. This server has none, and says so in upstream's
//! shapes.

use super::query::{BadParameter, Query};
use super::state::Monitor;
use super::time::rfc3339;
use crate::system::Body;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;

/// A list or block in which nothing is yet.
#[derive(Serialize)]
pub struct Nothing {}

/// `/routez`.
#[derive(Serialize)]
pub struct Routez {
    server_id: String,
    server_name: String,
    now: String,
    num_routes: usize,
    routes: Vec<Nothing>,
}

/// `/gatewayz`.
#[derive(Serialize)]
pub struct Gatewayz {
    server_id: String,
    now: String,
    outbound_gateways: BTreeMap<String, Nothing>,
    inbound_gateways: BTreeMap<String, Vec<Nothing>>,
}

/// `/leafz`.
#[derive(Serialize)]
pub struct Leafz {
    server_id: String,
    now: String,
    pub leafnodes: usize,
    leafs: Vec<Nothing>,
}

/// The routes.
pub fn routez(monitor: &Monitor) -> Routez {
    let about = monitor.about();
    Routez {
        server_id: about.server_id.clone(),
        server_name: about.server_name.clone(),
        now: rfc3339(Timestamp::now()),
        num_routes: 0,
        routes: Vec::new(),
    }
}

/// The gateways.
pub fn gatewayz(monitor: &Monitor) -> Gatewayz {
    Gatewayz {
        server_id: monitor.about().server_id.clone(),
        now: rfc3339(Timestamp::now()),
        outbound_gateways: BTreeMap::new(),
        inbound_gateways: BTreeMap::new(),
    }
}

/// The leafnodes.
pub fn leafz(monitor: &Monitor) -> Leafz {
    Leafz {
        server_id: monitor.about().server_id.clone(),
        now: rfc3339(Timestamp::now()),
        leafnodes: 0,
        leafs: Vec::new(),
    }
}

/// Checks the parameters of `/routez`.
///
/// # Errors
/// When one cannot be read.
pub fn check_routez(query: &Query) -> Result<(), BadParameter> {
    check_subscriptions(query)
}

/// Checks the parameters of `/gatewayz`.
///
/// # Errors
/// When one cannot be read.
pub fn check_gatewayz(query: &Query) -> Result<(), BadParameter> {
    check_subscriptions(query)?;
    query.boolean("accs").map(drop)
}

/// Checks the parameters of `/leafz`.
///
/// # Errors
/// When one cannot be read.
pub fn check_leafz(query: &Query) -> Result<(), BadParameter> {
    query.boolean("subs").map(drop)
}

fn check_subscriptions(query: &Query) -> Result<(), BadParameter> {
    if query.text("subs").eq_ignore_ascii_case("detail") { Ok(()) } else { query.boolean("subs").map(drop) }
}

/// Reads the options of a request for routes.
pub fn read_routez(body: &mut Body) {
    body.boolean("subscriptions");
    body.boolean("subscriptions_detail");
}

/// Reads the options of a request for gateways.
pub fn read_gatewayz(body: &mut Body) {
    body.text("name");
    body.boolean("accounts");
    body.text("account_name");
    read_routez(body);
}

/// Reads the options of a request for leafnodes.
pub fn read_leafz(body: &mut Body) {
    body.boolean("subscriptions");
    body.text("account");
}
