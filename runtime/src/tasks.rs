//! Futures that run on a core beside its program.
//!
//! The same small run queue serves all backends, so that the order in which tasks run is the same everywhere
//! and the simulator can repeat it. Tasks are for slow jobs and the control plane, not for messages.

use crate::wake::Wake;
use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// The most polls of tasks in one turn, so that tasks that wake themselves leave room for events.
const POLLS_PER_TURN_MAX: usize = 64;

/// Where wakers put the tasks to be polled. Wakers may live on any thread.
struct WokenTasks {
    /// Length of `queue`, readable without the lock.
    count: AtomicUsize,
    queue: Mutex<VecDeque<Arc<TaskWaker>>>,
    core: Arc<Wake>,
}

struct TaskWaker {
    slot: usize,
    /// Already in the queue.
    queued: AtomicBool,
    woken: Arc<WokenTasks>,
}

impl std::task::Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        let woken = self.woken.clone();
        {
            let mut queue = woken.queue.lock().unwrap_or_else(PoisonError::into_inner);
            queue.push_back(self);
            woken.count.store(queue.len(), Ordering::Release);
        }
        woken.core.notify();
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    waker: Arc<TaskWaker>,
}

/// The tasks of one core.
pub(crate) struct Tasks {
    woken: Arc<WokenTasks>,
    slots: Vec<Option<Task>>,
    free: Vec<usize>,
}

impl Tasks {
    /// No tasks. `core` is woken when a task is.
    pub(crate) fn new(core: Arc<Wake>) -> Tasks {
        let woken = WokenTasks { count: AtomicUsize::new(0), queue: Mutex::default(), core };
        Tasks { woken: Arc::new(woken), slots: Vec::new(), free: Vec::new() }
    }

    /// Adds a task. It is polled for the first time in the next turn.
    pub(crate) fn spawn(&mut self, future: impl Future<Output = ()> + 'static) {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        let waker = Arc::new(TaskWaker { slot, queued: AtomicBool::new(false), woken: self.woken.clone() });
        self.slots[slot] = Some(Task { future: Box::pin(future), waker: waker.clone() });
        Waker::from(waker).wake();
    }

    /// Whether a task waits to be polled.
    pub(crate) fn has_work(&self) -> bool {
        self.woken.count.load(Ordering::Acquire) > 0
    }

    /// Number of tasks to poll in this turn.
    pub(crate) fn due(&self) -> usize {
        self.woken.count.load(Ordering::Acquire).min(POLLS_PER_TURN_MAX)
    }

    /// Polls the task that has waited longest. An error is the payload of its panic; the task is gone then.
    pub(crate) fn poll_one(&mut self) -> std::thread::Result<()> {
        let next = {
            let mut queue = self.woken.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let next = queue.pop_front();
            self.woken.count.store(queue.len(), Ordering::Release);
            next
        };
        let Some(waker) = next else { return Ok(()) };
        // From here on a wake queues the task again: it may have news that this poll does not see.
        waker.queued.store(false, Ordering::Release);
        let slot = waker.slot;
        // A late waker of a finished task may name a slot that another task uses now.
        let current = self.slots[slot].as_mut().filter(|task| Arc::ptr_eq(&task.waker, &waker));
        let Some(task) = current else { return Ok(()) };
        let waker = Waker::from(waker);
        let mut context = Context::from_waker(&waker);
        let outcome = catch_unwind(AssertUnwindSafe(|| task.future.as_mut().poll(&mut context)));
        if matches!(outcome, Ok(Poll::Pending)) {
            return Ok(());
        }
        let finished = self.slots[slot].take();
        self.free.push(slot);
        // Dropping the future runs foreign code as well.
        let dropped = catch_unwind(AssertUnwindSafe(|| drop(finished)));
        outcome.map(|_| ()).and(dropped)
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        // Wakers in the queue own the queue.
        self.woken.queue.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    fn run(tasks: &mut Tasks) -> usize {
        let mut polls = 0;
        while tasks.has_work() {
            for _ in 0..tasks.due() {
                tasks.poll_one().unwrap();
                polls += 1;
            }
        }
        polls
    }

    struct YieldOnce(bool);

    impl Future for YieldOnce {
        type Output = ();
        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
            if std::mem::replace(&mut self.0, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    #[test]
    fn tasks_run_to_their_end_and_slots_are_reused() {
        let mut tasks = Tasks::new(Arc::new(Wake::unattended()));
        let done = Rc::new(Cell::new(0));
        for _ in 0..3 {
            let done = done.clone();
            tasks.spawn(async move {
                YieldOnce(false).await;
                done.set(done.get() + 1);
            });
        }
        assert_eq!(run(&mut tasks), 6, "two wakes before a poll count as one");
        assert_eq!(done.get(), 3);
        let done_again = done.clone();
        tasks.spawn(async move { done_again.set(10) });
        run(&mut tasks);
        assert_eq!((done.get(), tasks.slots.len()), (10, 3));
    }

    #[test]
    fn a_panic_ends_its_task_alone() {
        let mut tasks = Tasks::new(Arc::new(Wake::unattended()));
        let done = Rc::new(Cell::new(false));
        let flag = done.clone();
        tasks.spawn(async { panic!("on purpose") });
        tasks.spawn(async move { flag.set(true) });
        let payload = tasks.poll_one().unwrap_err();
        assert_eq!(*payload.downcast_ref::<&str>().unwrap(), "on purpose");
        tasks.poll_one().unwrap();
        assert!(done.get());
    }

    #[test]
    fn a_late_waker_does_not_touch_the_next_task() {
        let mut tasks = Tasks::new(Arc::new(Wake::unattended()));
        let kept: Rc<Cell<Option<Waker>>> = Rc::default();
        let keep = kept.clone();
        tasks.spawn(std::future::poll_fn(move |context| {
            keep.set(Some(context.waker().clone()));
            Poll::Ready(())
        }));
        run(&mut tasks);
        let polls = Rc::new(Cell::new(0));
        let counter = polls.clone();
        tasks.spawn(std::future::poll_fn(move |_| {
            counter.set(counter.get() + 1);
            Poll::Pending
        }));
        run(&mut tasks);
        kept.take().unwrap().wake();
        run(&mut tasks);
        assert_eq!(polls.get(), 1);
    }

    #[test]
    fn another_thread_can_wake_a_task() {
        let mut tasks = Tasks::new(Arc::new(Wake::unattended()));
        let done = Rc::new(Cell::new(false));
        let flag = done.clone();
        let mut thread = None;
        tasks.spawn(std::future::poll_fn(move |context| {
            if thread.is_none() {
                let waker = context.waker().clone();
                thread = Some(std::thread::spawn(move || waker.wake()));
                return Poll::Pending;
            }
            flag.set(true);
            Poll::Ready(())
        }));
        while !done.get() {
            run(&mut tasks);
            std::thread::yield_now();
        }
    }
}
