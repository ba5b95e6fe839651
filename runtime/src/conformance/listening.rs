//! Listeners.

use super::actor::{Behaviour, Reporter, name_of};
use super::outgoing::{listen_anywhere, loopback, loopback_v6};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::net::{ListenOptions, ListenerId, SocketId};
use crate::program::{CoreId, Event};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::net::SocketAddr;

enum ListenOrder {
    Listen,
    /// Listen where somebody listens already.
    ListenAgain(SocketAddr),
    Unlisten,
    Connect(SocketAddr),
}

#[derive(Default)]
struct Listening {
    listener: Option<ListenerId>,
    bound: Option<SocketAddr>,
    connecting: BTreeMap<SocketId, SocketAddr>,
    accepted: Vec<SocketId>,
}

impl Listening {
    fn check_accepted(&self, peer: SocketAddr, local: SocketAddr) {
        let bound = self.bound.expect("listened before");
        assert_eq!(local.port(), bound.port());
        assert_ne!(peer.port(), 0);
        // Both sides are of one family, and IPv4 is shown as IPv4.
        assert_eq!(peer.ip(), local.ip(), "both ends are on the loopback");
        assert!(peer.ip().is_loopback(), "{peer} is shown for a loopback connection");
    }
}

impl Behaviour for Listening {
    type Mail = ();
    type Order = ListenOrder;

    fn event(&mut self, event: Event<'_, (), ListenOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(ListenOrder::Listen) => {
                let (listener, bound) = listen_anywhere(io);
                assert!(bound.ip().is_unspecified());
                assert_ne!(bound.port(), 0);
                (self.listener, self.bound) = (Some(listener), Some(bound));
                report.listening(bound);
            }
            Event::Order(ListenOrder::ListenAgain(address)) => {
                let error = io.listen(&ListenOptions { address, backlog: 8 }).expect_err("the port is taken");
                assert_eq!(error.kind(), ErrorKind::AddrInUse);
                report.note("taken", 1);
            }
            Event::Order(ListenOrder::Unlisten) => {
                let listener = self.listener.expect("listened before");
                io.close_listener(listener);
                io.close_listener(listener);
                report.note("unlistened", 1);
            }
            Event::Order(ListenOrder::Connect(address)) => {
                self.connecting.insert(io.connect(address), address);
            }
            Event::Connected { socket, result } => {
                self.connecting.remove(&socket).expect("its own");
                match result {
                    Ok(()) => report.note("connected", 1),
                    Err(ErrorKind::ConnectionRefused) => report.note("refused", 1),
                    Err(error) => panic!("a connection to the loopback failed: {error}"),
                }
            }
            Event::Accepted { listener, socket, peer, local } => {
                assert_eq!(self.listener, Some(listener));
                self.check_accepted(peer, local);
                self.accepted.push(socket);
                report.note(if peer.is_ipv4() { "accepted IPv4" } else { "accepted IPv6" }, 1);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn a_closed_listener_refuses(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Listening::default());
    for _ in 0..5 {
        rig.order(0, ListenOrder::Listen);
        let bound = rig.expect_listener();
        rig.order(0, ListenOrder::ListenAgain(bound));
        rig.expect("taken");
        rig.order(1, ListenOrder::Connect(loopback(bound)));
        rig.expect("connected");
        rig.expect("accepted IPv4");
        rig.order(0, ListenOrder::Unlisten);
        rig.expect("unlistened");
        rig.order(1, ListenOrder::Connect(loopback(bound)));
        rig.expect("refused");
    }
    rig.finish();
}

pub(super) fn both_families_reach_one_listener(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Listening::default());
    rig.order(0, ListenOrder::Listen);
    let bound = rig.expect_listener();
    rig.order(1, ListenOrder::Connect(loopback(bound)));
    rig.expect("connected");
    rig.expect("accepted IPv4");
    match loopback_v6(bound) {
        Some(address) => {
            rig.order(1, ListenOrder::Connect(address));
            rig.expect("connected");
            rig.expect("accepted IPv6");
        }
        None => {
            // Past the test harness, which would swallow it.
            let _ = writeln!(
                std::io::stderr(),
                "NOT CHECKED over {backend:?}: this machine has no IPv6, so the listener fell back to IPv4"
            );
        }
    }
    rig.finish();
}
