//! A fixed schedule of sends. It never waits for the server, so that a late answer cannot hide the delay of the
//! messages that were due meanwhile.

/// Messages due in groups at fixed times.
///
/// Above one message per `quantum` the messages of one quantum are due together at its beginning; below it each
/// message has its own time.
#[derive(Clone, Debug)]
pub struct Schedule {
    start_ns: u64,
    interval_ns: f64,
    messages_per_group: f64,
    groups_taken: u64,
    messages_taken: u64,
}

/// Messages that are due together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DueGroup {
    /// When, on the monotonic clock.
    pub scheduled_ns: u64,
    /// How many, at least 1.
    pub messages: u64,
}

impl Schedule {
    /// A schedule of `rate` messages a second (above 0) that begins at `start_ns`, in groups `quantum_ns` apart.
    pub fn new(rate: f64, start_ns: u64, quantum_ns: u64) -> Self {
        assert!(rate > 0.0, "a schedule needs a rate");
        let interval_ns = (1e9 / rate).max(quantum_ns as f64);
        let messages_per_group = rate * interval_ns / 1e9;
        Self { start_ns, interval_ns, messages_per_group, groups_taken: 0, messages_taken: 0 }
    }

    /// Moves all times by `delay_ns`.
    pub fn delay(&mut self, delay_ns: u64) {
        self.start_ns += delay_ns;
    }

    /// When the next group is due.
    pub fn next_ns(&self) -> u64 {
        self.start_ns + (self.groups_taken as f64 * self.interval_ns) as u64
    }

    /// Time between two groups in nanoseconds.
    pub fn interval_ns(&self) -> u64 {
        self.interval_ns as u64
    }

    /// Takes the oldest group that is due at `now_ns`; call it until it returns `None`.
    pub fn take_due(&mut self, now_ns: u64) -> Option<DueGroup> {
        let scheduled_ns = self.next_ns();
        if scheduled_ns > now_ns {
            return None;
        }
        self.groups_taken += 1;
        // The small addend keeps a product that is a whole number from being rounded down.
        let until_now = (self.groups_taken as f64 * self.messages_per_group + 1e-6) as u64;
        let messages = until_now - self.messages_taken;
        self.messages_taken = until_now;
        Some(DueGroup { scheduled_ns, messages })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages_until(schedule: &mut Schedule, now_ns: u64) -> u64 {
        std::iter::from_fn(|| schedule.take_due(now_ns)).map(|group| group.messages).sum()
    }

    #[test]
    fn a_slow_schedule_gives_each_message_its_own_time() {
        let mut schedule = Schedule::new(1_000.0, 5_000, 100_000);
        assert_eq!(schedule.take_due(4_999), None);
        assert_eq!(schedule.take_due(5_000), Some(DueGroup { scheduled_ns: 5_000, messages: 1 }));
        assert_eq!(schedule.take_due(5_000), None);
        assert_eq!(schedule.next_ns(), 1_005_000);
        schedule.delay(7);
        assert_eq!(schedule.next_ns(), 1_005_007);
    }

    #[test]
    fn a_fast_schedule_groups_and_keeps_the_exact_rate() {
        let mut schedule = Schedule::new(1_234_567.0, 0, 100_000);
        let sent = messages_until(&mut schedule, 999_999_999);
        assert!((1_234_566..=1_234_567).contains(&sent), "{sent}");
        assert_eq!(schedule.interval_ns(), 100_000);
    }

    #[test]
    fn a_stall_leaves_the_scheduled_times_as_they_were() {
        let mut schedule = Schedule::new(10_000.0, 0, 100_000);
        let late: Vec<_> = std::iter::from_fn(|| schedule.take_due(1_000_000)).collect();
        assert_eq!(late.len(), 11);
        assert_eq!(late[3].scheduled_ns, 300_000);
    }
}
