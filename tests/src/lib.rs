//! The harness of the black-box tests: it runs the real server on a free port of the loopback interface and talks
//! to it over plain sockets.
//!
//! * [`Server`] starts a binary, waits until it says that it is ready, and makes sure that it ends well.
//! * [`Wire`] is one connection, byte by byte.
//! * [`conversation`] reads and replays the golden conversations of `tests/conversations/`.
//! * [`Certificates`] are those of a small organisation, for TLS.
//! * [`http`] asks the monitoring port.
//!
//! The binary is `petrel-server` as built in the target directory of the running test, or the one that the
//! environment variable `PETREL_TEST_SERVER` names: the same suites run against any server of the protocol, which is
//! how the golden texts are checked. `PETREL_TEST_CONFIG` holds lines for every configuration, such as
//! `petrel { cores: 3 }`.

mod certificates;
pub mod conversation;
mod ending;
pub mod http;
mod message;
mod pattern;
mod server;
mod wire;

pub use certificates::Certificates;
pub use ending::SetOnDrop;
pub use message::Message;
pub use pattern::Pattern;
pub use petrel_random::Random;
pub use server::{Server, ServerBuilder, binary_path, free_port, is_petrel};
pub use wire::{Mismatch, Split, Wire};

use std::time::Duration;

/// How long an expected answer may take before a test calls it missing. Generous: the machines of a test run are
/// small and shared, and a test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);
