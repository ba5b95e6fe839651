//! Mail between cores: its order, and its watermark.

use super::actor::{Behaviour, Reporter, name_of};
use super::rig::{Backend, Rig};
use crate::io::Io;
use crate::program::{CoreId, Event};
use crate::time::TimerToken;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

enum MailOrder {
    /// Mail every other core numbers up to this, some in each turn.
    SendAll(u64),
}

/// Every core mails every other one; each checks the order of what it gets.
struct Everyone {
    count: u64,
    sent: u64,
    received: Vec<u64>,
}

impl Everyone {
    fn send_some(&mut self, io: &mut Io<'_, u64>) {
        let burst = 1 + io.random() % 200;
        for _ in 0..burst.min(self.count - self.sent) {
            self.sent += 1;
            for core in 0..io.core_count() as u16 {
                if CoreId(core) != io.core() {
                    io.mail(CoreId(core), self.sent);
                    assert_eq!(io.mails_sent(CoreId(core)), self.sent);
                }
            }
        }
        if self.sent < self.count {
            io.set_timer(io.now(), TimerToken(0));
        }
    }
}

impl Behaviour for Everyone {
    type Mail = u64;
    type Order = MailOrder;

    fn event(&mut self, event: Event<'_, u64, MailOrder>, io: &mut Io<'_, u64>, report: &Reporter) {
        match event {
            Event::Order(MailOrder::SendAll(count)) => {
                assert_eq!(count, self.count);
                self.send_some(io);
            }
            Event::Timer(_) => self.send_some(io),
            Event::Mail { from, mail } => {
                assert_ne!(from, io.core(), "a core mailed itself");
                let received = &mut self.received[from.index()];
                assert_eq!(mail, *received + 1, "mail of core {} is out of order", from.0);
                *received = mail;
                if self.received.iter().filter(|received| **received == self.count).count()
                    == io.core_count() - 1
                {
                    report.note("all received", self.count);
                }
            }
            Event::MailRoom { .. } => {}
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }

    fn finish_turn(&mut self, io: &mut Io<'_, u64>, _: &Reporter) {
        for core in 0..io.core_count() as u16 {
            let (sent, consumed) = (io.mails_sent(CoreId(core)), io.mails_consumed(CoreId(core)));
            assert!(consumed <= sent, "{consumed} of {sent} mails consumed");
        }
    }
}

pub(super) fn mail_keeps_its_order(backend: Backend) {
    let count = backend.scale(50_000, 600);
    for slots in [1, 16, 0] {
        let mut rig = Rig::with_slots(backend, 3, slots, move |_: CoreId| Everyone {
            count,
            sent: 0,
            received: vec![0; 3],
        });
        for core in 0..3 {
            rig.order(core, MailOrder::SendAll(count));
        }
        for _ in 0..3 {
            assert_eq!(rig.expect("all received"), count);
        }
        rig.finish();
    }
}

/// Core 0 mails and compares the watermark with what core 1 says that it has handled.
struct Watermark {
    /// Mails whose handling has come to its end, as core 1 counts them.
    handled: Arc<AtomicU64>,
    count: u64,
    partial: u64,
}

impl Watermark {
    fn check(&mut self, io: &Io<'_, u64>) -> u64 {
        // In this order: what counted as consumed must have been handled before.
        let consumed = io.mails_consumed(CoreId(1));
        let handled = self.handled.load(Ordering::SeqCst);
        assert!(consumed <= handled, "{consumed} mails count as consumed, {handled} were handled");
        consumed
    }
}

impl Behaviour for Watermark {
    type Mail = u64;
    type Order = MailOrder;

    fn event(&mut self, event: Event<'_, u64, MailOrder>, io: &mut Io<'_, u64>, report: &Reporter) {
        match event {
            Event::Order(MailOrder::SendAll(count)) => {
                self.count = count;
                for number in 1..=count {
                    io.mail(CoreId(1), number);
                }
                io.set_timer(io.now(), TimerToken(0));
            }
            Event::Timer(_) => {
                // Look many times while the other core works.
                let mut consumed = 0;
                for _ in 0..2_000 {
                    consumed = self.check(io);
                }
                if consumed > 0 && consumed < self.count {
                    self.partial += 1;
                }
                if consumed == self.count {
                    report.note("all consumed", self.partial);
                } else {
                    io.set_timer(io.now(), TimerToken(0));
                }
            }
            Event::Mail { mail, .. } => {
                let before = self.handled.load(Ordering::SeqCst);
                assert_eq!(before + 1, mail);
                // Handling takes a while, so that a watermark that moves at its beginning is seen.
                for _ in 0..300 {
                    std::hint::black_box(io.random());
                }
                self.handled.store(mail, Ordering::SeqCst);
            }
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

pub(super) fn mail_counts_as_consumed_when_handled(backend: Backend) {
    let handled = Arc::new(AtomicU64::new(0));
    let shared = handled.clone();
    let make = move |_: CoreId| Watermark { handled: shared.clone(), count: 0, partial: 0 };
    let mut rig = Rig::with_slots(backend, 2, 8, make);
    let count = backend.scale(30_000, 300);
    rig.order(0, MailOrder::SendAll(count));
    let partial = rig.expect("all consumed");
    assert!(partial > 0, "the watermark was never seen on its way");
    assert_eq!(handled.load(Ordering::SeqCst), count);
    rig.finish();
}
