//! Connections that the program closes, and ids that are no more.

use super::actor::{Behaviour, Reporter, name_of};
use super::echo::{AskSide, EchoSide};
use super::outgoing::{Outgoing, listen_anywhere, loopback, pattern};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::net::{SendOutcome, SocketId};
use crate::program::{CoreId, Event};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

/// What these scenarios order.
enum ClosingOrder {
    Listen,
    Connect(SocketAddr),
    Ask(SocketAddr),
}

/// The serving side closes connections from within events of their own and of others, with sends pending and
/// bytes on their way. Nothing of a closed connection may follow.
#[derive(Default)]
struct Closer {
    /// More than the kernel buffers.
    answer_bytes: usize,
    serving: BTreeSet<SocketId>,
    closed: BTreeSet<SocketId>,
    asking: BTreeMap<SocketId, Outgoing>,
}

impl Closer {
    fn check(&self, socket: SocketId, what: &str) {
        assert!(!self.closed.contains(&socket), "{what} of {socket:?} after its close");
    }

    fn close(&mut self, socket: SocketId, io: &mut Io<'_, ()>) {
        io.close(socket);
        assert!(self.closed.insert(socket), "an id is used once");
        self.serving.remove(&socket);
    }

    fn ask_on(&mut self, socket: SocketId, io: &mut Io<'_, ()>, report: &Reporter) {
        let outgoing = self.asking.get_mut(&socket).expect("its own");
        while !outgoing.failed && !outgoing.busy {
            outgoing.push(socket, pattern(0, 50_000), io);
        }
        if outgoing.failed {
            self.asking.remove(&socket);
            self.close(socket, io);
            report.note("closed", 1);
        }
    }
}

impl Behaviour for Closer {
    type Mail = ();
    type Order = ClosingOrder;

    fn event(&mut self, event: Event<'_, (), ClosingOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(ClosingOrder::Listen) => report.listening(listen_anywhere(io).1),
            Event::Order(ClosingOrder::Connect(server) | ClosingOrder::Ask(server)) => {
                let socket = io.connect(server);
                self.asking.insert(socket, Outgoing::default());
            }
            Event::Connected { socket, result } => {
                assert_eq!(result, Ok(()));
                io.resume_read(socket);
                self.ask_on(socket, io, report);
            }
            Event::Accepted { socket, .. } => {
                self.check(socket, "Accepted");
                self.serving.insert(socket);
                io.resume_read(socket);
                // Nobody reads all of it, so this one stays pending until the close.
                let _ = io.send(socket, vec![7; self.answer_bytes]);
            }
            Event::Received { socket, .. } => {
                self.check(socket, "Received");
                if !self.serving.contains(&socket) {
                    // The asking side reads only a little, so that the answer stays pending.
                    return io.pause_read(socket);
                }
                let others: Vec<SocketId> = self.serving.iter().copied().collect();
                let other = others[(io.random() % others.len() as u64) as usize];
                self.close(other, io);
                if other != socket {
                    self.close(socket, io);
                }
            }
            Event::Sent { socket, result, .. } => {
                self.check(socket, "Sent");
                if let Some(outgoing) = self.asking.get_mut(&socket) {
                    outgoing.sent(socket, result.is_ok(), io);
                    self.ask_on(socket, io, report);
                }
            }
            Event::Ended { socket, .. } => {
                self.check(socket, "Ended");
                if self.asking.remove(&socket).is_some() {
                    report.note("closed", 1);
                }
                self.close(socket, io);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn nothing_follows_a_close(backend: Backend) {
    let connections = backend.scale(20, 8);
    let answer_bytes = backend.scale(8_000_000, 600_000);
    // On one core the closed side's slots are reused at once, on two both sides run at the same time.
    for cores in [1, 2] {
        let mut rig =
            Rig::start(backend, cores, move |_: CoreId| Closer { answer_bytes, ..Closer::default() });
        rig.order(0, ClosingOrder::Listen);
        let server = loopback(rig.expect_listener());
        for _ in 0..connections {
            rig.order(cores - 1, ClosingOrder::Connect(server));
        }
        for _ in 0..connections {
            rig.expect("closed");
        }
        rig.pass(Duration::from_millis(200));
        rig.finish();
    }
}

/// Closes connections as soon as they are made, opens others, and goes on calling with the old ids.
#[derive(Default)]
struct Haunted {
    serving: EchoSide,
    asking: AskSide,
    doomed: BTreeSet<SocketId>,
    ghosts: BTreeSet<SocketId>,
}

impl Haunted {
    fn haunt(&self, io: &mut Io<'_, ()>) {
        for ghost in self.ghosts.iter().copied() {
            match io.send(ghost, vec![1, 2, 3]) {
                SendOutcome::Failed(buffer, _) => assert_eq!(buffer.len(), 3),
                other => panic!("a send on a closed connection: {other:?}"),
            }
            assert_eq!(io.unsent_bytes(ghost), 0);
            assert!(io.detach(ghost).is_none());
            io.resume_read(ghost);
            io.pause_read(ghost);
            io.shutdown_write(ghost);
            io.close(ghost);
        }
    }
}

impl Behaviour for Haunted {
    type Mail = ();
    type Order = ClosingOrder;

    fn event(&mut self, event: Event<'_, (), ClosingOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        self.haunt(io);
        match event {
            Event::Order(ClosingOrder::Listen) => report.listening(listen_anywhere(io).1),
            Event::Order(ClosingOrder::Connect(server)) => {
                self.doomed.insert(io.connect(server));
            }
            Event::Order(ClosingOrder::Ask(server)) => self.asking.ask(server, 50_000, false, io),
            Event::Connected { socket, result } if self.doomed.remove(&socket) => {
                assert_eq!(result, Ok(()));
                io.close(socket);
                assert!(self.ghosts.insert(socket), "an id is used once");
                report.note("closed", 1);
            }
            other => {
                if let Some(other) = self.asking.event(other, io, report) {
                    self.serving.event(other, io);
                }
            }
        }
        self.haunt(io);
    }
}

pub(super) fn stale_ids_are_harmless(backend: Backend) {
    // One core, so that the accepting side reuses slots as well.
    let mut rig = Rig::start(backend, 1, |_: CoreId| Haunted::default());
    rig.order(0, ClosingOrder::Listen);
    let server = loopback(rig.expect_listener());
    for _ in 0..3 {
        rig.order(0, ClosingOrder::Connect(server));
    }
    for _ in 0..3 {
        rig.expect("closed");
    }
    rig.pass(Duration::from_millis(20));
    for _ in 0..6 {
        rig.order(0, ClosingOrder::Ask(server));
    }
    for _ in 0..6 {
        rig.expect("echoed");
    }
    rig.finish();
}
