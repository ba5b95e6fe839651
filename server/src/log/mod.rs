//! The log: events of `tracing`, in upstream's format, written by one thread.
//!
//! Whoever logs hands a [`Line`] to a bounded channel and goes on; a core is never held up by a slow terminal
//! or disk. When the channel is full the line is counted, and the count is written when there is room.

mod file;
mod format;
mod layer;
mod lost;
mod output;
mod syslog;
mod writer;

pub use format::{Level, Line};
pub use layer::{Levels, install};
pub use lost::LostLines;
pub use output::{Destination, Output, OutputError, Sink};
pub use writer::{Log, Opened};
