//! The parser of client verbs over a buffer of many, as a session runs it over what one read brought.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use petrel_benches::{BATCH, HEADERS, inbox, payload, subject};
use petrel_protocol::client::{ClientOp, ParseLimits, Parsed, parse};
use std::hint::black_box;

const LIMITS: ParseLimits = ParseLimits { control_line_max: 4096, payload_max: 1_048_576 };

/// Parses a whole buffer; the sum keeps the compiler from leaving anything out.
fn parse_all(buffer: &[u8], limits: &ParseLimits) -> usize {
    let mut rest = buffer;
    let mut sum = 0;
    while let Ok(Parsed::Op { op, consumed }) = parse(rest, limits) {
        sum += match op {
            ClientOp::Publish { subject, reply, header_bytes, message } => {
                subject.len() + reply.map_or(0, <[u8]>::len) + header_bytes.unwrap_or(0) + message.len()
            }
            ClientOp::Subscribe { subject, queue, sid } => {
                subject.len() + queue.map_or(0, <[u8]>::len) + sid.len()
            }
            _ => 1,
        };
        rest = &rest[consumed..];
    }
    assert!(rest.is_empty(), "the input of a benchmark has to be right");
    sum
}

/// What no broker can do without: find the end of the line, and copy the payload once.
fn floor(buffer: &[u8], payload_bytes: usize, out: &mut Vec<u8>) -> usize {
    let mut rest = buffer;
    out.clear();
    while let Some(line_end) = memchr::memchr(b'\n', rest) {
        if payload_bytes == 0 {
            rest = &rest[line_end + 1..];
            continue;
        }
        let payload_end = line_end + 1 + payload_bytes;
        out.extend_from_slice(&rest[line_end + 1..payload_end]);
        rest = &rest[payload_end + 2..];
    }
    out.len()
}

fn batch(mut verb: impl FnMut(usize, &mut Vec<u8>)) -> Vec<u8> {
    let mut buffer = Vec::new();
    for number in 0..BATCH {
        verb(number, &mut buffer);
    }
    buffer
}

fn publishes(bytes: usize, reply: bool) -> Vec<u8> {
    let payload = payload(bytes);
    batch(|number, buffer| {
        let reply = if reply { format!("{} ", inbox(number)) } else { String::new() };
        buffer.extend_from_slice(format!("PUB {} {reply}{bytes}\r\n", subject(number)).as_bytes());
        buffer.extend_from_slice(&payload);
        buffer.extend_from_slice(b"\r\n");
    })
}

fn header_publishes(bytes: usize) -> Vec<u8> {
    let payload = payload(bytes);
    batch(|number, buffer| {
        let (headers, total) = (HEADERS.len(), HEADERS.len() + bytes);
        let line = format!("HPUB {} {} {headers} {total}\r\n", subject(number), inbox(number));
        buffer.extend_from_slice(line.as_bytes());
        buffer.extend_from_slice(HEADERS);
        buffer.extend_from_slice(&payload);
        buffer.extend_from_slice(b"\r\n");
    })
}

fn subscriptions() -> Vec<u8> {
    batch(|number, buffer| {
        buffer.extend_from_slice(format!("SUB {} {number}\r\n", subject(number)).as_bytes());
    })
}

fn parser(criterion: &mut Criterion) {
    let inputs = [
        ("PUB 16 B", publishes(16, false), 16),
        ("PUB 128 B", publishes(128, false), 128),
        ("PUB 128 B with reply", publishes(128, true), 128),
        ("PUB 4096 B", publishes(4096, false), 4096),
        ("HPUB 128 B with reply", header_publishes(128), HEADERS.len() + 128),
        ("SUB", subscriptions(), 0),
        ("PING", b"PING\r\n".repeat(BATCH), 0),
    ];
    let mut group = criterion.benchmark_group("parser");
    group.throughput(Throughput::Elements(BATCH as u64));
    for (name, buffer, payload_bytes) in &inputs {
        group.bench_with_input(BenchmarkId::new("parse", name), buffer, |bencher, buffer| {
            bencher.iter(|| parse_all(black_box(buffer), black_box(&LIMITS)));
        });
        let mut out = Vec::with_capacity(buffer.len());
        group.bench_with_input(BenchmarkId::new("floor", name), buffer, |bencher, buffer| {
            bencher.iter(|| floor(black_box(buffer), *payload_bytes, &mut out));
        });
    }
    group.finish();
}

criterion_group!(benches, parser);
criterion_main!(benches);
