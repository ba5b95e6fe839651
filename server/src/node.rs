//! The running cores, and how the control plane talks to them.

use crate::files::system_text;
use crate::inquiry::Inquiry;
use crate::passwords::PasswordChecker;
use crate::settings::Listen;
use crate::tls::Workers;
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use petrel_engine::{Notice, Options, Order, SETTLING_ROUNDS, Shard};
use petrel_runtime::{BackendKind, LaunchError, LaunchOptions, OrderSender, RunningNode, launch};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long the first core may take to say where it listens.
const START_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long the cores may take to close everything. Platforms kill some seconds after the first signal.
const STOP_WAIT_MAX: Duration = Duration::from_secs(4);

/// How long a core may take to go over to new options: it may have to look at every session.
const RELOAD_WAIT_MAX: Duration = Duration::from_secs(30);

/// Why the node did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The cores could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The port of the clients could not be bound.
    #[error("Error listening on port: {host}, \"listen tcp {host}: bind: {}\"", system_text(source))]
    Listen {
        /// Host and port.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// The threads for handshakes could not be started.
    #[error("cannot start the threads for TLS handshakes: {0}")]
    Workers(io::Error),
    /// The first core said nothing.
    #[error("the first core did not start to listen within {} seconds", START_WAIT_MAX.as_secs())]
    Silent,
}

/// Why the node did not stop in order.
#[derive(Debug, thiserror::Error)]
pub enum StopError {
    /// A core did not end in time.
    #[error("a core did not stop within {} seconds", STOP_WAIT_MAX.as_secs())]
    Late,
    /// A core ended by a panic.
    #[error("a core ended by a panic: {0}")]
    Panicked(String),
}

/// A node whose cores run.
pub struct Node {
    running: RunningNode<Order>,
    notices: Receiver<Notice>,
    workers: Arc<Workers>,
    /// Where clients connect, as bound.
    pub address: SocketAddr,
}

impl Node {
    /// Starts the cores and waits until the first one listens.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(
        options: Arc<Options>,
        launch_options: &LaunchOptions,
        listen: &Listen,
        key: [u64; 4],
    ) -> Result<Node, StartError> {
        // Unbounded, because a core never waits; notices are few: two in the life of a node.
        let (sender, notices) = unbounded();
        let workers = Arc::new(Workers::default());
        let has_tls = options.tls.is_some();
        let jobs = workers.jobs();
        let running = launch(launch_options, move |core, core_count| {
            Shard::new(options.clone(), core, core_count, key, sender.clone()).with_handshakes(jobs.clone())
        })?;
        if has_tls {
            workers.start(&running.orders).map_err(StartError::Workers)?;
        }
        match notices.recv_timeout(START_WAIT_MAX) {
            Ok(Notice::Listening(address)) => Ok(Node { running, notices, workers, address }),
            Ok(Notice::ListenFailed(address, source)) => {
                stop_cores(&running);
                let host = crate::address::joined(&listen.host, address.port());
                Err(StartError::Listen { host, source })
            }
            Ok(_) | Err(_) => {
                stop_cores(&running);
                Err(StartError::Silent)
            }
        }
    }

    /// What the cores say unasked.
    pub fn notices(&self) -> &Receiver<Notice> {
        &self.notices
    }

    /// What drives the cores.
    pub fn backend(&self) -> BackendKind {
        self.running.backend
    }

    /// Why the faster backend was not taken, in one line.
    pub fn backend_note(&self) -> Option<&str> {
        self.running.backend_note.as_deref()
    }

    /// The CPU of each core.
    pub fn cpus(&self) -> &[usize] {
        &self.running.cpus
    }

    /// Starts the thread that checks passwords for the cores.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start_password_checker(&self, key: [u64; 4]) -> io::Result<PasswordChecker> {
        let orders = self.running.orders.clone();
        PasswordChecker::start(key, move |ticket, verdict| {
            if let Some(core) = orders.get(ticket.core.index()) {
                core.send(Order::PasswordChecked(ticket, verdict));
            }
        })
    }

    /// A handle that asks the cores.
    pub fn inquiry(&self) -> Inquiry {
        Inquiry::new(self.running.orders.clone())
    }

    /// A handle that gives the cores new options.
    pub fn reconfiguration(&self) -> Reconfiguration {
        Reconfiguration { orders: self.running.orders.clone(), workers: self.workers.clone() }
    }

    /// Tells all cores to accept nobody any more and to let the clients go one by one.
    pub fn enter_lame_duck(&self) {
        for core in &self.running.orders {
            core.send(Order::LameDuck);
        }
    }

    /// Closes everything and waits until the cores have ended.
    ///
    /// # Errors
    /// When a core does not end in time or has ended by a panic.
    pub fn stop(self) -> Result<(), StopError> {
        stop_cores(&self.running);
        let (sender, ended) = bounded(1);
        let running = self.running;
        let waiter = std::thread::Builder::new().name("petrel-stop".into());
        let spawned = waiter.spawn(move || {
            // Nobody listens any more when the wait was given up.
            let _ = sender.send(running.join());
        });
        if spawned.is_err() {
            return Err(StopError::Late);
        }
        match ended.recv_timeout(STOP_WAIT_MAX) {
            Ok(result) => result.map_err(StopError::Panicked),
            Err(_) => Err(StopError::Late),
        }
    }
}

fn stop_cores(running: &RunningNode<Order>) {
    for core in &running.orders {
        core.send(Order::Shutdown);
    }
}

/// Gives all cores new options. Blocks: not for use on a core.
#[derive(Clone)]
pub struct Reconfiguration {
    orders: Vec<OrderSender<Order>>,
    workers: Arc<Workers>,
}

/// A core did not take new options in time.
#[derive(Debug, thiserror::Error)]
#[error("core {core} did not answer within {} seconds", RELOAD_WAIT_MAX.as_secs())]
pub struct CoreSilent {
    core: usize,
}

impl Reconfiguration {
    /// Makes sure that somebody does handshakes: to be called before the cores get options with TLS.
    ///
    /// # Errors
    /// When threads cannot be made.
    pub fn start_handshakes(&self) -> io::Result<()> {
        self.workers.start(&self.orders)
    }

    /// First step: all cores get to know the accounts that are new. Nothing else changes by it.
    ///
    /// # Errors
    /// When a core does not answer.
    pub fn prepare(&self, options: &Arc<Options>) -> Result<(), CoreSilent> {
        self.order(|done| Order::PrepareReload(options.clone(), done))
    }

    /// Second step: all cores go over to the options.
    ///
    /// # Errors
    /// When a core does not answer; it goes over when it can.
    pub fn carry_out(&self, options: &Arc<Options>) -> Result<(), CoreSilent> {
        self.order(|done| Order::Reload(options.clone(), done))
    }

    /// Third step: waits until those are closed whom the options leave no room for.
    ///
    /// # Errors
    /// When a core does not answer; it closes them when it can.
    pub fn settle(&self) -> Result<(), CoreSilent> {
        (0..SETTLING_ROUNDS).try_for_each(|_| self.order(Order::Settle))
    }

    fn order(&self, order: impl Fn(Sender<()>) -> Order) -> Result<(), CoreSilent> {
        let deadline = Instant::now() + RELOAD_WAIT_MAX;
        let waiting: Vec<Receiver<()>> = self
            .orders
            .iter()
            .map(|core| {
                let (done, answer) = bounded(1);
                // A core that has ended drops the sender with the order, which ends the wait.
                core.send(order(done));
                answer
            })
            .collect();
        match waiting.iter().position(|answer| answer.recv_deadline(deadline).is_err()) {
            Some(core) => Err(CoreSilent { core }),
            None => Ok(()),
        }
    }
}
