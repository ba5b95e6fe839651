//! `websocket { }` and `mqtt { }`.

use super::{AUTHORIZATION, Key, Kind, TLS, key, missing};

/// `websocket { }`.
pub const WEBSOCKET: &[Key] = &[
    key(&["listen"], Kind::Listen, "where it listens").not_yet(missing::WEBSOCKET),
    key(&["host", "net"], Kind::Text, "the address").not_yet(missing::WEBSOCKET),
    key(&["port"], Kind::Integer, "the port").not_yet(missing::WEBSOCKET),
    key(&["advertise"], Kind::Text, "host:port that clients are told").not_yet(missing::WEBSOCKET),
    key(&["no_tls"], Kind::Boolean, "without encryption").not_yet(missing::WEBSOCKET),
    key(&["tls"], Kind::Block, "encryption").not_yet(missing::WEBSOCKET).of(TLS),
    key(&["same_origin"], Kind::Boolean, "only pages of this host").not_yet(missing::WEBSOCKET),
    key(
        &["allowed_origins", "allowed_origin", "allow_origins", "allow_origin", "origins", "origin"],
        Kind::Texts,
        "only pages of these hosts",
    )
    .not_yet(missing::WEBSOCKET),
    key(&["handshake_timeout"], Kind::Seconds, "how long the upgrade may take").not_yet(missing::WEBSOCKET),
    key(&["compression", "compress"], Kind::Boolean, "compress frames").not_yet(missing::WEBSOCKET),
    key(&["authorization", "authentication"], Kind::Block, "who may connect")
        .not_yet(missing::WEBSOCKET)
        .of(AUTHORIZATION),
    key(&["jwt_cookie"], Kind::Text, "the cookie with the token of an operator").not_yet(missing::WEBSOCKET),
    key(&["user_cookie"], Kind::Text, "the cookie with the name").not_yet(missing::WEBSOCKET),
    key(&["pass_cookie"], Kind::Text, "the cookie with the password").not_yet(missing::WEBSOCKET),
    key(&["token_cookie"], Kind::Text, "the cookie with the token").not_yet(missing::WEBSOCKET),
    key(&["no_auth_user"], Kind::Text, "who clients without credentials are").not_yet(missing::WEBSOCKET),
    key(&["headers"], Kind::Free, "headers of the answer").not_yet(missing::WEBSOCKET),
    key(&["ping_interval"], Kind::Seconds, "time between PINGs").not_yet(missing::WEBSOCKET),
];

/// `mqtt { }`.
pub const MQTT: &[Key] = &[
    key(&["listen"], Kind::Listen, "where it listens").not_yet(missing::MQTT),
    key(&["host", "net"], Kind::Text, "the address").not_yet(missing::MQTT),
    key(&["port"], Kind::Integer, "the port").not_yet(missing::MQTT),
    key(&["tls"], Kind::Block, "encryption").not_yet(missing::MQTT).of(TLS),
    key(&["authorization", "authentication"], Kind::Block, "who may connect")
        .not_yet(missing::MQTT)
        .of(AUTHORIZATION),
    key(&["no_auth_user"], Kind::Text, "who clients without credentials are").not_yet(missing::MQTT),
    key(&["ack_wait", "ackwait"], Kind::Seconds, "how long an acknowledgement may take; default 30s")
        .not_yet(missing::MQTT),
    key(&["js_api_timeout", "api_timeout"], Kind::Seconds, "how long JetStream may take; default 5s")
        .not_yet(missing::MQTT),
    key(
        &["max_ack_pending", "max_pending", "max_inflight"],
        Kind::Integer,
        "unacknowledged messages; default 1024",
    )
    .not_yet(missing::MQTT),
    key(&["js_domain"], Kind::Text, "the JetStream domain").not_yet(missing::MQTT),
    key(&["stream_replicas"], Kind::Integer, "replicas of streams; default 1 to 3").not_yet(missing::MQTT),
    key(&["consumer_replicas"], Kind::Integer, "without effect").not_yet(missing::MQTT),
    key(&["consumer_memory_storage"], Kind::Boolean, "consumers in memory").not_yet(missing::MQTT),
    key(
        &["consumer_inactive_threshold", "consumer_auto_cleanup"],
        Kind::Seconds,
        "when consumers are removed",
    )
    .not_yet(missing::MQTT),
    key(&["reject_qos2_publish"], Kind::Boolean, "refuse QoS 2 messages").not_yet(missing::MQTT),
    key(&["downgrade_qos2_subscribe"], Kind::Boolean, "make QoS 2 subscriptions QoS 1")
        .not_yet(missing::MQTT),
];
