//! Many sockets.

use super::actor::{Behaviour, Reporter, name_of};
use super::outgoing::{listen_anywhere, loopback};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::net::{SendOutcome, SocketId};
use crate::program::{CoreId, Event};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

const ROUNDS: u64 = 5;

enum CrowdOrder {
    Listen,
    Connect { server: SocketAddr, count: usize },
}

/// Each connection sends a number to and fro, all at the same time.
#[derive(Default)]
struct Crowd {
    asking: BTreeMap<SocketId, Vec<u8>>,
    serving: BTreeMap<SocketId, Vec<u8>>,
    ids: BTreeSet<SocketId>,
    open_max: usize,
}

impl Crowd {
    /// Collects eight bytes of a connection; the number when they are complete.
    fn collect(partial: &mut Vec<u8>, data: &[u8]) -> Option<u64> {
        partial.extend_from_slice(data);
        assert!(partial.len() <= 8, "one number at a time");
        let number = u64::from_le_bytes(partial.as_slice().try_into().ok()?);
        partial.clear();
        Some(number)
    }

    fn send(socket: SocketId, number: u64, io: &mut Io<'_, ()>) {
        // Eight bytes fit every buffer that is empty; the simulator may be reluctant all the same.
        match io.send(socket, number.to_le_bytes().to_vec()) {
            SendOutcome::Done(_) | SendOutcome::Pending => {}
            SendOutcome::Failed(_, error) => panic!("a send failed: {error}"),
        }
    }
}

impl Behaviour for Crowd {
    type Mail = ();
    type Order = CrowdOrder;

    fn event(&mut self, event: Event<'_, (), CrowdOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(CrowdOrder::Listen) => report.listening(listen_anywhere(io).1),
            Event::Order(CrowdOrder::Connect { server, count }) => {
                for _ in 0..count {
                    let socket = io.connect(server);
                    assert!(self.ids.insert(socket), "an id was used twice");
                    self.asking.insert(socket, Vec::new());
                }
            }
            Event::Accepted { socket, .. } => {
                assert!(self.ids.insert(socket), "an id was used twice");
                self.serving.insert(socket, Vec::new());
                self.open_max = self.open_max.max(self.serving.len());
                io.resume_read(socket);
            }
            Event::Connected { socket, result } => {
                assert_eq!(result, Ok(()));
                io.resume_read(socket);
                Crowd::send(socket, 1, io);
            }
            Event::Received { socket, data } => {
                if let Some(partial) = self.serving.get_mut(&socket) {
                    if let Some(number) = Crowd::collect(partial, data) {
                        Crowd::send(socket, number, io);
                    }
                    return;
                }
                let partial = self.asking.get_mut(&socket).expect("its own");
                match Crowd::collect(partial, data) {
                    None => {}
                    Some(ROUNDS) => {
                        self.asking.remove(&socket);
                        io.close(socket);
                        if self.asking.is_empty() {
                            report.note("all answered", 1);
                        }
                    }
                    Some(number) => Crowd::send(socket, number + 1, io),
                }
            }
            Event::Sent { result, .. } => assert_eq!(result, Ok(())),
            Event::Ended { socket, .. } => {
                self.serving.remove(&socket).expect("only askers close");
                io.close(socket);
                if self.serving.is_empty() && self.asking.is_empty() {
                    report.note("most at once", self.open_max as u64);
                }
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn many_sockets_at_once(backend: Backend) {
    let count = backend.scale(300, 60);
    let mut rig = Rig::start(backend, 2, |_: CoreId| Crowd::default());
    rig.order(0, CrowdOrder::Listen);
    let server = loopback(rig.expect_listener());
    // The second crowd uses the slots of the first.
    for _ in 0..2 {
        rig.order(1, CrowdOrder::Connect { server, count });
        rig.expect("all answered");
        assert!(rig.expect("most at once") > 1);
    }
    rig.finish();
}
