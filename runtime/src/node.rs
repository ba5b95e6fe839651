//! The threads of a node's cores, and the loop that each of them runs.

use crate::backend::{EpollSockets, Sockets, UringSockets};
use crate::control::OrderInbox;
use crate::core::{self, CoreParts, CoreState};
use crate::file::{FileDriver, FileThreads};
use crate::launch::BackendKind;
use crate::mailbox::RingPort;
use crate::program::{CoreId, Program};
use crate::tasks::Tasks;
use crate::time::clock::Clock;
use crate::wake::Wake;
use crate::{cpu, random};
use glommio::{LocalExecutorBuilder, Placement};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// glommio asks its tasks to yield after this. The loop never yields to it, so only one thing is left of it: when
/// the time is up before glommio has polled its first task, it parks with that task runnable, and the core never
/// starts (seen once in 50 to 100 starts on a busy machine with 1 ms). Hence long.
const PREEMPT_AFTER: Duration = Duration::from_secs(60 * 60);
/// Memory that glommio registers for its files, which we do not use. Its default of 10 MB is more than many
/// systems let a process lock.
const EXECUTOR_MEMORY_BYTES: usize = 64 * 1024;
/// Entries of glommio's own rings, which we do not use.
const EXECUTOR_RING_DEPTH: usize = 16;

/// What the cores of a node share beside mail.
pub(crate) struct Node {
    pub(crate) start: Instant,
    pub(crate) wakes: Vec<Arc<Wake>>,
    /// A core died or could not start: the others end as well.
    pub(crate) failed: AtomicBool,
}

impl Node {
    /// Ends all cores.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Relaxed);
        for wake in &self.wakes {
            wake.notify();
        }
    }
}

/// What a core's thread is given.
pub(crate) struct CoreSeat<M, O> {
    pub(crate) node: Arc<Node>,
    pub(crate) core: CoreId,
    pub(crate) cpu: usize,
    pub(crate) backend: BackendKind,
    pub(crate) ports: Vec<Option<RingPort<M>>>,
    pub(crate) orders: OrderInbox<O>,
}

/// Ends the other cores when a core's thread unwinds.
struct FailOnPanic<'a>(&'a Node);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail();
        }
    }
}

/// Runs a core on the calling thread until it stops. `up` is called once its program has started.
pub(crate) fn run_core<P: Program>(
    seat: CoreSeat<P::Mail, P::Order>,
    make: impl FnOnce() -> P,
    up: impl FnOnce(),
) -> Result<(), String> {
    let node = seat.node.clone();
    let _guard = FailOnPanic(&node);
    cpu::hint_long_slices();
    match seat.backend {
        BackendKind::Uring => {
            let executor = LocalExecutorBuilder::new(Placement::Fixed(seat.cpu))
                .name("petrel-core")
                .preempt_timer(PREEMPT_AFTER)
                .io_memory(EXECUTOR_MEMORY_BYTES)
                .ring_depth(EXECUTOR_RING_DEPTH)
                .make()
                .map_err(|error| format!("glommio: {error}"))?;
            // One task that never yields: whatever can wake this core ends up in its private ring, and the
            // executor has nothing else to run. So the executor never parks, and its park can miss nothing.
            executor.run(async move {
                let wake = seat.node.wakes[seat.core.index()].clone();
                let sockets = UringSockets::new(wake).map_err(|error| format!("io_uring: {error}"))?;
                run_loop(seat, Sockets::Uring(Box::new(sockets)), make, up)
            })
        }
        BackendKind::Epoll => {
            cpu::pin_thread(seat.cpu).map_err(|error| format!("CPU {}: {error}", seat.cpu))?;
            let wake = seat.node.wakes[seat.core.index()].clone();
            let sockets = EpollSockets::new(wake).map_err(|error| format!("epoll: {error}"))?;
            run_loop(seat, Sockets::Epoll(Box::new(sockets)), make, up)
        }
        BackendKind::Sim => unreachable!("the simulator has no threads"),
    }
}

fn run_loop<P: Program>(
    seat: CoreSeat<P::Mail, P::Order>,
    sockets: Sockets,
    make: impl FnOnce() -> P,
    up: impl FnOnce(),
) -> Result<(), String> {
    let node = seat.node;
    let wake = node.wakes[seat.core.index()].clone();
    let random_seed = random::kernel_seed().map_err(|error| format!("random numbers: {error}"))?;
    let mut state = CoreState::new(CoreParts {
        core: seat.core,
        backend: seat.backend,
        clock: Clock::Real { start: node.start },
        sockets,
        mail: seat.ports.into_iter().map(Into::into).collect(),
        random_seed,
        tasks: Tasks::new(wake.clone()),
        files: FileDriver::Threads(FileThreads::new(wake.clone())),
    });
    let mut program = make();
    core::start(&mut program, &mut state);
    up();
    let mut orders = VecDeque::new();
    while !state.stopping && !node.failed.load(Ordering::Relaxed) {
        seat.orders.collect(&mut orders);
        let handled = core::turn(&mut program, &mut state, &mut orders);
        if state.stopping {
            break;
        }
        wait(&mut state, handled, &seat.orders, &wake, &node);
    }
    Ok(())
}

/// Waits until the next turn has something to do. `handled` is whether the last one had.
fn wait<M: Send + 'static, O>(
    state: &mut CoreState<M>,
    handled: bool,
    orders: &OrderInbox<O>,
    wake: &Wake,
    node: &Node,
) {
    // Where connections are there is a deadline, and the clock is read for it anyway.
    let deadline = state.next_deadline();
    let now = state.clock.monotonic();
    if handled {
        state.turn_lengths.record(now.since(state.now));
    }
    let timeout = match deadline {
        None => None,
        Some(deadline) => {
            let timeout = deadline.since(now);
            if timeout.is_zero() {
                return;
            }
            Some(timeout)
        }
    };
    wake.prepare_sleep();
    if !state.has_work() && !orders.has_work() && !node.failed.load(Ordering::Relaxed) {
        state.sockets.park(timeout);
    }
    wake.end_sleep();
}
