//! Mailboxes that are full.

use super::actor::{Behaviour, Reporter, name_of};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::program::{CoreId, Event};
use crate::time::TimerToken;
use std::time::Duration;

const RECEIVER: CoreId = CoreId(1);

enum RoomOrder {
    /// Send this many mails as new work: only while there is room.
    Politely(u64),
    /// Send this many mails as consequences: they always go in.
    Always(u64),
    /// Send this many as consequences, and then wait for room as one with new work does. What spilled takes
    /// the room that is made at first.
    AlwaysThenWait(u64),
}

/// Core 0 sends, core 1 receives and is slow.
#[derive(Default)]
struct Room {
    count: u64,
    sent: u64,
    waiting: bool,
    waited: u64,
    spilled_max: usize,
    received: u64,
}

impl Room {
    fn send_politely(&mut self, io: &mut Io<'_, u64>) {
        while self.sent < self.count {
            if !io.mail_has_room(RECEIVER) {
                // Asking again changes nothing.
                assert!(!io.mail_has_room(RECEIVER));
                self.waiting = true;
                self.waited += 1;
                return;
            }
            self.sent += 1;
            io.mail(RECEIVER, self.sent);
            assert_eq!(io.mail_spilled(), 0, "mail for which there was room spilled");
        }
    }
}

impl Behaviour for Room {
    type Mail = u64;
    type Order = RoomOrder;

    fn event(&mut self, event: Event<'_, u64, RoomOrder>, io: &mut Io<'_, u64>, report: &Reporter) {
        match event {
            Event::Order(RoomOrder::Politely(count)) => {
                self.count = count;
                self.send_politely(io);
            }
            Event::Order(RoomOrder::Always(count)) => {
                for number in 1..=count {
                    io.mail(RECEIVER, number);
                }
                assert_eq!(io.mails_sent(RECEIVER), count);
                self.count = count;
                self.spilled_max = io.mail_spilled();
                io.set_timer(io.now(), TimerToken(0));
            }
            Event::Order(RoomOrder::AlwaysThenWait(count)) => {
                for number in 1..=count {
                    io.mail(RECEIVER, number);
                }
                (self.count, self.sent) = (count + 1, count);
                assert!(!io.mail_has_room(RECEIVER), "there is room beside spilled mail");
                (self.waiting, self.waited) = (true, 1);
            }
            Event::Timer(_) => {
                if io.mail_spilled() > 0 || io.mails_consumed(RECEIVER) < self.count {
                    io.set_timer(io.now().after(Duration::from_millis(1)), TimerToken(0));
                } else {
                    report.note("spilled", self.spilled_max as u64);
                }
            }
            Event::MailRoom { core } => {
                assert_eq!(core, RECEIVER);
                assert!(std::mem::take(&mut self.waiting), "room was told without having been waited for");
                assert!(io.mail_has_room(RECEIVER), "room was told and there is none");
                self.send_politely(io);
                if self.sent == self.count {
                    report.note("waited", self.waited);
                }
            }
            Event::Mail { mail, .. } => {
                self.received += 1;
                assert_eq!(mail, self.received);
                for _ in 0..100 {
                    std::hint::black_box(io.random());
                }
                report.note("received", mail);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

fn receive_all(rig: &mut Rig<Room>, count: u64) {
    for number in 1..=count {
        assert_eq!(rig.expect("received"), number);
    }
}

pub(super) fn room_is_waited_for_and_told(backend: Backend) {
    let count = backend.scale(20_000, 200);
    for slots in [1, 4] {
        let mut rig = Rig::with_slots(backend, 2, slots, |_: CoreId| Room::default());
        rig.order(0, RoomOrder::Politely(count));
        receive_all(&mut rig, count);
        assert!(rig.expect("waited") > 0, "there was always room");
        rig.finish();
    }
}

pub(super) fn room_is_told_after_spilled_mail_has_moved(backend: Backend) {
    let count = backend.scale(3_000, 60);
    for slots in [1, 4] {
        let mut rig = Rig::with_slots(backend, 2, slots, |_: CoreId| Room::default());
        rig.order(0, RoomOrder::AlwaysThenWait(count));
        receive_all(&mut rig, count + 1);
        rig.expect("waited");
        rig.finish();
    }
}

pub(super) fn mail_beyond_the_ring_spills_and_arrives(backend: Backend) {
    let count = backend.scale(20_000, 200);
    for slots in [1, 4] {
        let mut rig = Rig::with_slots(backend, 2, slots, |_: CoreId| Room::default());
        rig.order(0, RoomOrder::Always(count));
        receive_all(&mut rig, count);
        assert_eq!(rig.expect("spilled"), count - slots as u64);
        rig.finish();
    }
}
