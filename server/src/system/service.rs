//! The thread that works off what the cores hand over, and tells what is to be told from time to time.

use super::envelope::{Outcome, Stationery};
use super::events::{self, in_system_account};
use super::requests;
use super::statistics::statistics;
use crate::monitor::Monitor;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};
use petrel_engine::{Publication, SystemNotice};
use petrel_runtime::CoreId;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The first STATSZ comes after this; each interval is twice the one before.
const STATISTICS_FIRST: Duration = Duration::from_millis(250);
/// The longest interval between two STATSZ.
const STATISTICS_INTERVAL_MAX: Duration = Duration::from_secs(10);
/// How often the numbers of connections are told.
const COUNTS_INTERVAL: Duration = Duration::from_secs(30);
/// How often the load of the processors is measured.
const SAMPLE_INTERVAL: Duration = Duration::from_secs(1);
/// How long the server waits for an announcement to be made.
const ANNOUNCEMENT_WAIT_MAX: Duration = Duration::from_secs(1);

/// Reloads the configuration; the error is what the asker is told.
pub type Reload = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

enum Work {
    Notice(CoreId, Box<SystemNotice>),
    /// Tell on `$SYS.SERVER.<id>.<word>` what the server is about to do, then answer.
    Announce(&'static str, Sender<()>),
}

/// The system account's services.
pub struct Services {
    work: Sender<Work>,
}

impl Services {
    /// Starts the thread; it lives as long as the process.
    ///
    /// # Errors
    /// When the thread cannot be made.
    pub fn start(monitor: Arc<Monitor>, reload: Reload) -> io::Result<Services> {
        // Unbounded, because the cores bound what waits: each gives out only so much before it is handled.
        let (work, queue) = unbounded();
        let mut desk = Desk { monitor, reload, stationery: Stationery::new(), queue };
        std::thread::Builder::new().name("petrel-system".into()).spawn(move || desk.serve())?;
        Ok(Services { work })
    }

    /// Takes a notice of a core.
    pub fn take(&self, core: CoreId, notice: Box<SystemNotice>) {
        // The thread ends with the process only.
        let _ = self.work.send(Work::Notice(core, notice));
    }

    /// Tells that the server goes into lame duck mode.
    pub fn announce_lame_duck(&self) {
        self.announce("LAMEDUCK");
    }

    /// Tells that the server stops.
    pub fn announce_shutdown(&self) {
        self.announce("SHUTDOWN");
    }

    fn announce(&self, word: &'static str) {
        let (sender, done) = bounded(1);
        if self.work.send(Work::Announce(word, sender)).is_ok() {
            let _ = done.recv_timeout(ANNOUNCEMENT_WAIT_MAX);
        }
    }
}

/// What comes when.
struct Clock {
    sample: Instant,
    statistics: Instant,
    statistics_interval: Duration,
    counts: Instant,
}

/// What is due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Due {
    sample: bool,
    statistics: bool,
    counts: bool,
}

impl Clock {
    fn start(now: Instant) -> Clock {
        Clock {
            sample: now + SAMPLE_INTERVAL,
            statistics: now + STATISTICS_FIRST,
            statistics_interval: STATISTICS_FIRST,
            counts: now + COUNTS_INTERVAL,
        }
    }

    /// When something is due next.
    fn next(&self) -> Instant {
        self.sample.min(self.statistics).min(self.counts)
    }

    /// What is due by now; it comes again after its interval.
    fn take_due(&mut self, now: Instant) -> Due {
        let due = Due {
            sample: now >= self.sample,
            statistics: now >= self.statistics,
            counts: now >= self.counts,
        };
        if due.sample {
            self.sample = now + SAMPLE_INTERVAL;
        }
        if due.statistics {
            self.statistics_interval = (self.statistics_interval * 2).min(STATISTICS_INTERVAL_MAX);
            self.statistics = now + self.statistics_interval;
        }
        if due.counts {
            self.counts = now + COUNTS_INTERVAL;
        }
        due
    }
}

struct Desk {
    monitor: Arc<Monitor>,
    reload: Reload,
    stationery: Stationery,
    queue: Receiver<Work>,
}

impl Desk {
    fn serve(&mut self) {
        let mut clock = Clock::start(Instant::now());
        loop {
            // Also while notices come without a pause.
            self.tick(&mut clock);
            match self.queue.recv_deadline(clock.next()) {
                Ok(Work::Notice(core, notice)) => {
                    self.monitor.set_system_requests(self.queue.len());
                    let weight = notice.weight();
                    self.work_off(*notice);
                    self.monitor.inquiry().handled(core, weight);
                }
                Ok(Work::Announce(word, done)) => {
                    self.announce(word);
                    let _ = done.send(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn work_off(&mut self, notice: SystemNotice) {
        let (monitor, stationery) = (&self.monitor, &mut self.stationery);
        match notice {
            SystemNotice::Request(request) => {
                let answer = requests::answer(monitor, &self.reload, stationery, &request);
                self.publish(answer);
            }
            SystemNotice::Connected(connection) => {
                let event = events::connected(monitor, stationery, &connection);
                self.publish([event]);
            }
            SystemNotice::Disconnected(connection) => {
                let event = events::disconnected(monitor, stationery, &connection);
                self.publish([event]);
            }
            SystemNotice::LoginRefused(connection) => {
                let told = events::login_refused(monitor, stationery, &connection);
                self.publish(told);
            }
            SystemNotice::AccountChanged(account) => {
                let told = events::connections_changed(monitor, stationery, &account);
                self.publish(told);
            }
        }
    }

    fn publish(&self, publications: impl IntoIterator<Item = Publication>) {
        for publication in publications {
            self.monitor.inquiry().publish(publication);
        }
    }

    fn tick(&mut self, clock: &mut Clock) {
        let due = clock.take_due(Instant::now());
        if due.sample {
            self.monitor.sample_processor();
        }
        if due.statistics {
            self.tell_statistics();
        }
        if due.counts {
            let counts = events::all_connection_counts(&self.monitor, &mut self.stationery);
            self.publish(counts);
        }
    }

    fn tell_statistics(&mut self) {
        let about = self.monitor.about();
        if about.system_account().is_empty() {
            return;
        }
        let subject = format!("$SYS.SERVER.{}.STATSZ", about.server_id);
        if self.monitor.inquiry().interested(std::slice::from_ref(&subject)).contains(&true) {
            let outcome = Outcome::Statistics(statistics(&self.monitor));
            let text = self.stationery.answer(&about, &outcome).unwrap_or_default();
            self.publish([in_system_account(&self.monitor, &subject, text)]);
        }
    }

    fn announce(&mut self, word: &str) {
        let about = self.monitor.about();
        if about.system_account().is_empty() {
            return;
        }
        let subject = format!("$SYS.SERVER.{}.{word}", about.server_id);
        let text = self.stationery.server(&about);
        self.publish([in_system_account(&self.monitor, &subject, text)]);
        self.monitor.inquiry().settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The milliseconds of the first hundred seconds at which something was due.
    fn times(is_due: impl Fn(Due) -> bool) -> Vec<u128> {
        let start = Instant::now();
        let mut clock = Clock::start(start);
        let mut times = Vec::new();
        while clock.next() < start + Duration::from_secs(100) {
            let now = clock.next();
            let due = clock.take_due(now);
            assert_ne!(due, Due::default(), "what is next is due then");
            if is_due(due) {
                times.push(now.duration_since(start).as_millis());
            }
        }
        times
    }

    #[test]
    fn numbers_of_connections_are_told_each_half_minute() {
        assert_eq!(times(|due| due.counts), [30_000, 60_000, 90_000]);
    }

    #[test]
    fn statistics_come_at_twice_the_interval_up_to_ten_seconds() {
        let times = times(|due| due.statistics);
        assert_eq!(times[..7], [250, 750, 1_750, 3_750, 7_750, 15_750, 25_750]);
        assert_eq!(times.len(), 14);
    }

    #[test]
    fn what_was_missed_comes_once() {
        let start = Instant::now();
        let mut clock = Clock::start(start);
        let late = start + Duration::from_secs(95);
        assert_eq!(clock.take_due(late), Due { sample: true, statistics: true, counts: true });
        assert_eq!(clock.take_due(late), Due::default());
        assert_eq!(clock.counts, late + COUNTS_INTERVAL);
    }
}
