//! Connections that end in order.

use super::actor::{Behaviour, Reporter, name_of};
use super::outgoing::{Outgoing, check_pattern, listen_anywhere, loopback, pattern};
use super::rig::{Backend, Rig, in_milliseconds};
use crate::io::Io;
use crate::net::{End, SendOutcome, SocketId};
use crate::program::{CoreId, Event};
use crate::time::TimerToken;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What these scenarios order.
enum EndingOrder {
    Listen,
    Connect(SocketAddr),
}

const QUESTION_BYTES: usize = 100_000;
const ANSWER_BYTES: usize = 200_000;

/// The asking side sends all, ends its direction, and reads on; the serving side answers after the end.
#[derive(Default)]
struct HalfClose {
    asker: Option<SocketId>,
    read: BTreeMap<SocketId, usize>,
    outgoing: BTreeMap<SocketId, Outgoing>,
}

impl HalfClose {
    fn after_send(&mut self, socket: SocketId, io: &mut Io<'_, ()>) {
        if !self.outgoing[&socket].is_done() {
            return;
        }
        if self.asker == Some(socket) {
            io.shutdown_write(socket);
            // A second one changes nothing.
            io.shutdown_write(socket);
            assert!(matches!(io.send(socket, vec![1]), SendOutcome::Failed(..)), "sent after the end");
        } else {
            io.close(socket);
        }
    }
}

impl Behaviour for HalfClose {
    type Mail = ();
    type Order = EndingOrder;

    fn event(&mut self, event: Event<'_, (), EndingOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(EndingOrder::Listen) => report.listening(listen_anywhere(io).1),
            Event::Order(EndingOrder::Connect(server)) => self.asker = Some(io.connect(server)),
            Event::Accepted { socket, .. } => {
                self.outgoing.insert(socket, Outgoing::default());
                io.resume_read(socket);
            }
            Event::Connected { socket, result } => {
                assert_eq!(result, Ok(()));
                self.outgoing.entry(socket).or_default().push(socket, pattern(0, QUESTION_BYTES), io);
                self.after_send(socket, io);
                io.resume_read(socket);
            }
            Event::Received { socket, data } => {
                let read = self.read.entry(socket).or_default();
                check_pattern(*read, data);
                *read += data.len();
            }
            Event::Sent { socket, result, .. } => {
                assert_eq!(result, Ok(()));
                self.outgoing.get_mut(&socket).expect("its own").sent(socket, true, io);
                self.after_send(socket, io);
            }
            Event::Ended { socket, end } => {
                assert_eq!(end, End::Eof);
                let read = self.read.get(&socket).copied().unwrap_or(0);
                if self.asker == Some(socket) {
                    assert_eq!(read, ANSWER_BYTES, "the answer was cut off");
                    report.note("answered", 1);
                    io.close(socket);
                } else {
                    assert_eq!(read, QUESTION_BYTES, "the question was cut off");
                    self.outgoing.get_mut(&socket).expect("its own").push(
                        socket,
                        pattern(0, ANSWER_BYTES),
                        io,
                    );
                    self.after_send(socket, io);
                }
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn one_side_ends_the_other_goes_on(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| HalfClose::default());
    rig.order(0, EndingOrder::Listen);
    let server = loopback(rig.expect_listener());
    for _ in 0..5 {
        rig.order(1, EndingOrder::Connect(server));
        rig.expect("answered");
    }
    rig.finish();
}

const LATE_END_BYTES: usize = 150_000;

/// The serving side sends and closes at once; the asking side reads late and piecemeal.
#[derive(Default)]
struct LateReader {
    sending: BTreeMap<SocketId, Outgoing>,
    reading: BTreeMap<SocketId, (usize, Option<End>)>,
    timers: BTreeMap<u64, SocketId>,
    timers_set: u64,
}

impl LateReader {
    fn later(&mut self, socket: SocketId, milliseconds: u64, io: &mut Io<'_, ()>) {
        self.timers_set += 1;
        self.timers.insert(self.timers_set, socket);
        io.set_timer(in_milliseconds(io.now(), milliseconds), TimerToken(self.timers_set));
    }

    fn close_when_sent(&mut self, socket: SocketId, io: &mut Io<'_, ()>) {
        if self.sending[&socket].is_done() {
            self.sending.remove(&socket);
            io.close(socket);
        }
    }
}

impl Behaviour for LateReader {
    type Mail = ();
    type Order = EndingOrder;

    fn event(&mut self, event: Event<'_, (), EndingOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(EndingOrder::Listen) => report.listening(listen_anywhere(io).1),
            Event::Order(EndingOrder::Connect(server)) => {
                let socket = io.connect(server);
                self.reading.insert(socket, (0, None));
            }
            Event::Accepted { socket, .. } => {
                self.sending.entry(socket).or_default().push(socket, pattern(0, LATE_END_BYTES), io);
                self.close_when_sent(socket, io);
            }
            Event::Sent { socket, result, .. } => {
                assert_eq!(result, Ok(()));
                self.sending.get_mut(&socket).expect("its own").sent(socket, true, io);
                self.close_when_sent(socket, io);
            }
            Event::Connected { socket, result } => {
                assert_eq!(result, Ok(()));
                self.later(socket, 30, io);
            }
            Event::Received { socket, data } => {
                let (read, end) = self.reading.get_mut(&socket).expect("its own");
                assert_eq!(*end, None, "data after the end");
                check_pattern(*read, data);
                *read += data.len();
                if io.random().is_multiple_of(4) {
                    io.pause_read(socket);
                    self.later(socket, 2, io);
                }
            }
            Event::Ended { socket, end } => {
                let (read, before) = self.reading.get_mut(&socket).expect("its own");
                assert_eq!(before.replace(end), None, "a connection ends once");
                assert_eq!((*read, end), (LATE_END_BYTES, End::Eof));
                // Asking for more after the end gives nothing.
                io.resume_read(socket);
                self.later(socket, 50, io);
            }
            Event::Timer(token) => {
                let socket = self.timers.remove(&token.0).expect("a timer fires once");
                match self.reading[&socket].1 {
                    None => io.resume_read(socket),
                    Some(_) => {
                        io.close(socket);
                        report.note("read to the end", 1);
                    }
                }
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn the_end_comes_after_all_data(backend: Backend) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| LateReader::default());
    rig.order(0, EndingOrder::Listen);
    let server = loopback(rig.expect_listener());
    for _ in 0..10 {
        rig.order(1, EndingOrder::Connect(server));
    }
    for _ in 0..10 {
        rig.expect("read to the end");
    }
    rig.finish();
}
