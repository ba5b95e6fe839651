//! The threads that do handshakes, so that no core does.

use crossbeam_channel::{Receiver, Sender, bounded};
use petrel_engine::Order;
use petrel_engine::transport::HandshakeJob;
use petrel_runtime::OrderSender;
use std::io;
use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::PoisonError;

/// Steps of handshakes that may wait: about what a worker gets done within the default timeout. More would wait in
/// vain, so they are refused at once.
const WAITING_MAX: usize = 4096;
/// How much the workers yield to the cores. A crowd that comes back shall not slow those who are there, and shall still
/// get its share of a busy machine.
const NICENESS: i32 = 5;

/// The workers of a node.
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
        for number in 0..count {
            let (queue, orders) = (self.queue.clone(), orders.to_vec());
            let name = format!("petrel-tls-{number}");
            std::thread::Builder::new().name(name).spawn(move || work(&queue, &orders))?;
        }
        Ok(())
    }
}

fn work(queue: &Receiver<Box<HandshakeJob>>, orders: &[OrderSender<Order>]) {
    // Of this thread alone, on Linux. Without it handshakes are merely less modest.
    let _ = rustix::process::setpriority_process(None, NICENESS);
    for job in queue {
        if job.is_abandoned() {
            continue;
        }
        if let Some(core) = orders.get(job.core().index()) {
            core.send(Order::Handshake(Box::new(job.run())));
        }
    }
}
