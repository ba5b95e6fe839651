//! What happens to a message between its publisher and its receivers.

mod barrier;
mod deliver;
mod envelopes;
pub(crate) mod large;
pub(crate) mod no_responders;
mod queue_pick;
mod stall;
