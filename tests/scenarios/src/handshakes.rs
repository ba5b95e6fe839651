//! Who does handshakes in a run, and takes his time.

use crate::random::Random;
use crossbeam_channel::{Receiver, Sender, unbounded};
use petrel_engine::transport::{HandshakeAnswer, HandshakeJob};
use petrel_runtime::Monotonic;
use std::time::Duration;

/// The worker of a run.
pub struct Handshakes {
    /// Where the cores send their jobs.
    pub jobs: Sender<Box<HandshakeJob>>,
    queue: Receiver<Box<HandshakeJob>>,
    /// What is being worked on, and until when.
    under_way: Vec<(Monotonic, Box<HandshakeJob>)>,
    delay_max: Duration,
    random: Random,
    /// Steps that were done.
    pub done: u64,
    /// Steps that nobody waited for any more.
    pub abandoned: u64,
}

impl Handshakes {
    /// A step takes up to this long.
    pub fn new(delay_max: Duration, seed: u64) -> Handshakes {
        let (jobs, queue) = unbounded();
        let random = Random::new(seed, "handshakes");
        Handshakes { jobs, queue, under_way: Vec::new(), delay_max, random, done: 0, abandoned: 0 }
    }

    /// What says whether somebody waits.
    pub fn queue(&self) -> Receiver<Box<HandshakeJob>> {
        self.queue.clone()
    }

    /// Takes on what waits, and returns what is done by now, with its core.
    pub fn work(&mut self, now: Monotonic) -> Vec<(usize, HandshakeAnswer)> {
        while let Ok(job) = self.queue.try_recv() {
            let due = now.after(self.random.pause(self.delay_max));
            self.under_way.push((due, job));
        }
        let mut answers = Vec::new();
        for (due, job) in std::mem::take(&mut self.under_way) {
            if due > now {
                self.under_way.push((due, job));
            } else if job.is_abandoned() {
                self.abandoned += 1;
            } else {
                self.done += 1;
                answers.push((job.core().index(), job.run()));
            }
        }
        answers
    }

    /// When the next step is done.
    pub fn next_due(&self) -> Option<Monotonic> {
        self.under_way.iter().map(|(due, _)| *due).min()
    }
}
