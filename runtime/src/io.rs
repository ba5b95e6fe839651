//! The world as a program sees it.

use crate::file::Files;
use crate::histogram::Histogram;
use crate::launch::BackendKind;
use crate::net::{Detached, ListenOptions, ListenerId, SendOutcome, SocketId};
use crate::program::CoreId;
use crate::time::{Monotonic, TimerId, TimerToken, WallTime};
use std::future::Future;
use std::net::SocketAddr;

/// A program's only way to act on the world. Lives during one call of the program.
pub struct Io<'a, M> {
    pub(crate) core: &'a mut crate::backend::CoreState<M>,
}

impl<M: Send + 'static> Io<'_, M> {
    /// The core that runs this.
    pub fn core(&self) -> CoreId {
        self.core.core
    }
    /// How many cores this node has.
    pub fn core_count(&self) -> usize {
        self.core.mail.len()
    }
    /// Which backend runs.
    pub fn backend(&self) -> BackendKind {
        self.core.backend
    }
    /// Time since an arbitrary start, as of the beginning of this turn.
    pub fn now(&self) -> Monotonic {
        self.core.now
    }
    /// Time since the same start, read now: to measure what happens within a turn. Rules look at [`Io::now`].
    pub fn clock(&self) -> Monotonic {
        self.core.clock.monotonic()
    }
    /// How long the turns of this core were in which something was handled. The simulator's turns take no time and are not
    /// counted.
    pub fn turn_lengths(&self) -> &Histogram {
        &self.core.turn_lengths
    }
    /// The clock on the wall, read now.
    pub fn wall_clock(&self) -> WallTime {
        self.core.clock.wall()
    }
    /// 64 random bits from this core's stream. Not for keys: it is a fast generator, seeded once.
    pub fn random(&mut self) -> u64 {
        self.core.random.next_u64()
    }

    /// Starts listening; [`crate::Event::Accepted`] follows for each connection. Returns the bound address.
    ///
    /// # Errors
    /// What bind or listen said.
    pub fn listen(&mut self, options: &ListenOptions) -> std::io::Result<(ListenerId, SocketAddr)> {
        self.core.sockets.listen(options)
    }
    /// Stops listening; new connections are refused by the kernel. Unknown ids are ignored.
    pub fn close_listener(&mut self, listener: ListenerId) {
        self.core.sockets.close_listener(listener);
    }
    /// Starts a connection; [`crate::Event::Connected`] follows.
    pub fn connect(&mut self, address: SocketAddr) -> SocketId {
        self.core.sockets.connect(address)
    }

    /// Takes a connection that was never read from or written to out of this core. `None`: no such socket.
    pub fn detach(&mut self, socket: SocketId) -> Option<Detached> {
        self.core.sockets.detach(socket)
    }
    /// Takes in a connection that another core detached. Nothing is read before [`Io::resume_read`].
    pub fn attach(&mut self, detached: Detached) -> SocketId {
        self.core.sockets.attach(detached)
    }

    /// Starts or resumes reading. No event is delivered from within this call.
    pub fn resume_read(&mut self, socket: SocketId) {
        self.core.sockets.resume_read(socket);
    }
    /// Delivers no [`crate::Event::Received`] or [`crate::Event::Ended`] of this socket until
    /// [`Io::resume_read`]; what has arrived is kept, and the peer feels it through TCP flow control.
    pub fn pause_read(&mut self, socket: SocketId) {
        self.core.sockets.pause_read(socket);
    }

    /// Sends a buffer. Tries at once without blocking; what the kernel does not take is written in the
    /// background. One send at a time for a socket; starting a second while one is pending is a bug.
    pub fn send(&mut self, socket: SocketId, buffer: Vec<u8>) -> SendOutcome {
        self.core.sockets.send(socket, buffer)
    }
    /// Offers several pieces to the kernel in one call, without blocking and without taking them over: for
    /// bytes that live for this event only. Returns how many bytes of them it took, from the front; the rest
    /// is the caller's to send. Not while a send is pending.
    ///
    /// # Errors
    /// How the connection failed.
    pub fn try_send(
        &mut self,
        socket: SocketId,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Result<usize, std::io::ErrorKind> {
        self.core.sockets.try_send(socket, pieces)
    }
    /// Bytes of a pending send that the kernel has not yet taken, as far as known; 0 when none is pending.
    pub fn unsent_bytes(&self, socket: SocketId) -> usize {
        self.core.sockets.unsent_bytes(socket)
    }
    /// Closes the sending side (FIN) after what was sent. A pending send is completed first by the program.
    pub fn shutdown_write(&mut self, socket: SocketId) {
        self.core.sockets.shutdown_write(socket);
    }
    /// Closes the connection; no event of it follows. A pending send is given up. Unknown ids are ignored.
    pub fn close(&mut self, socket: SocketId) {
        self.core.sockets.close(socket);
    }

    /// Calls back with [`crate::Event::Timer`] at `deadline` or as soon after it as the core is free.
    pub fn set_timer(&mut self, deadline: Monotonic, token: TimerToken) -> TimerId {
        self.core.timers.set(deadline, token)
    }
    /// Takes a timer back. False when it has fired or was cancelled before.
    pub fn cancel_timer(&mut self, timer: TimerId) -> bool {
        self.core.timers.cancel(timer)
    }

    /// Puts mail for another core into its mailbox. It always goes in: mail beyond the ring spills to a list
    /// (see [`Io::mail_spilled`]). It is made visible to the other core at the end of the turn at the latest.
    ///
    /// # Panics
    /// When `to` is this core itself or no core of this node.
    pub fn mail(&mut self, to: CoreId, mail: M) {
        self.core.mail[to.index()].push(mail);
    }
    /// Whether the mailbox to `core` has a free slot, that is whether *new work* may be started that will
    /// mail it. When false, [`crate::Event::MailRoom`] follows later.
    pub fn mail_has_room(&mut self, to: CoreId) -> bool {
        let port = &mut self.core.mail[to.index()];
        if port.has_room() {
            return true;
        }
        port.want_room();
        self.core.room_awaited[to.index()] = true;
        false
    }
    /// Number of mails sent to `core` so far (the mailbox's watermark of sent mail).
    pub fn mails_sent(&self, to: CoreId) -> u64 {
        self.core.mail[to.index()].sent()
    }
    /// Number of mails that `core` has taken out of this core's mailbox *and handled to the end*.
    pub fn mails_consumed(&self, to: CoreId) -> u64 {
        self.core.mail[to.index()].consumed()
    }
    /// Number of mails to all cores that wait outside the rings, for the memory budget.
    pub fn mail_spilled(&self) -> usize {
        self.core.mail.iter().map(|port| port.spilled()).sum()
    }

    /// Runs a future on this core beside the program, first polled at the end of a turn. For slow jobs, not
    /// for messages. It may be woken from any thread. When it panics it is dropped and
    /// [`crate::Program::panicked`] is told. [`crate::Program::finish_turn`] follows each turn in which a task
    /// ran, so that the program can look at what tasks left for it. Tasks that have not ended are dropped
    /// when the core stops.
    pub fn spawn(&mut self, task: impl Future<Output = ()> + 'static) {
        self.core.tasks.spawn(task);
    }

    /// The files that tasks of this core can reach. The handle is for this core alone.
    pub fn files(&self) -> Files {
        Files { port: self.core.files.port.clone() }
    }

    /// Ends this core's loop after the current turn. Open sockets are closed.
    pub fn stop(&mut self) {
        self.core.stopping = true;
    }
}
