//! Sockets in a private io_uring.
//!
//! Receives and accepts are multishot operations: armed once, they complete again and again. Received bytes
//! lie in buffers of a pool that the core shares among all its sockets. Sending first tries `send(2)`, which
//! nearly always takes everything, and leaves the rest to the ring.

mod buffers;
mod connection;
mod files;
mod listeners;
mod probe;
mod receive;
mod ring;
mod send;

pub(crate) use buffers::RingSlice;
pub(crate) use probe::probe;

use super::slab::Slab;
use super::{Completion, DetachedSocket, ReadBuffer, tcp};
use crate::net::{Detached, SocketId};
use crate::time::Monotonic;
use crate::wake::Wake;
use buffers::BufferPool;
use connection::Connection;
use files::RingFiles;
use io_uring::{opcode, types};
use listeners::Listener;
use ring::{Operation, Outcome, Ring};
use std::collections::{BTreeMap, VecDeque};
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a core that ends waits for the kernel to let go of its memory.
const DRAIN_DURATION_MAX: Duration = Duration::from_secs(1);

/// The sockets of one core. Fields are dropped in order: the ring goes before what it points to.
pub(crate) struct UringSockets {
    ring: Ring,
    pool: BufferPool,
    connections: Slab<Connection>,
    listeners: BTreeMap<u32, Listener>,
    files: RingFiles,
    next_listener: u32,
    wake: Arc<Wake>,
    /// Outcomes that this turn has not worked on yet.
    outcomes: VecDeque<Outcome>,
    /// Connections with kept bytes whose program wants to read again: for the next turn, and for this one.
    resumed: Vec<SocketId>,
    redeliver: VecDeque<SocketId>,
    /// Connects that failed before the kernel began: for the next turn, and for this one.
    failed: Vec<(SocketId, ErrorKind)>,
    report_failed: VecDeque<(SocketId, ErrorKind)>,
    now: Monotonic,
    /// The pool was told of a shortage in this turn.
    shortage_seen: bool,
}

impl UringSockets {
    /// Makes the ring, on the thread that will use it.
    pub(crate) fn new(wake: Arc<Wake>) -> Result<UringSockets> {
        let ring = Ring::new()?;
        let pool = BufferPool::new(ring.uring())?;
        let mut sockets = UringSockets {
            ring,
            pool,
            connections: Slab::new(),
            listeners: BTreeMap::new(),
            files: RingFiles::default(),
            next_listener: 0,
            wake,
            outcomes: VecDeque::new(),
            resumed: Vec::new(),
            redeliver: VecDeque::new(),
            failed: Vec::new(),
            report_failed: VecDeque::new(),
            now: Monotonic::default(),
            shortage_seen: false,
        };
        sockets.arm_wake();
        Ok(sockets)
    }

    fn arm_wake(&mut self) {
        let Some(descriptor) = self.wake.descriptor() else { return };
        // The poll reports each write as an edge, so the eventfd is never read.
        let entry = opcode::PollAdd::new(types::Fd(descriptor), libc::POLLIN as u32).multi(true).build();
        // SAFETY: the operation points to no memory.
        unsafe { self.ring.push(entry.user_data(Operation::Wake.token(0))) };
    }

    /// See [`super::Sockets::poll`].
    pub(crate) fn poll(&mut self, now: Monotonic) {
        self.now = now;
        self.shortage_seen = false;
        self.end_rests();
        self.ring.enter_if_needed();
        self.ring.collect(&mut self.outcomes);
        self.redeliver.extend(self.resumed.drain(..));
        self.report_failed.extend(self.failed.drain(..));
    }

    /// See [`super::Sockets::next_completion`].
    pub(crate) fn next_completion(&mut self) -> Option<Completion> {
        while let Some(socket) = self.redeliver.pop_front() {
            if let Some(completion) = self.redeliver_kept(socket) {
                return Some(completion);
            }
        }
        while let Some((socket, error)) = self.report_failed.pop_front() {
            if self.connections.close(socket) {
                self.connections.remove(socket.slot);
                return Some(Completion::Connected { socket, result: Err(error) });
            }
        }
        while let Some(outcome) = self.outcomes.pop_front() {
            if let Some(completion) = self.complete(outcome) {
                return Some(completion);
            }
        }
        None
    }

    fn complete(&mut self, outcome: Outcome) -> Option<Completion> {
        match outcome.operation {
            Operation::Ignored => None,
            Operation::Wake => {
                if !outcome.continues() {
                    self.arm_wake();
                }
                None
            }
            Operation::File => {
                self.file_ended(outcome);
                None
            }
            Operation::Accept => self.accepted(outcome),
            Operation::Receive => self.received(outcome),
            Operation::Send => self.sent(outcome),
            Operation::Connect => self.connected(outcome),
            Operation::Close => {
                if let Some((_, connection)) = self.connections.slot_mut(outcome.number) {
                    connection.closing = false;
                }
                self.remove_if_idle(outcome.number);
                None
            }
        }
    }

    /// See [`super::Sockets::has_ready`].
    pub(crate) fn has_ready(&self) -> bool {
        !self.resumed.is_empty() || !self.failed.is_empty()
    }

    /// See [`super::Sockets::park`].
    pub(crate) fn park(&mut self, timeout: Option<Duration>) {
        self.ring.wait(timeout);
    }

    /// See [`super::Sockets::recycle`].
    pub(crate) fn recycle(&mut self, buffer: ReadBuffer) {
        if let ReadBuffer::Ring(slice) = buffer {
            self.pool.recycle(slice);
        }
    }

    /// See [`crate::Io::connect`].
    pub(crate) fn connect(&mut self, address: SocketAddr) -> SocketId {
        let descriptor = match tcp::prepare_connect(address, false) {
            Ok(descriptor) => descriptor,
            Err(error) => {
                let socket = self.connections.insert(Connection::new(None));
                self.failed.push((socket, error.kind()));
                return socket;
            }
        };
        let address = Box::new(socket2::SockAddr::from(address));
        let raw = types::Fd(descriptor.as_raw_fd());
        let entry = opcode::Connect::new(raw, address.as_ptr().cast(), address.len()).build();
        let mut connection = Connection::new(Some(descriptor));
        connection.connect = Some(address);
        let socket = self.connections.insert(connection);
        // SAFETY: the address is boxed and stays in the connection until the operation's outcome.
        unsafe { self.ring.push(entry.user_data(Operation::Connect.token(socket.slot))) };
        socket
    }

    fn connected(&mut self, outcome: Outcome) -> Option<Completion> {
        let (socket, connection) = self.connections.slot_mut(outcome.number)?;
        connection.connect = None;
        let Some(socket) = socket else {
            self.remove_if_idle(outcome.number);
            return None;
        };
        if outcome.result < 0 {
            let error = Error::from_raw_os_error(-outcome.result).kind();
            self.close(socket);
            return Some(Completion::Connected { socket, result: Err(error) });
        }
        self.arm_receive(socket);
        Some(Completion::Connected { socket, result: Ok(()) })
    }

    /// See [`crate::Io::detach`].
    pub(crate) fn detach(&mut self, socket: SocketId) -> Option<Detached> {
        let connection = self.connections.get_mut(socket)?;
        assert!(!connection.is_busy() && connection.kept.is_none(), "only an unused connection is detached");
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

    /// See [`crate::Io::shutdown_write`].
    pub(crate) fn shutdown_write(&mut self, socket: SocketId) {
        use std::os::fd::AsFd;
        if let Some(descriptor) = self.connections.get(socket).and_then(|it| it.descriptor.as_ref()) {
            tcp::shutdown_write(descriptor.as_fd());
        }
    }

    /// See [`crate::Io::close`].
    pub(crate) fn close(&mut self, socket: SocketId) {
        let Some(connection) = self.connections.get_mut(socket) else { return };
        connection.kept = None;
        let busy = connection.is_busy();
        if let Some(descriptor) = connection.descriptor.take() {
            connection.closing = true;
            self.close_in_order(descriptor.into_raw_fd(), busy, Operation::Close.token(socket.slot));
        }
        self.connections.close(socket);
        self.remove_if_idle(socket.slot);
    }

    /// Lets the kernel close a descriptor after everything queued before, and cancel what goes on with it.
    /// Closing it here and now would let operations that are still queued meet the number's next user.
    fn close_in_order(&mut self, descriptor: RawFd, busy: bool, token: u64) {
        if busy {
            let all = types::CancelBuilder::fd(types::Fd(descriptor)).all();
            let entry = opcode::AsyncCancel2::new(all).build();
            // SAFETY: the operation points to no memory.
            unsafe { self.ring.push(entry.user_data(Operation::Ignored.token(0))) };
        }
        let entry = opcode::Close::new(types::Fd(descriptor)).build();
        // SAFETY: the operation points to no memory.
        unsafe { self.ring.push(entry.user_data(token)) };
    }

    /// Frees the slot of a closed connection when the kernel is done with it.
    fn remove_if_idle(&mut self, slot: u32) {
        let closed = self.connections.slot_mut(slot).filter(|(open_id, _)| open_id.is_none());
        if closed.is_some_and(|(_, connection)| !connection.is_busy()) {
            self.connections.remove(slot);
        }
    }

    /// Waits until the kernel uses no memory of this core any more. False when it took too long.
    fn drain(&mut self) -> bool {
        for socket in self.connections.open_ids() {
            self.close(socket);
        }
        let deadline = Instant::now() + DRAIN_DURATION_MAX;
        loop {
            // Nothing is received any more, but outcomes may still carry buffers and descriptors.
            while let Some(completion) = self.next_completion() {
                if let Completion::Accepted { socket, .. } = completion {
                    self.close(socket);
                }
            }
            if self.connections.len() == 0 && self.files.under_way() == 0 {
                return true;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            self.ring.wait(Some(left.min(Duration::from_millis(50))));
            self.ring.collect(&mut self.outcomes);
        }
    }
}

impl Drop for UringSockets {
    fn drop(&mut self) {
        let listeners: Vec<u32> = self.listeners.keys().copied().collect();
        for listener in listeners {
            self.close_listener(crate::net::ListenerId(listener));
        }
        if !self.drain() {
            tracing::error!("the kernel did not end all socket operations; their memory is given up");
            // The connections own the bytes being sent, the pool the memory being received into.
            std::mem::forget(std::mem::replace(&mut self.connections, Slab::new()));
            std::mem::forget(std::mem::take(&mut self.files));
            self.pool.leak();
        }
    }
}
