//! Inputs that the benchmarks in `benches/` share.
//!
//! Run one with `cargo bench -p petrel-benches --bench parser`; `cargo bench -p petrel-benches -- --test` runs each
//! of them once, which is what a build checks. A group is one operation in several forms and always has a member
//! `floor`: the least that any implementation has to do, so that a figure can be judged on any machine. Rates are
//! in elements (verbs, messages): the time of one is the inverse.

/// Messages in a buffer: about what a read of a busy connection brings, and enough to hide the cost of the loop.
pub const BATCH: usize = 512;

/// A subject of the usual length with the number in it.
pub fn subject(number: usize) -> String {
    format!("orders.eu.{:04}.new", number % 10_000)
}

/// An inbox as client libraries make them.
pub fn inbox(number: usize) -> String {
    format!("_INBOX.Kx9mZ2vQ7rT4wY8bN1cD5f.{:06}", number % 1_000_000)
}

/// A payload of the given length, which no line end interrupts.
pub fn payload(bytes: usize) -> Vec<u8> {
    vec![b'x'; bytes]
}

/// Headers of a message with one field.
pub const HEADERS: &[u8] = b"NATS/1.0\r\nNats-Msg-Id: 0123456789abcdef\r\n\r\n";
