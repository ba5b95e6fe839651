//! Delays in HDR histograms, and the quantiles that are reported.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Longest delay that is told apart: 100 s.
const LONGEST_NS: u64 = 100_000_000_000;

/// Delays of one worker in nanoseconds, at three significant digits.
pub struct LatencyRecorder {
    histogram: Histogram<u64>,
}

impl Default for LatencyRecorder {
    fn default() -> Self {
        let histogram = Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are valid");
        Self { histogram }
    }
}

impl LatencyRecorder {
    /// Counts one delay; longer than the longest counts as the longest.
    #[inline]
    pub fn record(&mut self, delay_ns: u64) {
        self.histogram.saturating_record(delay_ns.max(1));
    }

    /// Counts `times` equal delays.
    pub fn record_many(&mut self, delay_ns: u64, times: u64) {
        self.histogram.saturating_record_n(delay_ns.max(1), times);
    }

    /// Forgets everything, as at the end of the warm-up.
    pub fn clear(&mut self) {
        self.histogram.clear();
    }

    /// Adds what another worker saw.
    pub fn merge(&mut self, other: &Self) {
        self.histogram.add(&other.histogram).expect("both have the same bounds");
    }

    /// The quantiles, or `None` without a single delay.
    pub fn summary(&self) -> Option<LatencySummary> {
        if self.histogram.is_empty() {
            return None;
        }
        let microseconds = |ns: u64| ns as f64 / 1_000.0;
        let quantile = |q: f64| microseconds(self.histogram.value_at_quantile(q));
        Some(LatencySummary {
            count: self.histogram.len(),
            mean_us: self.histogram.mean() / 1_000.0,
            min_us: microseconds(self.histogram.min()),
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            p9999_us: quantile(0.9999),
            max_us: microseconds(self.histogram.max()),
        })
    }
}

/// Quantiles of delays in microseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LatencySummary {
    /// How many delays were counted.
    pub count: u64,
    /// Their mean.
    pub mean_us: f64,
    /// The shortest.
    pub min_us: f64,
    /// Half were shorter.
    pub p50_us: f64,
    /// 90 % were shorter.
    pub p90_us: f64,
    /// 99 % were shorter.
    pub p99_us: f64,
    /// 99.9 % were shorter.
    pub p999_us: f64,
    /// 99.99 % were shorter.
    pub p9999_us: f64,
    /// The longest.
    pub max_us: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_of_a_known_set() {
        let mut recorder = LatencyRecorder::default();
        for microsecond in 1..=1_000 {
            recorder.record(microsecond * 1_000);
        }
        let summary = recorder.summary().expect("not empty");
        assert!((summary.p50_us - 500.0).abs() < 1.0, "{summary:?}");
        assert!((summary.p99_us - 990.0).abs() < 2.0, "{summary:?}");
        assert!((summary.max_us - 1_000.0).abs() < 2.0, "{summary:?}");
        assert_eq!(summary.count, 1_000);
    }

    #[test]
    fn nothing_has_no_quantiles_and_a_stall_saturates() {
        let mut recorder = LatencyRecorder::default();
        assert!(recorder.summary().is_none());
        recorder.record(u64::MAX);
        assert!(recorder.summary().expect("one delay").max_us > 99_000_000.0);
    }
}
