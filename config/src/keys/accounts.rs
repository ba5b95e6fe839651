//! `accounts { }` and what passes between accounts.

use super::{Key, Kind, PERMISSIONS, USER, key, missing};

/// An entry of `accounts { }`.
pub const ACCOUNT: &[Key] = &[
    key(&["users"], Kind::Blocks, "who may connect to the account").of(USER),
    key(&["default_permissions"], Kind::Block, "what users without permissions of their own may do")
        .of(PERMISSIONS),
    key(&["exports"], Kind::Blocks, "what the account offers others").of(EXPORT),
    key(&["imports"], Kind::Blocks, "what the account takes from others").of(IMPORT),
    key(&["mappings", "maps"], Kind::NamedBlocks, "subjects that become others before a message is matched")
        .of(MAPPING),
    key(&["limits"], Kind::Block, "the account's limits").of(ACCOUNT_LIMITS),
    key(&["nkey"], Kind::Text, "the account's public nkey"),
    key(
        &["msg_trace", "trace_dest"],
        Kind::Either("subject or block"),
        "where traces go of messages with a sampled traceparent",
    )
    .of(MESSAGE_TRACE),
    key(&["jetstream"], Kind::Either("boolean, enabled, disabled or block"), "the account's streams")
        .not_yet(missing::JETSTREAM)
        .of(ACCOUNT_JETSTREAM),
];

/// `limits { }` of an account; -1: unlimited.
pub const ACCOUNT_LIMITS: &[Key] = &[
    key(&["max_connections", "max_conn"], Kind::Integer, "connections at once"),
    key(&["max_subscriptions", "max_subs"], Kind::Integer, "subscriptions of one connection"),
    key(&["max_payload", "max_pay"], Kind::Size, "bytes of a message"),
    key(&["max_leafnodes", "max_leafs"], Kind::Integer, "leaf nodes at once"),
];

/// `msg_trace { }`.
pub const MESSAGE_TRACE: &[Key] = &[
    key(&["dest"], Kind::Text, "the subject that traces are published to"),
    key(&["sampling"], Kind::Either("1 to 100, with or without %"), "percent of the messages; default 100"),
];

/// An element of `exports [ ]`.
pub const EXPORT: &[Key] = &[
    key(&["stream"], Kind::Text, "the subject of messages that others may import"),
    key(&["service"], Kind::Text, "the subject of requests that others may import"),
    key(&["accounts"], Kind::Texts, "accounts that may import it; default: all"),
    key(&["account_token_position"], Kind::Integer, "the token, from 1, that must be the importer's name"),
    key(
        &["response_type", "response"],
        Kind::Either("singleton, stream or chunked"),
        "answers to a request; default singleton",
    ),
    key(
        &["threshold", "response_threshold", "response_max_time", "response_time"],
        Kind::Duration,
        "how long answers may take; default 2m",
    ),
    key(&["latency"], Kind::Either("subject or block"), "where the time that answers took is published")
        .of(LATENCY),
    key(&["allow_trace"], Kind::Boolean, "traces of messages pass"),
];

/// `latency { }`.
pub const LATENCY: &[Key] = &[
    key(&["subject"], Kind::Text, "the subject of the events"),
    key(
        &["sampling"],
        Kind::Either("1 to 100, with or without %, or headers"),
        "percent of the requests, or those with trace headers; default 100",
    ),
];

/// An element of `imports [ ]`.
pub const IMPORT: &[Key] = &[
    key(&["stream"], Kind::Block, "messages of another account").of(IMPORT_SOURCE),
    key(&["service"], Kind::Block, "requests to another account").of(IMPORT_SOURCE),
    key(&["prefix"], Kind::Text, "tokens before a stream's subjects"),
    key(&["to"], Kind::Text, "the subject here"),
    key(&["share"], Kind::Boolean, "the other account learns who asks (services)"),
    key(&["allow_trace"], Kind::Boolean, "traces of messages pass (streams)"),
];

/// `stream { }` and `service { }` of an import.
pub const IMPORT_SOURCE: &[Key] = &[
    key(&["account"], Kind::Text, "the account that offers it"),
    key(&["subject"], Kind::Text, "the subject there"),
];

/// A destination of a mapping; the source is the key above it.
pub const MAPPING: &[Key] = &[
    key(&["destination", "dest"], Kind::Text, "the subject that messages get"),
    key(&["weight"], Kind::Either("0 to 100, with or without %"), "percent of the messages"),
    key(&["cluster"], Kind::Text, "only on servers of this cluster"),
];

/// `jetstream { }` of an account.
pub const ACCOUNT_JETSTREAM: &[Key] = &[
    key(&["max_memory", "max_mem", "mem", "memory"], Kind::Size, "bytes in memory; default -1: unlimited")
        .not_yet(missing::JETSTREAM),
    key(
        &["max_store", "max_file", "max_disk", "store", "disk"],
        Kind::Size,
        "bytes on disk; default -1: unlimited",
    )
    .not_yet(missing::JETSTREAM),
    key(&["max_streams", "streams"], Kind::Integer, "streams; default -1: unlimited")
        .not_yet(missing::JETSTREAM),
    key(&["max_consumers", "consumers"], Kind::Integer, "consumers; default -1: unlimited")
        .not_yet(missing::JETSTREAM),
    key(&["max_bytes_required", "max_stream_bytes", "max_bytes"], Kind::Boolean, "streams must have a limit")
        .not_yet(missing::JETSTREAM),
    key(&["memory_max_stream_bytes", "mem_max_stream_bytes"], Kind::Size, "bytes of one stream in memory")
        .not_yet(missing::JETSTREAM),
    key(&["disk_max_stream_bytes", "store_max_stream_bytes"], Kind::Size, "bytes of one stream on disk")
        .not_yet(missing::JETSTREAM),
    key(&["max_ack_pending"], Kind::Integer, "unacknowledged messages of one consumer")
        .not_yet(missing::JETSTREAM),
    key(&["cluster_traffic"], Kind::Either("system or owner"), "the account that replication is charged to")
        .not_yet(missing::JETSTREAM),
];
