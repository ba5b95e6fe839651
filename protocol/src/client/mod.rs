//! The protocol that clients speak.

pub mod connect;
pub mod encode;
pub mod error;
pub mod info;
mod json;
pub mod parser;

pub use connect::{ConnectError, ConnectOptions};
pub use error::{ClosedReason, ProtocolError};
pub use info::ServerInfo;
pub use parser::{ClientOp, ParseError, ParseLimits, Parsed, WholePublish, parse, parse_publish};
