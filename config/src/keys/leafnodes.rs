//! `leafnodes { }`.

use super::{COMPRESSION, Key, Kind, TLS, key, missing};

/// `leafnodes { }`.
pub const LEAFNODES: &[Key] = &[
    key(&["listen"], Kind::Listen, "where it listens").not_yet(missing::LEAFNODES),
    key(&["host", "net"], Kind::Text, "the address").not_yet(missing::LEAFNODES),
    key(&["port"], Kind::Integer, "the port").not_yet(missing::LEAFNODES),
    key(&["authorization"], Kind::Block, "who may connect")
        .not_yet(missing::LEAFNODES)
        .of(LEAF_AUTHORIZATION),
    key(&["tls"], Kind::Block, "encryption").not_yet(missing::LEAFNODES).of(TLS),
    key(&["advertise", "leafnode_advertise"], Kind::Text, "host:port that others are told")
        .not_yet(missing::LEAFNODES),
    key(&["no_advertise"], Kind::Boolean, "tell of no other server").not_yet(missing::LEAFNODES),
    key(&["reconnect", "reconnect_delay", "reconnect_interval"], Kind::Seconds, "between tries; default 1s")
        .not_yet(missing::LEAFNODES),
    key(&["dial_timeout"], Kind::Seconds, "how long a connect may take; default 1s")
        .not_yet(missing::LEAFNODES),
    key(&["min_version", "minimum_version"], Kind::Text, "the oldest version of others")
        .not_yet(missing::LEAFNODES),
    key(&["compression"], Kind::Either("word, boolean or block"), "compression; default s2_auto")
        .not_yet(missing::LEAFNODES)
        .of(COMPRESSION),
    key(&["isolate_leafnode_interest", "isolate"], Kind::Boolean, "do not tell leaf nodes of each other")
        .not_yet(missing::LEAFNODES),
    key(&["remotes"], Kind::Blocks, "servers to connect to").not_yet(missing::LEAFNODES).of(REMOTE),
    key(&["write_deadline"], Kind::Seconds, "how long a write may take").not_yet(missing::LEAFNODES),
    key(&["write_timeout"], Kind::Either("default, close or retry"), "what happens when it took longer")
        .not_yet(missing::LEAFNODES),
];

/// `authorization { }` of `leafnodes`.
pub const LEAF_AUTHORIZATION: &[Key] = &[
    key(&["user", "username"], Kind::Text, "the single user").not_yet(missing::LEAFNODES),
    key(&["pass", "password"], Kind::Text, "its password").not_yet(missing::LEAFNODES),
    key(&["nkey"], Kind::Text, "its public nkey").not_yet(missing::LEAFNODES),
    key(&["account"], Kind::Text, "its account").not_yet(missing::LEAFNODES),
    key(&["timeout"], Kind::Either("duration, or seconds"), "how long credentials may take")
        .not_yet(missing::LEAFNODES),
    key(&["users"], Kind::Blocks, "users").not_yet(missing::LEAFNODES).of(LEAF_USER),
    key(&["proxy_required"], Kind::Boolean, "only by a trusted proxy").not_yet(missing::LEAFNODES),
];

/// An element of `users [ ]` there.
pub const LEAF_USER: &[Key] = &[
    key(&["user", "username"], Kind::Text, "the name").not_yet(missing::LEAFNODES),
    key(&["pass", "password"], Kind::Text, "the password").not_yet(missing::LEAFNODES),
    key(&["account"], Kind::Text, "the account").not_yet(missing::LEAFNODES),
    key(&["proxy_required"], Kind::Boolean, "only by a trusted proxy").not_yet(missing::LEAFNODES),
];

/// An element of `remotes [ ]`.
pub const REMOTE: &[Key] = &[
    key(&["url"], Kind::Text, "the server").not_yet(missing::LEAFNODES),
    key(&["urls"], Kind::Either("array of URLs"), "the servers").not_yet(missing::LEAFNODES),
    key(&["account", "local"], Kind::Text, "the account here").not_yet(missing::LEAFNODES),
    key(&["credentials", "creds"], Kind::Text, "the file with token and seed").not_yet(missing::LEAFNODES),
    key(&["nkey", "seed"], Kind::Text, "the seed").not_yet(missing::LEAFNODES),
    key(&["tls"], Kind::Block, "encryption").not_yet(missing::LEAFNODES).of(TLS),
    key(&["hub"], Kind::Boolean, "this side is the hub").not_yet(missing::LEAFNODES),
    key(&["deny_imports", "deny_import"], Kind::Texts, "subjects that do not come in")
        .not_yet(missing::LEAFNODES),
    key(&["deny_exports", "deny_export"], Kind::Texts, "subjects that do not go out")
        .not_yet(missing::LEAFNODES),
    key(&["no_randomize", "dont_randomize"], Kind::Boolean, "try servers in the order written")
        .not_yet(missing::LEAFNODES),
    key(
        &["ws_compression", "ws_compress", "websocket_compression", "websocket_compress"],
        Kind::Boolean,
        "compress WebSocket frames",
    )
    .not_yet(missing::LEAFNODES),
    key(&["ws_no_masking", "websocket_no_masking"], Kind::Boolean, "do not mask WebSocket frames")
        .not_yet(missing::LEAFNODES),
    key(
        &["jetstream_cluster_migrate", "js_cluster_migrate"],
        Kind::Either("boolean or block"),
        "move leaders when the connection is lost",
    )
    .not_yet(missing::LEAFNODES),
    key(&["isolate_leafnode_interest", "isolate"], Kind::Boolean, "do not tell of other leaf nodes")
        .not_yet(missing::LEAFNODES),
    key(&["request_isolation"], Kind::Boolean, "ask the other side not to").not_yet(missing::LEAFNODES),
    key(&["compression"], Kind::Either("word, boolean or block"), "compression")
        .not_yet(missing::LEAFNODES)
        .of(COMPRESSION),
    key(&["first_info_timeout"], Kind::Seconds, "how long the other's INFO may take; default 1s")
        .not_yet(missing::LEAFNODES),
    key(&["dial_timeout"], Kind::Seconds, "how long a connect may take").not_yet(missing::LEAFNODES),
    key(&["disabled"], Kind::Boolean, "do not connect").not_yet(missing::LEAFNODES),
    key(&["ignore_discovered_servers"], Kind::Boolean, "connect to listed servers alone")
        .not_yet(missing::LEAFNODES),
    key(&["proxy"], Kind::Block, "an HTTP proxy (WebSocket)").not_yet(missing::LEAFNODES).of(REMOTE_PROXY),
];

/// `proxy { }`.
pub const REMOTE_PROXY: &[Key] = &[
    key(&["tls"], Kind::Block, "encryption towards an https proxy").not_yet(missing::LEAFNODES).of(TLS),
    key(&["url"], Kind::Text, "the proxy").not_yet(missing::LEAFNODES),
    key(&["username"], Kind::Text, "the name there").not_yet(missing::LEAFNODES),
    key(&["password"], Kind::Text, "the password there").not_yet(missing::LEAFNODES),
    key(&["timeout"], Kind::Seconds, "how long a connect may take").not_yet(missing::LEAFNODES),
];
