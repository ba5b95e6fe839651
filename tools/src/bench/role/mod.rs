//! What a connection of a run does.

pub mod churner;
pub mod publisher;
pub mod requester;
pub mod responder;
pub mod subscriber;

pub use churner::Churner;
pub use publisher::Publisher;
pub use requester::Requester;
pub use responder::Responder;
pub use subscriber::Subscriber;

use super::flow::Flow;
use super::latency::LatencyRecorder;

/// One of the things a connection can do.
pub enum Role {
    /// Sends messages.
    Publisher(Publisher),
    /// Receives messages.
    Subscriber(Subscriber),
    /// Sends a request, waits for the reply, sends the next.
    Requester(Requester),
    /// Answers requests.
    Responder(Responder),
    /// Adds and removes subscriptions.
    Churner(Churner),
}

impl Role {
    /// The word for it in messages to the user.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Publisher(_) => "publisher",
            Self::Subscriber(_) => "subscriber",
            Self::Requester(_) => "requester",
            Self::Responder(_) => "responder",
            Self::Churner(_) => "churner",
        }
    }
}

/// What roles record and share, apart from their connection.
pub struct Context<'a> {
    /// Counters and phase of the run.
    pub flow: &'a Flow,
    /// Delays of messages or requests.
    pub latency: &'a mut LatencyRecorder,
    /// How late the generator itself sent what was due.
    pub lag: &'a mut LatencyRecorder,
    /// The monotonic clock.
    pub now_ns: u64,
}

/// How many messages a sender still has to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// Until the run is over.
    Open,
    /// Until this many have been sent since the beginning.
    Until(u64),
}

impl Quota {
    /// Messages left after `sent`.
    pub fn left(self, sent: u64) -> u64 {
        match self {
            Self::Open => u64::MAX,
            Self::Until(until) => until.saturating_sub(sent),
        }
    }
}
