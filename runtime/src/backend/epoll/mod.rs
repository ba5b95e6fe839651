//! Sockets in an epoll set, for where io_uring is denied.
//!
//! Everything is registered once and reports edges. What an edge said is remembered in the connection until
//! a read or a write finds the kernel's buffer empty or full, so a paused connection costs no calls.

mod connection;
mod listeners;

use super::slab::Slab;
use super::{Completion, DetachedSocket, READ_BUFFER_BYTES, ReadBuffer, tcp};
use crate::net::{Detached, End, SendOutcome, SocketId};
use crate::time::Monotonic;
use crate::wake::Wake;
use connection::{Connection, PendingSend};
use listeners::Listener;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::sync::Arc;
use std::time::Duration;

/// Readiness taken from the kernel at once.
const EVENTS_MAX: usize = 1024;
/// Tokens below this are sockets' slots.
const LISTENER_TOKENS: usize = 1 << 32;
const WAKE_TOKEN: usize = 1 << 33;

/// The sockets of one core.
pub(crate) struct EpollSockets {
    poll: Poll,
    events: Events,
    /// `events` was filled by `park` and not yet looked at.
    events_fresh: bool,
    connections: Slab<Connection>,
    listeners: BTreeMap<u32, Listener>,
    next_listener: u32,
    /// Connections to look at in the next turn, each once, and how many of them belong to this turn.
    ready: VecDeque<SocketId>,
    ready_now: usize,
    /// Listeners with connections to accept: for the next turn, and for this one.
    accepting: Vec<u32>,
    accepting_now: VecDeque<(u32, usize)>,
    /// Where the next read goes; taken by a [`Completion::Received`] and given back by `recycle`.
    read_buffer: Vec<u8>,
    now: Monotonic,
    /// Kept for its descriptor, which is registered.
    _wake: Arc<Wake>,
}

impl EpollSockets {
    /// Makes the epoll set.
    pub(crate) fn new(wake: Arc<Wake>) -> Result<EpollSockets> {
        let poll = Poll::new()?;
        if let Some(descriptor) = wake.descriptor() {
            // Each write to the eventfd is an edge, so it is never read.
            poll.registry().register(&mut SourceFd(&descriptor), Token(WAKE_TOKEN), Interest::READABLE)?;
        }
        Ok(EpollSockets {
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            events_fresh: false,
            connections: Slab::new(),
            listeners: BTreeMap::new(),
            next_listener: 0,
            ready: VecDeque::new(),
            ready_now: 0,
            accepting: Vec::new(),
            accepting_now: VecDeque::new(),
            read_buffer: Vec::new(),
            now: Monotonic::default(),
            _wake: wake,
        })
    }

    /// See [`super::Sockets::poll`].
    pub(crate) fn poll(&mut self, now: Monotonic) {
        self.now = now;
        if !std::mem::take(&mut self.events_fresh) {
            self.wait(Some(Duration::ZERO));
            self.events_fresh = false;
        }
        self.note_events();
        self.end_rests();
        self.ready_now = self.ready.len();
        self.begin_accepting();
    }

    /// See [`super::Sockets::park`].
    pub(crate) fn park(&mut self, timeout: Option<Duration>) {
        // epoll_wait counts in milliseconds; mio rounds up, so no deadline is missed by waking early.
        self.wait(timeout);
    }

    fn wait(&mut self, timeout: Option<Duration>) {
        self.events.clear();
        self.events_fresh = true;
        let Err(error) = self.poll.poll(&mut self.events, timeout) else { return };
        if error.kind() != ErrorKind::Interrupted {
            tracing::error!(%error, "epoll_wait failed; the core tries again");
            // Without a pause an error that stays would fill the log and a CPU.
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Remembers what the kernel said, before the program can close and reuse a slot.
    fn note_events(&mut self) {
        for event in &self.events {
            let token = event.token().0;
            if token == WAKE_TOKEN {
                continue;
            }
            if token >= LISTENER_TOKENS {
                listeners::note(&mut self.listeners, &mut self.accepting, (token - LISTENER_TOKENS) as u32);
                continue;
            }
            let Some((Some(socket), connection)) = self.connections.slot_mut(token as u32) else { continue };
            let ended = event.is_read_closed() || event.is_error();
            connection.readable |= event.is_readable() || ended;
            connection.read_to_end |= ended;
            connection.writable |= event.is_writable() || event.is_write_closed() || event.is_error();
            connection.queue(socket, &mut self.ready);
        }
        self.events.clear();
    }

    /// See [`super::Sockets::has_ready`].
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.accepting.is_empty()
    }

    /// See [`super::Sockets::next_completion`].
    pub(crate) fn next_completion(&mut self) -> Option<Completion> {
        while self.ready_now > 0 {
            self.ready_now -= 1;
            let Some(socket) = self.ready.pop_front() else { break };
            if let Some(completion) = self.serve(socket) {
                return Some(completion);
            }
        }
        self.next_accepted()
    }

    /// Does one thing for a connection. Queues it again when there may be more to do.
    fn serve(&mut self, socket: SocketId) -> Option<Completion> {
        let connection = self.connections.get_mut(socket)?;
        connection.queued = false;
        if connection.connecting.is_some() {
            return self.finish_connect(socket);
        }
        if let Some(completion) = connection.continue_send(socket) {
            connection.queue_if_ready(socket, &mut self.ready);
            return Some(completion);
        }
        if !connection.wants_read() {
            return None;
        }
        if let Some(error) = connection.failed {
            return Some(connection.end(socket, End::Error(error)));
        }
        if self.read_buffer.capacity() < READ_BUFFER_BYTES {
            self.read_buffer = Vec::with_capacity(READ_BUFFER_BYTES);
        }
        self.read_buffer.clear();
        let descriptor = connection.descriptor.as_ref()?;
        let outcome = tcp::receive_now(descriptor.as_fd(), &mut self.read_buffer);
        let completion = match outcome {
            Ok(0) => connection.end(socket, End::Eof),
            Ok(received) => {
                // A short read has emptied the kernel's buffer: the next bytes make a new edge. Not so when
                // the peer's end was seen already: nothing but this read will tell of it.
                connection.readable = received == READ_BUFFER_BYTES || connection.read_to_end;
                let data = ReadBuffer::Owned(std::mem::take(&mut self.read_buffer));
                Completion::Received { socket, data }
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                connection.readable = false;
                return None;
            }
            Err(error) => connection.end(socket, End::Error(error.kind())),
        };
        connection.queue_if_ready(socket, &mut self.ready);
        Some(completion)
    }

    /// See [`super::Sockets::recycle`].
    pub(crate) fn recycle(&mut self, buffer: ReadBuffer) {
        if let ReadBuffer::Owned(bytes) = buffer {
            self.read_buffer = bytes;
        }
    }

    /// See [`crate::Io::connect`].
    pub(crate) fn connect(&mut self, address: SocketAddr) -> SocketId {
        let mut connection = Connection::new(None);
        connection.connecting = Some(Err(ErrorKind::Other));
        let socket = self.connections.insert(connection);
        let result = self.start_connect(socket, address);
        let Some(connection) = self.connections.get_mut(socket) else { return socket };
        if !matches!(result, Ok(false)) {
            // Ended at once; still reported by an event, in the next turn.
            connection.writable = true;
            connection.queue(socket, &mut self.ready);
        }
        connection.connecting = Some(result.map(drop).map_err(|error| error.kind()));
        socket
    }

    fn start_connect(&mut self, socket: SocketId, address: SocketAddr) -> Result<bool> {
        let descriptor = tcp::prepare_connect(address, true)?;
        let done = tcp::start_connect(&descriptor, address)?;
        if let Some(connection) = self.connections.get_mut(socket) {
            connection.descriptor = Some(descriptor);
        }
        self.register(socket)?;
        Ok(done)
    }

    fn finish_connect(&mut self, socket: SocketId) -> Option<Completion> {
        let connection = self.connections.get_mut(socket)?;
        if !connection.writable {
            return None;
        }
        let started = connection.connecting.take()?;
        let result = started.and_then(|()| match connection.descriptor.as_ref() {
            Some(descriptor) => tcp::take_error(descriptor).map_err(|error| error.kind()),
            None => Err(ErrorKind::NotConnected),
        });
        connection.queue_if_ready(socket, &mut self.ready);
        if result.is_err() {
            self.close(socket);
        }
        Some(Completion::Connected { socket, result })
    }

    /// Registers a connection once it is read or waits to be written; before that it may still move on to
    /// another core.
    fn register(&mut self, socket: SocketId) -> Result<()> {
        let Some(connection) = self.connections.get_mut(socket) else { return Ok(()) };
        let Some(descriptor) = &connection.descriptor else { return Ok(()) };
        if connection.registered {
            return Ok(());
        }
        let interest = Interest::READABLE | Interest::WRITABLE;
        let descriptor = descriptor.as_raw_fd();
        self.poll.registry().register(&mut SourceFd(&descriptor), Token(socket.slot as usize), interest)?;
        connection.registered = true;
        Ok(())
    }

    /// See [`crate::Io::detach`].
    pub(crate) fn detach(&mut self, socket: SocketId) -> Option<Detached> {
        let connection = self.connections.get_mut(socket)?;
        assert!(!connection.registered, "only an unused connection is detached");
        let descriptor = connection.descriptor.take()?;
        self.connections.close(socket);
        self.connections.remove(socket.slot);
        let (peer, local) = tcp::addresses(&descriptor).ok()?;
        Some(Detached { inner: DetachedSocket::Descriptor(descriptor), peer, local })
    }

    /// See [`crate::Io::attach`].
    pub(crate) fn attach(&mut self, detached: Detached) -> SocketId {
        self.connections.insert(Connection::new(Some(detached.inner.into_descriptor())))
    }

    /// See [`crate::Io::resume_read`].
    pub(crate) fn resume_read(&mut self, socket: SocketId) {
        let registered = self.register(socket);
        let Some(connection) = self.connections.get_mut(socket) else { return };
        connection.reading = true;
        if let Err(error) = registered {
            connection.fail(error.kind());
        }
        connection.queue_if_ready(socket, &mut self.ready);
    }

    /// See [`crate::Io::pause_read`].
    pub(crate) fn pause_read(&mut self, socket: SocketId) {
        if let Some(connection) = self.connections.get_mut(socket) {
            connection.reading = false;
        }
    }

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
                connection.writable = false;
                connection.send = Some(Box::new(PendingSend { buffer, written }));
                if let Err(error) = self.register(socket) {
                    let connection = self.connections.get_mut(socket);
                    let buffer = connection.and_then(|connection| connection.send.take());
                    return SendOutcome::Failed(
                        buffer.map_or_else(Vec::new, |send| send.buffer),
                        error.kind(),
                    );
                }
                SendOutcome::Pending
            }
            Err(error) => SendOutcome::Failed(buffer, error.kind()),
        }
    }

    /// See [`crate::Io::unsent_bytes`].
    pub(crate) fn unsent_bytes(&self, socket: SocketId) -> usize {
        let send = self.connections.get(socket).and_then(|connection| connection.send.as_ref());
        send.map_or(0, |send| send.buffer.len() - send.written)
    }

    /// See [`crate::Io::shutdown_write`].
    pub(crate) fn shutdown_write(&mut self, socket: SocketId) {
        if let Some(descriptor) = self.connections.get(socket).and_then(|it| it.descriptor.as_ref()) {
            tcp::shutdown_write(descriptor.as_fd());
        }
    }

    /// See [`crate::Io::close`].
    pub(crate) fn close(&mut self, socket: SocketId) {
        if self.connections.close(socket) {
            // Dropping the only descriptor takes it out of the epoll set as well.
            self.connections.remove(socket.slot);
        }
    }
}
