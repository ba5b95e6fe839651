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

/// Numbers below `count` in an order as subjects are used: number k has the weight 1 / (k + 1). The same seed gives
/// the same order.
pub fn zipf(count: usize, draws: usize, seed: u64) -> Vec<usize> {
    let mut total = 0.0;
    let sums: Vec<f64> = (1..=count)
        .map(|rank| {
            total += 1.0 / rank as f64;
            total
        })
        .collect();
    let mut state = seed;
    (0..draws)
        .map(|_| {
            let point = unit(&mut state) * total;
            sums.partition_point(|sum| *sum <= point).min(count - 1)
        })
        .collect()
}

/// The next number of a splitmix64 generator (Steele, Lea, Flood 2014), as a fraction in `0.0..1.0`.
fn unit(state: &mut u64) -> f64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // 53 bits are what a fraction holds.
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}
