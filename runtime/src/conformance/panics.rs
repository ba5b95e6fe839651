//! Programs that panic.

use super::actor::{Behaviour, Reporter};
use super::echo::{AskSide, EchoSide};
use super::outgoing::{listen_anywhere, loopback};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::net::{ListenerId, SocketId};
use crate::program::{CoreId, Event};
use crate::time::TimerToken;
use std::collections::BTreeSet;
use std::net::SocketAddr;

const ON_PURPOSE: &str = "on purpose";

enum PanicOrder {
    /// Listen; the serving side panics at the first bytes of connections to a trap.
    Listen {
        trap: bool,
    },
    /// Panic while this order is handled.
    Panic,
    /// Panic while a timer, and then a mail, is handled.
    PanicLater,
    /// Connect to a trap and send something.
    Provoke(SocketAddr),
    Ask(SocketAddr),
}

#[derive(Default)]
struct Panicking {
    serving: EchoSide,
    asking: AskSide,
    trap: Option<ListenerId>,
    trapped: BTreeSet<SocketId>,
    provoking: BTreeSet<SocketId>,
    /// Handled an event since the last turn ended.
    handled: bool,
}

impl Behaviour for Panicking {
    type Mail = ();
    type Order = PanicOrder;

    fn event(&mut self, event: Event<'_, (), PanicOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        self.handled = true;
        match event {
            Event::Order(PanicOrder::Listen { trap }) => {
                let (listener, bound) = listen_anywhere(io);
                self.trap = self.trap.or(trap.then_some(listener));
                report.listening(bound);
            }
            Event::Accepted { listener, socket, .. } if self.trap == Some(listener) => {
                self.trapped.insert(socket);
                io.resume_read(socket);
            }
            Event::Order(PanicOrder::Panic) => panic!("{ON_PURPOSE}"),
            Event::Order(PanicOrder::PanicLater) => {
                io.set_timer(io.now(), TimerToken(7));
            }
            Event::Timer(TimerToken(7)) => {
                io.mail(CoreId(1 - io.core().0), ());
                std::panic::panic_any(ON_PURPOSE.to_owned());
            }
            Event::Mail { .. } => panic!("{ON_PURPOSE}"),
            Event::Order(PanicOrder::Provoke(server)) => {
                self.provoking.insert(io.connect(server));
            }
            Event::Order(PanicOrder::Ask(server)) => self.asking.ask(server, 100_000, false, io),
            Event::Connected { socket, result } if self.provoking.contains(&socket) => {
                assert_eq!(result, Ok(()));
                io.resume_read(socket);
                let _ = io.send(socket, b"panic".to_vec());
            }
            Event::Sent { socket, .. } if self.provoking.contains(&socket) => {}
            Event::Ended { socket, .. } if self.provoking.remove(&socket) => {
                io.close(socket);
                report.note("provoked connection ended", 1);
            }
            Event::Received { socket, data } if self.trapped.remove(&socket) => {
                panic!("{ON_PURPOSE}: {} bytes", data.len())
            }
            other => {
                if let Some(other) = self.asking.event(other, io, report) {
                    self.serving.event(other, io);
                }
            }
        }
    }

    fn finish_turn(&mut self, _: &mut Io<'_, ()>, report: &Reporter) {
        if std::mem::take(&mut self.handled) {
            report.note("turn ended", 1);
        }
    }

    fn panicked(&mut self, socket: Option<SocketId>, message: &str, io: &mut Io<'_, ()>, report: &Reporter) {
        if !message.starts_with(ON_PURPOSE) {
            return report.broken(message.to_owned());
        }
        match socket {
            Some(socket) => {
                io.close(socket);
                report.note("contained with socket", 1);
            }
            None => report.note("contained", 1),
        }
    }
}

pub(super) fn a_panic_is_contained(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Panicking::default());
    rig.order(0, PanicOrder::Listen { trap: true });
    let trap = loopback(rig.expect_listener());
    rig.order(0, PanicOrder::Listen { trap: false });
    let server = loopback(rig.expect_listener());
    for _ in 0..3 {
        rig.order(0, PanicOrder::Panic);
        rig.expect("contained");
        // A turn ends also when everything in it panicked.
        rig.expect("turn ended");
        rig.order(0, PanicOrder::PanicLater);
        rig.expect("contained");
        rig.expect("contained");
        rig.order(1, PanicOrder::Provoke(trap));
        rig.expect("contained with socket");
        rig.expect("provoked connection ended");
        rig.order(1, PanicOrder::Ask(server));
        assert_eq!(rig.expect("echoed"), 100_000);
    }
    rig.finish();
}
