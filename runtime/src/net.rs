//! What programs see of sockets.

use std::io::ErrorKind;
use std::net::SocketAddr;

/// A connection of this core. Never reused while the core runs: a late event of a closed socket cannot be
/// taken for one of its successor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub struct SocketId {
    /// Slot in the core's table; small and dense, so it can index a vector.
    pub slot: u32,
    /// Distinguishes successive users of a slot.
    pub generation: u32,
}

/// A listener of this core.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ListenerId(pub u32);

/// How to listen.
#[derive(Clone, Debug)]
pub struct ListenOptions {
    /// Address and port; port 0 picks a free one. An unspecified host (`0.0.0.0` or `::`) binds `[::]` with
    /// IPV6_V6ONLY off, and falls back to IPv4 where IPv6 is absent, as Go does.
    pub address: SocketAddr,
    /// Length of the kernel's queue of connections not yet accepted.
    pub backlog: u32,
}

/// What became of a send.
#[derive(Debug)]
pub enum SendOutcome {
    /// All bytes were handed to the kernel; here is the buffer for reuse, content unspecified.
    Done(Vec<u8>),
    /// The rest is written in the background; [`crate::Event::Sent`] follows. No other send may start before.
    Pending,
    /// The connection failed; here is the buffer.
    Failed(Vec<u8>, ErrorKind),
}

/// Why nothing more is received.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum End {
    /// The peer closed its sending side in order.
    Eof,
    /// The connection failed.
    Error(ErrorKind),
}

/// A connection on its way from one core to another. Dropping it closes the connection.
#[derive(Debug)]
pub struct Detached {
    pub(crate) inner: crate::backend::DetachedSocket,
    /// The address of the other side.
    pub peer: SocketAddr,
    /// The address of our side.
    pub local: SocketAddr,
}
