//! `cluster { }` and `gateway { }`.

use super::{AUTHORIZATION, Key, Kind, PERMISSIONS, TLS, key, missing};

/// `cluster { }`.
pub const CLUSTER: &[Key] = &[
    key(&["name"], Kind::Text, "the cluster's name").not_yet(missing::CLUSTER),
    key(&["listen"], Kind::Listen, "where it listens").not_yet(missing::CLUSTER),
    key(&["host", "net"], Kind::Text, "the address").not_yet(missing::CLUSTER),
    key(&["port"], Kind::Integer, "the port").not_yet(missing::CLUSTER),
    key(&["authorization"], Kind::Block, "the user of routes").not_yet(missing::CLUSTER).of(AUTHORIZATION),
    key(&["permissions"], Kind::Block, "subjects that pass").not_yet(missing::CLUSTER).of(PERMISSIONS),
    key(&["routes"], Kind::Either("array of URLs"), "other servers").not_yet(missing::CLUSTER),
    key(&["tls"], Kind::Block, "encryption of routes").not_yet(missing::CLUSTER).of(TLS),
    key(&["advertise", "cluster_advertise"], Kind::Text, "host:port that others are told")
        .not_yet(missing::CLUSTER),
    key(&["no_advertise"], Kind::Boolean, "tell clients of no other server").not_yet(missing::CLUSTER),
    key(&["connect_retries"], Kind::Integer, "tries to reach a server that was told of")
        .not_yet(missing::CLUSTER),
    key(&["connect_backoff"], Kind::Boolean, "wait longer each time").not_yet(missing::CLUSTER),
    key(&["pool_size"], Kind::Integer, "routes to each server; default 3").not_yet(missing::CLUSTER),
    key(&["accounts"], Kind::Texts, "accounts with a route of their own").not_yet(missing::CLUSTER),
    key(&["compression"], Kind::Either("word, boolean or block"), "compression of routes; default accept")
        .not_yet(missing::CLUSTER)
        .of(COMPRESSION),
    key(&["ping_interval"], Kind::Seconds, "time between PINGs").not_yet(missing::CLUSTER),
    key(&["ping_max"], Kind::Integer, "unanswered PINGs").not_yet(missing::CLUSTER),
    key(&["write_deadline"], Kind::Seconds, "how long a write may take").not_yet(missing::CLUSTER),
    key(&["write_timeout"], Kind::Either("default, close or retry"), "what happens when it took longer")
        .not_yet(missing::CLUSTER),
];

/// `compression { }`.
pub const COMPRESSION: &[Key] = &[
    key(&["mode"], Kind::Text, "off, accept, s2_fast, s2_better, s2_best or s2_auto")
        .not_yet(missing::CLUSTER),
    key(
        &["rtt_thresholds", "thresholds", "rtts", "rtt"],
        Kind::Either("array of durations"),
        "round trips from which on more is done",
    )
    .not_yet(missing::CLUSTER),
];

/// `gateway { }`.
pub const GATEWAY: &[Key] = &[
    key(&["name"], Kind::Text, "this cluster's name").not_yet(missing::GATEWAY),
    key(&["listen"], Kind::Listen, "where it listens").not_yet(missing::GATEWAY),
    key(&["host", "net"], Kind::Text, "the address").not_yet(missing::GATEWAY),
    key(&["port"], Kind::Integer, "the port").not_yet(missing::GATEWAY),
    key(&["authorization"], Kind::Block, "the user of gateways").not_yet(missing::GATEWAY).of(AUTHORIZATION),
    key(&["tls"], Kind::Block, "encryption of gateways").not_yet(missing::GATEWAY).of(TLS),
    key(&["advertise"], Kind::Text, "host:port that others are told").not_yet(missing::GATEWAY),
    key(&["connect_retries"], Kind::Integer, "tries to reach a cluster that was told of")
        .not_yet(missing::GATEWAY),
    key(&["connect_backoff"], Kind::Boolean, "wait longer each time").not_yet(missing::GATEWAY),
    key(&["gateways"], Kind::Blocks, "other clusters").not_yet(missing::GATEWAY).of(REMOTE_GATEWAY),
    key(&["reject_unknown", "reject_unknown_cluster"], Kind::Boolean, "refuse clusters that are not listed")
        .not_yet(missing::GATEWAY),
    key(&["write_deadline"], Kind::Seconds, "how long a write may take").not_yet(missing::GATEWAY),
    key(&["write_timeout"], Kind::Either("default, close or retry"), "what happens when it took longer")
        .not_yet(missing::GATEWAY),
];

/// An element of `gateways [ ]`.
pub const REMOTE_GATEWAY: &[Key] = &[
    key(&["name"], Kind::Text, "the other cluster's name").not_yet(missing::GATEWAY),
    key(&["url"], Kind::Text, "one server of it").not_yet(missing::GATEWAY),
    key(&["urls"], Kind::Either("array of URLs"), "servers of it").not_yet(missing::GATEWAY),
    key(&["tls"], Kind::Block, "encryption towards it").not_yet(missing::GATEWAY).of(TLS),
];
