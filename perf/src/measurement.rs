//! What one run of a scenario against one server showed.

use std::collections::BTreeMap;

use petrel_tools::bench::{HoldReport, Report};
use serde::{Serialize, Serializer};

/// A figure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Messages, deliveries or requests a second.
    Rate,
    /// CPU seconds of the server for a million of them.
    ServerCpu,
    /// Busy seconds of the whole machine for a million of them.
    MachineCpu,
    /// CPU seconds of the generator for a million of them.
    GeneratorCpu,
    /// The most memory the server ever had, in bytes.
    PeakMemory,
    /// Half of the delays were shorter, in microseconds.
    LatencyP50,
    /// 99 % of the delays were shorter, in microseconds.
    LatencyP99,
    /// Half of what was due was sent later than this after its time, in microseconds: the generator's own part.
    LagP50,
    /// 1 % of what was due was sent later than this after its time, in microseconds.
    LagP99,
    /// Memory after the start, in bytes.
    StartMemory,
    /// Memory of the server for one thing held, in bytes.
    BytesEach,
    /// Memory of the kernel for one thing held, both ends, in bytes.
    KernelBytesEach,
    /// Share of its rate that a receiver keeps while another one has stopped.
    RateKept,
    /// CPU of the server for a message beside many held things, as a multiple of that beside few.
    CostGrowth,
    /// Stopped receivers that the server closed.
    StoppedClosed,
}

impl Metric {
    /// Its name in tables and files; the unit stands last.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rate => "rate_per_s",
            Self::ServerCpu => "server_cpu_s_per_million",
            Self::MachineCpu => "machine_busy_s_per_million",
            Self::GeneratorCpu => "generator_cpu_s_per_million",
            Self::PeakMemory => "peak_memory_bytes",
            Self::LatencyP50 => "latency_p50_us",
            Self::LatencyP99 => "latency_p99_us",
            Self::LagP50 => "generator_lag_p50_us",
            Self::LagP99 => "generator_lag_p99_us",
            Self::StartMemory => "start_memory_bytes",
            Self::BytesEach => "bytes_each",
            Self::KernelBytesEach => "kernel_bytes_each",
            Self::RateKept => "rate_kept",
            Self::CostGrowth => "cost_growth",
            Self::StoppedClosed => "stopped_closed",
        }
    }

    /// A value as people read it.
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Rate if value >= 1e6 => format!("{:.2} M/s", value / 1e6),
            Self::Rate if value >= 1e3 => format!("{:.1} k/s", value / 1e3),
            Self::Rate => format!("{value:.0} /s"),
            Self::ServerCpu | Self::MachineCpu | Self::GeneratorCpu => format!("{value:.3} s/M"),
            Self::PeakMemory | Self::StartMemory => format!("{:.1} MB", value / 1e6),
            Self::LatencyP50 | Self::LatencyP99 | Self::LagP50 | Self::LagP99 => format!("{value:.0} us"),
            Self::BytesEach | Self::KernelBytesEach => format!("{value:.0} B"),
            Self::RateKept => format!("{:.0} %", value * 100.0),
            Self::CostGrowth => format!("{value:.2} x"),
            Self::StoppedClosed => format!("{value:.0}"),
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The figures of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Measurement {
    /// By metric.
    pub values: BTreeMap<Metric, f64>,
    /// The generator may have set the rate.
    pub generator_is_limit: bool,
    /// Less was sent than the schedule wanted.
    pub missed_schedule: bool,
}

impl Measurement {
    /// The figures of a run under load.
    pub fn of_load(report: &Report) -> Self {
        let mut values = BTreeMap::from([
            (Metric::Rate, report.rate),
            (Metric::GeneratorCpu, report.generator.cpu_s_per_million),
        ]);
        if let Some(server) = &report.server_use {
            values.insert(Metric::ServerCpu, server.cpu_s_per_million);
            values.insert(Metric::PeakMemory, server.peak_bytes as f64);
        }
        if let Some(machine) = &report.machine_use {
            values.insert(Metric::MachineCpu, machine.busy_s_per_million);
        }
        if let Some(latency) = &report.latency {
            values.insert(Metric::LatencyP50, latency.p50_us);
            values.insert(Metric::LatencyP99, latency.p99_us);
        }
        if let Some(lag) = &report.schedule_lag {
            values.insert(Metric::LagP50, lag.p50_us);
            values.insert(Metric::LagP99, lag.p99_us);
        }
        Self {
            values,
            generator_is_limit: report.generator.is_limit,
            missed_schedule: report.missed_schedule(),
        }
    }

    /// The figures of things that were only held.
    pub fn of_hold(report: &HoldReport) -> Self {
        let values = BTreeMap::from([
            (Metric::BytesEach, report.bytes_each),
            (Metric::KernelBytesEach, report.kernel_socket_bytes_each + report.kernel_object_bytes_each),
            (Metric::PeakMemory, report.peak_bytes as f64),
        ]);
        Self { values, ..Self::default() }
    }

    /// A single figure.
    pub fn of(metric: Metric, value: f64) -> Self {
        Self { values: BTreeMap::from([(metric, value)]), ..Self::default() }
    }

    /// The median of each figure over several runs; a figure that one of them lacks is left out.
    pub fn median(runs: &[Self]) -> Self {
        let mut values = BTreeMap::new();
        for metric in runs.first().into_iter().flat_map(|run| run.values.keys()) {
            let mut all: Vec<f64> = runs.iter().filter_map(|run| run.values.get(metric).copied()).collect();
            if all.len() == runs.len() {
                all.sort_by(f64::total_cmp);
                let (upper, lower) = (all[all.len() / 2], all[(all.len() - 1) / 2]);
                values.insert(*metric, f64::midpoint(upper, lower));
            }
        }
        Self {
            values,
            generator_is_limit: runs.iter().any(|run| run.generator_is_limit),
            missed_schedule: runs.iter().any(|run| run.missed_schedule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_of_odd_and_even_counts() {
        let runs: Vec<_> = [3.0, 1.0, 2.0].map(|rate| Measurement::of(Metric::Rate, rate)).to_vec();
        assert_eq!(Measurement::median(&runs).values[&Metric::Rate], 2.0);
        assert_eq!(Measurement::median(&runs[..2]).values[&Metric::Rate], 2.0);
        assert!(Measurement::median(&[]).values.is_empty());
    }

    #[test]
    fn one_limited_run_marks_the_median() {
        let mut limited = Measurement::of(Metric::Rate, 5.0);
        limited.generator_is_limit = true;
        let median = Measurement::median(&[Measurement::of(Metric::Rate, 4.0), limited]);
        assert!(median.generator_is_limit);
    }

    #[test]
    fn values_are_shown_with_their_unit() {
        assert_eq!(Metric::Rate.show(2_345_678.0), "2.35 M/s");
        assert_eq!(Metric::Rate.show(5_600.0), "5.6 k/s");
        assert_eq!(Metric::RateKept.show(0.957), "96 %");
    }
}
