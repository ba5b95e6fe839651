//! Threads for work that takes CPU time and should not delay messages: passwords, handshakes, long answers of monitoring.
//!
//! They yield as much as a thread can that still gets a share of the processor. `SCHED_IDLE` would yield more (a core that
//! wakes takes the processor from such a thread at once, and waits for a nice one until its slice is over), but a process
//! ends only when all of its threads have, and on a busy machine those that run when it is idle did not for seconds: a
//! server that had shut down in order was still there after ten. Where messages take all of the processor, a helper goes
//! on that gets a larger share: it begins once more what the others are stuck in, and takes what waits behind it.

use crossbeam_channel::{Receiver, Sender, bounded};
use petrel_runtime::ThreadClock;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How long a chore may be in hand until its thread has to show that it gets any time.
const PATIENCE: Duration = Duration::from_millis(250);
/// A thread that got less than this part of a processor for its chore is stuck.
const SHARE_MIN: u32 = 10;
/// How often the helper looks while a chore is in hand.
const LOOK: Duration = Duration::from_millis(50);
/// How much the threads yield: the most there is.
const NICENESS_MAX: i32 = 19;
/// How much the helper yields: where messages take all there is, it gets a quarter of a processor.
const NICENESS: i32 = 5;

/// Something to be done.
pub trait Chore: Send + Sync + 'static {
    /// Does it. While one thread is at it the helper may begin once more: who is done first counts, and what the other
    /// finds has no effect. What takes more than a fraction of a millisecond asks its pace to rest now and then.
    fn run(&self, pace: Pace);
}

/// How a thread works.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Pace {
    /// Letting others go first.
    Modest,
    /// To get done: the helper's.
    Steady,
}

impl Pace {
    /// Lets another thread of this processor go on that has something to do. Without this a core that wakes waits for
    /// the end of the time slice, 3 ms with usual settings.
    pub fn rest(self) {
        if self == Pace::Modest {
            thread::yield_now();
        }
    }
}

/// How long a thread lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// As long as its queue.
    Long,
    /// Until it has nothing to do; another one takes its place. For chores whose results are large and dropped by other
    /// threads: the allocator keeps such memory for its thread until that one allocates again, or ends.
    Short,
}

/// Starts `count` threads that work off a queue, each item as what `make` makes of it, and their helper. They end when
/// all senders of the queue are gone.
///
/// # Errors
/// When the system gives no thread.
pub fn start<T, C, F>(name: &str, count: usize, life: Life, queue: Receiver<T>, make: F) -> io::Result<()>
where
    T: Send + 'static,
    C: Chore,
    F: Fn(T) -> C + Send + Sync + 'static,
{
    let (bell, rung) = bounded(1);
    let hands = (0..count).map(|_| Hand { chore: Mutex::default(), clock: Mutex::default() }).collect();
    let crew = Arc::new(Crew { name: name.to_owned(), life, hands, bell, queue, make });
    let helped = Arc::downgrade(&crew);
    let helper = thread::Builder::new().name(format!("petrel-{name}-aid"));
    helper.spawn(move || {
        // Of this thread alone, on Linux. Without it the helper is merely less modest.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        // The bell is gone with the last of the others.
        while rung.recv().is_ok() {
            let Some(crew) = helped.upgrade() else { return };
            crew.help();
        }
    })?;
    for number in 0..count {
        begin(&crew, number)?;
    }
    Ok(())
}

/// Starts one of the threads.
fn begin<T, C, F>(crew: &Arc<Crew<T, C, F>>, number: usize) -> io::Result<()>
where
    T: Send + 'static,
    C: Chore,
    F: Fn(T) -> C + Send + Sync + 'static,
{
    let name = format!("petrel-{}-{number}", crew.name);
    let crew = crew.clone();
    let work = move || {
        crew.prepare(number);
        while let Ok(item) = crew.queue.recv() {
            crew.work(number, item);
            // Where no thread is to be had this one goes on.
            if crew.life == Life::Short && crew.queue.is_empty() && begin(&crew, number).is_ok() {
                return;
            }
        }
    };
    thread::Builder::new().name(name).spawn(work)?;
    Ok(())
}

/// Whether a thread that got this CPU time in that time is to be helped out.
fn is_stuck(elapsed: Duration, used: Duration) -> bool {
    elapsed >= PATIENCE && used * SHARE_MIN < elapsed
}

/// Does a chore; a defect in it is its own end and not the thread's.
fn run<C: Chore>(chore: &C, pace: Pace) {
    if catch_unwind(AssertUnwindSafe(|| chore.run(pace))).is_err() {
        tracing::error!("A defect was contained in the thread {:?}", thread::current().name());
    }
}

/// The threads of one queue.
struct Crew<T, C, F> {
    name: String,
    life: Life,
    hands: Vec<Hand<C>>,
    queue: Receiver<T>,
    make: F,
    /// Tells the helper that a chore is in hand.
    bell: Sender<()>,
}

/// One of the threads.
struct Hand<C> {
    chore: Mutex<Option<InHand<C>>>,
    clock: Mutex<Option<ThreadClock>>,
}

/// What a thread is doing.
struct InHand<C> {
    chore: Arc<C>,
    begin: Instant,
    /// CPU time of the thread at the beginning.
    used: Duration,
    /// The helper has done it.
    is_helped: bool,
}

impl<C> Hand<C> {
    fn chore(&self) -> MutexGuard<'_, Option<InHand<C>>> {
        // It is put and taken whole.
        self.chore.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn used(&self) -> Duration {
        let clock = *self.clock.lock().unwrap_or_else(PoisonError::into_inner);
        clock.and_then(|clock| clock.used()).unwrap_or_default()
    }
}

impl<T, C: Chore, F: Fn(T) -> C> Crew<T, C, F> {
    /// Makes the calling thread one of the crew.
    fn prepare(&self, number: usize) {
        let clock = ThreadClock::of_this_thread().ok();
        *self.hands[number].clock.lock().unwrap_or_else(PoisonError::into_inner) = clock;
        // Of this thread alone, on Linux. A thread that is less modest does its work as well.
        let _ = rustix::process::setpriority_process(None, NICENESS_MAX);
    }

    fn work(&self, number: usize, item: T) {
        let hand = &self.hands[number];
        let chore = Arc::new((self.make)(item));
        let (begin, used) = (Instant::now(), hand.used());
        *hand.chore() = Some(InHand { chore: chore.clone(), begin, used, is_helped: false });
        // Full: the helper will look anyway.
        let _ = self.bell.try_send(());
        run(&*chore, Pace::Modest);
        *hand.chore() = None;
    }

    /// Looks after the others until nothing is in hand.
    fn help(&self) {
        loop {
            let mut is_any_in_hand = false;
            let mut stuck = Vec::new();
            for hand in &self.hands {
                let used = hand.used();
                let mut guard = hand.chore();
                let Some(in_hand) = guard.as_mut() else { continue };
                is_any_in_hand = true;
                let elapsed = in_hand.begin.elapsed();
                if !is_stuck(elapsed, used.saturating_sub(in_hand.used)) {
                    continue;
                }
                let is_helped = std::mem::replace(&mut in_hand.is_helped, true);
                stuck.push((!is_helped).then(|| in_hand.chore.clone()));
            }
            if !is_any_in_hand {
                return;
            }
            for chore in stuck.iter().flatten() {
                run(&**chore, Pace::Steady);
            }
            // While one of them is stuck what waits is done here, a chore at a time.
            let next = if stuck.is_empty() { None } else { self.queue.try_recv().ok() };
            match next {
                Some(item) => run(&(self.make)(item), Pace::Steady),
                None => thread::sleep(LOOK),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::unbounded;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    const PATIENCE_MAX: Duration = Duration::from_secs(30);

    /// Says who did it. The first one to begin may be told to wait, which uses no CPU time.
    struct Told {
        number: usize,
        waits: Option<Receiver<()>>,
        begun: AtomicUsize,
        is_done: AtomicBool,
        done: Sender<(usize, String)>,
    }

    impl Told {
        fn new(number: usize, waits: Option<Receiver<()>>, done: &Sender<(usize, String)>) -> Told {
            let done = done.clone();
            Told { number, waits, begun: AtomicUsize::new(0), is_done: AtomicBool::new(false), done }
        }
    }

    impl Chore for Told {
        fn run(&self, _: Pace) {
            let is_first = self.begun.fetch_add(1, Ordering::SeqCst) == 0;
            if let Some(waits) = self.waits.as_ref().filter(|_| is_first) {
                let _ = waits.recv();
            }
            if !self.is_done.swap(true, Ordering::SeqCst) {
                let name = thread::current().name().unwrap_or_default().to_owned();
                self.done.send((self.number, name)).unwrap();
            }
        }
    }

    #[test]
    fn a_thread_that_gets_no_time_is_helped_out_with_what_it_has_and_what_waits() {
        let (queue, chores) = unbounded();
        let (done, told) = unbounded();
        let (release, waits) = unbounded();
        start("test", 1, Life::Long, chores, |chore| chore).unwrap();
        queue.send(Told::new(0, Some(waits), &done)).unwrap();
        (1..4).for_each(|number| queue.send(Told::new(number, None, &done)).unwrap());
        for number in 0..4 {
            let next = told.recv_timeout(PATIENCE_MAX).unwrap();
            assert_eq!(next, (number, "petrel-test-aid".to_owned()));
        }
        // The one that was stuck finds its work done, and goes on.
        release.send(()).unwrap();
        queue.send(Told::new(4, None, &done)).unwrap();
        assert_eq!(told.recv_timeout(PATIENCE_MAX).unwrap().0, 4);
        drop((queue, done));
        assert!(told.recv_timeout(PATIENCE_MAX).is_err(), "everything was done once, and the threads end");
    }

    #[test]
    fn a_thread_that_gets_its_time_is_let_alone() {
        let ms = Duration::from_millis;
        for (elapsed, used, expected) in [
            (ms(249), ms(0), false),
            (ms(250), ms(24), true),
            (ms(250), ms(25), false),
            (ms(60_000), ms(5_000), true),
        ] {
            assert_eq!(is_stuck(elapsed, used), expected, "{used:?} in {elapsed:?}");
        }
    }

    struct Breaks(Mutex<Option<Sender<()>>>);

    impl Chore for Breaks {
        fn run(&self, _: Pace) {
            // Telling of a panic may take longer than the helper's patience.
            let Some(done) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
            done.send(()).unwrap();
            panic!("on purpose");
        }
    }

    #[test]
    fn a_defect_ends_a_chore_and_no_thread() {
        let (queue, chores) = unbounded();
        let (done, told) = unbounded();
        start("break", 1, Life::Short, chores, |chore| chore).unwrap();
        for _ in 0..3 {
            queue.send(Breaks(Mutex::new(Some(done.clone())))).unwrap();
        }
        drop((queue, done));
        assert_eq!(told.iter().count(), 3);
    }
}
