//! Everything that is counted, at one moment; a result is the difference of two.

use std::sync::atomic::Ordering;

use super::clock::{monotonic_ns, own_cpu_ns};
use super::flow::Flow;
use super::process::{ProcessMeter, machine_idle, own_thread_cpu_ns};

/// Counters at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The monotonic clock.
    pub at_ns: u64,
    /// Messages sent.
    pub sent: u64,
    /// Messages received.
    pub received: u64,
    /// Changes of interest.
    pub churned: u64,
    /// CPU time of the server, where it can be seen.
    pub server_cpu_ns: Option<u64>,
    /// Time that the cores of the machine, in sum, did nothing.
    pub machine_idle_ns: u64,
    /// Cores of the machine.
    pub machine_cores: u32,
    /// CPU time of the generator.
    pub own_cpu_ns: u64,
    /// CPU time of each of its threads that drive load.
    pub threads_cpu_ns: Vec<u64>,
}

impl Snapshot {
    /// Counts now.
    pub fn take(flow: &Flow, server: Option<&ProcessMeter>) -> Self {
        let (machine_cores, machine_idle_ns) = machine_idle();
        Self {
            at_ns: monotonic_ns(),
            sent: flow.sent(),
            received: flow.received(),
            churned: flow.churned.load(Ordering::Relaxed),
            server_cpu_ns: server.and_then(ProcessMeter::cpu_ns),
            machine_idle_ns,
            machine_cores,
            own_cpu_ns: own_cpu_ns(),
            threads_cpu_ns: flow
                .threads
                .iter()
                .map(|thread| own_thread_cpu_ns(thread.load(Ordering::Relaxed)))
                .collect(),
        }
    }

    /// What happened since `earlier`.
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.threads_cpu_ns.iter().zip(&earlier.threads_cpu_ns);
        Self {
            at_ns: self.at_ns.saturating_sub(earlier.at_ns),
            sent: self.sent - earlier.sent,
            received: self.received - earlier.received,
            churned: self.churned - earlier.churned,
            server_cpu_ns: self
                .server_cpu_ns
                .zip(earlier.server_cpu_ns)
                .map(|(later, earlier)| later.saturating_sub(earlier)),
            machine_idle_ns: self.machine_idle_ns.saturating_sub(earlier.machine_idle_ns),
            machine_cores: self.machine_cores,
            own_cpu_ns: self.own_cpu_ns - earlier.own_cpu_ns,
            threads_cpu_ns: pairs.map(|(later, earlier)| later.saturating_sub(*earlier)).collect(),
        }
    }
}
