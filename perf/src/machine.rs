//! What a result was measured on.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use petrel_tools::bench::machine_idle;
use serde::Serialize;

/// The machine, as far as it decides about a figure.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Name and release of the kernel.
    pub kernel: String,
    /// Model of the processor.
    pub cpu_model: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// How TCP controls congestion: with pacing (bbr) timers run even on loopback.
    pub congestion_control: String,
    /// Files that one process may have open at most: it bounds the connections of a run.
    pub open_files_max: u64,
}

impl Machine {
    /// Looks at this machine.
    pub fn describe() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let kilobytes = field(&read("/proc/meminfo"), "MemTotal")
            .and_then(|text| text.split_whitespace().next().and_then(|number| number.parse::<u64>().ok()));
        Self {
            kernel: format!("Linux {}", read("/proc/sys/kernel/osrelease").trim()),
            cpu_model: field(&read("/proc/cpuinfo"), "model name").unwrap_or_else(|| "unknown".to_owned()),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_bytes: kilobytes.unwrap_or(0) * 1024,
            congestion_control: read("/proc/sys/net/ipv4/tcp_congestion_control").trim().to_owned(),
            open_files_max: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard),
        }
    }

    /// One line for a table's head.
    pub fn line(&self) -> String {
        let gigabytes = self.memory_bytes as f64 / 1e9;
        let Self { kernel, cores, cpu_model, congestion_control, .. } = self;
        format!("{kernel}, {cores} x {cpu_model}, {gigabytes:.1} GB, TCP {congestion_control}")
    }
}

/// Cores that something else keeps busy, on average over `duration`.
pub fn background_cores(duration: Duration) -> f64 {
    let (cores, idle_before_ns) = machine_idle();
    let begin = Instant::now();
    thread::sleep(duration);
    let (_, idle_after_ns) = machine_idle();
    let idle_cores = (idle_after_ns - idle_before_ns) as f64 / begin.elapsed().as_nanos() as f64;
    (f64::from(cores) - idle_cores).max(0.0)
}

fn field(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_a_description() {
        let machine = Machine::describe();
        assert!(machine.cores >= 1 && machine.memory_bytes > 0 && machine.open_files_max > 0);
        assert!(machine.kernel.len() > "Linux ".len());
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        assert_eq!(field("model\t: 2\nmodel name\t: Fast CPU\n", "model name").as_deref(), Some("Fast CPU"));
        assert_eq!(field("a: 1\n", "b"), None);
    }
}
