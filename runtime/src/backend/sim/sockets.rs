//! The sockets of one simulated core.

use super::agenda::Place;
use super::connection::Accept;
use super::network::{EndpointId, Network, Ready};
use super::stream::News;
use crate::backend::slab::Slab;
use crate::backend::{Completion, DetachedSocket, READ_BUFFER_BYTES, ReadBuffer};
use crate::net::{Detached, ListenOptions, ListenerId, SendOutcome, SocketId};
use crate::time::Monotonic;
use std::fmt;
use std::io::Error;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The error of an accept when descriptors ran out (`EMFILE` on Linux).
const TOO_MANY_OPEN_FILES: i32 = 24;

/// The network as the parts of a world share it. All of them are on one thread: the lock is there because
/// mail, and a connection in it, must be able to change threads where threads exist.
#[derive(Clone)]
pub(crate) struct SharedNetwork(Arc<Mutex<Network>>);

impl SharedNetwork {
    pub(super) fn new(network: Network) -> SharedNetwork {
        SharedNetwork(Arc::new(Mutex::new(network)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Network> {
        // A panic under the lock is an assertion against the program, before anything was changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The sockets of one simulated core.
pub(crate) struct SimSockets {
    network: SharedNetwork,
    place: Place,
    sockets: Slab<EndpointId>,
    /// The listeners that this core opened, by number.
    listeners: Vec<u64>,
    /// What this turn looks at, last first.
    turn: Vec<Ready>,
    /// Reads go through it.
    scratch: Box<[u8]>,
}

impl SimSockets {
    pub(super) fn new(network: SharedNetwork, place: Place) -> SimSockets {
        SimSockets {
            network,
            place,
            sockets: Slab::new(),
            listeners: Vec::new(),
            turn: Vec::new(),
            scratch: vec![0; READ_BUFFER_BYTES].into_boxed_slice(),
        }
    }

    pub(crate) fn listen(&mut self, options: &ListenOptions) -> std::io::Result<(ListenerId, SocketAddr)> {
        let (number, bound) = self.network.lock().listen(self.place, options.address, options.backlog)?;
        self.listeners.push(number);
        let id = u32::try_from(number).expect("fewer than 2^32 listeners in a world");
        Ok((ListenerId(id), bound))
    }

    pub(crate) fn close_listener(&mut self, listener: ListenerId) {
        let number = u64::from(listener.0);
        if let Some(position) = self.listeners.iter().position(|own| *own == number) {
            self.listeners.remove(position);
            self.network.lock().close_listener(self.place.node, number);
        }
    }

    pub(crate) fn connect(&mut self, address: SocketAddr) -> SocketId {
        // As on Linux, connecting to nowhere in particular is connecting to this machine.
        let address = match address {
            SocketAddr::V4(to) if to.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, to.port()).into(),
            SocketAddr::V6(to) if to.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, to.port()).into(),
            _ => address,
        };
        let mut network = self.network.lock();
        let endpoint = network.connect(self.place, address);
        let socket = self.sockets.insert(endpoint);
        network.own(endpoint, self.place, socket);
        socket
    }

    pub(crate) fn detach(&mut self, socket: SocketId) -> Option<Detached> {
        let endpoint = *self.sockets.get(socket)?;
        self.forget(socket);
        let (peer, local) = self.network.lock().disown(endpoint)?;
        let inner = SimDetached { network: self.network.clone(), endpoint: Some(endpoint) };
        Some(Detached { inner: DetachedSocket::Sim(inner), peer, local })
    }

    pub(crate) fn attach(&mut self, detached: Detached) -> SocketId {
        let DetachedSocket::Sim(mut inner) = detached.inner else {
            panic!("a connection of the kernel was attached to a simulated core");
        };
        let endpoint = inner.endpoint.take().expect("a detached connection has its end until it is attached");
        let socket = self.sockets.insert(endpoint);
        self.network.lock().own(endpoint, self.place, socket);
        socket
    }

    pub(crate) fn resume_read(&mut self, socket: SocketId) {
        if let Some(endpoint) = self.sockets.get(socket) {
            self.network.lock().read_on(*endpoint, true);
        }
    }

    pub(crate) fn pause_read(&mut self, socket: SocketId) {
        if let Some(endpoint) = self.sockets.get(socket) {
            self.network.lock().read_on(*endpoint, false);
        }
    }

    pub(crate) fn send(&mut self, socket: SocketId, buffer: Vec<u8>) -> SendOutcome {
        match self.sockets.get(socket) {
            Some(endpoint) => self.network.lock().send(*endpoint, buffer),
            None => SendOutcome::Failed(buffer, std::io::ErrorKind::NotConnected),
        }
    }

    pub(crate) fn try_send(
        &mut self,
        socket: SocketId,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Result<usize, std::io::ErrorKind> {
        let endpoint = self.sockets.get(socket).ok_or(std::io::ErrorKind::NotConnected)?;
        self.network.lock().try_send(*endpoint, pieces)
    }

    pub(crate) fn unsent_bytes(&self, socket: SocketId) -> usize {
        self.sockets.get(socket).map_or(0, |endpoint| self.network.lock().unsent_bytes(*endpoint))
    }

    pub(crate) fn shutdown_write(&mut self, socket: SocketId) {
        if let Some(endpoint) = self.sockets.get(socket) {
            self.network.lock().shutdown_write(*endpoint);
        }
    }

    pub(crate) fn close(&mut self, socket: SocketId) {
        if let Some(endpoint) = self.sockets.get(socket).copied() {
            self.forget(socket);
            self.network.lock().close(endpoint);
        }
    }

    /// Picks what this turn looks at, in any order: everything that is ready, or some of it.
    pub(crate) fn poll(&mut self, _now: Monotonic) {
        self.network.lock().pick_ready(self.place, &mut self.turn);
    }

    pub(crate) fn next_completion(&mut self) -> Option<Completion> {
        while let Some(ready) = self.turn.pop() {
            let completion = match ready {
                Ready::Listener(number) => self.accept(number),
                Ready::Endpoint(endpoint) => self.look(endpoint),
            };
            if completion.is_some() {
                return completion;
            }
        }
        None
    }

    pub(crate) fn recycle(&mut self, buffer: ReadBuffer) {
        drop(buffer);
    }

    pub(crate) fn has_ready(&self) -> bool {
        let network = self.network.lock();
        !network.hosts[self.place.node].gates[self.place.core].ready.is_empty()
    }

    /// None: rests of listeners end by the world's agenda.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        None
    }

    fn accept(&mut self, number: u64) -> Option<Completion> {
        let listener = ListenerId(u32::try_from(number).ok()?);
        if !self.listeners.contains(&number) {
            return None;
        }
        let mut network = self.network.lock();
        match network.accept(self.place.node, number) {
            Accept::Empty => None,
            Accept::Failed => Some(Completion::AcceptFailed {
                listener,
                error: Error::from_raw_os_error(TOO_MANY_OPEN_FILES),
            }),
            Accept::Connection { endpoint, peer, local } => {
                let socket = self.sockets.insert(endpoint);
                network.own(endpoint, self.place, socket);
                Some(Completion::Accepted { listener, socket, peer, local })
            }
        }
    }

    fn look(&mut self, endpoint: EndpointId) -> Option<Completion> {
        let (socket, news) = self.network.lock().look(self.place, endpoint, &mut self.scratch)?;
        Some(match news {
            News::Connected(result) => {
                if result.is_err() {
                    self.close(socket);
                }
                Completion::Connected { socket, result }
            }
            News::Sent(buffer, result) => Completion::Sent { socket, buffer, result },
            News::Bytes(count) => {
                Completion::Received { socket, data: ReadBuffer::Owned(self.scratch[..count].to_vec()) }
            }
            News::Ended(end) => Completion::Ended { socket, end },
        })
    }

    fn forget(&mut self, socket: SocketId) {
        self.sockets.close(socket);
        self.sockets.remove(socket.slot);
    }
}

impl Drop for SimSockets {
    /// The core's program ended: its kernel closes what it left open.
    fn drop(&mut self) {
        let mut network = self.network.lock();
        for number in &self.listeners {
            network.close_listener(self.place.node, *number);
        }
        for socket in self.sockets.open_ids() {
            if let Some(endpoint) = self.sockets.get(socket) {
                network.close(*endpoint);
            }
        }
    }
}

/// A simulated connection between two cores.
pub(crate) struct SimDetached {
    network: SharedNetwork,
    endpoint: Option<EndpointId>,
}

impl fmt::Debug for SimDetached {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SimDetached").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

impl Drop for SimDetached {
    fn drop(&mut self) {
        if let Some(endpoint) = self.endpoint.take() {
            self.network.lock().close(endpoint);
        }
    }
}
