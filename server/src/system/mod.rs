//! The server as a member of its system account: it answers requests and tells what happens (reference: monitoring.md,
//! sections 8 and 9). The cores hand over what they are asked (`petrel_engine::SystemNotice`); a thread of the control
//! plane works it off, with the endpoints of `crate::monitor`, and publishes through the first core.

mod account;
mod body;
mod envelope;
mod events;
mod filter;
mod go_json;
mod reading;
mod requests;
mod server;
mod service;
mod statistics;
mod subject;
mod unique;
mod user;

pub use body::Body;
pub use service::{Reload, Services};
#[cfg(feature = "fuzzing")]
pub use {envelope::Stationery, go_json::syntax_error, requests::answer};
