//! Top level, and what petrel adds.

use super::{
    ACCOUNT, AUTHORIZATION, CLUSTER, GATEWAY, JETSTREAM, Key, Kind, LEAFNODES, MAPPING, MQTT, OCSP,
    OCSP_CACHE, PROXIES, RESOLVER, TLS, WEBSOCKET, key, missing,
};

/// Top level.
pub const TOP: &[Key] = &[
    key(&["listen"], Kind::Listen, "where clients connect; in place of host and port"),
    key(&["host", "net"], Kind::Text, "the address where clients connect; default: all"),
    key(&["port"], Kind::Integer, "the port of clients; default 4222, -1 picks a free one"),
    key(&["server_name"], Kind::Text, "the server's name, without blanks; default: its id"),
    key(&["server_tags"], Kind::Texts, "words that monitoring shows of this server, in lower case"),
    key(&["server_metadata"], Kind::Free, "names and texts that monitoring shows of this server"),
    key(
        &["client_advertise"],
        Kind::Text,
        "host[:port] that clients are told in place of where the server listens",
    ),
    key(
        &["max_connections", "max_conn"],
        Kind::Integer,
        "client connections at once; default 65536, 0: none",
    ),
    key(
        &["max_subscriptions", "max_subs"],
        Kind::Integer,
        "subscriptions of one connection; default 0: unlimited",
    ),
    key(
        &["max_sub_tokens", "max_subscription_tokens"],
        Kind::Integer,
        "tokens of a subscription's subject, 1 to 255; default: unlimited",
    ),
    key(&["max_control_line"], Kind::Size, "bytes of arguments on a control line; default 4096"),
    key(&["max_payload"], Kind::Size, "bytes of headers and payload of a message; default 1MB"),
    key(&["max_pending"], Kind::Size, "bytes queued for one client; default 64MB"),
    key(&["ping_interval"], Kind::Seconds, "time between PINGs to a client; default 2m"),
    key(&["ping_max"], Kind::Integer, "unanswered PINGs after which a connection is closed; default 2"),
    key(&["write_deadline"], Kind::Seconds, "how long a write to a client may take; default 10s"),
    key(
        &["write_timeout"],
        Kind::Either("default, close or retry"),
        "what happens to a client when a write took longer",
    ),
    key(
        &["no_fast_producer_stall"],
        Kind::Boolean,
        "drop messages for a slow receiver instead of slowing down who publishes",
    ),
    key(&["no_header_support"], Kind::Boolean, "refuse headers"),
    key(
        &["lame_duck_duration"],
        Kind::Duration,
        "how long lame duck mode takes in all, at least 30s; default 2m",
    ),
    key(
        &["lame_duck_grace_period"],
        Kind::Duration,
        "how long lame duck mode waits before it closes the first client; default 10s",
    ),
    key(
        &["max_closed_clients"],
        Kind::Integer,
        "closed connections that monitoring remembers; default 10000",
    ),
    key(&["http"], Kind::Listen, "where monitoring listens"),
    key(&["http_port", "monitor_port"], Kind::Integer, "the port of monitoring; default 0: none"),
    key(&["http_base_path"], Kind::Text, "prefix of all monitoring paths; default /"),
    key(&["https"], Kind::Listen, "where monitoring listens, with TLS"),
    key(&["https_port"], Kind::Integer, "the port of monitoring with TLS; default 0: none"),
    key(&["debug"], Kind::Boolean, "log what the server does"),
    key(&["trace"], Kind::Boolean, "log what clients send and get"),
    key(&["trace_verbose"], Kind::Boolean, "log what the system account sends and gets too; implies trace"),
    key(&["trace_headers"], Kind::Boolean, "log headers without payloads; implies trace"),
    key(&["max_traced_msg_len"], Kind::Integer, "bytes of a message that a trace shows; default 0: all"),
    key(&["logtime"], Kind::Boolean, "log lines begin with their time; default true"),
    key(&["logtime_utc"], Kind::Boolean, "that time is UTC"),
    key(&["log_file", "logfile"], Kind::Text, "the log file; default: standard error"),
    key(
        &["log_size_limit", "logfile_size_limit"],
        Kind::Size,
        "bytes after which the log file is set aside; default 0: never",
    ),
    key(
        &["log_max_num", "logfile_max_num"],
        Kind::Integer,
        "log files that are kept in total; default 0: all",
    ),
    key(&["syslog"], Kind::Boolean, "log to the system log"),
    key(
        &["remote_syslog"],
        Kind::Text,
        "log to the system log of another machine: udp://host:port or tcp://host:port",
    ),
    key(&["pid_file", "pidfile"], Kind::Text, "where the process id is written"),
    key(&["ports_file_dir"], Kind::Text, "the folder of the file with the listeners' addresses"),
    key(&["authorization"], Kind::Block, "who may connect").of(AUTHORIZATION),
    key(&["no_auth_user"], Kind::Text, "the user, by name or nkey, that clients without credentials are"),
    key(
        &["accounts"],
        Kind::NamedBlocks,
        "spaces of subjects that are apart from each other; or an array of names",
    )
    .of(ACCOUNT),
    key(&["system_account", "system"], Kind::Text, "the account for the server's own messages; default $SYS"),
    key(&["no_system_account", "no_system", "no_sys_acc"], Kind::Boolean, "there is no system account"),
    key(
        &["mappings", "maps"],
        Kind::NamedBlocks,
        "subjects that become others before a message is matched, in the global account",
    )
    .of(MAPPING),
    key(&["tls"], Kind::Block, "encryption of client connections, and of monitoring by https").of(TLS),
    key(&["allow_non_tls"], Kind::Boolean, "with TLS, let clients in without it too"),
    key(&["proxy_protocol"], Kind::Boolean, "connections may begin with the PROXY protocol's header"),
    key(
        &["petrel"],
        Kind::Block,
        "petrel's own settings, unknown to upstream; they may stand in a petrel.conf beside the file",
    )
    .of(PETREL),
    key(
        &["disable_sublist_cache", "no_sublist_cache"],
        Kind::Boolean,
        "no cache of who gets a subject's messages",
    )
    .harmless("matches are always cached"),
    key(
        &["feature_flags"],
        Kind::Switches,
        "switches of upstream's version, all about JetStream; monitoring shows them",
    ),
    key(
        &["connect_error_reports"],
        Kind::Integer,
        "how often failed first connects to other servers are logged",
    )
    .harmless("there are no outgoing connections to report on"),
    key(&["reconnect_error_reports"], Kind::Integer, "the same for later connects")
        .harmless("there are no outgoing connections to report on"),
    key(&["prof_port"], Kind::Integer, "the port of Go profiles")
        .harmless("there are no Go profiles to serve"),
    key(&["prof_block_rate"], Kind::Integer, "the rate of Go block profiles")
        .harmless("there are no Go profiles to serve"),
    key(&["proxies"], Kind::Block, "proxies whose signature is trusted")
        .not_yet(missing::PROXIES)
        .of(PROXIES),
    key(&["ocsp"], Kind::Either("boolean or block"), "stapling of the server's certificates")
        .not_yet(missing::REVOCATION)
        .of(OCSP),
    key(&["ocsp_cache"], Kind::Either("boolean or block"), "a cache of answers about certificates")
        .not_yet(missing::REVOCATION)
        .of(OCSP_CACHE),
    key(
        &["operator", "operators", "roots", "root", "root_operator", "root_operators"],
        Kind::Texts,
        "operators that sign accounts: a file or a token",
    )
    .not_yet(missing::OPERATOR),
    key(
        &["resolver", "account_resolver", "accounts_resolver"],
        Kind::Either("MEMORY, URL(url) or block"),
        "where accounts' tokens come from",
    )
    .not_yet(missing::OPERATOR)
    .of(RESOLVER),
    key(&["resolver_tls"], Kind::Block, "TLS towards the resolver").not_yet(missing::OPERATOR).of(TLS),
    key(&["resolver_preload"], Kind::Free, "accounts' tokens by their keys").not_yet(missing::OPERATOR),
    key(&["resolver_pinned_accounts"], Kind::Texts, "accounts that users may belong to")
        .not_yet(missing::OPERATOR),
    key(&["trusted_keys", "trusted"], Kind::Texts, "public keys of operators").not_yet(missing::OPERATOR),
    key(&["default_sentinel"], Kind::Text, "the token of who has none").not_yet(missing::OPERATOR),
    key(&["jetstream"], Kind::Either("boolean, enabled, disabled or block"), "streams that keep messages")
        .not_yet(missing::JETSTREAM)
        .of(JETSTREAM),
    key(&["store_dir", "storedir"], Kind::Text, "where streams are stored").not_yet(missing::JETSTREAM),
    key(&["default_js_domain"], Kind::Free, "JetStream domains by account").not_yet(missing::JETSTREAM),
    key(&["cluster"], Kind::Block, "servers that are one with this").not_yet(missing::CLUSTER).of(CLUSTER),
    key(&["gateway"], Kind::Block, "connections to other clusters").not_yet(missing::GATEWAY).of(GATEWAY),
    key(&["leafnodes", "leaf"], Kind::Block, "servers that extend this one")
        .not_yet(missing::LEAFNODES)
        .of(LEAFNODES),
    key(&["websocket", "ws"], Kind::Block, "clients by WebSocket").not_yet(missing::WEBSOCKET).of(WEBSOCKET),
    key(&["mqtt"], Kind::Block, "clients by MQTT").not_yet(missing::MQTT).of(MQTT),
];

/// `petrel { }`, which upstream does not know.
pub const PETREL: &[Key] = &[
    key(
        &["cores"],
        Kind::Either("number, or CPUs as an array or text with ranges"),
        "CPUs that run a core each; default: all",
    ),
    key(
        &["memory"],
        Kind::Size,
        "bytes for queues of the whole node, at least 16MB; default: half of the memory beside 16MB a core",
    ),
    key(&["backend"], Kind::Either("auto, uring or epoll"), "what drives the cores; default auto"),
    key(
        &["log_format"],
        Kind::Either("text or json"),
        "lines of the log as upstream writes them, or JSON objects; default text",
    ),
];
