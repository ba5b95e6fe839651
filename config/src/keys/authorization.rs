//! `authorization { }`, users and what they may do.

use super::{Key, Kind, key, missing};

/// `authorization { }`.
pub const AUTHORIZATION: &[Key] = &[
    key(&["user", "username"], Kind::Text, "the single user"),
    key(&["pass", "password"], Kind::Text, "the single user's password, plain or a bcrypt hash"),
    key(&["token"], Kind::Text, "the token that clients present, plain or a bcrypt hash"),
    key(
        &["timeout"],
        Kind::Either("duration, or seconds"),
        "how long a client may take to send its credentials; default 2s",
    ),
    key(&["users"], Kind::Blocks, "users of the global account").of(USER),
    key(
        &["default_permissions", "default_permission", "permissions"],
        Kind::Block,
        "what users without permissions of their own may do",
    )
    .of(PERMISSIONS),
    key(&["auth_callout", "auth_hook"], Kind::Block, "a service that decides who may connect")
        .not_yet(missing::CALLOUT)
        .of(CALLOUT),
    key(&["proxy_required"], Kind::Boolean, "clients must come by a trusted proxy").not_yet(missing::PROXIES),
];

/// An element of `users [ ]`.
pub const USER: &[Key] = &[
    key(&["user", "username"], Kind::Text, "the name"),
    key(&["pass", "password"], Kind::Text, "the password, plain or a bcrypt hash"),
    key(&["nkey"], Kind::Text, "the public nkey, in place of name and password"),
    key(&["permissions", "permission", "authorization"], Kind::Block, "what the user may do").of(PERMISSIONS),
    key(
        &["allowed_connection_types", "connection_types", "clients"],
        Kind::Texts,
        "kinds of connections the user may come by: STANDARD, WEBSOCKET, LEAFNODE, LEAFNODE_WS, MQTT, MQTT_WS, IN_PROCESS; default: all",
    ),
    key(&["proxy_required"], Kind::Boolean, "the user must come by a trusted proxy")
        .not_yet(missing::PROXIES),
];

/// `permissions { }`.
pub const PERMISSIONS: &[Key] = &[
    key(
        &["publish", "pub", "import"],
        Kind::Either("subject, array of subjects, or block"),
        "subjects to publish to; default: all",
    )
    .of(SUBJECTS),
    key(
        &["subscribe", "sub", "export"],
        Kind::Either("subject, array of subjects, or block"),
        "subjects to subscribe to, with or without a queue group: \"subject queue\"; default: all",
    )
    .of(SUBJECTS),
    key(
        &["allow_responses", "publish_allow_responses"],
        Kind::Either("boolean or block"),
        "leave to publish to reply subjects of messages that were received",
    )
    .of(RESPONSES),
];

/// `publish { }` and `subscribe { }`.
pub const SUBJECTS: &[Key] = &[
    key(&["allow"], Kind::Texts, "subjects that are allowed; default: all"),
    key(&["deny"], Kind::Texts, "subjects that are refused, also when they are allowed"),
];

/// `allow_responses { }`.
pub const RESPONSES: &[Key] = &[
    key(
        &["max", "max_msgs", "max_messages", "max_responses"],
        Kind::Integer,
        "messages for each reply subject; default 1, negative: unlimited",
    ),
    key(
        &["expires", "expiration", "ttl"],
        Kind::Duration,
        "how long after the message; default 2m, negative: for ever",
    ),
];

/// `auth_callout { }`.
pub const CALLOUT: &[Key] = &[
    key(&["issuer"], Kind::Text, "the public nkey that signs answers").not_yet(missing::CALLOUT),
    key(&["account", "acc"], Kind::Text, "the account of the service; default $G").not_yet(missing::CALLOUT),
    key(&["auth_users", "users"], Kind::Texts, "users that the service itself logs in as")
        .not_yet(missing::CALLOUT),
    key(&["xkey", "key"], Kind::Text, "the public curve key that requests are sealed for")
        .not_yet(missing::CALLOUT),
    key(&["allowed_accounts"], Kind::Texts, "accounts that the service may put users into")
        .not_yet(missing::CALLOUT),
];
