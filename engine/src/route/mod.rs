//! What happens to a message between its publisher and its receivers.

mod barrier;
pub(crate) mod client_info;
mod deliver;
mod envelopes;
pub(crate) mod forwards;
pub(crate) mod large;
pub(crate) mod no_responders;
mod queue_pick;
pub(crate) mod service;
mod service_answer;
mod service_forsaken;
pub(crate) mod service_latency;
pub(crate) mod service_reply;
mod stall;
pub(crate) mod trace;
mod trace_event;
mod trace_route;
