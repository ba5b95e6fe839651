//! Connections that fail.

use super::actor::{Behaviour, Reporter, name_of};
use super::outgoing::{listen_anywhere, loopback};
use super::rig::{Backend, Rig, in_milliseconds};
use crate::io::Io;
use crate::net::{End, ListenerId, SendOutcome, SocketId};
use crate::program::{CoreId, Event};
use crate::time::TimerToken;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

enum FailingOrder {
    Listen,
    Unlisten,
    /// Connect and send this many bytes to one that will not read them; read meanwhile or not.
    Send {
        server: SocketAddr,
        bytes: usize,
        reading: bool,
    },
    /// Connect to where nobody listens.
    Knock(SocketAddr),
}

/// The serving side reads nothing and closes after a while; the asking side sees its connection fail.
#[derive(Default)]
struct Failing {
    listener: Option<ListenerId>,
    accepted: Vec<SocketId>,
    asker: Option<SocketId>,
    bytes: usize,
    reading: bool,
    knocking: Option<SocketId>,
}

impl Failing {
    fn check_that_sending_fails(socket: SocketId, io: &mut Io<'_, ()>) {
        match io.send(socket, vec![9; 10]) {
            SendOutcome::Failed(buffer, _) => assert_eq!(buffer, vec![9; 10]),
            other => panic!("a send on a failed connection: {other:?}"),
        }
    }
}

impl Behaviour for Failing {
    type Mail = ();
    type Order = FailingOrder;

    fn event(&mut self, event: Event<'_, (), FailingOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(FailingOrder::Listen) => {
                let (listener, bound) = listen_anywhere(io);
                self.listener = Some(listener);
                report.listening(bound);
            }
            Event::Order(FailingOrder::Unlisten) => {
                io.close_listener(self.listener.take().expect("listened before"));
                report.note("unlistened", 1);
            }
            Event::Order(FailingOrder::Send { server, bytes, reading }) => {
                (self.bytes, self.reading) = (bytes, reading);
                self.asker = Some(io.connect(server));
            }
            Event::Order(FailingOrder::Knock(server)) => self.knocking = Some(io.connect(server)),
            Event::Connected { socket, result } if self.knocking == Some(socket) => {
                assert_eq!(result, Err(ErrorKind::ConnectionRefused));
                self.knocking = None;
                // The socket is gone.
                Failing::check_that_sending_fails(socket, io);
                io.resume_read(socket);
                io.close(socket);
                report.note("refused", 1);
            }
            Event::Accepted { socket, .. } => {
                self.accepted.push(socket);
                io.set_timer(in_milliseconds(io.now(), 200), TimerToken(0));
            }
            Event::Timer(_) => io.close(self.accepted.remove(0)),
            Event::Connected { socket, result } => {
                assert_eq!(result, Ok(()));
                if self.reading {
                    io.resume_read(socket);
                }
                match io.send(socket, vec![1; self.bytes]) {
                    SendOutcome::Pending => report.note("pending", io.unsent_bytes(socket) as u64),
                    SendOutcome::Done(_) => report.note("done", 1),
                    SendOutcome::Failed(_, error) => panic!("a fresh connection failed: {error}"),
                }
            }
            Event::Ended { socket, end } => {
                assert!(self.reading && self.asker == Some(socket));
                assert_eq!(end, End::Error(ErrorKind::ConnectionReset));
                Failing::check_that_sending_fails(socket, io);
                io.close(socket);
                report.note("reset", 1);
            }
            // The few bytes that are to lie unread can be pending for a moment.
            Event::Sent { result, .. } if self.reading => assert_eq!(result, Ok(())),
            Event::Sent { socket, buffer, result } => {
                assert_eq!(self.asker, Some(socket));
                assert!(buffer.capacity() >= self.bytes, "the buffer comes back");
                assert!(
                    matches!(result, Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)),
                    "{result:?}"
                );
                assert_eq!(io.unsent_bytes(socket), 0);
                Failing::check_that_sending_fails(socket, io);
                io.close(socket);
                report.note("send failed", 1);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn unread_bytes_at_close_reset_the_peer(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Failing::default());
    rig.order(0, FailingOrder::Listen);
    let server = loopback(rig.expect_listener());
    rig.order(1, FailingOrder::Send { server, bytes: 1000, reading: true });
    rig.expect("reset");
    rig.pass(Duration::from_millis(50));
    rig.finish();
}

pub(super) fn a_pending_send_fails_with_its_buffer(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Failing::default());
    rig.order(0, FailingOrder::Listen);
    let server = loopback(rig.expect_listener());
    let bytes = backend.scale(40_000_000, 1_000_000);
    rig.order(1, FailingOrder::Send { server, bytes, reading: false });
    assert!((1..=bytes as u64).contains(&rig.expect("pending")));
    rig.expect("send failed");
    rig.pass(Duration::from_millis(50));
    assert_eq!(rig.count("send failed"), 0, "a send ends once");
    rig.finish();
}

pub(super) fn a_closed_port_refuses(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Failing::default());
    rig.order(0, FailingOrder::Listen);
    let server = loopback(rig.expect_listener());
    rig.order(0, FailingOrder::Unlisten);
    rig.expect("unlistened");
    for _ in 0..10 {
        rig.order(1, FailingOrder::Knock(server));
        rig.expect("refused");
    }
    rig.finish();
}
