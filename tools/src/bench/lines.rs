//! Encoded `PUB` lines of a run, made once and written from again and again.

use super::subjects::{Distribution, Sampler, SubjectSpace};

/// A ring is at least this long, so that one write carries many small messages.
const RING_BYTES_MIN: usize = 256 * 1024;
/// And at most this long, unless one message is longer.
const RING_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Lines drawn for each subject of a large space, so that the ring shows the distribution.
const LINES_PER_SUBJECT: usize = 4;

/// A ring of whole, equally long `PUB` lines with their payloads.
pub struct LineRing {
    bytes: Vec<u8>,
    line_len: usize,
    payload_len: usize,
}

impl LineRing {
    /// Encodes lines with payloads of `payload_len` bytes, the subjects drawn from `space` by `distribution`.
    pub fn new(space: &SubjectSpace, distribution: Distribution, payload_len: usize, seed: u64) -> Self {
        let payload = payload(payload_len);
        let mut sampler = Sampler::new(space.count(), distribution, seed);
        let mut line = Vec::new();
        encode(&mut line, &space.name(0), &payload);
        let line_len = line.len();
        let wanted = if space.count() == 1 { 0 } else { space.count() * LINES_PER_SUBJECT * line_len };
        let lines = wanted.clamp(RING_BYTES_MIN, RING_BYTES_MAX).div_ceil(line_len);
        let mut bytes = Vec::with_capacity(lines * line_len);
        for _ in 0..lines {
            encode(&mut bytes, &space.name(sampler.draw()), &payload);
        }
        assert_eq!(bytes.len(), lines * line_len, "all lines of a run are equally long");
        Self { bytes, line_len, payload_len }
    }

    /// Bytes of one line with its payload and both line ends.
    pub fn line_len(&self) -> usize {
        self.line_len
    }

    /// Where the share of user `index` of `users` begins: a line start, in bytes.
    pub fn line_at(&self, index: usize, users: usize) -> u64 {
        let lines = self.bytes.len() / self.line_len;
        (lines * index / users * self.line_len) as u64
    }

    /// The bytes to write after `written` bytes (any number, rings end on line ends), at most `limit` of them and
    /// at least one if `limit` is.
    pub fn after(&self, written: u64, limit: usize) -> &[u8] {
        let start = (written % self.bytes.len() as u64) as usize;
        let end = self.bytes.len().min(start.saturating_add(limit));
        &self.bytes[start..end]
    }

    /// Appends the line of the `number`-th message with `stamp` in the first 8 bytes of its payload.
    pub fn append_stamped(&self, out: &mut Vec<u8>, number: u64, stamp: u64) {
        let lines = self.bytes.len() / self.line_len;
        let start = (number % lines as u64) as usize * self.line_len;
        out.extend_from_slice(&self.bytes[start..start + self.line_len]);
        let payload_start = out.len() - 2 - self.payload_len;
        out[payload_start..payload_start + 8].copy_from_slice(&stamp.to_le_bytes());
    }
}

/// A payload of `len` bytes that shows where it is in a dump.
pub fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|index| b'a' + (index % 26) as u8).collect()
}

fn encode(out: &mut Vec<u8>, subject: &str, payload: &[u8]) {
    out.extend_from_slice(format!("PUB {subject} {}\r\n", payload.len()).as_bytes());
    out.extend_from_slice(payload);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_is_whole_lines_and_wraps_onto_a_line_start() {
        let ring = LineRing::new(&SubjectSpace::new("bench", 1), Distribution::Uniform, 16, 1);
        assert_eq!(ring.line_len(), "PUB bench 16\r\n".len() + 18);
        assert_eq!(ring.after(0, ring.line_len()), b"PUB bench 16\r\nabcdefghijklmnop\r\n");
        let length = ring.bytes.len() as u64;
        assert_eq!(ring.after(length * 3, 4), b"PUB ");
        assert_eq!(ring.after(length - 2, 100), b"\r\n");
    }

    #[test]
    fn a_stamp_stands_in_front_of_the_payload() {
        let ring = LineRing::new(&SubjectSpace::new("bench", 300), Distribution::Zipf, 16, 1);
        let mut out = Vec::new();
        ring.append_stamped(&mut out, 1_000_000, 0x0102_0304_0506_0708);
        assert_eq!(out.len(), ring.line_len());
        let payload = &out[out.len() - 18..];
        assert_eq!(payload[..8], 0x0102_0304_0506_0708u64.to_le_bytes());
        assert_eq!(&payload[8..], b"ijklmnop\r\n");
    }

    #[test]
    fn a_message_larger_than_the_ring_makes_a_ring_of_one() {
        let ring = LineRing::new(&SubjectSpace::new("b", 1), Distribution::Uniform, 20_000_000, 1);
        assert_eq!(ring.bytes.len(), ring.line_len());
    }

    #[test]
    fn many_subjects_are_all_in_the_ring() {
        let space = SubjectSpace::new("bench", 50);
        let ring = LineRing::new(&space, Distribution::Uniform, 16, 3);
        let text = String::from_utf8_lossy(&ring.bytes);
        assert!((0..50).all(|index| text.contains(&format!("PUB {} 16\r\n", space.name(index)))));
    }
}
