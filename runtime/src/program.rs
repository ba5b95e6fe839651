//! What runs on a core, and what happens to it.

use crate::io::Io;
use crate::net::{End, ListenerId, SocketId};
use crate::time::TimerToken;
use std::io::ErrorKind;
use std::net::SocketAddr;

/// A core of this node: 0 up to the number of cores. Not a CPU number: the launch maps cores to CPUs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CoreId(pub u16);

impl CoreId {
    /// The core's number as an index into per-core arrays.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The state machine that a core runs.
///
/// A program never blocks and never runs long. It reaches the world only through [`Io`], so that the
/// simulator can run it from a seed. A panic in [`Program::event`] is caught: the core goes on, and
/// [`Program::panicked`] is told.
pub trait Program: Sized + 'static {
    /// What cores of one node send each other.
    type Mail: Send + 'static;
    /// What control-plane threads send to a core.
    type Order: Send + 'static;

    /// Runs once on the core's own thread, before any event.
    fn start(&mut self, io: &mut Io<'_, Self::Mail>);

    /// Handles one event. Effects go out through `io`.
    fn event(&mut self, event: Event<'_, Self::Mail, Self::Order>, io: &mut Io<'_, Self::Mail>);

    /// Ends a turn in which at least one event was handled: touched sockets are flushed here, once.
    fn finish_turn(&mut self, io: &mut Io<'_, Self::Mail>);

    /// A panic was caught while [`Program::event`] handled an event of `socket` (when it was a socket's).
    /// The program closes what may be inconsistent, counts it and logs it.
    fn panicked(&mut self, socket: Option<SocketId>, message: &str, io: &mut Io<'_, Self::Mail>);
}

/// What happens to a program.
#[derive(Debug)]
pub enum Event<'a, M, O> {
    /// A listener of this core accepted a connection. Nothing is read from it before
    /// [`Io::resume_read`]; it may be handed to another core with [`Io::detach`].
    Accepted {
        /// Where it was accepted.
        listener: ListenerId,
        /// The new connection.
        socket: SocketId,
        /// The address of the other side. IPv4 peers of a dual-stack listener are shown as IPv4.
        peer: SocketAddr,
        /// The address of our side.
        local: SocketAddr,
    },
    /// Accepting failed. When descriptors ran out (EMFILE, ENFILE) the listener pauses by itself for
    /// [`crate::backend::ACCEPT_PAUSE`] and goes on; at most one such event a pause.
    AcceptFailed {
        /// The listener.
        listener: ListenerId,
        /// What the system said.
        error: std::io::Error,
    },
    /// An [`Io::connect`] ended. On an error the socket is gone.
    Connected {
        /// The socket that `connect` returned.
        socket: SocketId,
        /// Whether the peer accepted.
        result: Result<(), ErrorKind>,
    },
    /// Bytes arrived. The slice is valid during this call only.
    Received {
        /// From where.
        socket: SocketId,
        /// 1 to [`crate::backend::READ_BUFFER_BYTES`] bytes.
        data: &'a [u8],
    },
    /// Nothing more will be received: the peer closed its side, or the connection failed. The socket stays
    /// until [`Io::close`].
    Ended {
        /// Which.
        socket: SocketId,
        /// Why.
        end: End,
    },
    /// A send that returned [`crate::SendOutcome::Pending`] ended. On success everything was written.
    Sent {
        /// Which.
        socket: SocketId,
        /// The buffer, for reuse. Its content is unspecified.
        buffer: Vec<u8>,
        /// The error that ended it, when it failed; [`Event::Ended`] does not follow by itself.
        result: Result<(), ErrorKind>,
    },
    /// Mail of another core, in the order in which that core sent it.
    Mail {
        /// The sender.
        from: CoreId,
        /// What it sent.
        mail: M,
    },
    /// A mailbox to `core` that had no room ([`Io::mail_has_room`] was false) has room again.
    MailRoom {
        /// The target core.
        core: CoreId,
    },
    /// From a control-plane thread.
    Order(O),
    /// A timer set with [`Io::set_timer`] is due.
    Timer(TimerToken),
}
