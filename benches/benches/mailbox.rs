//! Mail from one core to another. The floor is a bounded channel of the same capacity, which knows no batches.
//!
//! Nobody sleeps: who finds nothing to do yields, so that the figures hold on machines with other work too.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam_channel::{Receiver, Sender};
use petrel_runtime::benchmarks::{MailboxEnd, connect};
use std::hint::black_box;
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// The runtime's own choice for a mailbox.
const SLOTS: usize = 1024;
/// Mails that become visible at once; all less than the mailbox holds.
const BATCHES: [usize; 3] = [1, 16, 256];
/// Mails of one pass between threads, a multiple of every batch.
const MAILS: usize = 65_536;
/// Fruitless looks before a thread yields.
const LOOKS_MAX: u32 = 64;

/// As large as a mail of the engine.
type Mail = [u64; MAIL_BYTES / 8];
const MAIL_BYTES: usize = size_of::<petrel_engine::Mail>();

fn mail(number: usize) -> Mail {
    [number as u64; MAIL_BYTES / 8]
}

/// Looks until there is something.
fn until(mut look: impl FnMut() -> bool) {
    let mut looks = 0;
    while !look() {
        looks += 1;
        if looks % LOOKS_MAX == 0 {
            std::thread::yield_now();
        } else {
            std::hint::spin_loop();
        }
    }
}

/// Runs both sides at once, from when both threads are there to when the last mail is handled.
fn between_threads(send: impl FnOnce() + Send, receive: impl FnOnce()) -> Duration {
    let start = Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            start.wait();
            send();
        });
        start.wait();
        let begun = Instant::now();
        receive();
        begun.elapsed()
    })
}

fn send(end: &mut MailboxEnd<Mail>, mails: usize, batch: usize) {
    for first in (0..mails).step_by(batch) {
        for number in first..first + batch {
            until(|| end.has_room());
            end.push(mail(number));
        }
        end.publish();
    }
}

fn receive(end: &mut MailboxEnd<Mail>, mails: usize) {
    let mut expected = 0;
    while expected < mails {
        until(|| {
            end.receive(|mail| {
                assert_eq!(black_box(mail)[0], expected as u64, "order is kept");
                expected += 1;
            }) > 0
        });
    }
}

fn floor_send(sender: &Sender<Mail>, mails: usize) {
    for number in 0..mails {
        until(|| sender.try_send(mail(number)).is_ok());
    }
}

fn floor_receive(receiver: &Receiver<Mail>, mails: usize) {
    for expected in 0..mails {
        until(|| match receiver.try_recv() {
            Ok(mail) => {
                assert_eq!(black_box(mail)[0], expected as u64, "order is kept");
                true
            }
            Err(_) => false,
        });
    }
}

fn two_threads(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox between threads");
    group.throughput(Throughput::Elements(MAILS as u64));
    for batch in BATCHES {
        group.bench_function(BenchmarkId::new("batches of", batch), |bencher| {
            bencher.iter_custom(|passes| {
                let mails = MAILS * usize::try_from(passes).expect("passes are few");
                let [mut near, mut far] = connect(SLOTS).expect("an eventfd");
                between_threads(|| send(&mut near, mails, batch), || receive(&mut far, mails))
            });
        });
    }
    group.bench_function("floor", |bencher| {
        bencher.iter_custom(|passes| {
            let mails = MAILS * usize::try_from(passes).expect("passes are few");
            let (sender, receiver) = crossbeam_channel::bounded(SLOTS);
            between_threads(|| floor_send(&sender, mails), || floor_receive(&receiver, mails))
        });
    });
    group.finish();
}

fn one_thread(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mailbox on one thread");
    for batch in BATCHES {
        group.throughput(Throughput::Elements(batch as u64));
        group.bench_function(BenchmarkId::new("batches of", batch), |bencher| {
            let [mut near, mut far] = connect(SLOTS).expect("an eventfd");
            bencher.iter(|| {
                for number in 0..batch {
                    near.push(mail(number));
                }
                near.publish();
                assert_eq!(far.receive(|mail| _ = black_box(mail)), batch);
            });
        });
        group.bench_function(BenchmarkId::new("floor", batch), |bencher| {
            let (sender, receiver) = crossbeam_channel::bounded(SLOTS);
            bencher.iter(|| {
                for number in 0..batch {
                    sender.try_send(mail(number)).expect("there is room");
                }
                assert_eq!(receiver.try_iter().map(black_box).count(), batch);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, two_threads, one_thread);
criterion_main!(benches);
