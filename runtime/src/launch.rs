//! Starting a node's cores.

use crate::backend::probe_uring;
use crate::control::{OrderSender, order_queue};
use crate::core::panic_message;
use crate::cpu::online_cpus;
use crate::mailbox::connect_cores;
use crate::node::{CoreSeat, Node, run_core};
use crate::program::{CoreId, Program};
use crate::wake::Wake;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

/// Slots of each mailbox ring when the options do not say.
const MAILBOX_SLOTS: usize = 1024;

/// What drives the cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BackendKind {
    /// glommio with a private io_uring.
    Uring,
    /// Readiness by epoll.
    Epoll,
    /// The simulator.
    Sim,
}

/// Which backend to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum BackendChoice {
    /// `Uring` where the kernel allows it, else `Epoll`; [`RunningNode::backend_note`] says why.
    #[default]
    Auto,
    /// `Uring` or an error.
    Uring,
    /// `Epoll`.
    Epoll,
}

/// How to start a node.
#[derive(Clone, Debug, Default)]
pub struct LaunchOptions {
    /// CPUs to use, one core each; empty: all that `sched_getaffinity` allows.
    pub cpus: Vec<usize>,
    /// Which backend.
    pub backend: BackendChoice,
    /// Slots of each mailbox ring before new work is held back; 0 takes the default.
    pub mailbox_slots: usize,
}

/// Why cores could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The ring was asked for and is not to be had.
    #[error("io_uring is not available: {0}")]
    UringDenied(String),
    /// A thread, executor or ring could not be made.
    #[error("core {core} could not start: {message}")]
    CoreFailed {
        /// Which core.
        core: u16,
        /// What the system said.
        message: String,
    },
}

/// A node whose cores run.
pub struct RunningNode<O> {
    /// One sender for each core.
    pub orders: Vec<OrderSender<O>>,
    /// What drives them.
    pub backend: BackendKind,
    /// The CPU of each core.
    pub cpus: Vec<usize>,
    /// One plain line on why the faster backend was not taken and what to do; `None` when it was.
    pub backend_note: Option<String>,
    threads: Vec<JoinHandle<Result<(), String>>>,
}

impl<O> RunningNode<O> {
    /// Waits until all cores have stopped ([`crate::Io::stop`]). When one core's thread dies, the others are
    /// ended as well.
    ///
    /// # Errors
    /// The text of a panic that ended a core's thread.
    pub fn join(self) -> Result<(), String> {
        drop(self.orders);
        join_all(self.threads).map_err(|(core, message)| format!("core {core} died: {message}"))
    }
}

/// Waits for all threads; the first failure is told with its core.
fn join_all(threads: Vec<JoinHandle<Result<(), String>>>) -> Result<(), (u16, String)> {
    let mut first = Ok(());
    for (core, thread) in (0u16..).zip(threads) {
        let result = thread.join().unwrap_or_else(|payload| Err(panic_message(payload.as_ref())));
        if let (Ok(()), Err(message)) = (&first, result) {
            first = Err((core, message));
        }
    }
    first
}

/// Starts the cores, and returns when the programs of all of them have started. `make` builds the program of
/// each core from the core's number and the number of cores; it is called on that core's thread.
///
/// # Errors
/// When a backend was asked for that is not to be had, or a thread or ring cannot be made.
pub fn launch<P, F>(options: &LaunchOptions, make: F) -> Result<RunningNode<P::Order>, LaunchError>
where
    P: Program,
    F: Fn(CoreId, usize) -> P + Send + Sync + 'static,
{
    let (backend, backend_note) = choose_backend(options.backend)?;
    let cpus = if options.cpus.is_empty() { online_cpus() } else { options.cpus.clone() };
    let core_count = cpus.len();
    if core_count > usize::from(u16::MAX) {
        return Err(LaunchError::CoreFailed {
            core: u16::MAX,
            message: "there are too many cores".to_owned(),
        });
    }
    let slots = if options.mailbox_slots == 0 { MAILBOX_SLOTS } else { options.mailbox_slots };
    let wakes: Result<Vec<_>, _> = cpus.iter().map(|_| Wake::new().map(Arc::new)).collect();
    let wakes = wakes
        .map_err(|error| LaunchError::CoreFailed { core: 0, message: format!("an eventfd: {error}") })?;
    let ports = connect_cores(&wakes, slots);
    let node = Arc::new(Node { start: Instant::now(), wakes, failed: AtomicBool::new(false) });
    let make = Arc::new(make);
    let (up, started) = mpsc::channel::<()>();
    let mut orders = Vec::with_capacity(core_count);
    let mut threads = Vec::with_capacity(core_count);
    for ((number, cpu), ports) in (0u16..).zip(&cpus).zip(ports) {
        let core = CoreId(number);
        let (sender, inbox) = order_queue(node.wakes[core.index()].clone());
        orders.push(sender);
        let seat = CoreSeat { node: node.clone(), core, cpu: *cpu, backend, ports, orders: inbox };
        let (make, up) = (make.clone(), up.clone());
        let thread = std::thread::Builder::new().name(format!("petrel-core-{number}")).spawn(move || {
            run_core(
                seat,
                || make(core, core_count),
                move || {
                    let _ = up.send(());
                },
            )
        });
        match thread {
            Ok(thread) => threads.push(thread),
            Err(error) => {
                node.fail();
                let _ = join_all(threads);
                return Err(LaunchError::CoreFailed { core: number, message: format!("a thread: {error}") });
            }
        }
    }
    drop(up);
    // A core that fails drops its sender without a word.
    if started.iter().count() < core_count {
        node.fail();
        let (core, message) = match join_all(threads) {
            Err(failure) => failure,
            Ok(()) => (0, "its thread ended before it had started".to_owned()),
        };
        return Err(LaunchError::CoreFailed { core, message });
    }
    Ok(RunningNode { orders, backend, cpus, backend_note, threads })
}

/// The backend to take, and why not a better one.
fn choose_backend(choice: BackendChoice) -> Result<(BackendKind, Option<String>), LaunchError> {
    match choice {
        BackendChoice::Epoll => Ok((BackendKind::Epoll, None)),
        BackendChoice::Uring => {
            probe_io_uring().map(|()| (BackendKind::Uring, None)).map_err(LaunchError::UringDenied)
        }
        BackendChoice::Auto => Ok(match probe_io_uring() {
            Ok(()) => (BackendKind::Uring, None),
            Err(reason) => (BackendKind::Epoll, Some(reason)),
        }),
    }
}

/// Whether io_uring with what the `uring` backend needs can be set up here.
///
/// # Errors
/// One plain sentence: what is denied and what to do about it.
pub fn probe_io_uring() -> Result<(), String> {
    probe_uring()
}
