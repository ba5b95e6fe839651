//! `/varz`: the server as a whole.

use super::json::Float;
use super::shape::{ByKind, DiskWaits, Petrel, Traffic, Unconfigured, Varz};
use super::state::{About, Monitor};
use super::time::{rfc3339, seconds_between, uptime};
use crate::tls::TLS_TIMEOUT_DEFAULT;
use crate::{process, settings, version};
use jiff::Timestamp;
use petrel_config::{Options, WriteTimeout, defaults, or_default};
use petrel_engine::CoreStatistics;
use std::time::Duration;

/// The answer, from what the cores said.
pub fn varz<'a>(monitor: &Monitor, about: &'a About, cores: &[Option<CoreStatistics>]) -> Varz<'a> {
    let options = &about.options;
    let now = Timestamp::now();
    let sum: CoreStatistics = cores.iter().flatten().sum();
    Varz {
        server_id: &about.server_id,
        server_name: &about.server_name,
        version: version::UPSTREAM,
        proto: 1,
        go: version::TOOLCHAIN,
        host: &about.advertised.0,
        port: about.advertised.1,
        auth_required: about.auth_required,
        tls_required: about.tls.as_ref().is_some_and(|tls| tls.engine.required),
        tls_verify: options.tls.as_ref().is_some_and(|tls| tls.verify || tls.verify_and_map),
        max_connections: connections_max(options),
        max_subscriptions: options.subscriptions_max.unwrap_or(0),
        ping_interval: nanoseconds(or_default(options.ping_interval, defaults::PING_INTERVAL)),
        ping_max: or_default(options.ping_max, defaults::PING_MAX),
        http_host: &about.http.0,
        http_port: if about.is_https { 0 } else { about.http.1 },
        http_base_path: options.http_base_path.as_deref().unwrap_or(""),
        https_port: if about.is_https { about.http.1 } else { 0 },
        auth_timeout: auth_timeout(options),
        max_control_line: or_default(options.control_line_max, defaults::CONTROL_LINE_MAX),
        max_payload: options.payload_max(),
        max_pending: options.pending_max(),
        cluster: Unconfigured {},
        gateway: Unconfigured {},
        leaf: Unconfigured {},
        mqtt: Unconfigured {},
        websocket: Unconfigured {},
        jetstream: Unconfigured {},
        tls_timeout: Float(tls_timeout(options).as_secs_f64()),
        tls_cert_not_after: about.tls.as_ref().and_then(|tls| expiry(tls.not_after?)),
        write_deadline: nanoseconds(or_default(options.write_deadline, defaults::WRITE_DEADLINE)),
        write_timeout: write_timeout(options),
        start: rfc3339(about.start),
        now: rfc3339(now),
        uptime: uptime(seconds_between(about.start, now)),
        mem: process::resident_bytes(),
        cores: about.processor_count,
        gomaxprocs: about.cpus.len(),
        cpu: Float(monitor.processor_percent()),
        traffic: traffic(&sum),
        http_req_stats: monitor.requests(),
        config_load_time: rfc3339(about.config_load_time),
        config_digest: &about.config_digest,
        tags: &options.server_tags,
        metadata: &options.server_metadata,
        feature_flags: options.feature_flags.effective(),
        system_account: about.system_account(),
        slow_consumer_stats: ByKind { clients: sum.slow_consumers, ..ByKind::default() },
        stale_connection_stats: ByKind { clients: sum.stale_connections, ..ByKind::default() },
        disk_io_wait_stats: DiskWaits::default(),
        petrel: Petrel {
            version: version::PETREL,
            backend: about.backend,
            cpus: &about.cpus,
            panics: sum.panics,
            refused_connections: sum.refused_connections,
            dropped_msgs: sum.dropped_msgs,
        },
    }
}

/// There are only clients yet: what came from them is all that came.
fn traffic(sum: &CoreStatistics) -> Traffic {
    Traffic {
        connections: sum.connections,
        total_connections: sum.total_connections,
        routes: 0,
        remotes: 0,
        leafnodes: 0,
        in_msgs: sum.in_msgs,
        in_bytes: sum.in_bytes,
        in_client_msgs: sum.in_msgs,
        in_client_bytes: sum.in_bytes,
        out_msgs: sum.out_msgs,
        out_bytes: sum.out_bytes,
        out_client_msgs: sum.out_msgs,
        out_client_bytes: sum.out_bytes,
        slow_consumers: sum.slow_consumers,
        stale_connections: sum.stale_connections,
        stalled_clients: sum.stalled_clients,
        subscriptions: sum.subscriptions,
    }
}

/// A configured 0 means that nobody may connect, which upstream shows as -1.
fn connections_max(options: &Options) -> i64 {
    match options.connections_max {
        Some(0) => -1,
        Some(limit) => limit,
        None => defaults::CONNECTIONS_MAX,
    }
}

fn auth_timeout(options: &Options) -> Float {
    Float(settings::auth_timeout(options).as_secs_f64())
}

/// How long a handshake may take; shown also without TLS.
fn tls_timeout(options: &Options) -> Duration {
    options.tls.as_ref().and_then(|tls| tls.timeout).unwrap_or(TLS_TIMEOUT_DEFAULT)
}

fn expiry(seconds: i64) -> Option<String> {
    Timestamp::from_second(seconds).ok().map(rfc3339)
}

/// The word that was configured; nothing for the default.
fn write_timeout(options: &Options) -> &'static str {
    match options.write_timeout {
        WriteTimeout::Default => "",
        WriteTimeout::Close => "close",
        WriteTimeout::Retry => "retry",
    }
}

/// A duration as upstream's JSON shows it.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
