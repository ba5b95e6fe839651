//! The threads that do handshakes, so that no core does.

use crate::chores::{self, Chore, Life, Pace};
use crossbeam_channel::{Receiver, Sender, bounded};
use petrel_engine::Order;
use petrel_engine::transport::HandshakeJob;
use petrel_runtime::OrderSender;
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

/// Steps of handshakes that may wait: about what a worker gets done within the default timeout. More would wait in
/// vain, so they are refused at once.
const WAITING_MAX: usize = 4096;

/// The workers of a node. A crowd that comes back does not slow those who are there, and still gets its share of a busy
/// machine.
pub struct Workers {
    jobs: Sender<Box<HandshakeJob>>,
    queue: Receiver<Box<HandshakeJob>>,
    is_started: Mutex<bool>,
}

impl Default for Workers {
    fn default() -> Workers {
        let (jobs, queue) = bounded(WAITING_MAX);
        Workers { jobs, queue, is_started: Mutex::new(false) }
    }
}

impl Workers {
    /// Where the cores send their jobs.
    pub fn jobs(&self) -> Sender<Box<HandshakeJob>> {
        self.jobs.clone()
    }

    /// Starts the threads, once: half as many as there are cores. They live as long as the process, waiting.
    ///
    /// # Errors
    /// When a thread cannot be made.
    pub fn start(&self, orders: &[OrderSender<Order>]) -> io::Result<()> {
        let mut is_started = self.is_started.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *is_started, true) {
            return Ok(());
        }
        let count = NonZeroUsize::new(orders.len() / 2).map_or(1, NonZeroUsize::get);
        let orders: Arc<[OrderSender<Order>]> = orders.into();
        chores::start("tls", count, Life::Long, self.queue.clone(), move |job| Step {
            job: Mutex::new(Some(job)),
            orders: orders.clone(),
        })
    }
}

/// A step of a handshake. It is taken once: who comes second finds nothing to do.
struct Step {
    job: Mutex<Option<Box<HandshakeJob>>>,
    orders: Arc<[OrderSender<Order>]>,
}

impl Chore for Step {
    fn run(&self, _: Pace) {
        let job = self.job.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(job) = job.filter(|job| !job.is_abandoned()) else { return };
        if let Some(core) = self.orders.get(job.core().index()) {
            core.send(Order::Handshake(Box::new(job.run())));
        }
    }
}
