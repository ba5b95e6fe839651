//! Helpers that most behaviours use.

use crate::io::Io;
use crate::net::{ListenOptions, ListenerId, SendOutcome, SocketId};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Buffers that leave a connection one after the other.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) busy: bool,
    waiting: VecDeque<Vec<u8>>,
    /// How often a send became pending.
    pub(super) pendings: u64,
    /// A send failed; nothing more is sent.
    pub(super) failed: bool,
}

impl Outgoing {
    /// Sends a buffer after those that wait.
    pub(super) fn push<M: Send + 'static>(&mut self, socket: SocketId, buffer: Vec<u8>, io: &mut Io<'_, M>) {
        self.waiting.push_back(buffer);
        self.flush(socket, io);
    }

    /// An [`crate::Event::Sent`] came.
    pub(super) fn sent<M: Send + 'static>(&mut self, socket: SocketId, whole: bool, io: &mut Io<'_, M>) {
        assert!(self.busy, "only a pending send ends with Sent");
        assert_eq!(io.unsent_bytes(socket), 0, "nothing is unsent after Sent");
        self.busy = false;
        self.failed |= !whole;
        self.flush(socket, io);
    }

    /// Whether everything was handed to the kernel.
    pub(super) fn is_done(&self) -> bool {
        !self.busy && self.waiting.is_empty()
    }

    fn flush<M: Send + 'static>(&mut self, socket: SocketId, io: &mut Io<'_, M>) {
        while !self.busy
            && !self.failed
            && let Some(buffer) = self.waiting.pop_front()
        {
            let length = buffer.len();
            match io.send(socket, buffer) {
                SendOutcome::Done(_) => assert_eq!(io.unsent_bytes(socket), 0),
                SendOutcome::Pending => {
                    self.busy = true;
                    self.pendings += 1;
                    assert!(io.unsent_bytes(socket) <= length);
                }
                SendOutcome::Failed(..) => self.failed = true,
            }
        }
    }
}

/// Bytes whose place shows.
pub(super) fn pattern(from: usize, length: usize) -> Vec<u8> {
    (from..from + length).map(pattern_byte).collect()
}

/// The byte at a place of the pattern. The period is long and no power of two, so that blocks that change
/// places are noticed.
pub(super) fn pattern_byte(at: usize) -> u8 {
    (at ^ (at >> 8) ^ (at / 65_521)) as u8
}

/// Checks bytes that continue the pattern at `from`.
pub(super) fn check_pattern(from: usize, data: &[u8]) {
    if let Some(place) = (0..data.len()).find(|place| data[*place] != pattern_byte(from + place)) {
        panic!("byte {} came back as {}", from + place, data[place]);
    }
}

/// Listens on a free port of all addresses.
pub(super) fn listen_anywhere<M: Send + 'static>(io: &mut Io<'_, M>) -> (ListenerId, SocketAddr) {
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    io.listen(&ListenOptions { address, backlog: 1024 }).expect("a free port can be listened on")
}

/// The IPv4 loopback address of what is bound.
pub(super) fn loopback(bound: SocketAddr) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, bound.port()))
}

/// The IPv6 loopback address of what is bound, if it takes IPv6.
pub(super) fn loopback_v6(bound: SocketAddr) -> Option<SocketAddr> {
    match bound.ip() {
        IpAddr::V6(_) => Some(SocketAddr::from((Ipv6Addr::LOCALHOST, bound.port()))),
        IpAddr::V4(_) => None,
    }
}
