//! Sessions: one state for each connection.

mod activity;
pub(crate) mod authentication;
pub(crate) mod budget;
pub(crate) mod client;
pub(crate) mod closed;
pub(crate) mod closing;
mod connecting;
mod following;
mod input;
pub(crate) mod keepalive;
pub(crate) mod login;
mod mapping;
pub(crate) mod operations;
pub(crate) mod outbound;
pub(crate) mod parting;
mod publishing;
mod reauthorizing;
mod refusal;
pub(crate) mod replies;
pub(crate) mod rights;
pub(crate) mod room;
mod shadows;
pub(crate) mod subscribing;
mod trace;
