//! What the configuration says, typed.

mod account;
mod authorization;
mod permission;
mod tls;

pub use account::{
    Account, AccountLimits, Export, ExportKind, Import, Latency, Mapping, MappingDestination, MessageTrace,
    ResponseType,
};
pub use authorization::{Authorization, ConnectionType, Credential, User, is_bcrypt};
pub use permission::{Permissions, ResponsePermission, SubjectPermission};
pub use tls::{CertificateFiles, HandshakeFirst, TlsOptions};

use crate::feature_flags::FeatureFlags;
use std::collections::BTreeMap;
use std::time::Duration;

/// Upstream's defaults, for what neither the file nor the command line says (reference: config.md, section 6).
pub mod defaults {
    use std::time::Duration;

    /// Where clients and monitoring listen: every address, IPv6 included.
    pub const HOST: &str = "0.0.0.0";
    /// The port of clients.
    pub const PORT: i64 = 4222;
    /// Connections at once.
    pub const CONNECTIONS_MAX: i64 = 65_536;
    /// Bytes of arguments on a control line.
    pub const CONTROL_LINE_MAX: i64 = 4096;
    /// Bytes of headers and payload together.
    pub const PAYLOAD_MAX: i64 = 1024 * 1024;
    /// Bytes queued for one client.
    pub const PENDING_MAX: i64 = 64 * 1024 * 1024;
    /// Between PINGs to a client.
    pub const PING_INTERVAL: Duration = Duration::from_secs(120);
    /// Unanswered PINGs after which a connection is stale.
    pub const PING_MAX: i64 = 2;
    /// How long a write to a client may take.
    pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);
    /// How long a client may take to send its credentials.
    pub const AUTH_TIMEOUT: Duration = Duration::from_secs(2);
    /// How long lame duck mode takes in all.
    pub const LAME_DUCK_DURATION: Duration = Duration::from_secs(120);
    /// How long lame duck mode waits before it closes the first client.
    pub const LAME_DUCK_GRACE_PERIOD: Duration = Duration::from_secs(10);
    /// Closed connections that are remembered.
    pub const CLOSED_CLIENTS_MAX: i64 = 10_000;
}

/// What the file (and then the command line) says. `None`: nothing was said, [`defaults`] holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// Host that clients connect to.
    pub host: Option<String>,
    /// Port that clients connect to; -1 picks a free one, 0 is the default.
    pub port: Option<i64>,
    /// Host of monitoring; without one, that of the clients.
    pub http_host: Option<String>,
    /// Port of monitoring; -1 picks a free one, 0 is none.
    pub http_port: Option<i64>,
    /// Prefix of all monitoring paths.
    pub http_base_path: Option<String>,
    /// The server's name; without one, its id.
    pub server_name: Option<String>,
    /// What monitoring shows of this server beside its name.
    pub server_tags: Vec<String>,
    /// The same, by name.
    pub server_metadata: BTreeMap<String, String>,
    /// Switches of upstream's version, which monitoring shows.
    pub feature_flags: FeatureFlags,
    /// `host[:port]` that INFO shows in place of where the server listens.
    pub client_advertise: Option<String>,
    /// Connections at once; 0: none.
    pub connections_max: Option<i64>,
    /// Subscriptions of one connection; 0: unlimited.
    pub subscriptions_max: Option<i64>,
    /// Tokens of a subscription's subject, 1 to 255.
    pub subscription_tokens_max: Option<u8>,
    /// Bytes of arguments on a control line.
    pub control_line_max: Option<i64>,
    /// Bytes of headers and payload together.
    pub payload_max: Option<i64>,
    /// Bytes queued for one client.
    pub pending_max: Option<i64>,
    /// Between PINGs to a client.
    pub ping_interval: Option<Duration>,
    /// Unanswered PINGs after which a connection is stale.
    pub ping_max: Option<i64>,
    /// How long a write to a client may take.
    pub write_deadline: Option<Duration>,
    /// What happens when a write took too long.
    pub write_timeout: WriteTimeout,
    /// Drop for a slow receiver instead of stalling its publishers.
    pub no_fast_producer_stall: bool,
    /// Refuse headers.
    pub no_header_support: bool,
    /// How long lame duck mode takes in all.
    pub lame_duck_duration: Option<Duration>,
    /// How long lame duck mode waits before it closes the first client.
    pub lame_duck_grace_period: Option<Duration>,
    /// Closed connections that are remembered.
    pub closed_clients_max: Option<i64>,
    /// Who may connect.
    pub authorization: Authorization,
    /// Accounts beside `$G`, in the order of the file.
    pub accounts: Vec<Account>,
    /// The name of the system account; `None`: `$SYS`.
    pub system_account: Option<String>,
    /// There is no system account.
    pub no_system_account: bool,
    /// The user (name or nkey) that clients without credentials are.
    pub no_auth_user: Option<String>,
    /// Mappings of `$G`.
    pub mappings: Vec<Mapping>,
    /// TLS of clients, and of monitoring by https.
    pub tls: Option<TlsOptions>,
    /// With TLS, take clients without it as well.
    pub allow_non_tls: bool,
    /// Host of monitoring by TLS; without one, that of the clients.
    pub https_host: Option<String>,
    /// Port of monitoring by TLS; -1 picks a free one, 0 is none.
    pub https_port: Option<i64>,
    /// Connections may begin with the PROXY protocol's header.
    pub proxy_protocol: bool,
    /// Where the file with the listeners' addresses is written.
    pub ports_file_dir: Option<String>,
    /// The log.
    pub log: LogOptions,
    /// Where the process id is written.
    pub pid_file: Option<String>,
    /// Petrel's own settings.
    pub petrel: PetrelOptions,
}

/// What happens to a client when a write to it took longer than the deadline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteTimeout {
    /// What upstream does for clients: close.
    #[default]
    Default,
    /// Close.
    Close,
    /// Go on when some bytes were written.
    Retry,
}

/// What is logged, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// Debug lines.
    pub debug: Option<bool>,
    /// Protocol lines.
    pub trace: Option<bool>,
    /// Whether lines carry their time; by default they do.
    pub time: Option<bool>,
    /// Whether that time is UTC.
    pub utc: Option<bool>,
    /// The log file; without one, standard error.
    pub file: Option<String>,
    /// Bytes after which the file is set aside and a new one begun; 0: never.
    pub size_limit: Option<i64>,
    /// Files kept in total, the current one included; 0: all.
    pub files_max: Option<i64>,
    /// Log to the system log.
    pub syslog: Option<bool>,
    /// Log to the system log of another machine: `udp://host:port`, `tcp://host:port`, `host:port` (udp).
    pub remote_syslog: Option<String>,
    /// Trace the system account as well (implies `trace`).
    pub trace_verbose: Option<bool>,
    /// Trace headers only, without payloads (implies `trace`).
    pub trace_headers: Option<bool>,
    /// Bytes of a traced message that are shown; 0: all.
    pub traced_msg_len_max: Option<i64>,
    /// Lines are JSON objects (the `petrel` block's `log_format: json`).
    pub json: bool,
}

/// The `petrel` block: what upstream does not know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PetrelOptions {
    /// Which CPUs run a core each.
    pub cores: Cores,
    /// Bytes for out-buffers and queues of the whole node; without it, half of what the machine has.
    pub memory_bytes: Option<u64>,
    /// What drives the cores.
    pub backend: Backend,
}

/// Which CPUs run a core each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Cores {
    /// All that the process may use.
    #[default]
    All,
    /// The first so many of them, at least 1.
    Count(usize),
    /// Exactly these, not empty and without repetition.
    List(Vec<usize>),
}

/// What drives the cores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// io_uring where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// io_uring, or no start.
    Uring,
    /// epoll.
    Epoll,
}
