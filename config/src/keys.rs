//! Every key that upstream knows, with its aliases and what petrel does about it. The reference
//! documentation's table is generated from here.

/// What petrel does about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in force.
    Supported,
    /// It would change who may do what, or what is kept, and is not there yet: the start is refused, unless
    /// the key says that it is off. The sentence says what would be missing.
    NotYet(&'static str),
    /// It changes nothing that a client or operator could rely on: a line says what is ignored.
    Harmless(&'static str),
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name, then its aliases; all in lower case, matched in any case.
    pub names: &'static [&'static str],
    /// What is done about it.
    pub state: State,
}

impl Key {
    /// The name under which the others go.
    pub fn name(&self) -> &'static str {
        self.names[0]
    }
}

/// The key of a block's table that goes by a name.
pub fn find(table: &'static [Key], name: &str) -> Option<&'static Key> {
    let lower = name.to_lowercase();
    table.iter().find(|key| key.names.contains(&lower.as_str()))
}

const fn supported(names: &'static [&'static str]) -> Key {
    Key { names, state: State::Supported }
}

const fn not_yet(names: &'static [&'static str], missing: &'static str) -> Key {
    Key { names, state: State::NotYet(missing) }
}

const fn harmless(names: &'static [&'static str], ignored: &'static str) -> Key {
    Key { names, state: State::Harmless(ignored) }
}

const UNENCRYPTED: &str = "connections would not be encrypted";
const NO_OPERATOR: &str = "accounts and users signed by an operator would not be known";
const NO_JETSTREAM: &str = "there would be no streams and nothing would be stored";
const NO_PERMISSIONS: &str = "users would be allowed everything";
const NO_CALLOUT: &str = "the authorization service would not be asked";
const NO_PROXIES: &str = "connections would not be checked for trusted proxies";

/// Top level.
pub const TOP: &[Key] = &[
    supported(&["listen"]),
    supported(&["host", "net"]),
    supported(&["port"]),
    supported(&["server_name"]),
    supported(&["server_tags"]),
    supported(&["server_metadata"]),
    supported(&["client_advertise"]),
    supported(&["max_connections", "max_conn"]),
    supported(&["max_subscriptions", "max_subs"]),
    supported(&["max_sub_tokens", "max_subscription_tokens"]),
    supported(&["max_control_line"]),
    supported(&["max_payload"]),
    supported(&["max_pending"]),
    supported(&["ping_interval"]),
    supported(&["ping_max"]),
    supported(&["write_deadline"]),
    supported(&["write_timeout"]),
    supported(&["no_fast_producer_stall"]),
    supported(&["no_header_support"]),
    supported(&["lame_duck_duration"]),
    supported(&["lame_duck_grace_period"]),
    supported(&["max_closed_clients"]),
    supported(&["http"]),
    supported(&["http_port", "monitor_port"]),
    supported(&["http_base_path"]),
    supported(&["debug"]),
    supported(&["trace"]),
    supported(&["logtime"]),
    supported(&["logtime_utc"]),
    supported(&["log_file", "logfile"]),
    supported(&["pid_file", "pidfile"]),
    supported(&["authorization"]),
    supported(&["petrel"]),
    harmless(&["disable_sublist_cache", "no_sublist_cache"], "matches are always cached"),
    harmless(&["feature_flags"], "all upstream flags concern JetStream"),
    harmless(&["connect_error_reports"], "there are no outgoing connections to report on"),
    harmless(&["reconnect_error_reports"], "there are no outgoing connections to report on"),
    harmless(&["prof_port"], "there are no Go profiles to serve"),
    harmless(&["prof_block_rate"], "there are no Go profiles to serve"),
    harmless(&["max_traced_msg_len"], "traced messages are shown in full"),
    not_yet(&["trace_verbose"], "the system account would not be traced"),
    not_yet(&["trace_headers"], "headers would not be traced"),
    not_yet(&["log_size_limit", "logfile_size_limit"], "the log file would grow without limit"),
    not_yet(&["log_max_num", "logfile_max_num"], "old log files would not be removed"),
    not_yet(&["syslog"], "nothing would reach the system log"),
    not_yet(&["remote_syslog"], "nothing would reach the remote log"),
    not_yet(&["ports_file_dir"], "the ports file would not be written"),
    not_yet(&["proxy_protocol"], "clients would be shown with the address of their proxy"),
    not_yet(&["proxies"], NO_PROXIES),
    not_yet(&["mappings", "maps"], "subjects would not be mapped"),
    not_yet(&["https"], "monitoring would not be encrypted"),
    not_yet(&["https_port"], "monitoring would not be encrypted"),
    not_yet(&["tls"], UNENCRYPTED),
    not_yet(&["allow_non_tls"], UNENCRYPTED),
    not_yet(&["ocsp"], "certificates would not be checked for revocation"),
    not_yet(&["ocsp_cache"], "certificates would not be checked for revocation"),
    not_yet(&["no_auth_user"], "clients without credentials would be refused"),
    not_yet(&["operator", "operators", "roots", "root", "root_operator", "root_operators"], NO_OPERATOR),
    not_yet(&["resolver", "account_resolver", "accounts_resolver"], NO_OPERATOR),
    not_yet(&["resolver_tls"], NO_OPERATOR),
    not_yet(&["resolver_preload"], NO_OPERATOR),
    not_yet(&["resolver_pinned_accounts"], NO_OPERATOR),
    not_yet(&["trusted_keys", "trusted"], NO_OPERATOR),
    not_yet(&["default_sentinel"], NO_OPERATOR),
    not_yet(&["accounts"], "all clients would share one account"),
    not_yet(&["system_account", "system"], "there would be no system account"),
    not_yet(&["no_system_account", "no_system", "no_sys_acc"], "system subjects would not be ordinary ones"),
    not_yet(&["jetstream"], NO_JETSTREAM),
    not_yet(&["store_dir", "storedir"], NO_JETSTREAM),
    not_yet(&["default_js_domain"], NO_JETSTREAM),
    not_yet(&["cluster"], "the server would stand alone"),
    not_yet(&["gateway"], "other clusters would not be reached"),
    not_yet(&["leafnodes", "leaf"], "leaf nodes would not be connected"),
    not_yet(&["websocket", "ws"], "WebSocket clients could not connect"),
    not_yet(&["mqtt"], "MQTT clients could not connect"),
];

/// `authorization { }`.
pub const AUTHORIZATION: &[Key] = &[
    supported(&["user", "username"]),
    supported(&["pass", "password"]),
    supported(&["token"]),
    supported(&["timeout"]),
    supported(&["users"]),
    not_yet(&["default_permissions", "default_permission", "permissions"], NO_PERMISSIONS),
    not_yet(&["auth_callout", "auth_hook"], NO_CALLOUT),
    not_yet(&["proxy_required"], NO_PROXIES),
];

/// An element of `authorization { users [ ] }`.
pub const USER: &[Key] = &[
    supported(&["user", "username"]),
    supported(&["pass", "password"]),
    not_yet(&["nkey"], "the user could not prove its key"),
    not_yet(&["permissions", "permission", "authorization"], NO_PERMISSIONS),
    not_yet(
        &["allowed_connection_types", "connection_types", "clients"],
        "the user could connect by any kind of connection",
    ),
    not_yet(&["proxy_required"], NO_PROXIES),
];

/// `petrel { }`, which upstream does not know.
pub const PETREL: &[Key] = &[supported(&["cores"]), supported(&["memory"]), supported(&["backend"])];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_stands_once_and_in_lower_case() {
        for table in [TOP, AUTHORIZATION, USER, PETREL] {
            let mut names: Vec<&str> = table.iter().flat_map(|key| key.names.iter().copied()).collect();
            assert!(names.iter().all(|name| *name == name.to_lowercase()));
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), count);
        }
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(find(TOP, "MAX_Conn").unwrap().name(), "max_connections");
        assert!(find(TOP, "max_con").is_none());
    }
}
