//! What took effect in a world, in order: the proof that a seed is the whole story.

use std::fmt::Write as _;

/// The record of a run. The digest is always kept; the text only when asked for, as it grows without bound.
#[derive(Debug, Clone)]
pub struct Trace {
    digest: u64,
    entries: u64,
    text: Option<String>,
}

impl Trace {
    pub(super) fn new(keep_text: bool) -> Trace {
        Trace { digest: 0x5045_5452_454C_0001, entries: 0, text: keep_text.then(String::new) }
    }

    /// A digest of every entry so far, in order. Two runs of one seed have the same one.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Number of entries so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// One line for each entry, when [`super::SimOptions::trace_text`] was set: virtual nanoseconds, what, and
    /// its numbers.
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// Appends a decision that took effect. `what` is a short fixed word.
    pub(super) fn record(&mut self, now: u64, what: &str, numbers: &[u64]) {
        self.entries += 1;
        self.fold(now);
        self.fold_bytes(what.as_bytes());
        for number in numbers {
            self.fold(*number);
        }
        if let Some(text) = &mut self.text {
            let _ = write!(text, "{now} {what}");
            for number in numbers {
                let _ = write!(text, " {number}");
            }
            text.push('\n');
        }
    }

    /// Appends bytes that reached a program: contents count, not lengths alone.
    pub(super) fn record_bytes(&mut self, now: u64, what: &str, numbers: &[u64], bytes: &[u8]) {
        self.fold_bytes(bytes);
        self.record(now, what, numbers);
    }

    /// Appends a line of the test's own.
    pub(super) fn note(&mut self, now: u64, words: &str) {
        self.entries += 1;
        self.fold(now);
        self.fold_bytes(words.as_bytes());
        if let Some(text) = &mut self.text {
            let _ = writeln!(text, "{now} note {words}");
        }
    }

    fn fold(&mut self, number: u64) {
        let mixed = (self.digest ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.digest = mixed ^ (mixed >> 29);
    }

    fn fold_bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.fold(u64::from_le_bytes(*word));
        }
        let mut last = [0u8; 8];
        last[..rest.len()].copy_from_slice(rest);
        // The length keeps "a" and "a\0" apart.
        self.fold(u64::from_le_bytes(last));
        self.fold(bytes.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_numbers_and_bytes_all_count() {
        let digest = |steps: &[(&str, u64, &[u8])]| {
            let mut trace = Trace::new(false);
            for (what, number, bytes) in steps {
                trace.record_bytes(1, what, &[*number], bytes);
            }
            trace.digest()
        };
        let base = digest(&[("a", 1, b"x"), ("b", 2, b"y")]);
        assert_eq!(base, digest(&[("a", 1, b"x"), ("b", 2, b"y")]));
        assert_ne!(base, digest(&[("b", 2, b"y"), ("a", 1, b"x")]));
        assert_ne!(base, digest(&[("a", 1, b"x"), ("b", 3, b"y")]));
        assert_ne!(base, digest(&[("a", 1, b"x"), ("b", 2, b"y\0")]));
    }

    #[test]
    fn text_is_kept_only_on_demand() {
        let mut silent = Trace::new(false);
        silent.record(5, "turn", &[1]);
        assert_eq!(silent.text(), None);
        let mut spoken = Trace::new(true);
        spoken.record(5, "turn", &[1, 2]);
        spoken.note(6, "safety phase ends");
        assert_eq!(spoken.text(), Some("5 turn 1 2\n6 note safety phase ends\n"));
        assert_eq!(spoken.entries(), 2);
    }
}
