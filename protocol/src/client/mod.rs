//! The protocol that clients speak.

pub mod connect;
pub mod encode;
pub mod error;
pub mod info;
mod json;
pub mod parser;
mod redact;

pub use connect::{ConnectError, ConnectOptions};
pub use error::{ClosedReason, ProtocolError};
pub use info::ServerInfo;
pub use parser::{ClientOp, ParseError, ParseLimits, Parsed, WholePublish, parse, parse_publish};
pub use redact::without_secrets;
