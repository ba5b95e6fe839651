//! The wire, without I/O and without a clock: bytes to meaning and back.

pub mod client;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod headers;
pub mod identity;
pub mod pattern;
pub mod proxy_protocol;
pub mod quote;
pub mod subject;
pub mod timestamp;
pub mod transform;
mod utf8;
