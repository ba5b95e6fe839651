//! Listening: one multishot accept for each listener.

use super::connection::Connection;
use super::ring::{Operation, Outcome};
use super::{Completion, UringSockets, tcp};
use crate::backend::ACCEPT_PAUSE;
use crate::net::{ListenOptions, ListenerId};
use crate::time::Monotonic;
use io_uring::{opcode, types};
use std::io::{Error, Result};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    descriptor: OwnedFd,
    /// When accepting goes on, while the listener rests.
    rests_until: Option<Monotonic>,
}

impl UringSockets {
    /// See [`crate::Io::listen`].
    pub(crate) fn listen(&mut self, options: &ListenOptions) -> Result<(ListenerId, SocketAddr)> {
        let (descriptor, address) = tcp::listen(options)?;
        let number = self.next_listener;
        self.next_listener += 1;
        self.listeners.insert(number, Listener { descriptor, rests_until: None });
        self.arm_accept(number);
        Ok((ListenerId(number), address))
    }

    /// See [`crate::Io::close_listener`].
    pub(crate) fn close_listener(&mut self, listener: ListenerId) {
        let Some(closed) = self.listeners.remove(&listener.0) else { return };
        tcp::stop_listening(&closed.descriptor);
        self.close_in_order(closed.descriptor.into_raw_fd(), true, Operation::Ignored.token(0));
    }

    fn arm_accept(&mut self, number: u32) {
        let Some(listener) = self.listeners.get(&number) else { return };
        let entry = opcode::AcceptMulti::new(types::Fd(listener.descriptor.as_raw_fd()))
            .flags(libc::SOCK_CLOEXEC)
            .build();
        // SAFETY: a multishot accept points to no memory.
        unsafe { self.ring.push(entry.user_data(Operation::Accept.token(number))) };
    }

    /// Works on an outcome of an accept operation.
    pub(super) fn accepted(&mut self, outcome: Outcome) -> Option<Completion> {
        let accepted = (outcome.result >= 0).then(|| {
            // SAFETY: the kernel made this descriptor for the accept and told nobody else.
            unsafe { OwnedFd::from_raw_fd(outcome.result) }
        });
        // A connection that a closed listener still accepted is dropped, which closes it.
        let listener = self.listeners.get_mut(&outcome.number)?;
        if let Some(descriptor) = accepted {
            if !outcome.continues() {
                self.arm_accept(outcome.number);
            }
            // Fails when the peer has reset the connection meanwhile: it never was one.
            let (peer, local) = tcp::addresses(&descriptor).ok()?;
            let socket = self.connections.insert(Connection::new(Some(descriptor)));
            return Some(Completion::Accepted { listener: ListenerId(outcome.number), socket, peer, local });
        }
        let error = Error::from_raw_os_error(-outcome.result);
        if tcp::concerns_one_connection(&error) {
            if !outcome.continues() {
                self.arm_accept(outcome.number);
            }
            return None;
        }
        listener.rests_until = Some(self.now.after(ACCEPT_PAUSE));
        Some(Completion::AcceptFailed { listener: ListenerId(outcome.number), error })
    }

    /// Lets listeners accept again whose rest is over.
    pub(super) fn end_rests(&mut self) {
        let now = self.now;
        let rested = |listener: &Listener| listener.rests_until.is_some_and(|end| end <= now);
        let over: Vec<u32> = self
            .listeners
            .iter()
            .filter(|(_, listener)| rested(listener))
            .map(|(number, _)| *number)
            .collect();
        for number in over {
            if let Some(listener) = self.listeners.get_mut(&number) {
                listener.rests_until = None;
            }
            self.arm_accept(number);
        }
    }

    /// See [`crate::backend::Sockets::next_deadline`].
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.listeners.values().filter_map(|listener| listener.rests_until).min()
    }
}
