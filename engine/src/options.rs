//! What a node's cores are told at start.

use crate::account::Directory;
use crate::system::SYSTEM_NOTICES_MAX;
use crate::transport::TlsOptions;
use petrel_protocol::client::ServerInfo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Everything the engine needs to know of the configuration. Shared by all cores and never changed; a reload
/// hands the cores a new one.
#[derive(Clone, Debug)]
pub struct Options {
    /// The INFO of this server, without what differs by connection (`client_id`, `client_ip`).
    pub info: ServerInfo,
    /// Where clients connect. Core 0 listens. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Limits of clients.
    pub limits: Limits,
    /// Accounts and users.
    pub directory: Arc<Directory>,
    /// TLS of clients; `None`: all are plain.
    pub tls: Option<Arc<TlsOptions>>,
    /// Connections may begin with a PROXY header.
    pub proxy_protocol: bool,
    /// How long a client may take to send a valid CONNECT when authorization is configured.
    pub auth_timeout: Duration,
    /// Interval of PINGs to clients.
    pub ping_interval: Duration,
    /// Unanswered PINGs after which a connection is stale.
    pub ping_max: u32,
    /// How long a write to a client may take before it is a slow consumer.
    pub write_deadline: Duration,
    /// Keep a connection whose write deadline passed when some bytes were written meanwhile.
    pub write_timeout_retry: bool,
    /// Drop for a slow receiver instead of stalling its publishers.
    pub no_fast_producer_stall: bool,
    /// Whether headers are supported.
    pub headers: bool,
    /// How long lame duck mode takes in all.
    pub lame_duck_duration: Duration,
    /// How long lame duck mode waits before it closes the first client.
    pub lame_duck_grace_period: Duration,
    /// How many closed connections are remembered for `/connz`.
    pub closed_clients_max: usize,
    /// Whether requests to the system account are answered and events are told.
    pub system_services: bool,
    /// Requests, and events, of a core that may wait for the control plane; what comes beyond is dropped.
    pub system_notices_max: usize,
    /// Which protocol lines are logged.
    pub trace: Trace,
    /// Bytes of out-buffers, spilled mail and partial input that one core may hold before it closes the
    /// slowest receivers; half of the memory at hand divided by the cores.
    pub memory_budget_bytes: usize,
}

/// Which protocol lines are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Any at all (`-V`).
    pub on: bool,
    /// What the server itself sends as a member of the system account as well (`-VV`).
    pub server: bool,
    /// Of messages the headers, not the payload.
    pub headers_only: bool,
    /// Bytes of a message that are shown; 0: all.
    pub message_bytes_max: usize,
}

/// Limits of clients. Negative or zero values mean what upstream means by them; see each.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections at once; 0 or less: none is accepted.
    pub connections_max: i64,
    /// Subscriptions of one connection; 0: unlimited.
    pub subscriptions_max: usize,
    /// Tokens of a subscription's subject; 0: unlimited.
    pub subscription_tokens_max: usize,
    /// Bytes of arguments on a control line.
    pub control_line_max: usize,
    /// Bytes of headers and payload together; negative: unlimited.
    pub payload_max: i64,
    /// Bytes queued for one client.
    pub pending_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            connections_max: 65_536,
            subscriptions_max: 0,
            subscription_tokens_max: 0,
            control_line_max: 4096,
            payload_max: 1024 * 1024,
            pending_max: 64 * 1024 * 1024,
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            info: ServerInfo::default(),
            listen: SocketAddr::from(([0, 0, 0, 0], 4222)),
            limits: Limits::default(),
            directory: Arc::default(),
            tls: None,
            proxy_protocol: false,
            auth_timeout: Duration::from_secs(2),
            ping_interval: Duration::from_secs(120),
            ping_max: 2,
            write_deadline: Duration::from_secs(10),
            write_timeout_retry: false,
            no_fast_producer_stall: false,
            headers: true,
            lame_duck_duration: Duration::from_secs(120),
            lame_duck_grace_period: Duration::from_secs(10),
            closed_clients_max: 10_000,
            system_services: false,
            system_notices_max: SYSTEM_NOTICES_MAX,
            trace: Trace::default(),
            memory_budget_bytes: 512 * 1024 * 1024,
        }
    }
}
