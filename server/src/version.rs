//! What this program says of its version.

/// The upstream level that is implemented. Clients and tools decide by it, so INFO, `/varz` and `-v` show it.
pub const UPSTREAM: &str = "2.15.2";

/// Petrel's own version.
pub const PETREL: &str = env!("CARGO_PKG_VERSION");

/// The JetStream API level of [`UPSTREAM`]; INFO carries it also without JetStream.
pub const API_LEVEL: i32 = 5;

/// What stands in the `go` field of INFO and `/varz`, which tools expect to be non-empty.
pub const TOOLCHAIN: &str = concat!("rust", env!("CARGO_PKG_RUST_VERSION"));

/// The name that messages outside the log begin with, and that `-v` prints: scripts compare it.
pub const PROGRAM: &str = "nats-server";
