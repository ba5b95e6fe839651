//! Bytes there and back.

use super::actor::{Behaviour, Reporter};
use super::outgoing::{Outgoing, check_pattern, listen_anywhere, loopback, pattern};
use super::rig::{Backend, Rig, in_milliseconds};
use crate::io::Io;
use crate::net::SocketId;
use crate::program::{CoreId, Event};
use crate::time::TimerToken;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// Sends back what it reads; while a send is pending it reads nothing, so that it holds one buffer at most.
#[derive(Default)]
pub(super) struct EchoSide {
    connections: BTreeMap<SocketId, Outgoing>,
    pendings: u64,
}

impl EchoSide {
    /// Begins with a connection that is not read yet.
    pub(super) fn take<M: Send + 'static>(&mut self, socket: SocketId, io: &mut Io<'_, M>) {
        self.connections.insert(socket, Outgoing::default());
        io.resume_read(socket);
    }

    /// Handles an event of one of its connections.
    pub(super) fn event<M: Send + 'static, O>(&mut self, event: Event<'_, M, O>, io: &mut Io<'_, M>) {
        match event {
            Event::Accepted { socket, .. } => self.take(socket, io),
            Event::Received { socket, data } => {
                let outgoing = self.connections.get_mut(&socket).expect("an open connection");
                assert!(!outgoing.busy, "nothing is read while the answer waits");
                outgoing.push(socket, data.to_vec(), io);
                if outgoing.busy {
                    self.pendings += 1;
                    io.pause_read(socket);
                }
            }
            Event::Sent { socket, result, .. } => {
                let outgoing = self.connections.get_mut(&socket).expect("an open connection");
                outgoing.sent(socket, result.is_ok(), io);
                io.resume_read(socket);
            }
            Event::Ended { socket, .. } => {
                self.connections.remove(&socket).expect("a connection ends once");
                io.close(socket);
            }
            _ => {}
        }
    }
}

#[derive(Default)]
struct Asking {
    bytes: usize,
    late: bool,
    returned: usize,
    outgoing: Outgoing,
}

/// Sends a pattern and checks that it comes back; notes `echoed` with the number of bytes and `asker waited`
/// with how often a send was pending.
#[derive(Default)]
pub(super) struct AskSide {
    asking: BTreeMap<SocketId, Asking>,
    late: Option<SocketId>,
}

impl AskSide {
    /// Connects and asks for `bytes`. When `late`, reading begins only some time after the send became
    /// pending.
    pub(super) fn ask<M: Send + 'static>(
        &mut self,
        server: SocketAddr,
        bytes: usize,
        late: bool,
        io: &mut Io<'_, M>,
    ) {
        let socket = io.connect(server);
        self.asking.insert(socket, Asking { bytes, late, ..Asking::default() });
    }

    /// Handles an event if it is one of its own; gives it back otherwise.
    pub(super) fn event<'a, M: Send + 'static, O>(
        &mut self,
        event: Event<'a, M, O>,
        io: &mut Io<'_, M>,
        report: &Reporter,
    ) -> Option<Event<'a, M, O>> {
        match event {
            Event::Connected { socket, result } if self.asking.contains_key(&socket) => {
                assert_eq!(result, Ok(()));
                self.begin(socket, io);
            }
            Event::Timer(_) if self.late.is_some() => {
                let socket = self.late.take()?;
                assert!(self.asking[&socket].outgoing.busy, "nobody reads, so the send is still pending");
                io.resume_read(socket);
            }
            Event::Received { socket, data } if self.asking.contains_key(&socket) => {
                let asking = self.asking.get_mut(&socket)?;
                check_pattern(asking.returned, data);
                asking.returned += data.len();
                assert!(asking.returned <= asking.bytes, "more came back than was sent");
                self.finish(socket, io, report);
            }
            Event::Sent { socket, result, .. } if self.asking.contains_key(&socket) => {
                assert_eq!(result, Ok(()));
                self.asking.get_mut(&socket)?.outgoing.sent(socket, true, io);
                self.finish(socket, io, report);
            }
            Event::Ended { socket, end } if self.asking.contains_key(&socket) => {
                panic!("the echo ended before all bytes were back: {end:?}")
            }
            other => return Some(other),
        }
        None
    }

    fn begin<M: Send + 'static>(&mut self, socket: SocketId, io: &mut Io<'_, M>) {
        let asking = self.asking.get_mut(&socket).expect("the caller looked it up");
        asking.outgoing.push(socket, pattern(0, asking.bytes), io);
        if asking.late {
            self.late = Some(socket);
            io.set_timer(in_milliseconds(io.now(), 300), TimerToken(0));
        } else {
            io.resume_read(socket);
        }
    }

    /// All bytes can be back before their sender hears that they were taken, so both are waited for.
    fn finish<M: Send + 'static>(&mut self, socket: SocketId, io: &mut Io<'_, M>, report: &Reporter) {
        let asking = &self.asking[&socket];
        if asking.returned == asking.bytes && asking.outgoing.is_done() {
            report.note("echoed", asking.bytes as u64);
            report.note("asker waited", asking.outgoing.pendings);
            self.asking.remove(&socket);
            io.close(socket);
        }
    }
}

enum EchoOrder {
    /// Listen and report the address.
    Listen,
    Ask {
        server: SocketAddr,
        bytes: usize,
        late: bool,
    },
    /// Note how often a send of the serving side was pending.
    CountWaits,
}

#[derive(Default)]
struct Echo {
    serving: EchoSide,
    asking: AskSide,
}

impl Behaviour for Echo {
    type Mail = ();
    type Order = EchoOrder;

    fn event(&mut self, event: Event<'_, (), EchoOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(EchoOrder::Listen) => report.listening(listen_anywhere(io).1),
            Event::Order(EchoOrder::Ask { server, bytes, late }) => self.asking.ask(server, bytes, late, io),
            Event::Order(EchoOrder::CountWaits) => report.note("server waited", self.serving.pendings),
            other => {
                if let Some(other) = self.asking.event(other, io, report) {
                    self.serving.event(other, io);
                }
            }
        }
    }
}

pub(super) fn echo_of_every_size(backend: Backend) {
    let sizes = [1, 2, 3, 63, 64, 65, 4095, 4096, 4097, 65_535, 65_536, 65_537];
    // Both sides on one core, and on two.
    for cores in [1, 2] {
        let asker = cores - 1;
        let mut rig = Rig::start(backend, cores, |_: CoreId| Echo::default());
        rig.order(0, EchoOrder::Listen);
        let server = loopback(rig.expect_listener());
        for bytes in
            sizes.into_iter().chain(backend.scale(vec![300_000, 2_000_000, 5_000_000], vec![300_000]))
        {
            rig.order(asker, EchoOrder::Ask { server, bytes, late: false });
            assert_eq!(rig.expect("echoed"), bytes as u64);
        }
        // All at once.
        for bytes in sizes {
            rig.order(asker, EchoOrder::Ask { server, bytes, late: false });
        }
        let total: u64 = sizes.iter().map(|_| rig.expect("echoed")).sum();
        assert_eq!(total, sizes.iter().sum::<usize>() as u64);
        rig.finish();
    }
}

pub(super) fn ten_megabytes_both_ways_with_backpressure(backend: Backend) {
    // More than kernels buffer, so that nobody can send all of it before somebody reads. The simulator buffers
    // less.
    let bytes = backend.scale(24_000_000, 2_000_000);
    let mut rig = Rig::start(backend, 2, |_: CoreId| Echo::default());
    rig.order(0, EchoOrder::Listen);
    let server = loopback(rig.expect_listener());
    rig.order(1, EchoOrder::Ask { server, bytes, late: true });
    assert_eq!(rig.expect("echoed"), bytes as u64);
    assert!(rig.expect("asker waited") > 0, "the asking side never had to wait");
    rig.order(0, EchoOrder::CountWaits);
    assert!(rig.expect("server waited") > 0, "the serving side never had to wait");
    rig.finish();
}
