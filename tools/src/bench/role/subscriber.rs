//! Receives messages and counts them.

use super::super::reader::Message;
use super::Context;

/// A connection that receives messages.
pub struct Subscriber {
    /// `None` for one that nobody waits for.
    lane: Option<usize>,
    received: u64,
    /// Messages begin with the time at which they were due.
    stamped: bool,
    /// It reads nothing until the end of the run.
    stopped: bool,
}

impl Subscriber {
    /// A subscriber that counts on `lane` and records delays if messages are `stamped`.
    pub fn new(lane: usize, stamped: bool) -> Self {
        Self { lane: Some(lane), received: 0, stamped, stopped: false }
    }

    /// A subscriber that reads nothing while the run lasts.
    pub fn stopped() -> Self {
        Self { lane: None, received: 0, stamped: false, stopped: true }
    }

    /// Whether it reads nothing.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Counts a message.
    #[inline]
    pub fn on_message(&mut self, message: &Message<'_>, context: &mut Context<'_>) {
        self.received += 1;
        if self.stamped
            && let Some(stamp) = message.head.first_chunk::<8>()
        {
            context.latency.record(context.now_ns.saturating_sub(u64::from_le_bytes(*stamp)));
        }
    }

    /// Publishes the count after a read.
    pub fn publish(&self, context: &Context<'_>) {
        if let Some(lane) = self.lane {
            context.flow.receivers[lane].update(self.received, context.now_ns);
        }
    }
}
