//! What petrel must reach, and whether it did.

use serde::{Serialize, Serializer};

use crate::measurement::{Measurement, Metric};

/// A bound for a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// At most this many times upstream's figure.
    RatioAtMost(f64),
    /// At least this many times upstream's figure.
    RatioAtLeast(f64),
    /// At most this, whatever upstream shows.
    AtMost(f64),
    /// At least this, whatever upstream shows.
    AtLeast(f64),
}

/// A bound for one figure of a scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Target {
    /// Which figure.
    pub metric: Metric,
    /// Its bound.
    pub bound: Bound,
}

/// Whether a target was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was.
    Pass,
    /// It was not.
    Fail,
    /// It cannot be said: the generator was the limit of the rate or made up most of the delay, upstream was not kept
    /// at its schedule, or a figure is missing.
    Void,
}

impl Target {
    /// A bound for `metric`.
    pub const fn new(metric: Metric, bound: Bound) -> Self {
        Self { metric, bound }
    }

    /// Judges petrel's medians beside upstream's.
    pub fn judge(&self, upstream: &Measurement, petrel: &Measurement) -> Verdict {
        let is_rate_ratio = self.metric == Metric::Rate
            && matches!(self.bound, Bound::RatioAtLeast(_) | Bound::RatioAtMost(_));
        let Some(value) = petrel.values.get(&self.metric).copied() else { return Verdict::Void };
        let ratio = upstream.values.get(&self.metric).filter(|base| **base > 0.0).map(|base| value / base);
        let met = match (self.bound, ratio) {
            (Bound::RatioAtMost(limit), Some(ratio)) => ratio <= limit,
            (Bound::RatioAtLeast(limit), Some(ratio)) => ratio >= limit,
            (Bound::AtMost(limit), _) => value <= limit,
            (Bound::AtLeast(limit), _) => value >= limit,
            (Bound::RatioAtMost(_) | Bound::RatioAtLeast(_), None) => return Verdict::Void,
        };
        // A rate that reaches the target in spite of the generator's limit has reached it.
        if is_rate_ratio && !met && petrel.generator_is_limit {
            return Verdict::Void;
        }
        if is_rate_ratio && upstream.generator_is_limit {
            return Verdict::Void;
        }
        if matches!(self.metric, Metric::LatencyP50 | Metric::LatencyP99) {
            // Upstream takes half of its own rate: if it did not, something else disturbed the machine.
            if upstream.missed_schedule {
                return Verdict::Void;
            }
            if petrel.missed_schedule {
                return Verdict::Fail;
            }
            // What the generator sent late, because it was not scheduled itself, is no delay of the server.
            let lag = petrel.values.get(&Metric::LagP99).copied().unwrap_or(0.0);
            if !met && self.metric == Metric::LatencyP99 && lag > value / 2.0 {
                return Verdict::Void;
            }
        }
        if met { Verdict::Pass } else { Verdict::Fail }
    }

    /// The bound in words.
    pub fn describe(&self) -> String {
        let name = self.metric.name();
        match self.bound {
            Bound::RatioAtMost(limit) => format!("{name} <= {limit} x"),
            Bound::RatioAtLeast(limit) => format!("{name} >= {limit} x"),
            Bound::AtMost(limit) => format!("{name} <= {}", self.metric.show(limit)),
            Bound::AtLeast(limit) => format!("{name} >= {}", self.metric.show(limit)),
        }
    }
}

impl Verdict {
    /// Its word in tables and files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Void => "void",
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(value: f64, generator_is_limit: bool) -> Measurement {
        Measurement { generator_is_limit, ..Measurement::of(Metric::Rate, value) }
    }

    #[test]
    fn a_ratio_is_petrel_over_upstream() {
        let cpu = |value| Measurement::of(Metric::ServerCpu, value);
        let target = Target::new(Metric::ServerCpu, Bound::RatioAtMost(0.25));
        assert_eq!(target.judge(&cpu(0.4), &cpu(0.1)), Verdict::Pass);
        assert_eq!(target.judge(&cpu(0.4), &cpu(0.11)), Verdict::Fail);
        assert_eq!(target.judge(&Measurement::default(), &cpu(0.1)), Verdict::Void);
        assert_eq!(target.judge(&cpu(0.4), &Measurement::default()), Verdict::Void);
    }

    #[test]
    fn a_rate_under_the_generators_limit_is_void_unless_it_is_reached() {
        let target = Target::new(Metric::Rate, Bound::RatioAtLeast(2.0));
        assert_eq!(target.judge(&rate(1.0, false), &rate(1.5, false)), Verdict::Fail);
        assert_eq!(target.judge(&rate(1.0, false), &rate(1.5, true)), Verdict::Void);
        assert_eq!(target.judge(&rate(1.0, false), &rate(2.5, true)), Verdict::Pass);
        assert_eq!(target.judge(&rate(1.0, true), &rate(2.5, false)), Verdict::Void);
    }

    #[test]
    fn delays_mean_nothing_where_upstream_missed_its_schedule() {
        let delay = |value, missed_schedule| Measurement {
            missed_schedule,
            ..Measurement::of(Metric::LatencyP50, value)
        };
        let target = Target::new(Metric::LatencyP50, Bound::RatioAtMost(1.0));
        assert_eq!(target.judge(&delay(2.0, false), &delay(1.0, false)), Verdict::Pass);
        assert_eq!(target.judge(&delay(2.0, true), &delay(1.0, false)), Verdict::Void);
        assert_eq!(target.judge(&delay(2.0, false), &delay(1.0, true)), Verdict::Fail);
    }

    #[test]
    fn a_delay_that_the_generator_made_itself_is_void() {
        let delay = |value, lag| {
            let mut measurement = Measurement::of(Metric::LatencyP99, value);
            measurement.values.insert(Metric::LagP99, lag);
            measurement
        };
        let target = Target::new(Metric::LatencyP99, Bound::RatioAtMost(1.0));
        assert_eq!(target.judge(&delay(100.0, 1.0), &delay(200.0, 10.0)), Verdict::Fail);
        assert_eq!(target.judge(&delay(100.0, 1.0), &delay(200.0, 150.0)), Verdict::Void);
        assert_eq!(target.judge(&delay(100.0, 90.0), &delay(80.0, 75.0)), Verdict::Pass);
    }

    #[test]
    fn a_plain_bound_needs_no_upstream() {
        let target = Target::new(Metric::BytesEach, Bound::AtMost(200.0));
        let each = |value| Measurement::of(Metric::BytesEach, value);
        assert_eq!(target.judge(&Measurement::default(), &each(199.0)), Verdict::Pass);
        assert_eq!(target.judge(&Measurement::default(), &each(201.0)), Verdict::Fail);
    }
}
