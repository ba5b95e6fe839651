//! Pausing and resuming.

use super::actor::{Behaviour, Reporter, name_of};
use super::outgoing::{Outgoing, check_pattern, listen_anywhere, loopback, pattern};
use super::rig::{Backend, Rig, in_milliseconds};
use crate::io::Io;
use crate::net::{End, SocketId};
use crate::program::{CoreId, Event};
use crate::time::TimerToken;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// What one buffer of the sending side holds.
const PIECE_BYTES: usize = 10_000;

enum ReadingOrder {
    /// Listen; the serving side pauses others within its turns when told so.
    Listen {
        meddle: bool,
    },
    Send {
        server: SocketAddr,
        pieces: usize,
    },
}

struct Reader {
    paused: bool,
    read: usize,
    ended: bool,
}

/// The serving side pauses and resumes all the time, by chance.
#[derive(Default)]
struct Reading {
    meddle: bool,
    readers: BTreeMap<SocketId, Reader>,
    sending: BTreeMap<SocketId, (usize, usize, Outgoing)>,
    timers: BTreeMap<u64, SocketId>,
    timers_set: u64,
    pauses: u64,
}

impl Reading {
    fn pause(&mut self, socket: SocketId, io: &mut Io<'_, ()>) {
        let reader = self.readers.get_mut(&socket).expect("its own");
        if !reader.paused && !reader.ended {
            reader.paused = true;
            self.pauses += 1;
            io.pause_read(socket);
            self.resume_later(socket, io);
        }
    }

    fn resume_later(&mut self, socket: SocketId, io: &mut Io<'_, ()>) {
        self.timers_set += 1;
        self.timers.insert(self.timers_set, socket);
        let delay = io.random() % 4;
        io.set_timer(in_milliseconds(io.now(), delay), TimerToken(self.timers_set));
    }

    fn resume(&mut self, socket: SocketId, io: &mut Io<'_, ()>) {
        let Some(reader) = self.readers.get_mut(&socket) else { return };
        reader.paused = false;
        io.resume_read(socket);
        // Now and then it is taken back at once, or said twice.
        match io.random() % 8 {
            0 => self.pause(socket, io),
            1 => io.resume_read(socket),
            _ => {}
        }
    }

    fn received(&mut self, socket: SocketId, data: &[u8], io: &mut Io<'_, ()>) {
        let reader = self.readers.get_mut(&socket).expect("its own");
        assert!(!reader.paused, "bytes came while {socket:?} was paused");
        check_pattern(reader.read, data);
        reader.read += data.len();
        let all: Vec<SocketId> = self.readers.keys().copied().collect();
        if self.meddle {
            for other in all {
                if io.random().is_multiple_of(2) {
                    self.pause(other, io);
                }
            }
        } else if io.random().is_multiple_of(3) {
            self.pause(socket, io);
        }
    }

    fn send_on(&mut self, socket: SocketId, io: &mut Io<'_, ()>) {
        let (pieces, sent, outgoing) = self.sending.get_mut(&socket).expect("its own");
        while !outgoing.busy && *sent < *pieces {
            outgoing.push(socket, pattern(*sent * PIECE_BYTES, PIECE_BYTES), io);
            *sent += 1;
        }
        assert!(!outgoing.failed);
        if outgoing.is_done() && *sent == *pieces {
            self.sending.remove(&socket);
            io.close(socket);
        }
    }
}

impl Behaviour for Reading {
    type Mail = ();
    type Order = ReadingOrder;

    fn event(&mut self, event: Event<'_, (), ReadingOrder>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(ReadingOrder::Listen { meddle }) => {
                self.meddle = meddle;
                report.listening(listen_anywhere(io).1);
            }
            Event::Order(ReadingOrder::Send { server, pieces }) => {
                let socket = io.connect(server);
                self.sending.insert(socket, (pieces, 0, Outgoing::default()));
            }
            Event::Connected { socket, result } => {
                assert_eq!(result, Ok(()));
                self.send_on(socket, io);
            }
            Event::Sent { socket, result, .. } => {
                assert_eq!(result, Ok(()));
                self.sending.get_mut(&socket).expect("its own").2.sent(socket, true, io);
                self.send_on(socket, io);
            }
            Event::Accepted { socket, .. } => {
                // Nothing is read before it is asked for.
                self.readers.insert(socket, Reader { paused: true, read: 0, ended: false });
                self.resume_later(socket, io);
            }
            Event::Timer(token) => {
                let socket = self.timers.remove(&token.0).expect("a timer fires once");
                self.resume(socket, io);
            }
            Event::Received { socket, data } => self.received(socket, data, io),
            Event::Ended { socket, end } => {
                let reader = self.readers.get_mut(&socket).expect("its own");
                assert!(!reader.paused, "the end came while {socket:?} was paused");
                assert!(!reader.ended, "a connection ends once");
                assert_eq!(end, End::Eof);
                reader.ended = true;
                report.note("read", reader.read as u64);
                report.note("pauses", self.pauses);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

fn read_with_pauses(backend: Backend, meddle: bool, connections: usize, pieces: usize) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Reading::default());
    rig.order(0, ReadingOrder::Listen { meddle });
    let server = loopback(rig.expect_listener());
    for _ in 0..connections {
        rig.order(1, ReadingOrder::Send { server, pieces });
    }
    let mut pauses = 0;
    for _ in 0..connections {
        assert_eq!(rig.expect("read"), (pieces * PIECE_BYTES) as u64);
        pauses = rig.expect("pauses");
    }
    assert!(pauses > 0, "nothing was ever paused");
    rig.finish();
}

pub(super) fn nothing_is_read_while_paused(backend: Backend) {
    read_with_pauses(backend, false, 2, backend.scale(300, 40));
}

pub(super) fn others_can_be_paused_within_a_turn(backend: Backend) {
    read_with_pauses(backend, true, 8, backend.scale(60, 12));
}
