//! How long things took, counted by size: cheap enough to be kept for every turn of a core.

use std::time::Duration;

/// The upper bounds of the buckets, in nanoseconds: 1, 2, 5 and so on from a microsecond to ten seconds. What takes longer
/// is counted in one more bucket.
pub const BOUNDS_NS: [u64; 22] = [
    1_000,
    2_000,
    5_000,
    10_000,
    20_000,
    50_000,
    100_000,
    200_000,
    500_000,
    1_000_000,
    2_000_000,
    5_000_000,
    10_000_000,
    20_000_000,
    50_000_000,
    100_000_000,
    200_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    5_000_000_000,
    10_000_000_000,
];

/// Durations, counted by size, and their sum.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// One for each bound, and one for what is beyond the last.
    counts: [u64; BOUNDS_NS.len() + 1],
    sum_ns: u64,
}

impl Histogram {
    /// Counts one.
    #[inline]
    pub fn record(&mut self, duration: Duration) {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = BOUNDS_NS.partition_point(|bound| *bound < nanoseconds);
        self.counts[bucket] += 1;
        self.sum_ns = self.sum_ns.saturating_add(nanoseconds);
    }

    /// Counts what another has counted as well.
    pub fn add(&mut self, other: &Histogram) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
    }

    /// For each bound, in nanoseconds, how many were not longer.
    pub fn up_to_bounds(&self) -> impl Iterator<Item = (u64, u64)> + use<'_> {
        BOUNDS_NS.iter().zip(&self.counts).scan(0, |total, (bound, count)| {
            *total += count;
            Some((*bound, *total))
        })
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_belong_to_their_bucket_and_rise() {
        assert!(BOUNDS_NS.is_sorted());
        for (place, bound) in BOUNDS_NS.iter().enumerate() {
            for (nanoseconds, bucket) in [(*bound, place), (*bound + 1, place + 1)] {
                let mut histogram = Histogram::default();
                histogram.record(Duration::from_nanos(nanoseconds));
                assert_eq!(
                    histogram.counts.iter().position(|count| *count == 1),
                    Some(bucket),
                    "{nanoseconds}"
                );
            }
        }
    }

    #[test]
    fn counts_and_sums_are_those_of_a_list() {
        let durations = [0, 1, 999, 1_000, 1_001, 40_000, 3_000_000_000, 90_000_000_000];
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        for (number, nanoseconds) in durations.into_iter().enumerate() {
            let half = if number % 2 == 0 { &mut one } else { &mut other };
            half.record(Duration::from_nanos(nanoseconds));
        }
        one.add(&other);
        assert_eq!(one.count(), durations.len() as u64);
        assert_eq!(one.sum(), Duration::from_nanos(durations.iter().sum()));
        for (bound, up_to) in one.up_to_bounds() {
            let naive = durations.iter().filter(|nanoseconds| **nanoseconds <= bound).count();
            assert_eq!(up_to, naive as u64, "{bound}");
        }
    }

    #[test]
    fn what_never_ends_is_counted() {
        let mut histogram = Histogram::default();
        histogram.record(Duration::MAX);
        histogram.record(Duration::MAX);
        assert_eq!((histogram.count(), histogram.sum()), (2, Duration::from_nanos(u64::MAX)));
    }
}
