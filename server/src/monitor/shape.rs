//! The shapes of answers. Fields, their order and types are upstream's (reference: monitoring.md); petrel's
//! own stand at the end.

use super::json::Float;
use serde::Serialize;
use std::collections::BTreeMap;

/// A block of a feature that is not configured: `{}`.
#[derive(Serialize)]
pub struct Unconfigured {}

/// `/varz`.
#[derive(Serialize)]
pub struct Varz<'a> {
    pub server_id: &'a str,
    pub server_name: &'a str,
    pub version: &'a str,
    pub proto: i32,
    pub go: &'a str,
    pub host: &'a str,
    pub port: u16,
    #[serde(skip_serializing_if = "is_false")]
    pub auth_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub tls_required: bool,
    #[serde(skip_serializing_if = "is_false")]
    pub tls_verify: bool,
    pub max_connections: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_subscriptions: i64,
    pub ping_interval: u64,
    pub ping_max: i64,
    pub http_host: &'a str,
    pub http_port: u16,
    pub http_base_path: &'a str,
    pub https_port: u16,
    pub auth_timeout: Float,
    pub max_control_line: i64,
    pub max_payload: i64,
    pub max_pending: i64,
    pub cluster: Unconfigured,
    pub gateway: Unconfigured,
    pub leaf: Unconfigured,
    pub mqtt: Unconfigured,
    pub websocket: Unconfigured,
    pub jetstream: Unconfigured,
    pub tls_timeout: Float,
    pub write_deadline: u64,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub write_timeout: &'a str,
    pub start: String,
    pub now: String,
    pub uptime: String,
    pub mem: u64,
    pub cores: usize,
    pub gomaxprocs: usize,
    pub cpu: Float,
    #[serde(flatten)]
    pub traffic: Traffic,
    pub http_req_stats: BTreeMap<&'static str, u64>,
    pub config_load_time: String,
    pub config_digest: &'a str,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    pub tags: &'a [String],
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: &'a BTreeMap<String, String>,
    pub feature_flags: BTreeMap<&'static str, bool>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub system_account: &'a str,
    pub slow_consumer_stats: ByKind,
    pub stale_connection_stats: ByKind,
    pub disk_io_wait_stats: DiskWaits,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_cert_not_after: Option<String>,
    pub petrel: Petrel<'a>,
}

/// What comes and goes; part of `/varz`.
#[derive(Serialize)]
pub struct Traffic {
    pub connections: u64,
    pub total_connections: u64,
    pub routes: u64,
    pub remotes: u64,
    pub leafnodes: u64,
    pub in_msgs: u64,
    pub in_bytes: u64,
    pub in_client_msgs: u64,
    pub in_client_bytes: u64,
    pub out_msgs: u64,
    pub out_bytes: u64,
    pub out_client_msgs: u64,
    pub out_client_bytes: u64,
    pub slow_consumers: u64,
    pub stale_connections: u64,
    pub stalled_clients: u64,
    pub subscriptions: u64,
}

/// A counter for each kind of connection.
#[derive(Clone, Copy, Default, Serialize)]
pub struct ByKind {
    pub clients: u64,
    pub routes: u64,
    pub gateways: u64,
    pub leafs: u64,
}

/// Waits for the disk; there are none while nothing is stored.
#[derive(Default, Serialize)]
pub struct DiskWaits {
    pub waiters: u64,
    pub waits: u64,
    pub wait_time: u64,
    pub max_wait_time: u64,
}

/// What upstream does not have.
#[derive(Serialize)]
pub struct Petrel<'a> {
    /// Petrel's own version.
    pub version: &'a str,
    /// What drives the cores.
    pub backend: &'a str,
    /// The CPU of each core.
    pub cpus: &'a [usize],
    /// Panics caught on all cores.
    pub panics: u64,
    /// Connections refused because descriptors ran out or a limit was reached.
    pub refused_connections: u64,
    /// Messages dropped because a limit was reached.
    pub dropped_msgs: u64,
}

/// `/connz`.
#[derive(Serialize)]
pub struct Connz {
    pub server_id: String,
    pub now: String,
    pub num_connections: usize,
    pub total: usize,
    pub offset: usize,
    pub limit: usize,
    /// `null` when the account is unknown.
    pub connections: Option<Vec<Connection>>,
}

/// One connection of `/connz`.
#[derive(Serialize)]
pub struct Connection {
    pub cid: u64,
    pub kind: &'static str,
    #[serde(rename = "type")]
    pub kind_of_client: &'static str,
    pub ip: String,
    pub port: u16,
    pub start: String,
    pub last_activity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Of clients that have not said CONNECT, `0s`.
    pub rtt: String,
    pub uptime: String,
    pub idle: String,
    pub pending_bytes: u64,
    pub in_msgs: u64,
    pub out_msgs: u64,
    pub in_bytes: u64,
    pub out_bytes: u64,
    #[serde(skip_serializing_if = "is_zero_unsigned")]
    pub stalls: u64,
    pub subscriptions: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lang: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tls_version: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tls_cipher_suite: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tls_peer_certs: Vec<PeerCertificate>,
    #[serde(skip_serializing_if = "is_false")]
    pub tls_first: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authorized_user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscriptions_list: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub subscriptions_list_detail: Vec<Subscription>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name_tag: Option<String>,
}

/// A certificate that a client has shown.
#[derive(Serialize)]
pub struct PeerCertificate {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subject: String,
    pub spki_sha256: String,
    pub cert_sha256: String,
}

/// One subscription of `subscriptions_list_detail`.
#[derive(Serialize)]
pub struct Subscription {
    /// With `account_tag` shown in `/subsz` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account_tag: Option<String>,
    pub subject: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qgroup: Option<String>,
    pub sid: String,
    pub msgs: u64,
    #[serde(skip_serializing_if = "is_zero_unsigned")]
    pub max: u64,
    pub cid: u64,
}

/// Whether a field that upstream leaves out is left out.
pub fn is_false(value: &bool) -> bool {
    !value
}

/// Whether a field that upstream leaves out is left out.
pub fn is_zero(value: &i64) -> bool {
    *value == 0
}

/// Whether a field that upstream leaves out is left out.
pub fn is_zero_unsigned(value: &u64) -> bool {
    *value == 0
}
