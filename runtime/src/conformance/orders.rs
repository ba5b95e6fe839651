//! Orders of control-plane threads, and the end of a core.

use super::actor::{Behaviour, Reporter, name_of};
use super::outgoing::{listen_anywhere, loopback};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::net::SocketId;
use crate::program::{CoreId, Event};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How late an order may be on a busy machine. A core that is not woken would sleep for ever.
const LATENESS_MAX: Duration = Duration::from_secs(30);

enum Obedience {
    Number(u64),
    Listen,
    Connect(SocketAddr),
}

#[derive(Default)]
struct Obedient {
    orders: u64,
    connections: BTreeSet<SocketId>,
    turns_ended: u64,
}

impl Behaviour for Obedient {
    type Mail = ();
    type Order = Obedience;

    fn event(&mut self, event: Event<'_, (), Obedience>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(Obedience::Number(number)) => {
                assert_eq!(number, self.orders, "orders are out of order");
                self.orders += 1;
            }
            Event::Order(Obedience::Listen) => report.listening(listen_anywhere(io).1),
            Event::Order(Obedience::Connect(server)) => {
                self.connections.insert(io.connect(server));
            }
            Event::Connected { socket, result } => {
                assert_eq!(result, Ok(()));
                io.resume_read(socket);
                report.note("connected", 1);
            }
            Event::Accepted { .. } => report.note("accepted", 1),
            Event::Ended { socket, .. } => {
                assert!(self.connections.remove(&socket));
                io.close(socket);
                report.note("ended", 1);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }

    fn finish_turn(&mut self, _: &mut Io<'_, ()>, report: &Reporter) {
        self.turns_ended += 1;
        if self.orders > 0 {
            report.note("obeyed", self.orders);
        }
    }
}

pub(super) fn orders_wake_a_parked_core(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Obedient::default());
    for number in 0..backend.scale(300, 30) {
        // Long enough for the core to park, with other pauses each time.
        rig.pass(Duration::from_micros(100 * (number % 20)));
        let sent = Instant::now();
        assert!(rig.order(1, Obedience::Number(number)));
        assert_eq!(rig.expect("obeyed"), number + 1);
        assert!(
            !backend.is_real() || sent.elapsed() < LATENESS_MAX,
            "an order was late by {:?}",
            sent.elapsed()
        );
    }
    // Many at once, in order: the behaviour checks.
    let before = backend.scale(300, 30);
    for number in before..before + 1000 {
        rig.order(1, Obedience::Number(number));
    }
    while rig.expect("obeyed") < before + 1000 {}
    rig.finish();
}

pub(super) fn a_stopped_core_closes_its_sockets(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Obedient::default());
    rig.order(0, Obedience::Listen);
    let server = loopback(rig.expect_listener());
    for _ in 0..5 {
        rig.order(1, Obedience::Connect(server));
    }
    for _ in 0..5 {
        rig.expect("connected");
        rig.expect("accepted");
    }
    rig.stop(0);
    for _ in 0..5 {
        rig.expect("ended");
    }
    // Its end of the queue goes with the core, soon.
    let mut refused = false;
    for _ in 0..1000 {
        refused = !rig.order(0, Obedience::Listen);
        if refused {
            break;
        }
        rig.pass(Duration::from_millis(1));
    }
    assert!(refused, "a stopped core still takes orders");
    // The other core lives.
    assert!(rig.order(1, Obedience::Number(0)));
    rig.expect("obeyed");
    rig.finish();
}
