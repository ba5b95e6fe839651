//! Sessions: one state for each connection.

pub(crate) mod authentication;
pub(crate) mod budget;
pub(crate) mod client;
pub(crate) mod closed;
pub(crate) mod closing;
pub(crate) mod keepalive;
pub(crate) mod operations;
pub(crate) mod outbound;
pub(crate) mod subscribing;
