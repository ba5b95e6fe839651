//! Listening sockets in the epoll set.

use super::connection::Connection;
use super::{Completion, EpollSockets, LISTENER_TOKENS};
use crate::backend::{ACCEPT_PAUSE, tcp};
use crate::net::{ListenOptions, ListenerId};
use crate::time::Monotonic;
use mio::unix::SourceFd;
use mio::{Interest, Token};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

/// The most connections that a listener accepts in one turn.
const ACCEPTS_PER_TURN_MAX: usize = 64;

/// A listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    descriptor: OwnedFd,
    /// Waits in the list of listeners with something to accept.
    queued: bool,
    /// When accepting goes on, while the listener rests.
    rests_until: Option<Monotonic>,
}

/// Remembers that a listener has something to accept.
pub(super) fn note(listeners: &mut BTreeMap<u32, Listener>, accepting: &mut Vec<u32>, number: u32) {
    let Some(listener) = listeners.get_mut(&number) else { return };
    if listener.rests_until.is_none() && !std::mem::replace(&mut listener.queued, true) {
        accepting.push(number);
    }
}

impl EpollSockets {
    /// See [`crate::Io::listen`].
    pub(crate) fn listen(&mut self, options: &ListenOptions) -> Result<(ListenerId, SocketAddr)> {
        let (descriptor, address) = tcp::listen(options)?;
        tcp::set_nonblocking(&descriptor)?;
        let number = self.next_listener;
        let raw = descriptor.as_raw_fd();
        let token = Token(LISTENER_TOKENS + number as usize);
        self.poll.registry().register(&mut SourceFd(&raw), token, Interest::READABLE)?;
        self.next_listener += 1;
        self.listeners.insert(number, Listener { descriptor, queued: false, rests_until: None });
        Ok((ListenerId(number), address))
    }

    /// See [`crate::Io::close_listener`].
    pub(crate) fn close_listener(&mut self, listener: ListenerId) {
        self.listeners.remove(&listener.0);
    }

    /// Lets each listener with something to accept do so in this turn.
    pub(super) fn begin_accepting(&mut self) {
        for number in self.accepting.drain(..) {
            if let Some(listener) = self.listeners.get_mut(&number) {
                listener.queued = false;
                self.accepting_now.push_back((number, ACCEPTS_PER_TURN_MAX));
            }
        }
    }

    /// Accepts the next connection of this turn.
    pub(super) fn next_accepted(&mut self) -> Option<Completion> {
        while let Some((number, left)) = self.accepting_now.pop_front() {
            let Some(listener) = self.listeners.get_mut(&number) else { continue };
            if left == 0 {
                note(&mut self.listeners, &mut self.accepting, number);
                continue;
            }
            match tcp::accept_now(&listener.descriptor) {
                Ok((descriptor, peer, local)) => {
                    self.accepting_now.push_front((number, left - 1));
                    let socket = self.connections.insert(Connection::new(Some(descriptor)));
                    return Some(Completion::Accepted { listener: ListenerId(number), socket, peer, local });
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if tcp::concerns_one_connection(&error) => {
                    self.accepting_now.push_front((number, left - 1));
                }
                Err(error) => {
                    listener.rests_until = Some(self.now.after(ACCEPT_PAUSE));
                    return Some(Completion::AcceptFailed { listener: ListenerId(number), error });
                }
            }
        }
        None
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
            // The edge came before the rest: there is something to accept.
            note(&mut self.listeners, &mut self.accepting, number);
        }
    }

    /// See [`crate::backend::Sockets::next_deadline`].
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        self.listeners.values().filter_map(|listener| listener.rests_until).min()
    }
}
