//! The encoder of messages into an out-buffer that has room, as delivery runs it for one receiver after the other.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use petrel_benches::{BATCH, HEADERS, inbox, payload, subject};
use petrel_protocol::client::encode;
use std::hint::black_box;

/// One message of a group.
struct Delivery {
    subject: String,
    sid: String,
    reply: Option<String>,
    header_bytes: Option<usize>,
    message: Vec<u8>,
}

impl Delivery {
    fn encode(&self, out: &mut Vec<u8>) {
        let reply = self.reply.as_ref().map(|reply| reply.as_bytes());
        encode::message(
            out,
            self.subject.as_bytes(),
            self.sid.as_bytes(),
            reply,
            self.header_bytes,
            &self.message,
        );
    }
}

fn deliveries(payload_bytes: usize, headers: bool, reply: bool) -> Vec<Delivery> {
    let delivery = |number| {
        let mut message = if headers { HEADERS.to_vec() } else { Vec::new() };
        message.extend_from_slice(&payload(payload_bytes));
        Delivery {
            subject: subject(number),
            sid: (number % 300).to_string(),
            reply: reply.then(|| inbox(number)),
            header_bytes: headers.then_some(HEADERS.len()),
            message,
        }
    };
    (0..BATCH).map(delivery).collect()
}

fn encoder(criterion: &mut Criterion) {
    let inputs = [
        ("MSG 16 B", deliveries(16, false, false)),
        ("MSG 128 B", deliveries(128, false, false)),
        ("MSG 128 B with reply", deliveries(128, false, true)),
        ("MSG 4096 B", deliveries(4096, false, false)),
        ("HMSG 128 B with reply", deliveries(128, true, true)),
    ];
    let mut group = criterion.benchmark_group("encoder");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, deliveries) in &inputs {
        let mut out = Vec::new();
        deliveries.iter().for_each(|delivery| delivery.encode(&mut out));
        group.bench_with_input(BenchmarkId::new("message", name), deliveries, |bencher, deliveries| {
            bencher.iter(|| {
                out.clear();
                for delivery in black_box(deliveries) {
                    delivery.encode(&mut out);
                }
                out.len()
            });
        });
        // The same bytes, made beforehand: one copy a message.
        let ready: Vec<Vec<u8>> = deliveries
            .iter()
            .map(|delivery| {
                let mut bytes = Vec::new();
                delivery.encode(&mut bytes);
                bytes
            })
            .collect();
        group.bench_with_input(BenchmarkId::new("floor", name), &ready, |bencher, ready| {
            bencher.iter(|| {
                out.clear();
                for bytes in black_box(ready) {
                    out.extend_from_slice(bytes);
                }
                out.len()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, encoder);
criterion_main!(benches);
