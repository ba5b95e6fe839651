//! Connections that change cores.

use super::actor::{Behaviour, Reporter};
use super::echo::{AskSide, EchoSide};
use super::outgoing::{listen_anywhere, loopback};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::net::{Detached, SendOutcome, SocketId};
use crate::program::{CoreId, Event};
use std::collections::BTreeSet;
use std::net::SocketAddr;

enum HandoverOrder {
    /// Accept, and hand connections to all cores in turn, or drop them.
    Listen { drop: bool },
    /// Send at once and check the echo.
    Ask(SocketAddr),
    /// Connect and wait for the end.
    Wait(SocketAddr),
}

#[derive(Default)]
struct Handover {
    drop: bool,
    accepted: usize,
    attached: u64,
    serving: EchoSide,
    asking: AskSide,
    waiting: BTreeSet<SocketId>,
}

impl Handover {
    fn hand_over(
        &mut self,
        socket: SocketId,
        peer: SocketAddr,
        local: SocketAddr,
        io: &mut Io<'_, Detached>,
    ) {
        let detached = io.detach(socket).expect("a connection just accepted");
        assert_eq!((detached.peer, detached.local), (peer, local));
        // The old id is dead.
        assert!(io.detach(socket).is_none());
        assert!(matches!(io.send(socket, vec![1]), SendOutcome::Failed(..)));
        io.resume_read(socket);
        io.close(socket);
        self.accepted += 1;
        let target = CoreId((self.accepted % io.core_count()) as u16);
        if self.drop && target == CoreId(0) {
            drop(detached);
        } else if target == CoreId(0) {
            self.attach(detached, io);
        } else {
            io.mail(target, detached);
        }
    }

    fn attach(&mut self, detached: Detached, io: &mut Io<'_, Detached>) {
        let socket = io.attach(detached);
        self.attached += 1;
        self.serving.take(socket, io);
    }
}

impl Behaviour for Handover {
    type Mail = Detached;
    type Order = HandoverOrder;

    fn event(
        &mut self,
        event: Event<'_, Detached, HandoverOrder>,
        io: &mut Io<'_, Detached>,
        report: &Reporter,
    ) {
        match event {
            Event::Order(HandoverOrder::Listen { drop }) => {
                self.drop = drop;
                report.listening(listen_anywhere(io).1);
            }
            Event::Order(HandoverOrder::Ask(server)) => self.asking.ask(server, 20_000, false, io),
            Event::Order(HandoverOrder::Wait(server)) => {
                self.waiting.insert(io.connect(server));
            }
            Event::Accepted { socket, peer, local, .. } => self.hand_over(socket, peer, local, io),
            Event::Mail { mail, .. } if self.drop || io.core() == CoreId(0) => drop(mail),
            Event::Mail { from, mail } => {
                assert_eq!(from, CoreId(0));
                self.attach(mail, io);
                report.note("attached", io.core().0.into());
            }
            Event::Connected { socket, result } if self.waiting.contains(&socket) => {
                assert_eq!(result, Ok(()));
                io.resume_read(socket);
            }
            Event::Ended { socket, .. } if self.waiting.remove(&socket) => {
                io.close(socket);
                report.note("ended", 1);
            }
            other => {
                if let Some(other) = self.asking.event(other, io, report) {
                    self.serving.event(other, io);
                }
            }
        }
    }
}

pub(super) fn connections_change_cores(backend: Backend) {
    let mut rig = Rig::start(backend, 3, |_: CoreId| Handover::default());
    rig.order(0, HandoverOrder::Listen { drop: false });
    let server = loopback(rig.expect_listener());
    for round in 0..30 {
        rig.order(round % 3, HandoverOrder::Ask(server));
    }
    for _ in 0..30 {
        assert_eq!(rig.expect("echoed"), 20_000);
    }
    assert_eq!(rig.count("attached"), 20, "two of three connections went to other cores");
    rig.finish();
}

pub(super) fn a_dropped_connection_is_closed(backend: Backend) {
    let mut rig = Rig::start(backend, 3, |_: CoreId| Handover { drop: true, ..Handover::default() });
    rig.order(0, HandoverOrder::Listen { drop: true });
    let server = loopback(rig.expect_listener());
    for _ in 0..9 {
        rig.order(1, HandoverOrder::Wait(server));
    }
    for _ in 0..9 {
        rig.expect("ended");
    }
    rig.finish();
}
