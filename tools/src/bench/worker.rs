//! The event loop of one thread: every connection it was given, without blocking.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use super::clock::monotonic_ns;
use super::error::BenchError;
use super::flow::{Flow, Phase};
use super::latency::LatencyRecorder;
use super::peer::Peer;
use super::role::{Context, Role};

/// Bytes of one read: large enough to make the call's own cost small, small enough for the second-level cache.
const READ_BUFFER_BYTES: usize = 256 * 1024;
/// How long the loop sleeps at most: it looks for a new phase then.
const SLEEP_MAX: Duration = Duration::from_millis(10);
/// The same while another worker may open the window.
const SLEEP_MAX_SHARED_WINDOW: Duration = Duration::from_millis(1);
/// How long a stopped receiver is read at the end to find out whether the server had closed it.
const STOPPED_READ_NS: u64 = 3_000_000_000;
const TIMER: Token = Token(usize::MAX);

/// What a worker leaves behind.
pub struct WorkerOutcome {
    /// Delays of messages or requests since the warm-up.
    pub latency: LatencyRecorder,
    /// How late the worker itself sent what was due.
    pub lag: LatencyRecorder,
    /// Stopped receivers that the server had closed.
    pub stopped_closed: usize,
}

/// One thread's share of the run.
pub struct Worker {
    poll: Poll,
    timer: TimerFd,
    armed_ns: u64,
    peers: Vec<Peer>,
    /// Connections to read or flush.
    ready: Vec<usize>,
    publishers: Vec<usize>,
    /// Other connections with a time of their own, by when they are due.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    buffer: Vec<u8>,
    flow: Arc<Flow>,
    phase: Phase,
    /// Messages each sender sends in a counted run.
    quotas: Vec<Option<u64>>,
    shares_window: bool,
    spins: bool,
    latency: LatencyRecorder,
    lag: LatencyRecorder,
}

impl Worker {
    /// A worker for `peers`; each comes with its share of a counted run. `shares_window` tells that other workers
    /// receive what this one sends; `spins` that it shall never sleep.
    ///
    /// # Errors
    /// [`BenchError::System`] when epoll or the timer is refused.
    pub fn new(
        peers: Vec<(Peer, Option<u64>)>,
        flow: Arc<Flow>,
        shares_window: bool,
        spins: bool,
    ) -> Result<Self, BenchError> {
        let poll = Poll::new().map_err(|error| BenchError::system("epoll", error))?;
        let timer =
            TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC)
                .map_err(|error| BenchError::system("timerfd", error))?;
        poll.registry()
            .register(&mut SourceFd(&timer.as_fd().as_raw_fd()), TIMER, Interest::READABLE)
            .map_err(|error| BenchError::system("epoll", error))?;
        let (mut peers, quotas): (Vec<_>, Vec<_>) = peers.into_iter().unzip();
        let mut publishers = Vec::new();
        for (index, peer) in peers.iter_mut().enumerate() {
            match &peer.role {
                Role::Subscriber(subscriber) if subscriber.is_stopped() => continue,
                Role::Publisher(_) => publishers.push(index),
                _ => {}
            }
            poll.registry()
                .register(&mut peer.stream.socket, Token(index), Interest::READABLE | Interest::WRITABLE)
                .map_err(|error| BenchError::system("epoll", error))?;
        }
        Ok(Self {
            poll,
            timer,
            armed_ns: u64::MAX,
            peers,
            ready: Vec::new(),
            publishers,
            due: BinaryHeap::new(),
            buffer: vec![0; READ_BUFFER_BYTES],
            flow,
            phase: Phase::WarmUp,
            quotas,
            shares_window,
            spins,
            latency: LatencyRecorder::default(),
            lag: LatencyRecorder::default(),
        })
    }

    /// Runs until the phase is [`Phase::Stop`]. An error ends the whole run through [`Flow::fail`].
    pub fn run(mut self) -> WorkerOutcome {
        if let Err(error) = self.turn_until_stopped() {
            self.flow.fail(error);
        }
        let stopped_closed = self.count_closed_of_stopped();
        WorkerOutcome { latency: self.latency, lag: self.lag, stopped_closed }
    }

    fn turn_until_stopped(&mut self) -> Result<(), BenchError> {
        let mut events = Events::with_capacity(1024);
        // Shares of a counted run without warm-up are set before the first message.
        self.follow_phase()?;
        self.begin()?;
        while self.follow_phase()? != Phase::Stop {
            let another = self.pump_publishers()?;
            let sleep =
                if another || self.spins || !self.ready.is_empty() { Duration::ZERO } else { self.arm()? };
            match self.poll.poll(&mut events, Some(sleep)) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(BenchError::system("epoll", error));
                }
                _ => {}
            }
            self.note(&events);
            self.fire_due()?;
            self.serve_ready()?;
        }
        Ok(())
    }

    /// First requests, and first times, which are those of one moment.
    fn begin(&mut self) -> Result<(), BenchError> {
        let now_ns = monotonic_ns();
        for index in 0..self.peers.len() {
            self.with_peer(index, |peer, _, context| {
                context.now_ns = now_ns;
                peer.begin(context)
            })?;
            self.schedule(index);
        }
        Ok(())
    }

    fn follow_phase(&mut self) -> Result<Phase, BenchError> {
        let phase = self.flow.phase();
        if phase == self.phase {
            return Ok(phase);
        }
        if matches!(self.phase, Phase::WarmUp | Phase::Settle) && phase != Phase::Settle {
            self.latency.clear();
            self.lag.clear();
            for (peer, quota) in self.peers.iter_mut().zip(&self.quotas) {
                if let Some(messages) = quota {
                    peer.set_quota(*messages);
                }
            }
        }
        if phase == Phase::Drain {
            for index in 0..self.peers.len() {
                self.with_peer(index, |peer, _, context| peer.stop(context))?;
            }
        }
        self.phase = phase;
        Ok(phase)
    }

    fn pump_publishers(&mut self) -> Result<bool, BenchError> {
        let mut another = false;
        for position in 0..self.publishers.len() {
            let index = self.publishers[position];
            another |= self.with_peer(index, |peer, _, context| peer.pump(context))?;
        }
        Ok(another)
    }

    fn note(&mut self, events: &Events) {
        for event in events {
            if event.token() == TIMER {
                self.armed_ns = u64::MAX;
                continue;
            }
            let index = event.token().0;
            let peer = &mut self.peers[index];
            peer.readable |= event.is_readable();
            peer.writable |= event.is_writable();
            peer.read_closed |= event.is_read_closed() || event.is_error();
            if !peer.queued {
                peer.queued = true;
                self.ready.push(index);
            }
        }
    }

    fn fire_due(&mut self) -> Result<(), BenchError> {
        if self.due.is_empty() {
            return Ok(());
        }
        let now_ns = monotonic_ns();
        while let Some(Reverse((due_ns, index))) = self.due.peek().copied()
            && due_ns <= now_ns
        {
            self.due.pop();
            self.with_peer(index, |peer, _, context| peer.fire(context))?;
            self.schedule(index);
        }
        Ok(())
    }

    /// Gives every connection in the list one read; those that may have more stay in it.
    fn serve_ready(&mut self) -> Result<(), BenchError> {
        let mut kept = 0;
        for position in 0..self.ready.len() {
            let index = self.ready[position];
            let has_waited = self.peers[index].next_due_ns().is_none();
            self.with_peer(index, |peer, buffer, context| {
                if peer.readable {
                    peer.read(buffer, context)?;
                }
                peer.flush()
            })?;
            if has_waited {
                self.schedule(index);
            }
            let peer = &mut self.peers[index];
            if peer.readable {
                self.ready[kept] = index;
                kept += 1;
            } else {
                peer.queued = false;
            }
        }
        self.ready.truncate(kept);
        Ok(())
    }

    /// Puts a connection into the heap by its next time, if it has one. Publishers are looked at in every turn.
    fn schedule(&mut self, index: usize) {
        let peer = &self.peers[index];
        if !matches!(peer.role, Role::Publisher(_))
            && let Some(due_ns) = peer.next_due_ns()
        {
            self.due.push(Reverse((due_ns, index)));
        }
    }

    /// Arms the timer for what is due next, and tells how long to sleep at most.
    fn arm(&mut self) -> Result<Duration, BenchError> {
        let publishers = self.publishers.iter().filter_map(|index| self.peers[*index].next_due_ns()).min();
        let others = self.due.peek().map(|Reverse((due_ns, _))| *due_ns);
        let window_waits = self.shares_window && !self.publishers.is_empty() && self.flow.credit() == 0;
        let longest = if window_waits { SLEEP_MAX_SHARED_WINDOW } else { SLEEP_MAX };
        let Some(next_ns) = publishers.into_iter().chain(others).min() else { return Ok(longest) };
        if next_ns <= monotonic_ns() {
            return Ok(Duration::ZERO);
        }
        if next_ns != self.armed_ns {
            let at = Expiration::OneShot(TimeSpec::nanoseconds(next_ns as i64));
            self.timer
                .set(at, TimerSetTimeFlags::TFD_TIMER_ABSTIME)
                .map_err(|error| BenchError::system("timerfd", error))?;
            self.armed_ns = next_ns;
        }
        Ok(longest)
    }

    fn with_peer<T>(
        &mut self,
        index: usize,
        act: impl FnOnce(&mut Peer, &mut [u8], &mut Context<'_>) -> Result<T, BenchError>,
    ) -> Result<T, BenchError> {
        let mut context = Context {
            flow: &self.flow,
            latency: &mut self.latency,
            lag: &mut self.lag,
            now_ns: monotonic_ns(),
        };
        act(&mut self.peers[index], &mut self.buffer, &mut context)
    }

    fn count_closed_of_stopped(&mut self) -> usize {
        let deadline_ns = monotonic_ns() + STOPPED_READ_NS;
        let buffer = &mut self.buffer;
        let mut left: Vec<&mut Peer> = self
            .peers
            .iter_mut()
            .filter(|peer| matches!(&peer.role, Role::Subscriber(subscriber) if subscriber.is_stopped()))
            .collect();
        let stopped = left.len();
        while !left.is_empty() && monotonic_ns() < deadline_ns {
            left.retain_mut(|peer| !peer.is_closed_behind(buffer));
            std::thread::sleep(Duration::from_millis(1));
        }
        stopped - left.len()
    }
}
