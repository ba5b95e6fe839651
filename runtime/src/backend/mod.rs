//! What drives the cores.
//!
//! A backend is a set of sockets that belongs to one core (`Sockets`) and a way to wait. Everything else
//! of a core is the same for all backends and stands in `core.rs`: one turn polls the sockets, hands
//! events to the program and ends with its `finish_turn`.

mod epoll;
#[cfg(feature = "sim")]
pub mod sim;
mod slab;
mod tcp;
mod uring;

pub use crate::core::CoreState;

use crate::file::{Operation, Outcome};
use crate::net::{Detached, End, ListenOptions, ListenerId, SendOutcome, SocketId};
use crate::time::Monotonic;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

pub(crate) use epoll::EpollSockets;
pub(crate) use uring::{UringSockets, probe as probe_uring};

/// The most bytes that one [`crate::Event::Received`] carries.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;
/// How long a listener rests when descriptors have run out.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The sockets of one core.
pub(crate) enum Sockets {
    /// In a private io_uring.
    Uring(Box<UringSockets>),
    /// In an epoll set.
    Epoll(Box<EpollSockets>),
    /// In the simulator.
    #[cfg(feature = "sim")]
    Sim(Box<sim::SimSockets>),
}

/// Something that happened to a socket. Each becomes one [`crate::Event`].
#[derive(Debug)]
pub(crate) enum Completion {
    Accepted { listener: ListenerId, socket: SocketId, peer: SocketAddr, local: SocketAddr },
    AcceptFailed { listener: ListenerId, error: std::io::Error },
    Connected { socket: SocketId, result: Result<(), ErrorKind> },
    Received { socket: SocketId, data: ReadBuffer },
    Ended { socket: SocketId, end: End },
    Sent { socket: SocketId, buffer: Vec<u8>, result: Result<(), ErrorKind> },
}

/// Received bytes on their way through the program. Goes back with [`Sockets::recycle`].
#[derive(Debug)]
pub(crate) enum ReadBuffer {
    /// In a buffer of the ring's pool.
    Ring(uring::RingSlice),
    /// In memory of its own. Not empty.
    Owned(Vec<u8>),
}

impl ReadBuffer {
    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            ReadBuffer::Ring(slice) => slice.as_slice(),
            ReadBuffer::Owned(bytes) => bytes,
        }
    }
}

/// A connection without a core.
#[derive(Debug)]
pub(crate) enum DetachedSocket {
    /// Of the kernel.
    Descriptor(OwnedFd),
    /// Of the simulator.
    #[cfg(feature = "sim")]
    Sim(sim::SimDetached),
}

impl DetachedSocket {
    fn into_descriptor(self) -> OwnedFd {
        match self {
            DetachedSocket::Descriptor(descriptor) => descriptor,
            #[cfg(feature = "sim")]
            DetachedSocket::Sim(_) => unreachable!("a node's cores have the same backend"),
        }
    }
}

macro_rules! dispatch {
    ($sockets:expr, $inner:ident => $body:expr) => {
        match $sockets {
            Sockets::Uring($inner) => $body,
            Sockets::Epoll($inner) => $body,
            #[cfg(feature = "sim")]
            Sockets::Sim($inner) => $body,
        }
    };
}

/// What the methods promise is documented with [`crate::Io`], which calls them.
impl Sockets {
    pub(crate) fn listen(&mut self, options: &ListenOptions) -> std::io::Result<(ListenerId, SocketAddr)> {
        dispatch!(self, inner => inner.listen(options))
    }

    pub(crate) fn close_listener(&mut self, listener: ListenerId) {
        dispatch!(self, inner => inner.close_listener(listener));
    }

    pub(crate) fn connect(&mut self, address: SocketAddr) -> SocketId {
        dispatch!(self, inner => inner.connect(address))
    }

    pub(crate) fn detach(&mut self, socket: SocketId) -> Option<Detached> {
        dispatch!(self, inner => inner.detach(socket))
    }

    pub(crate) fn attach(&mut self, detached: Detached) -> SocketId {
        dispatch!(self, inner => inner.attach(detached))
    }

    pub(crate) fn resume_read(&mut self, socket: SocketId) {
        dispatch!(self, inner => inner.resume_read(socket));
    }

    pub(crate) fn pause_read(&mut self, socket: SocketId) {
        dispatch!(self, inner => inner.pause_read(socket));
    }

    pub(crate) fn send(&mut self, socket: SocketId, buffer: Vec<u8>) -> SendOutcome {
        dispatch!(self, inner => inner.send(socket, buffer))
    }

    pub(crate) fn try_send(
        &mut self,
        socket: SocketId,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Result<usize, std::io::ErrorKind> {
        dispatch!(self, inner => inner.try_send(socket, pieces))
    }

    pub(crate) fn unsent_bytes(&self, socket: SocketId) -> usize {
        dispatch!(self, inner => inner.unsent_bytes(socket))
    }

    pub(crate) fn shutdown_write(&mut self, socket: SocketId) {
        dispatch!(self, inner => inner.shutdown_write(socket));
    }

    pub(crate) fn close(&mut self, socket: SocketId) {
        dispatch!(self, inner => inner.close(socket));
    }

    /// Gathers what has happened without waiting, and lets the kernel see what was queued. `now` ends rests
    /// of listeners.
    pub(crate) fn poll(&mut self, now: Monotonic) {
        dispatch!(self, inner => inner.poll(now));
    }

    /// The next of what the last [`Sockets::poll`] gathered. Whether a socket is closed or paused counts as
    /// of this call: what the program did to it while an earlier completion was handled is respected. Ends,
    /// that is, returns `None` once in each turn, even when the program keeps starting things.
    pub(crate) fn next_completion(&mut self) -> Option<Completion> {
        dispatch!(self, inner => inner.next_completion())
    }

    /// Gives back the bytes of a [`Completion::Received`] after the program has seen them.
    pub(crate) fn recycle(&mut self, buffer: ReadBuffer) {
        dispatch!(self, inner => inner.recycle(buffer));
    }

    /// Begins a file operation in the sockets' own queue; gives it back when it is not of a kind that goes
    /// there.
    pub(crate) fn begin_file_operation(&mut self, ticket: u64, operation: Operation) -> Option<Operation> {
        match self {
            Sockets::Uring(inner) => inner.begin_file_operation(ticket, operation),
            _ => Some(operation),
        }
    }

    /// The next of the file operations that the last [`Sockets::poll`] found ended.
    pub(crate) fn next_file_outcome(&mut self) -> Option<(u64, Outcome)> {
        match self {
            Sockets::Uring(inner) => inner.next_file_outcome(),
            _ => None,
        }
    }

    /// Whether the next [`Sockets::poll`] would gather something that the kernel need not be asked for, so
    /// that the core must not wait.
    pub(crate) fn has_ready(&self) -> bool {
        dispatch!(self, inner => inner.has_ready())
    }

    /// When the sockets want a turn of their own accord (the end of a listener's rest).
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        dispatch!(self, inner => inner.next_deadline())
    }

    /// Waits until something happens to a socket, the core is woken, or `timeout` has passed. With a zero
    /// timeout only lets the kernel see what was queued.
    pub(crate) fn park(&mut self, timeout: Option<Duration>) {
        match self {
            Sockets::Uring(inner) => inner.park(timeout),
            Sockets::Epoll(inner) => inner.park(timeout),
            #[cfg(feature = "sim")]
            Sockets::Sim(_) => unreachable!("the simulator drives its cores' turns and parks none"),
        }
    }
}
