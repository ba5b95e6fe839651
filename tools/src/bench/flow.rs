//! What the workers and the coordinator share: the phase of the run, counters, and how much may be under way.

use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::error::BenchError;

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
#[repr(u8)]
pub enum Phase {
    /// Load runs, nothing is recorded.
    WarmUp = 0,
    /// Before a counted run: publishers rest until what they sent in the warm-up has arrived.
    Settle = 1,
    /// Load runs and is recorded.
    Measure = 2,
    /// Senders stop; what is under way arrives.
    Drain = 3,
    /// Workers end.
    Stop = 4,
}

/// The counter of one connection, on its own cache lines: each is written by one worker and read by others.
#[derive(Default)]
#[repr(align(128))]
pub struct Lane {
    messages: AtomicU64,
    last_ns: AtomicU64,
    done: AtomicBool,
}

impl Lane {
    /// Publishes the count of messages so far, and when the last one was.
    pub fn update(&self, messages: u64, now_ns: u64) {
        self.messages.store(messages, Ordering::Relaxed);
        self.last_ns.store(now_ns, Ordering::Relaxed);
    }

    /// Messages so far.
    pub fn messages(&self) -> u64 {
        self.messages.load(Ordering::Relaxed)
    }

    /// Says that a sender has sent everything and the server has confirmed it.
    pub fn set_done(&self) {
        self.done.store(true, Ordering::Release);
    }
}

/// Shared by the workers of one run and its coordinator.
pub struct Flow {
    phase: AtomicU8,
    /// Publishers, or requesters counted by requests.
    pub senders: Box<[Lane]>,
    /// Subscribers that are waited for, or requesters counted by replies.
    pub receivers: Box<[Lane]>,
    /// Changes of interest so far.
    pub churned: AtomicU64,
    /// The workers' threads by their ids in the system, 0 before they run.
    pub threads: Box<[AtomicI32]>,
    /// Receivers share the messages as one queue group.
    queue: bool,
    /// Most messages that may be published and not yet received; `None` without a bound.
    window_messages: Option<u64>,
    failure: Mutex<Option<BenchError>>,
}

impl Flow {
    /// A run with that many senders, receivers and threads.
    pub fn new(
        senders: usize,
        receivers: usize,
        queue: bool,
        window_messages: Option<u64>,
        threads: usize,
    ) -> Self {
        let lanes = |count| std::iter::repeat_with(Lane::default).take(count).collect();
        Self {
            phase: AtomicU8::new(Phase::WarmUp as u8),
            senders: lanes(senders),
            receivers: lanes(receivers),
            churned: AtomicU64::new(0),
            threads: std::iter::repeat_with(AtomicI32::default).take(threads).collect(),
            queue,
            window_messages,
            failure: Mutex::new(None),
        }
    }

    /// The phase of the run.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::WarmUp,
            1 => Phase::Settle,
            2 => Phase::Measure,
            3 => Phase::Drain,
            _ => Phase::Stop,
        }
    }

    /// Goes on to `phase`; never back, so that a failure stays one.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.fetch_max(phase as u8, Ordering::AcqRel);
    }

    /// Messages sent so far, by all senders.
    pub fn sent(&self) -> u64 {
        self.senders.iter().map(Lane::messages).sum()
    }

    /// Messages received so far, by all receivers.
    pub fn received(&self) -> u64 {
        self.receivers.iter().map(Lane::messages).sum()
    }

    /// Messages that `sent` messages make at the receivers, in sum.
    pub fn expected(&self, sent: u64) -> u64 {
        if self.queue { sent } else { sent * self.receivers.len() as u64 }
    }

    /// Messages that may be sent now before the bound of what is under way is reached.
    pub fn credit(&self) -> u64 {
        if self.phase() == Phase::Settle {
            return 0;
        }
        let Some(window) = self.window_messages else { return u64::MAX };
        let arrived = if self.queue {
            self.received()
        } else {
            self.receivers.iter().map(Lane::messages).min().unwrap_or(u64::MAX - window)
        };
        (arrived + window).saturating_sub(self.sent())
    }

    /// The bound of what is under way is at least twice `messages`, so that waiting for that much credit ends.
    pub fn window_exceeds(&self, messages: u64) -> bool {
        self.window_messages.is_none_or(|window| window >= messages * 2)
    }

    /// All senders have sent everything, and the server has confirmed it.
    pub fn senders_done(&self) -> bool {
        self.senders.iter().all(|lane| lane.done.load(Ordering::Acquire))
    }

    /// When the last message arrived, on the monotonic clock; 0 before the first.
    pub fn last_received_ns(&self) -> u64 {
        self.receivers.iter().map(|lane| lane.last_ns.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    /// When the last message was sent, on the monotonic clock; 0 before the first.
    pub fn last_sent_ns(&self) -> u64 {
        self.senders.iter().map(|lane| lane.last_ns.load(Ordering::Relaxed)).max().unwrap_or(0)
    }

    /// Ends the run with `error`; the first one counts.
    pub fn fail(&self, error: BenchError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.set_phase(Phase::Stop);
    }

    /// The error that ended the run, once.
    pub fn take_failure(&self) -> Option<BenchError> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credit_follows_the_slowest_receiver() {
        let flow = Flow::new(2, 3, false, Some(100), 1);
        assert_eq!(flow.credit(), 100);
        flow.senders[0].update(60, 1);
        flow.senders[1].update(30, 2);
        assert_eq!(flow.credit(), 10);
        flow.receivers[0].update(90, 3);
        flow.receivers[1].update(90, 4);
        flow.receivers[2].update(20, 5);
        assert_eq!(flow.credit(), 30);
        assert_eq!(flow.expected(90), 270);
        assert_eq!((flow.last_sent_ns(), flow.last_received_ns()), (2, 5));
    }

    #[test]
    fn credit_in_a_queue_group_follows_the_sum_and_never_underflows() {
        let flow = Flow::new(1, 2, true, Some(10), 1);
        flow.senders[0].update(25, 1);
        assert_eq!(flow.credit(), 0);
        flow.receivers[0].update(12, 1);
        flow.receivers[1].update(8, 1);
        assert_eq!(flow.credit(), 5);
        assert_eq!(flow.expected(25), 25);
    }

    #[test]
    fn without_a_window_there_is_always_credit_and_the_first_failure_counts() {
        let flow = Flow::new(1, 0, false, None, 1);
        assert_eq!(flow.credit(), u64::MAX);
        flow.fail(BenchError::NoResponders);
        flow.fail(BenchError::Usage("second".to_owned()));
        assert!(matches!(flow.take_failure(), Some(BenchError::NoResponders)));
        assert_eq!(flow.phase(), Phase::Stop);
    }
}
