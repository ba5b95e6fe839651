//! Receiving: one multishot operation for each connection that is read.

use super::buffers::BUFFER_GROUP;
use super::connection::{KeptPart, Receive};
use super::ring::{Operation, Outcome};
use super::{Completion, ReadBuffer, UringSockets};
use crate::net::{End, SocketId};
use io_uring::{opcode, types};
use std::io::Error;
use std::os::fd::AsRawFd;

impl UringSockets {
    /// See [`crate::Io::resume_read`].
    pub(crate) fn resume_read(&mut self, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(socket) else { return };
        connection.reading = true;
        if connection.kept.is_some() && !connection.in_resumed {
            connection.in_resumed = true;
            self.resumed.push(socket);
        }
        self.arm_receive(socket);
    }

    /// See [`crate::Io::pause_read`].
    pub(crate) fn pause_read(&mut self, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(socket) else { return };
        connection.reading = false;
        if connection.receive != Receive::Armed {
            return;
        }
        connection.receive = Receive::Ending;
        let entry = opcode::AsyncCancel::new(Operation::Receive.token(socket.slot)).build();
        // SAFETY: the operation points to no memory.
        unsafe { self.ring.push(entry.user_data(Operation::Ignored.token(0))) };
    }

    /// Starts receiving if the program wants it and it does not go on already.
    pub(super) fn arm_receive(&mut self, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(socket) else { return };
        let wanted = connection.reading && !connection.ended && connection.connect.is_none();
        if !wanted || connection.receive != Receive::Idle {
            return;
        }
        let Some(descriptor) = &connection.descriptor else { return };
        let entry = opcode::RecvMulti::new(types::Fd(descriptor.as_raw_fd()), BUFFER_GROUP).build();
        connection.receive = Receive::Armed;
        // SAFETY: the operation points to no memory itself; the pool's buffers outlive the ring.
        unsafe { self.ring.push(entry.user_data(Operation::Receive.token(socket.slot))) };
    }

    /// Works on an outcome of a receive operation.
    pub(super) fn received(&mut self, outcome: Outcome) -> Option<Completion> {
        let data = match (outcome.buffer(), outcome.result) {
            (Some(buffer), 1..) => self.pool.received(buffer, outcome.result as u32),
            // At the end of the stream some kernels name a buffer that they have not used up.
            _ => None,
        };
        // The slot outlives the operation, and with it the connection in the slot.
        let (socket, connection) = self.connections.slot_mut(outcome.number)?;
        if !outcome.continues() {
            connection.receive = Receive::Idle;
        }
        let Some(socket) = socket else {
            if let Some(data) = data {
                self.pool.recycle(data);
            }
            self.remove_if_idle(outcome.number);
            return None;
        };
        if outcome.result == -libc::ENOBUFS && !std::mem::replace(&mut self.shortage_seen, true) {
            self.pool.shortage();
        }
        let completion = match data {
            Some(data) if connection.must_keep() => {
                connection.keep(data.as_slice());
                self.pool.recycle(data);
                None
            }
            Some(data) => Some(Completion::Received { socket, data: ReadBuffer::Ring(data) }),
            None => self.receive_ended(socket, outcome),
        };
        if !outcome.continues() {
            self.arm_receive(socket);
        }
        completion
    }

    /// Works on an outcome without bytes.
    fn receive_ended(&mut self, socket: SocketId, outcome: Outcome) -> Option<Completion> {
        let end = match -outcome.result {
            0 => End::Eof,
            // Armed again if still wanted: no buffer was free, the program paused, or a signal came.
            libc::ENOBUFS | libc::ECANCELED | libc::EINTR | libc::EAGAIN => return None,
            error if outcome.result < 0 => End::Error(Error::from_raw_os_error(error).kind()),
            _ => {
                tracing::error!(?outcome, "the kernel received into a buffer that it does not name");
                End::Error(std::io::ErrorKind::InvalidData)
            }
        };
        let connection = self.connections.get_mut(socket)?;
        connection.ended = true;
        if connection.must_keep() {
            connection.keep_end(end);
            return None;
        }
        Some(Completion::Ended { socket, end })
    }

    /// Delivers the next of what was kept for a connection whose program reads again.
    pub(super) fn redeliver_kept(&mut self, socket: SocketId) -> Option<Completion> {
        let connection = self.connections.get_mut(socket)?;
        if !connection.reading {
            // Paused again before its turn came.
            connection.in_resumed = false;
            return None;
        }
        let Some(part) = connection.take_kept() else {
            connection.in_resumed = false;
            return None;
        };
        self.redeliver.push_front(socket);
        Some(match part {
            KeptPart::Bytes(bytes) => Completion::Received { socket, data: ReadBuffer::Owned(bytes) },
            KeptPart::End(end) => Completion::Ended { socket, end },
        })
    }
}
