//! What a core keeps of one connection in the epoll set.

use crate::backend::{Completion, tcp};
use crate::net::{End, SocketId};
use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::{AsFd, OwnedFd};

/// One connection.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) descriptor: Option<OwnedFd>,
    pub(super) registered: bool,
    /// The program wants to read.
    pub(super) reading: bool,
    /// An edge said that there is something to read, and no read has found the contrary since.
    pub(super) readable: bool,
    /// The peer's end or an error was seen: a short read is not the last one.
    pub(super) read_to_end: bool,
    /// An edge said that there is room to write, and no write has found the contrary since.
    pub(super) writable: bool,
    /// The program was told that nothing more is received.
    pub(super) ended: bool,
    /// Waits in the list of connections to look at.
    pub(super) queued: bool,
    /// While connecting: what starting it said.
    pub(super) connecting: Option<Result<(), ErrorKind>>,
    /// Why the connection cannot be watched, to be told when it is read.
    pub(super) failed: Option<ErrorKind>,
    pub(super) send: Option<Box<PendingSend>>,
}

const _: () = assert!(size_of::<Connection>() <= 48, "an idle connection is small");

/// What of a send the kernel has not taken yet.
#[derive(Debug)]
pub(super) struct PendingSend {
    pub(super) buffer: Vec<u8>,
    pub(super) written: usize,
}

impl Connection {
    pub(super) fn new(descriptor: Option<OwnedFd>) -> Connection {
        Connection {
            descriptor,
            registered: false,
            reading: false,
            readable: false,
            read_to_end: false,
            writable: false,
            ended: false,
            queued: false,
            connecting: None,
            failed: None,
            send: None,
        }
    }

    /// Whether a read should be tried.
    pub(super) fn wants_read(&self) -> bool {
        self.reading && self.readable && !self.ended && self.connecting.is_none()
    }

    /// Puts the connection into the list of those to look at, once.
    pub(super) fn queue(&mut self, socket: SocketId, ready: &mut VecDeque<SocketId>) {
        if !std::mem::replace(&mut self.queued, true) {
            ready.push_back(socket);
        }
    }

    /// Does so when there is something to do.
    pub(super) fn queue_if_ready(&mut self, socket: SocketId, ready: &mut VecDeque<SocketId>) {
        if self.wants_read() || (self.writable && self.send.is_some()) {
            self.queue(socket, ready);
        }
    }

    /// The connection cannot be watched: reading will say so.
    pub(super) fn fail(&mut self, error: ErrorKind) {
        self.failed = Some(error);
        self.readable = true;
    }

    /// Nothing more is received.
    pub(super) fn end(&mut self, socket: SocketId, end: End) -> Completion {
        self.ended = true;
        Completion::Ended { socket, end }
    }

    /// Writes more of a pending send, if there is one and room for it.
    pub(super) fn continue_send(&mut self, socket: SocketId) -> Option<Completion> {
        if !self.writable {
            return None;
        }
        let descriptor = self.descriptor.as_ref()?;
        let send = self.send.as_mut()?;
        let result = match tcp::send_now(descriptor.as_fd(), &send.buffer[send.written..]) {
            Ok(written) => {
                send.written += written;
                if send.written < send.buffer.len() {
                    self.writable = false;
                    return None;
                }
                Ok(())
            }
            Err(error) => Err(error.kind()),
        };
        let send = self.send.take()?;
        Some(Completion::Sent { socket, buffer: send.buffer, result })
    }
}
