//! Monitoring over HTTP: what operators, dashboards and probes read (reference: monitoring.md, sections 1 to
//! 7). It runs on control-plane threads and asks the cores; it is never on their way. The system account's services
//! (`crate::system`) give the same answers over the bus.

pub mod accountz;
pub mod accstatz;
mod answer;
pub mod connz;
pub mod healthz;
mod histograms;
mod index;
pub mod internals;
pub mod json;
pub mod jsz;
pub mod links;
mod listener;
mod path;
mod patience;
mod prometheus;
pub mod query;
mod router;
pub mod shape;
mod state;
pub mod subsz;
pub mod time;
pub mod varz;

pub use listener::{Listener, Open, Stream, plainly};
pub use state::{About, Monitor};
#[cfg(feature = "fuzzing")]
pub use {answer::Budget, listener::serve, router::router};
