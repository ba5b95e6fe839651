//! The histograms of `/metrics`: what the cores and monitoring itself have measured (`petrel_engine::Latencies`), in
//! Prometheus' text format. They are counted where they are measured, so they are written here and not recorded again.

use super::state::Monitor;
use petrel_engine::{CoreStatistics, Latencies};
use petrel_runtime::Histogram;
use std::fmt::Write;

/// A histogram that each core has.
struct CoreHistogram {
    name: &'static str,
    help: &'static str,
    of: fn(&Latencies) -> &Histogram,
}

/// All histograms of a core.
const CORE_HISTOGRAMS: &[CoreHistogram] = &[
    CoreHistogram {
        name: "petrel_turn_seconds",
        help: "Turns of a core's loop in which something was handled",
        of: |latencies| &latencies.turns,
    },
    CoreHistogram {
        name: "petrel_login_seconds",
        help: "From CONNECT to the client's being let in",
        of: |latencies| &latencies.logins,
    },
    CoreHistogram {
        name: "petrel_tls_handshake_seconds",
        help: "From the first record of a TLS handshake to its end",
        of: |latencies| &latencies.handshakes,
    },
    CoreHistogram {
        name: "petrel_client_round_trip_seconds",
        help: "From a PING of the server to the client's PONG",
        of: |latencies| &latencies.round_trips,
    },
    CoreHistogram {
        name: "petrel_blocked_write_seconds",
        help: "Writes that a client did not take at once, until it had taken them",
        of: |latencies| &latencies.writes,
    },
];

const REQUESTS: &str = "petrel_monitor_request_seconds";
const REQUESTS_HELP: &str = "Requests to monitoring, until their answer was made";

/// All histograms, as text.
pub fn render(monitor: &Monitor, cores: &[Option<CoreStatistics>]) -> String {
    let mut text = String::new();
    for histogram in CORE_HISTOGRAMS {
        begin(&mut text, histogram.name, histogram.help);
        for (core, statistics) in cores.iter().enumerate() {
            if let Some(statistics) = statistics {
                let label = format!("core=\"{core}\"");
                append(&mut text, histogram.name, &label, (histogram.of)(&statistics.latencies));
            }
        }
    }
    begin(&mut text, REQUESTS, REQUESTS_HELP);
    for (path, histogram) in monitor.request_times() {
        append(&mut text, REQUESTS, &format!("path=\"{path}\""), &histogram);
    }
    text
}

// Writing to a text does not fail.

fn begin(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} histogram");
}

fn append(text: &mut String, name: &str, label: &str, histogram: &Histogram) {
    for (bound_ns, count) in histogram.up_to_bounds() {
        let _ = writeln!(text, "{name}_bucket{{{label},le=\"{}\"}} {count}", seconds(bound_ns));
    }
    let count = histogram.count();
    let sum = histogram.sum().as_secs_f64();
    let _ = writeln!(text, "{name}_bucket{{{label},le=\"+Inf\"}} {count}");
    let _ = writeln!(text, "{name}_sum{{{label}}} {sum}\n{name}_count{{{label}}} {count}");
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn buckets_are_cumulative_and_end_with_all() {
        let mut histogram = Histogram::default();
        for microseconds in [1, 1, 40, 60_000_000] {
            histogram.record(Duration::from_micros(microseconds));
        }
        let mut text = String::new();
        append(&mut text, "x_seconds", "core=\"0\"", &histogram);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "x_seconds_bucket{core=\"0\",le=\"0.000001\"} 2");
        assert_eq!(lines[3], "x_seconds_bucket{core=\"0\",le=\"0.00001\"} 2");
        assert_eq!(lines[5], "x_seconds_bucket{core=\"0\",le=\"0.00005\"} 3");
        let last = lines.len() - 4;
        assert_eq!(
            lines[last..],
            [
                "x_seconds_bucket{core=\"0\",le=\"10\"} 3",
                "x_seconds_bucket{core=\"0\",le=\"+Inf\"} 4",
                "x_seconds_sum{core=\"0\"} 60.000042",
                "x_seconds_count{core=\"0\"} 4",
            ]
        );
    }
}
