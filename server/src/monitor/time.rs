//! Times and durations as the endpoints print them.

use jiff::Timestamp;
use petrel_config::format_duration;
use petrel_runtime::WallTime;
use std::time::Duration;

/// RFC 3339 in UTC, with as many digits as the time has.
pub fn rfc3339(time: Timestamp) -> String {
    time.to_string()
}

/// The clock of the cores as a timestamp.
pub fn timestamp(time: WallTime) -> Timestamp {
    Timestamp::from_nanosecond(i128::from(time.0)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Whole seconds from one time to another; 0 when they are the other way round.
pub fn seconds_between(earlier: Timestamp, later: Timestamp) -> u64 {
    u64::try_from(later.duration_since(earlier).as_secs()).unwrap_or(0)
}

/// `<y>y<d>d<h>h<m>m<s>s` of whole seconds, without leading units that are zero.
pub fn uptime(seconds: u64) -> String {
    let (minutes, second) = (seconds / 60, seconds % 60);
    let (hours, minute) = (minutes / 60, minutes % 60);
    let (days, hour) = (hours / 24, hours % 24);
    let (year, day) = (days / 365, days % 365);
    if year > 0 {
        format!("{year}y{day}d{hour}h{minute}m{second}s")
    } else if day > 0 {
        format!("{day}d{hour}h{minute}m{second}s")
    } else if hour > 0 {
        format!("{hour}h{minute}m{second}s")
    } else if minute > 0 {
        format!("{minute}m{second}s")
    } else {
        format!("{second}s")
    }
}

/// A round trip time in Go's notation. Below a millisecond it is cut to microseconds, as upstream cuts it.
pub fn round_trip(time: Duration) -> String {
    let nanoseconds = i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    let cut = if (1_001..1_000_000).contains(&nanoseconds) { nanoseconds % 1_000 } else { 0 };
    format_duration(nanoseconds - cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uptimes_leave_out_leading_zeros_only() {
        for (seconds, text) in [
            (0, "0s"),
            (59, "59s"),
            (125, "2m5s"),
            (3600, "1h0m0s"),
            (3 * 86_400 + 62, "3d0h1m2s"),
            (367 * 86_400, "1y2d0h0m0s"),
        ] {
            assert_eq!(uptime(seconds), text);
        }
    }

    #[test]
    fn round_trips_are_cut_below_a_millisecond() {
        for (nanoseconds, text) in [
            (900, "900ns"),
            (1_000, "1\u{b5}s"),
            (711_345, "711\u{b5}s"),
            (999_999, "999\u{b5}s"),
            (1_234_567, "1.234567ms"),
            (2_000_000_000, "2s"),
        ] {
            assert_eq!(round_trip(Duration::from_nanos(nanoseconds)), text);
        }
    }

    #[test]
    fn times_have_no_digits_to_spare() {
        let time = timestamp(WallTime(1_789_000_000_500_000_000));
        assert_eq!(rfc3339(time), "2026-09-10T00:26:40.5Z");
        assert_eq!(rfc3339(timestamp(WallTime(1_789_000_000_000_000_001))), "2026-09-10T00:26:40.000000001Z");
        assert_eq!(seconds_between(time, timestamp(WallTime(1_789_000_062_400_000_000))), 61);
    }
}
