//! Monitoring over HTTP: what operators, dashboards and probes read (reference: monitoring.md, sections 1 to
//! 3 and 7). It runs on one control-plane thread and asks the cores; it is never on their way.

mod connz;
mod gather;
mod healthz;
mod index;
mod json;
mod listener;
mod prometheus;
mod query;
mod router;
mod shape;
mod state;
mod time;
mod varz;

pub use listener::Listener;
pub use state::{About, Monitor};
