//! Timers.

use super::actor::{Behaviour, Reporter, name_of};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::program::{CoreId, Event};
use crate::time::{Monotonic, TimerId, TimerToken};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// Timers may change places when their deadlines are closer than this: a tick of the wheel.
const TICK_NANOS: u64 = 1 << 20;

enum TimerOrder {
    /// Set this many timers within so many milliseconds.
    Set { count: u64, within_ms: u64 },
    /// As `Set`, and cancel every other one at once and some from within timers.
    SetAndCancel { count: u64, within_ms: u64 },
}

#[derive(Default)]
struct Timers {
    next_token: u64,
    deadlines: BTreeMap<u64, Monotonic>,
    ids: BTreeMap<u64, TimerId>,
    cancelled: BTreeMap<u64, TimerId>,
    /// The timers that were not yet due when they were set: those come in order.
    ahead: BTreeSet<u64>,
    latest: Monotonic,
    fired: u64,
    cancels: bool,
}

impl Timers {
    fn set(&mut self, deadline: Monotonic, io: &mut Io<'_, ()>) {
        self.next_token += 1;
        let id = io.set_timer(deadline, TimerToken(self.next_token));
        if deadline > io.now() {
            self.ahead.insert(self.next_token);
        }
        self.deadlines.insert(self.next_token, deadline);
        self.ids.insert(self.next_token, id);
    }

    fn set_many(&mut self, count: u64, within_ms: u64, io: &mut Io<'_, ()>) {
        for _ in 0..count {
            let delay = Duration::from_nanos(io.random() % (within_ms * 1_000_000 + 1));
            self.set(io.now().after(delay), io);
        }
        // One that is due already, and one that was due before the core began.
        self.set(io.now(), io);
        self.set(Monotonic(0), io);
    }

    fn cancel(&mut self, token: u64, io: &mut Io<'_, ()>) {
        let id = self.ids.remove(&token).expect("it is set");
        assert!(io.cancel_timer(id), "a timer that is set can be cancelled");
        assert!(!io.cancel_timer(id), "a timer can be cancelled once");
        self.deadlines.remove(&token);
        self.cancelled.insert(token, id);
    }

    fn fire(&mut self, token: u64, io: &mut Io<'_, ()>) {
        assert!(!self.cancelled.contains_key(&token), "a cancelled timer fired");
        let deadline = self.deadlines.remove(&token).expect("a timer fires once");
        assert!(io.now() >= deadline, "a timer fired {:?} early", deadline.since(io.now()));
        if self.ahead.remove(&token) {
            assert!(deadline.0 + TICK_NANOS >= self.latest.0, "a later timer fired before");
            self.latest = self.latest.max(deadline);
        }
        self.fired += 1;
        let id = self.ids.remove(&token).expect("its own");
        assert!(!io.cancel_timer(id), "a timer that fired cannot be cancelled");
        for id in self.cancelled.values().take(3) {
            assert!(!io.cancel_timer(*id), "an old id cancels nothing else");
        }
    }
}

impl Behaviour for Timers {
    type Mail = ();
    type Order = TimerOrder;

    fn event(&mut self, event: Event<'_, (), TimerOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(TimerOrder::Set { count, within_ms }) => {
                self.latest = Monotonic(0);
                self.set_many(count, within_ms, io);
            }
            Event::Order(TimerOrder::SetAndCancel { count, within_ms }) => {
                self.latest = Monotonic(0);
                self.cancels = true;
                self.set_many(count, within_ms, io);
                let odd: Vec<u64> = self.ids.keys().copied().filter(|token| token % 2 == 1).collect();
                for token in odd {
                    self.cancel(token, io);
                }
            }
            Event::Timer(TimerToken(token)) => {
                self.fire(token, io);
                // From within a timer one more is set, or the next one is taken back, also when it is due in
                // this very turn.
                if self.fired.is_multiple_of(8) && self.fired < 4_000 {
                    self.set(io.now(), io);
                }
                let next = self.ids.keys().next().copied();
                if let Some(next) = next.filter(|_| self.cancels && self.fired.is_multiple_of(3)) {
                    self.cancel(next, io);
                }
                if self.deadlines.is_empty() {
                    report.note("all fired", self.fired);
                    report.note("cancelled", self.cancelled.len() as u64);
                }
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn timers_come_in_order_and_never_early(backend: Backend) {
    let mut rig = Rig::start(backend, 1, |_: CoreId| Timers::default());
    for within_ms in [0, 1, 20, 400] {
        rig.order(0, TimerOrder::Set { count: 500, within_ms });
        assert!(rig.expect("all fired") >= 500);
    }
    rig.finish();
}

pub(super) fn a_cancelled_timer_is_silent(backend: Backend) {
    let mut rig = Rig::start(backend, 1, |_: CoreId| Timers::default());
    for within_ms in [1, 50, 200] {
        rig.order(0, TimerOrder::SetAndCancel { count: 300, within_ms });
        rig.expect("all fired");
        assert!(rig.expect("cancelled") > 150);
    }
    rig.pass(Duration::from_millis(250));
    rig.finish();
}
