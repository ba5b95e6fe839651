//! Which connections a run has and what each does.

use std::sync::Arc;

use super::arguments::{Arguments, Mode};
use super::clock::monotonic_ns;
use super::connection::{ServerIdentity, Target};
use super::error::BenchError;
use super::flow::Flow;
use super::lines::{LineRing, payload};
use super::peer::Peer;
use super::reader::Reader;
use super::role::{Churner, Publisher, Requester, Responder, Role, Subscriber};
use super::schedule::Schedule;
use super::subjects::SubjectSpace;

/// Seed of everything drawn: two runs send the same.
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
/// Queue group of the responders where there are several.
const RESPONDER_QUEUE: &str = "petrel-bench-responders";

/// A peer, its share of a counted run, and the thread it is for.
type Placed = (Peer, Option<u64>, usize);

/// The connections of a run, open and in place, by worker.
pub struct Plan {
    /// One list for each worker; with each peer its share of a counted run.
    pub workers: Vec<Vec<(Peer, Option<u64>)>>,
    /// Shared by all of them.
    pub flow: Arc<Flow>,
    /// What the server says about itself.
    pub server: ServerIdentity,
}

struct Builder<'a> {
    arguments: &'a Arguments,
    target: &'a Target,
    placed: Vec<Placed>,
    server: ServerIdentity,
    space: SubjectSpace,
    buffer: Vec<u8>,
}

impl Plan {
    /// Opens all connections of the run that `arguments` describe, receivers before senders.
    ///
    /// # Errors
    /// What a connection meets, and [`BenchError::Usage`] when the payload is larger than the server accepts.
    pub fn open(arguments: &Arguments, mode: Mode, target: &Target) -> Result<Self, BenchError> {
        let mut builder = Builder {
            arguments,
            target,
            placed: Vec::new(),
            server: ServerIdentity::default(),
            space: SubjectSpace::new(&arguments.subject, arguments.subjects as usize),
            buffer: vec![0; Reader::BUFFER_BYTES_MIN],
        };
        let flow = match mode {
            Mode::Pub => builder.publish(0)?,
            Mode::Sub => builder.subscribe()?,
            Mode::Fan => {
                let receivers = builder.subscribe()?.receivers.len();
                builder.publish(receivers)?
            }
            Mode::Request => builder.request()?,
        };
        builder.churn()?;
        let maximum = builder.server.max_payload;
        if maximum > 0 && arguments.size > maximum {
            let text =
                format!("--size {} is above the server's max_payload of {maximum} bytes", arguments.size);
            return Err(BenchError::Usage(text));
        }
        let mut workers: Vec<Vec<_>> = (0..arguments.threads).map(|_| Vec::new()).collect();
        for (peer, quota, thread) in builder.placed {
            workers[thread % arguments.threads as usize].push((peer, quota));
        }
        Ok(Self { workers, flow: Arc::new(flow), server: builder.server })
    }
}

impl Builder<'_> {
    fn add(
        &mut self,
        first_lines: &[u8],
        number: usize,
        quota: Option<u64>,
        thread: usize,
        role: Role,
    ) -> Result<(), BenchError> {
        let name = format!("petrel-bench {} {number}", role.name());
        let connection = self.target.dial(&name, None, first_lines, &mut self.buffer)?;
        self.server = connection.server.clone();
        let peer =
            Peer::new(connection, role, number).map_err(|error| BenchError::system("a socket", error))?;
        self.placed.push((peer, quota, thread));
        Ok(())
    }

    fn subscribe(&mut self) -> Result<Flow, BenchError> {
        let arguments = self.arguments;
        let mut lines = String::new();
        for (index, subject) in self.space.subscriptions(arguments.wildcard_receivers).iter().enumerate() {
            match &arguments.queue {
                Some(queue) => lines.push_str(&format!("SUB {subject} {queue} {}\r\n", index + 1)),
                None => lines.push_str(&format!("SUB {subject} {}\r\n", index + 1)),
            }
        }
        let live = (arguments.subscribers - arguments.stopped_receivers) as usize;
        for number in 0..arguments.subscribers as usize {
            let subscriber = if number < live {
                Subscriber::new(number, arguments.is_stamped())
            } else {
                Subscriber::stopped()
            };
            self.add(lines.as_bytes(), number, None, number, Role::Subscriber(subscriber))?;
        }
        Ok(Flow::new(0, live, arguments.queue.is_some(), None, arguments.threads as usize))
    }

    fn publish(&mut self, receivers: usize) -> Result<Flow, BenchError> {
        let arguments = self.arguments;
        let ring = Arc::new(LineRing::new(&self.space, arguments.distribution, arguments.size, SEED));
        let count = arguments.publishers as usize;
        for number in 0..count {
            let schedule = self.schedule(number, count, arguments.quantum_us * 1_000);
            let publisher = Publisher::new(number, count, Arc::clone(&ring), schedule);
            // A publisher and the subscriber of the same number are on different threads where there are several.
            self.add(b"", number, self.quota(number, count), number + 1, Role::Publisher(publisher))?;
        }
        let window = (receivers > 0).then(|| (arguments.window / ring.line_len()).max(2) as u64);
        Ok(Flow::new(count, receivers, arguments.queue.is_some(), window, arguments.threads as usize))
    }

    fn request(&mut self) -> Result<Flow, BenchError> {
        let arguments = self.arguments;
        let payload: Arc<[u8]> = payload(arguments.size).into();
        let subject = &arguments.subject;
        let queue = if arguments.responders > 1 { format!(" {RESPONDER_QUEUE}") } else { String::new() };
        let subscription = format!("SUB {subject}{queue} 1\r\n");
        for number in 0..arguments.responders as usize {
            let role = Role::Responder(Responder::new(&payload));
            self.add(subscription.as_bytes(), number, None, number + 1, role)?;
        }
        let count = arguments.clients as usize;
        for number in 0..count {
            // One request has one time: groups would need several outstanding.
            let schedule = self.schedule(number, count, 0);
            let inbox = format!("_INBOX.{:012x}{number:06x}", monotonic_ns() & 0xFFFF_FFFF_FFFF);
            let lines = format!("SUB {inbox}.* 1\r\n");
            let requester = Requester::new(number, subject, Arc::clone(&payload), inbox, schedule);
            self.add(
                lines.as_bytes(),
                number,
                self.quota(number, count),
                number,
                Role::Requester(requester),
            )?;
        }
        Ok(Flow::new(count, count, true, None, arguments.threads as usize))
    }

    fn churn(&mut self) -> Result<(), BenchError> {
        let Some(rate) = self.arguments.churn else { return Ok(()) };
        let schedule = Schedule::new(rate, 0, 0);
        let role = Role::Churner(Churner::new(self.space.clone(), schedule));
        self.add(b"", 0, None, 0, role)
    }

    /// The schedule of sender `number` of `count`: its share of the rate, shifted so that they do not send together.
    /// It counts from 0, and is moved to the time at which the run begins.
    fn schedule(&self, number: usize, count: usize, quantum_ns: u64) -> Option<Schedule> {
        let rate = self.arguments.rate? / count as f64;
        let interval_ns = Schedule::new(rate, 0, quantum_ns).interval_ns();
        let shift_ns = interval_ns * number as u64 / count as u64;
        Some(Schedule::new(rate, shift_ns, quantum_ns))
    }

    /// The share of sender `number` of `count` in a counted run.
    fn quota(&self, number: usize, count: usize) -> Option<u64> {
        let messages = self.arguments.messages?;
        let (count, number) = (count as u64, number as u64);
        Some(messages / count + u64::from(number < messages % count))
    }
}
