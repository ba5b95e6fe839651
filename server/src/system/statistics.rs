//! STATSZ: the counters of this server, for who watches many.

use crate::monitor::accstatz::Amount;
use crate::monitor::json::Float;
use crate::monitor::shape::{ByKind, is_zero_unsigned};
use crate::monitor::time::rfc3339;
use crate::monitor::{Monitor, json};
use crate::process;
use petrel_engine::CoreStatistics;
use serde::Serialize;

#[derive(Serialize)]
struct Statistics {
    start: String,
    mem: u64,
    cores: usize,
    cpu: Float,
    connections: u64,
    total_connections: u64,
    active_accounts: usize,
    subscriptions: u64,
    sent: Amount,
    sent_to_clients: Amount,
    received: Amount,
    received_from_clients: Amount,
    slow_consumers: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    slow_consumer_stats: Option<ByKind>,
    #[serde(skip_serializing_if = "is_zero_unsigned")]
    stale_connections: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    stale_connection_stats: Option<ByKind>,
    #[serde(skip_serializing_if = "is_zero_unsigned")]
    stalled_clients: u64,
    active_servers: usize,
    gomaxprocs: usize,
}

/// The counters, as JSON.
pub fn statistics(monitor: &Monitor) -> String {
    let about = monitor.about();
    let sum: CoreStatistics = monitor.inquiry().statistics().iter().flatten().sum();
    let accounts = monitor.inquiry().accounts(None, false);
    let by_kind = |clients: u64| (clients > 0).then_some(ByKind { clients, ..ByKind::default() });
    let sent = Amount { msgs: sum.out_msgs, bytes: sum.out_bytes };
    let received = Amount { msgs: sum.in_msgs, bytes: sum.in_bytes };
    json::compact(&Statistics {
        start: rfc3339(about.start),
        mem: process::resident_bytes(),
        cores: about.processor_count,
        cpu: Float(monitor.processor_percent()),
        connections: sum.connections,
        total_connections: sum.total_connections,
        active_accounts: accounts.iter().filter(|account| account.connections > 0).count(),
        subscriptions: sum.subscriptions,
        sent,
        sent_to_clients: sent,
        received,
        received_from_clients: received,
        slow_consumers: sum.slow_consumers,
        slow_consumer_stats: by_kind(sum.slow_consumers),
        stale_connections: sum.stale_connections,
        stale_connection_stats: by_kind(sum.stale_connections),
        stalled_clients: sum.stalled_clients,
        active_servers: 1,
        gomaxprocs: about.cpus.len(),
    })
}
