//! Mail, orders, timers, tasks and the end of real cores.

mod common;

use common::{Cores, Letter, PATIENCE, backends};
use petrel_runtime::{
    BackendChoice, BackendKind, CoreId, Event, LaunchError, LaunchOptions, Monotonic, TimerToken, launch,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Seen {
    numbers: Vec<u64>,
    room: usize,
    fired: Vec<(u64, Monotonic)>,
    /// The same, for those who do not want to wake the core to see it.
    fired_count: Arc<AtomicUsize>,
    to_send: std::ops::Range<u64>,
    slow: bool,
}

fn remember(seen: &mut Seen, event: Event<'_, Letter, ()>, io: &mut petrel_runtime::Io<'_, Letter>) {
    match event {
        Event::Mail { mail: Letter::Number(number), .. } => {
            if seen.slow {
                std::thread::sleep(Duration::from_micros(50));
            }
            seen.numbers.push(number);
        }
        Event::MailRoom { core } => {
            seen.room += 1;
            while io.mail_has_room(core) {
                let Some(number) = seen.to_send.next() else { break };
                io.mail(core, Letter::Number(number));
            }
        }
        Event::Timer(token) => {
            seen.fired.push((token.0, io.now()));
            seen.fired_count.fetch_add(1, Ordering::Relaxed);
        }
        _ => {}
    }
}

#[test]
fn mail_keeps_order_through_the_spill() {
    for backend in backends() {
        let cores = Cores::start(backend, 2, 16, Seen::default, remember);
        let (sent, spilled) = cores.call(0, |_, io| {
            for number in 0..1000 {
                io.mail(CoreId(1), Letter::Number(number));
            }
            (io.mails_sent(CoreId(1)), io.mail_spilled())
        });
        assert_eq!((sent, spilled), (1000, 984));
        cores.wait_until(1, |seen, _| seen.numbers.len() == 1000);
        assert!(cores.call(1, |seen, _| seen.numbers.is_sorted()));
        cores.wait_until(0, |_, io| io.mails_consumed(CoreId(1)) == 1000 && io.mail_spilled() == 0);
        assert_eq!(cores.call(0, |_, io| io.mails_sent(CoreId(0))), 0);
        cores.stop();
    }
}

#[test]
fn who_found_no_room_is_told_of_it() {
    for backend in backends() {
        let state = || Seen { slow: true, to_send: 0..2000, ..Seen::default() };
        let cores = Cores::start(backend, 2, 8, state, remember);
        cores.call(0, |seen, io| {
            while io.mail_has_room(CoreId(1)) {
                let number = seen.to_send.next().unwrap();
                io.mail(CoreId(1), Letter::Number(number));
            }
            assert_eq!(seen.to_send.start, 8);
            assert_eq!(io.mail_spilled(), 0);
        });
        cores.wait_until(1, |seen, _| seen.numbers.len() == 2000);
        assert!(cores.call(1, |seen, _| seen.numbers.is_sorted()));
        assert!(cores.call(0, |seen, io| seen.room > 10 && io.mail_spilled() == 0));
        cores.stop();
    }
}

#[test]
fn mail_counts_as_consumed_only_when_handled() {
    for backend in backends() {
        let gate = Arc::new(AtomicBool::new(false));
        let wait = gate.clone();
        let cores = Cores::start(backend, 2, 0, Seen::default, move |seen: &mut Seen, event, io| {
            if let Event::Mail { .. } = &event {
                while !wait.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            remember(seen, event, io);
        });
        cores.call(0, |_, io| io.mail(CoreId(1), Letter::Number(1)));
        std::thread::sleep(Duration::from_millis(50));
        assert_eq!(cores.call(0, |_, io| io.mails_consumed(CoreId(1))), 0);
        gate.store(true, Ordering::Relaxed);
        cores.wait_until(0, |_, io| io.mails_consumed(CoreId(1)) == 1);
        cores.stop();
    }
}

/// Mail goes round many cores that sleep in between: a wake-up that is missed ends the round.
#[test]
fn no_wake_up_is_missed() {
    for backend in backends() {
        let cores = Cores::start(backend, 4, 0, Seen::default, |seen: &mut Seen, event, io| {
            if let Event::Mail { mail: Letter::Number(number), .. } = event {
                seen.numbers.push(number);
                if number > 0 {
                    let next = (io.core().index() + 1) % io.core_count();
                    io.mail(CoreId(next as u16), Letter::Number(number - 1));
                }
            }
        });
        for _ in 0..20 {
            cores.call(0, |_, io| io.mail(CoreId(1), Letter::Number(2000)));
            // 2001 mails from core 0 to 1, 2, 3 and round again: the last one is core 1's.
            cores.wait_until(1, |seen, _| seen.numbers.last() == Some(&0));
            cores.call(1, |seen, _| seen.numbers.clear());
        }
        cores.stop();
    }
}

#[test]
fn orders_reach_a_sleeping_core() {
    for backend in backends() {
        let cores = Cores::start(backend, 2, 0, Seen::default, remember);
        for round in 0..2000 {
            if round % 500 == 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
            assert_eq!(cores.call(round % 2, move |_, io| io.core().index()), round % 2);
        }
        cores.stop();
    }
}

#[test]
fn timers_fire_by_themselves_in_order_and_never_early() {
    for backend in backends() {
        let fired = Arc::new(AtomicUsize::new(0));
        let count = fired.clone();
        let state = move || Seen { fired_count: count.clone(), ..Seen::default() };
        let cores = Cores::start(backend, 1, 0, state, remember);
        let delays = [0u64, 1, 3, 10, 50, 51, 120];
        let set_at = cores.call(0, move |_, io| {
            for delay in delays {
                io.set_timer(io.now().after(Duration::from_millis(delay)), TimerToken(delay));
            }
            let cancelled = io.set_timer(io.now().after(Duration::from_millis(20)), TimerToken(20));
            assert!(io.cancel_timer(cancelled));
            assert!(!io.cancel_timer(cancelled));
            io.now()
        });
        // An order would wake the core: nothing but the timers does.
        let deadline = Instant::now() + PATIENCE;
        while fired.load(Ordering::Relaxed) < delays.len() {
            assert!(Instant::now() < deadline, "{backend:?}: the core sleeps on");
            std::thread::sleep(Duration::from_millis(5));
        }
        let fired = cores.call(0, |seen, _| seen.fired.clone());
        assert_eq!(fired.iter().map(|(delay, _)| *delay).collect::<Vec<u64>>(), delays, "{backend:?}");
        for (delay, at) in fired {
            let took = at.since(set_at);
            assert!(took >= Duration::from_millis(delay), "{backend:?}: {delay} ms fired after {took:?}");
        }
        cores.stop();
    }
}

#[test]
fn tasks_are_woken_from_other_threads_and_may_panic() {
    for backend in backends() {
        let cores = Cores::start(backend, 1, 0, Seen::default, remember);
        let done = Arc::new(AtomicBool::new(false));
        let flag = done.clone();
        cores.call(0, move |_, io| {
            io.spawn(async { panic!("a task, on purpose") });
            let mut thread = None;
            io.spawn(async move {
                std::future::poll_fn(move |context| {
                    if thread.is_some() {
                        return std::task::Poll::Ready(());
                    }
                    let waker = context.waker().clone();
                    thread = Some(std::thread::spawn(move || {
                        std::thread::sleep(Duration::from_millis(30));
                        waker.wake();
                    }));
                    std::task::Poll::Pending
                })
                .await;
                flag.store(true, Ordering::Relaxed);
            });
        });
        assert_eq!(cores.next_panic().unwrap(), "a task, on purpose");
        let deadline = Instant::now() + PATIENCE;
        while !done.load(Ordering::Relaxed) {
            assert!(Instant::now() < deadline, "the task was not woken");
            std::thread::sleep(Duration::from_millis(1));
        }
        cores.stop_after_panics();
    }
}

#[test]
fn a_core_that_cannot_start_is_an_error() {
    for backend in backends() {
        let options = LaunchOptions { cpus: vec![0, 100_000], backend, mailbox_slots: 0 };
        let failed = launch(&options, |_, _| Idle { fail: None });
        assert!(matches!(failed.err(), Some(LaunchError::CoreFailed { core: 1, .. })));
        let options = LaunchOptions { cpus: vec![0, 0], ..options };
        let failed = launch(&options, |core, _| {
            assert!(core.0 == 0, "made to fail");
            Idle { fail: None }
        });
        let message = failed.err().map(|error| error.to_string());
        assert_eq!(message.as_deref(), Some("core 1 could not start: made to fail"));
    }
}

#[test]
fn a_core_that_dies_ends_the_node() {
    for backend in backends() {
        let options = LaunchOptions { cpus: vec![0, 0, 0], backend, mailbox_slots: 0 };
        let node = launch(&options, |core, _| Idle { fail: Some(core.0 == 1) }).unwrap();
        assert_eq!(
            node.backend,
            if backend == BackendChoice::Epoll { BackendKind::Epoll } else { BackendKind::Uring }
        );
        let others = node.orders[0].clone();
        assert!(node.orders[1].send(()));
        assert_eq!(node.join().unwrap_err(), "core 1 died: while panicking");
        assert!(!others.send(()), "the core has stopped");
    }
}

/// A program whose panic handler panics.
struct Idle {
    fail: Option<bool>,
}

impl petrel_runtime::Program for Idle {
    type Mail = ();
    type Order = ();
    fn start(&mut self, _io: &mut petrel_runtime::Io<'_, ()>) {}
    fn event(&mut self, _event: Event<'_, (), ()>, _io: &mut petrel_runtime::Io<'_, ()>) {
        assert!(self.fail != Some(true), "first");
    }
    fn finish_turn(&mut self, _io: &mut petrel_runtime::Io<'_, ()>) {}
    fn panicked(
        &mut self,
        _socket: Option<petrel_runtime::SocketId>,
        _message: &str,
        _io: &mut petrel_runtime::Io<'_, ()>,
    ) {
        panic!("while panicking");
    }
}

#[test]
fn randomness_differs_from_core_to_core() {
    for backend in backends() {
        let cores = Cores::start(backend, 2, 0, Seen::default, remember);
        let draw = |core| cores.call(core, |_, io| [io.random(), io.random()]);
        let (first, second) = (draw(0), draw(1));
        assert!(first != second && first[0] != first[1]);
        let wall = cores.call(0, |_, io| io.wall_clock().0);
        assert!(wall > 1_700_000_000_000_000_000);
        cores.stop();
    }
}
