//! The result of a run, and how it is printed.

use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::arguments::{Arguments, Format};
use super::connection::ServerIdentity;
use super::latency::LatencySummary;
use super::process::Memory;
use super::snapshot::Snapshot;

/// Share of a core above which the generator itself sets the rate.
const GENERATOR_LIMIT: f64 = 0.90;

/// Share of the scheduled rate below which the schedule was not kept.
const SCHEDULE_KEPT: f64 = 0.98;

/// What was run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Parameters {
    /// `pub`, `sub`, `fan` or `request`.
    pub mode: String,
    /// Bytes of a payload.
    pub size_bytes: usize,
    /// Connections that publish.
    pub publishers: u32,
    /// Connections that subscribe.
    pub subscribers: u32,
    /// Connections that request.
    pub clients: u32,
    /// Connections that answer.
    pub responders: u32,
    /// Number of subjects.
    pub subjects: u32,
    /// Percentage of them received through wildcards.
    pub wildcard_percent: u32,
    /// Scheduled messages a second; `None` at full speed.
    pub rate: Option<f64>,
    /// Most bytes published and not yet received.
    pub window_bytes: usize,
    /// Threads of the generator.
    pub threads: u32,
    /// The generator never slept.
    pub spin: bool,
}

/// The server as a process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ServerUse {
    /// Its process id.
    pub pid: i32,
    /// CPU time of all its threads while measured, in seconds.
    pub cpu_s: f64,
    /// The same for a million of the unit.
    pub cpu_s_per_million: f64,
    /// Cores in use on average.
    pub cores: f64,
    /// Resident memory before the first connection, in bytes.
    pub resident_before_bytes: u64,
    /// Resident memory at the end, in bytes.
    pub resident_after_bytes: u64,
    /// The most ever resident since its start, in bytes.
    pub peak_bytes: u64,
}

/// The whole machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MachineUse {
    /// Busy time of all cores while measured, in seconds, interrupts included.
    pub busy_s: f64,
    /// The same for a million of the unit.
    pub busy_s_per_million: f64,
}

/// The generator.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GeneratorUse {
    /// Its CPU time while measured, in seconds.
    pub cpu_s: f64,
    /// The same for a million of the unit.
    pub cpu_s_per_million: f64,
    /// Share of a core that its busiest thread used.
    pub busiest_thread: f64,
    /// The generator itself may have set the rate.
    pub is_limit: bool,
}

/// Receivers that read nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct StoppedReceivers {
    /// How many.
    pub count: u32,
    /// How many of them the server had closed by the end.
    pub closed_by_server: usize,
}

/// The result of a run under load.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Where the load went.
    pub address: String,
    /// What the server says about itself.
    pub server: ServerIdentity,
    /// What was run.
    pub parameters: Parameters,
    /// What rate and CPU count: `message`, `delivery` or `request`.
    pub unit: String,
    /// How long was measured, in seconds.
    pub elapsed_s: f64,
    /// Units a second.
    pub rate: f64,
    /// Payload bytes a second, of the unit.
    pub payload_bytes_per_s: f64,
    /// Messages sent while measured.
    pub sent: u64,
    /// Messages received while measured.
    pub received: u64,
    /// Messages that should have arrived by the end of the run, warm-up included.
    pub expected_total: u64,
    /// Of these, messages that did not; more than expected count too.
    pub lost: u64,
    /// Subscriptions added (and as many removed) while measured.
    pub churned: u64,
    /// Delays: from the scheduled time, or from sending for requests without a schedule.
    pub latency: Option<LatencySummary>,
    /// How late the generator itself sent what was due.
    pub schedule_lag: Option<LatencySummary>,
    /// The server's CPU and memory, where it runs on this machine.
    pub server_use: Option<ServerUse>,
    /// The machine's busy time, where the server runs on it.
    pub machine_use: Option<MachineUse>,
    /// The generator's own CPU.
    pub generator: GeneratorUse,
    /// Receivers that read nothing, where there were any.
    pub stopped_receivers: Option<StoppedReceivers>,
    /// Ctrl-C ended the run early: this is what was measured until then.
    #[serde(default)]
    pub is_interrupted: bool,
}

impl Parameters {
    /// What `arguments` ask for.
    pub fn of(arguments: &Arguments) -> Self {
        let mode = arguments.mode.map(|mode| format!("{mode:?}").to_lowercase());
        Self {
            mode: mode.unwrap_or_default(),
            size_bytes: arguments.size,
            publishers: arguments.publishers,
            subscribers: arguments.subscribers,
            clients: arguments.clients,
            responders: arguments.responders,
            subjects: arguments.subjects,
            wildcard_percent: arguments.wildcard_receivers,
            rate: arguments.rate,
            window_bytes: arguments.window,
            threads: arguments.threads,
            spin: arguments.spin,
        }
    }
}

impl Report {
    /// Fills rates and CPU from what happened while measured.
    pub fn measure(&mut self, difference: &Snapshot, pid: Option<i32>, before: Memory, after: Memory) {
        let units = if self.unit == "message" { difference.sent } else { difference.received };
        let elapsed_s = difference.at_ns as f64 / 1e9;
        let per_million = |seconds: f64| if units == 0 { 0.0 } else { seconds * 1e6 / units as f64 };
        self.elapsed_s = elapsed_s;
        self.rate = if elapsed_s > 0.0 { units as f64 / elapsed_s } else { 0.0 };
        self.payload_bytes_per_s = self.rate * self.parameters.size_bytes as f64;
        self.sent = difference.sent;
        self.received = difference.received;
        self.churned = difference.churned;
        if let Some((pid, cpu_ns)) = pid.zip(difference.server_cpu_ns) {
            let cpu_s = cpu_ns as f64 / 1e9;
            self.server_use = Some(ServerUse {
                pid,
                cpu_s,
                cpu_s_per_million: per_million(cpu_s),
                cores: cpu_s / elapsed_s,
                resident_before_bytes: before.resident_bytes,
                resident_after_bytes: after.resident_bytes,
                peak_bytes: after.peak_bytes,
            });
            let all_ns = difference.at_ns * u64::from(difference.machine_cores);
            let busy_s = all_ns.saturating_sub(difference.machine_idle_ns) as f64 / 1e9;
            self.machine_use = Some(MachineUse { busy_s, busy_s_per_million: per_million(busy_s) });
        }
        let cpu_s = difference.own_cpu_ns as f64 / 1e9;
        let busiest_ns = difference.threads_cpu_ns.iter().copied().max().unwrap_or(0);
        let busiest_thread = busiest_ns as f64 / 1e9 / elapsed_s;
        self.generator = GeneratorUse {
            cpu_s,
            cpu_s_per_million: per_million(cpu_s),
            busiest_thread,
            // A generator that never sleeps is always busy; how late it sends says whether it keeps up.
            is_limit: busiest_thread > GENERATOR_LIMIT && !self.parameters.spin,
        };
    }

    /// The result in `format`, with a line end.
    pub fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.text(),
            Format::Json => serde_json::to_string_pretty(self).expect("a report encodes") + "\n",
            Format::Csv => self.csv(),
        }
    }

    fn text(&self) -> String {
        let units = if self.unit == "delivery" { "deliveries".to_owned() } else { format!("{}s", self.unit) };
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            writeln!(out, "{name:<18} {value}").expect("a string takes everything");
        };
        line("server", format!("{} ({} {})", self.address, self.server.server_name, self.server.version));
        line("load", self.describe());
        line("measured", format!("{:.2} s, {} sent, {} received", self.elapsed_s, self.sent, self.received));
        let megabytes = self.payload_bytes_per_s / 1e6;
        line("rate", format!("{} {units}/s, {megabytes:.1} MB/s of payload", grouped(self.rate)));
        if self.churned > 0 {
            line("interest", format!("{} subscriptions added and removed", self.churned));
        }
        for (name, summary) in [("latency", &self.latency), ("generator lag", &self.schedule_lag)] {
            if let Some(summary) = summary {
                line(name, quantiles(summary));
            }
        }
        match (&self.server_use, &self.machine_use) {
            (Some(server), Some(machine)) => {
                let (cpu, cores) = (server.cpu_s_per_million, server.cores);
                line("server CPU", format!("{cpu:.3} s per million {units}, {cores:.2} cores"));
                let busy = machine.busy_s_per_million;
                line("machine busy", format!("{busy:.3} s per million {units}, all cores and interrupts"));
                line("server memory", memory(server));
            }
            _ => line("server CPU", "not seen: the server's process is not on this machine".to_owned()),
        }
        let own = &self.generator;
        let (cpu, share) = (own.cpu_s_per_million, own.busiest_thread * 100.0);
        line(
            "generator CPU",
            format!("{cpu:.3} s per million {units}, busiest thread {share:.0} % of a core"),
        );
        if let Some(stopped) = &self.stopped_receivers {
            let (count, closed) = (stopped.count, stopped.closed_by_server);
            line("stopped receivers", format!("{count}, of which the server had closed {closed}"));
        }
        if self.is_interrupted {
            line("NOTE", "interrupted: this is what was measured until then".to_owned());
        }
        if self.missed_schedule() {
            let scheduled = grouped(self.parameters.rate.unwrap_or_default());
            let sent = grouped(self.sent as f64 / self.elapsed_s);
            line("NOTE", format!("the schedule was not kept: {sent} of {scheduled} messages/s were sent"));
        }
        if own.is_limit {
            line("NOTE", "the generator is the limit: the server may be able to do more".to_owned());
        }
        out
    }

    /// Less was sent than was due: the server, or the generator, took no more.
    pub fn missed_schedule(&self) -> bool {
        let sent = self.sent as f64 / self.elapsed_s;
        self.parameters.rate.is_some_and(|scheduled| sent < scheduled * SCHEDULE_KEPT)
    }

    fn describe(&self) -> String {
        let parameters = &self.parameters;
        let connections = match parameters.mode.as_str() {
            "request" => format!("clients {}, responders {}", parameters.clients, parameters.responders),
            "pub" => format!("publishers {}", parameters.publishers),
            "sub" => format!("subscribers {}", parameters.subscribers),
            _ => format!("{}:{}", parameters.publishers, parameters.subscribers),
        };
        let subjects = match parameters.subjects {
            1 => String::new(),
            count => format!(", {count} subjects, {} % by wildcards", parameters.wildcard_percent),
        };
        let rate =
            parameters.rate.map_or(String::new(), |rate| format!(", scheduled at {}/s", grouped(rate)));
        format!("{} {connections}, {} B{subjects}{rate}", parameters.mode, parameters.size_bytes)
    }

    fn csv(&self) -> String {
        let server = self.server_use.clone().unwrap_or_default();
        let machine = self.machine_use.clone().unwrap_or_default();
        let quantile = |of: fn(&LatencySummary) -> f64| {
            self.latency.as_ref().map_or(String::new(), |summary| format!("{:.1}", of(summary)))
        };
        let parameters = &self.parameters;
        let columns: [(&str, String); 25] = [
            ("mode", parameters.mode.clone()),
            ("size_bytes", parameters.size_bytes.to_string()),
            ("publishers", parameters.publishers.to_string()),
            ("subscribers", parameters.subscribers.to_string()),
            ("clients", parameters.clients.to_string()),
            ("subjects", parameters.subjects.to_string()),
            ("scheduled_rate", parameters.rate.map_or(String::new(), |rate| rate.to_string())),
            ("unit", self.unit.clone()),
            ("elapsed_s", format!("{:.3}", self.elapsed_s)),
            ("sent", self.sent.to_string()),
            ("received", self.received.to_string()),
            ("lost", self.lost.to_string()),
            ("rate", format!("{:.0}", self.rate)),
            ("payload_bytes_per_s", format!("{:.0}", self.payload_bytes_per_s)),
            ("latency_p50_us", quantile(|summary| summary.p50_us)),
            ("latency_p90_us", quantile(|summary| summary.p90_us)),
            ("latency_p99_us", quantile(|summary| summary.p99_us)),
            ("latency_p999_us", quantile(|summary| summary.p999_us)),
            ("latency_max_us", quantile(|summary| summary.max_us)),
            ("server_cpu_s_per_million", format!("{:.4}", server.cpu_s_per_million)),
            ("machine_busy_s_per_million", format!("{:.4}", machine.busy_s_per_million)),
            ("server_resident_bytes", server.resident_after_bytes.to_string()),
            ("server_peak_bytes", server.peak_bytes.to_string()),
            ("generator_cpu_s_per_million", format!("{:.4}", self.generator.cpu_s_per_million)),
            ("generator_is_limit", self.generator.is_limit.to_string()),
        ];
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let values: Vec<&str> = columns.iter().map(|(_, value)| value.as_str()).collect();
        format!("{}\n{}\n", names.join(","), values.join(","))
    }
}

/// A number with commas between groups of three digits.
pub fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Bytes in MB (10^6).
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn memory(server: &ServerUse) -> String {
    let [before, after, peak] =
        [server.resident_before_bytes, server.resident_after_bytes, server.peak_bytes].map(megabytes);
    format!("{before} before, {after} at the end, {peak} peak")
}

fn quantiles(summary: &LatencySummary) -> String {
    let LatencySummary { p50_us, p90_us, p99_us, p999_us, max_us, .. } = summary;
    format!(
        "p50 {p50_us:.0} us, p90 {p90_us:.0} us, p99 {p99_us:.0} us, p99.9 {p999_us:.0} us, max {max_us:.0} us"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let mut report = Report { unit: "delivery".to_owned(), ..Report::default() };
        report.parameters.size_bytes = 16;
        let difference = Snapshot {
            at_ns: 2_000_000_000,
            sent: 1_000_000,
            received: 4_000_000,
            churned: 0,
            server_cpu_ns: Some(1_000_000_000),
            machine_idle_ns: 1_000_000_000,
            machine_cores: 2,
            own_cpu_ns: 1_960_000_000,
            threads_cpu_ns: vec![1_900_000_000, 50_000_000],
        };
        report.measure(&difference, Some(7), Memory::default(), Memory::default());
        report
    }

    #[test]
    fn rates_and_cpu_are_of_the_unit() {
        let report = report();
        assert!((report.rate - 2_000_000.0).abs() < 1e-6);
        assert!((report.payload_bytes_per_s - 32_000_000.0).abs() < 1e-6);
        let server = report.server_use.as_ref().expect("the server was seen");
        assert!((server.cpu_s_per_million - 0.25).abs() < 1e-9 && (server.cores - 0.5).abs() < 1e-9);
        let machine = report.machine_use.as_ref().expect("and the machine");
        assert!((machine.busy_s_per_million - 0.75).abs() < 1e-9);
        assert!((report.generator.cpu_s_per_million - 0.49).abs() < 1e-9);
    }

    #[test]
    fn a_busy_generator_says_so() {
        let report = report();
        assert!(report.generator.is_limit);
        assert!(report.render(Format::Text).contains("the generator is the limit"));
    }

    #[test]
    fn a_schedule_that_is_not_kept_is_told() {
        let mut report = report();
        report.parameters.rate = Some(500_000.0);
        assert!(!report.render(Format::Text).contains("not kept"));
        report.parameters.rate = Some(520_000.0);
        assert!(report.render(Format::Text).contains("500,000 of 520,000"));
    }

    #[test]
    fn json_reads_back_and_csv_has_as_many_values_as_names() {
        let report = report();
        let again: Report = serde_json::from_str(&report.render(Format::Json)).expect("our own JSON");
        assert_eq!(again.received, report.received);
        let csv = report.render(Format::Csv);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!(grouped(1_234_567.4), "1,234,567");
        assert_eq!(grouped(999.0), "999");
        assert_eq!(grouped(0.0), "0");
    }
}
