//! Cores that sleep and are woken.

use super::actor::{Behaviour, Reporter, name_of};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::program::{CoreId, Event};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long the ball is played on real cores, alone and beside busy threads.
const ALONE: Duration = Duration::from_millis(1500);
const CROWDED: Duration = Duration::from_millis(2500);
/// How often at least: less would mean nothing. On a machine that is busy otherwise it takes longer.
const ROUNDS_ALONE: u64 = 1_000;
const ROUNDS_CROWDED: u64 = 10;
/// A ball that lies still for this long was lost: a busy machine delays a wake-up by far less.
const STILL_MAX: Duration = Duration::from_secs(30);
/// Rounds of the simulator.
const ROUNDS_SIMULATED: u64 = 2_000;

/// Serves a ball.
struct Serve;

/// Plays every ball back. With one ball both cores sleep at every turn; what would wake them otherwise, a
/// timer or an order, there is not.
struct Player {
    rounds: Arc<AtomicU64>,
}

impl Behaviour for Player {
    type Mail = u64;
    type Order = Serve;

    fn event(&mut self, event: Event<'_, u64, Serve>, io: &mut Io<'_, u64>, _: &Reporter) {
        match event {
            Event::Order(Serve) => io.mail(CoreId(1), 1),
            Event::Mail { from, mail } => {
                self.rounds.fetch_add(1, Ordering::Relaxed);
                // Now and then the core is busy for a little, so that the other one is met in every phase of
                // falling asleep.
                for _ in 0..io.random() % 64 {
                    std::hint::spin_loop();
                }
                io.mail(from, mail + 1);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

/// Watches the ball for a while, and until it was played so often; the number of times it was.
fn watch(rounds: &AtomicU64, time: Duration, least: u64) -> u64 {
    let first = rounds.load(Ordering::Relaxed);
    let end = Instant::now() + time;
    let (mut last, mut moved) = (first, Instant::now());
    while Instant::now() < end || last - first < least {
        std::thread::sleep(Duration::from_millis(20));
        let seen = rounds.load(Ordering::Relaxed);
        if seen != last {
            (last, moved) = (seen, Instant::now());
        }
        // Keeps watching beyond the end as long as the ball lies still.
        while moved.elapsed() > Duration::from_millis(200) && rounds.load(Ordering::Relaxed) == last {
            assert!(
                moved.elapsed() < STILL_MAX,
                "the ball lies still after {last} rounds: a wake-up was lost"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    last - first
}

pub(super) fn no_wake_up_is_lost(backend: Backend) {
    let rounds = Arc::new(AtomicU64::new(0));
    let shared = rounds.clone();
    let mut rig = Rig::start(backend, 2, move |_: CoreId| Player { rounds: shared.clone() });
    rig.order(0, Serve);
    if !backend.is_real() {
        while rounds.load(Ordering::Relaxed) < ROUNDS_SIMULATED {
            let before = rounds.load(Ordering::Relaxed);
            rig.pass(Duration::from_millis(100));
            assert!(rounds.load(Ordering::Relaxed) > before, "the ball lies still after {before} rounds");
        }
        return rig.finish();
    }
    let alone = watch(&rounds, ALONE, ROUNDS_ALONE);
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..2)
        .map(|_| {
            let stop = stop.clone();
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            })
        })
        .collect();
    let crowded = watch(&rounds, CROWDED, ROUNDS_CROWDED);
    stop.store(true, Ordering::Relaxed);
    for thread in busy {
        thread.join().expect("a busy thread ends");
    }
    println!("{backend:?}: {alone} rounds alone, {crowded} beside busy threads");
    rig.finish();
}
