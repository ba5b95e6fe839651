//! Sending: `send(2)` first, and the ring for what the kernel did not take at once.

use super::connection::SendOperation;
use super::ring::{Operation, Outcome};
use super::{Completion, UringSockets, tcp};
use crate::net::{SendOutcome, SocketId};
use io_uring::{opcode, types};
use std::io::{Error, ErrorKind};
use std::os::fd::{AsFd, AsRawFd};

impl UringSockets {
    /// See [`crate::Io::try_send`].
    pub(crate) fn try_send(
        &mut self,
        socket: SocketId,
        pieces: &[std::io::IoSlice<'_>],
    ) -> std::result::Result<usize, ErrorKind> {
        let connection = self.connections.get(socket).ok_or(ErrorKind::NotConnected)?;
        assert!(connection.send.is_none(), "a second send while one is pending");
        let descriptor = connection.descriptor.as_ref().ok_or(ErrorKind::NotConnected)?;
        tcp::send_pieces_now(descriptor.as_fd(), pieces).map_err(|error| error.kind())
    }

    /// See [`crate::Io::send`].
    pub(crate) fn send(&mut self, socket: SocketId, buffer: Vec<u8>) -> SendOutcome {
        let Some(connection) = self.connections.get_mut(socket) else {
            return SendOutcome::Failed(buffer, ErrorKind::NotConnected);
        };
        assert!(connection.send.is_none(), "a second send while one is pending");
        let Some(descriptor) = &connection.descriptor else {
            return SendOutcome::Failed(buffer, ErrorKind::NotConnected);
        };
        if buffer.is_empty() {
            return SendOutcome::Done(buffer);
        }
        match tcp::send_now(descriptor.as_fd(), &buffer) {
            Ok(written) if written == buffer.len() => SendOutcome::Done(buffer),
            Ok(written) => {
                connection.send = Some(Box::new(SendOperation { buffer, written }));
                self.arm_send(socket);
                SendOutcome::Pending
            }
            Err(error) => SendOutcome::Failed(buffer, error.kind()),
        }
    }

    fn arm_send(&mut self, socket: SocketId) {
        let Some(connection) = self.connections.get(socket) else { return };
        let (Some(send), Some(descriptor)) = (&connection.send, &connection.descriptor) else { return };
        let rest = &send.buffer[send.written..];
        // The kernel counts in 32 bits; what is beyond follows with the next operation.
        let length = u32::try_from(rest.len()).unwrap_or(1 << 30);
        let entry = opcode::Send::new(types::Fd(descriptor.as_raw_fd()), rest.as_ptr(), length)
            .flags(libc::MSG_NOSIGNAL)
            .build();
        // SAFETY: the buffer belongs to the operation, which stays in the connection's slot, also after the
        // connection was closed, until the outcome was taken. Nothing changes a buffer in a slot.
        unsafe { self.ring.push(entry.user_data(Operation::Send.token(socket.slot))) };
    }

    /// Works on the outcome of a send operation.
    pub(super) fn sent(&mut self, outcome: Outcome) -> Option<Completion> {
        let (socket, connection) = self.connections.slot_mut(outcome.number)?;
        let Some(socket) = socket else {
            connection.send = None;
            self.remove_if_idle(outcome.number);
            return None;
        };
        let send = connection.send.as_mut()?;
        let result = match outcome.result {
            0 => Err(ErrorKind::WriteZero),
            written @ 1.. => {
                send.written += written as usize;
                Ok(())
            }
            error if matches!(-error, libc::EINTR | libc::EAGAIN) => Ok(()),
            error => Err(Error::from_raw_os_error(-error).kind()),
        };
        if result.is_ok() && send.written < send.buffer.len() {
            self.arm_send(socket);
            return None;
        }
        let send = connection.send.take()?;
        Some(Completion::Sent { socket, buffer: send.buffer, result })
    }

    /// See [`crate::Io::unsent_bytes`].
    pub(crate) fn unsent_bytes(&self, socket: SocketId) -> usize {
        let send = self.connections.get(socket).and_then(|connection| connection.send.as_ref());
        send.map_or(0, |send| send.buffer.len() - send.written)
    }
}
