//! Which results of look-ups a change to a pattern makes stale.
//!
//! A pattern can only match subjects that begin with its tokens before the first wildcard. Changes are counted by that
//! prefix, cut off after [`DEPTH`] tokens; a result remembers the counts of all prefixes of its subject. So interest
//! that comes and goes in one corner of the subjects leaves the results of the others alone.

use petrel_protocol::subject;
use std::cell::Cell;

/// Counters: prefixes are told apart by their hash modulo this. Two that share one only cost a look-up more; with a
/// new inbox at each request the number of prefixes has no end, so there are many counters, and small ones: counts
/// wrap, and a result would have to be held unused over 2^32 changes to be taken for current.
const BRANCHES: usize = 1024;
/// Tokens of a prefix at most.
const DEPTH: usize = 3;

/// Counts changes to patterns.
#[derive(Default)]
pub(super) struct Generations {
    /// By prefix; made with the first pattern, because most accounts have none.
    branches: Option<Box<[u32; BRANCHES]>>,
    /// Changes to patterns that begin with a wildcard.
    root: u32,
    /// All changes.
    changes: u64,
}

/// What a result was built on.
#[derive(Debug, Default)]
pub(super) struct Stamp {
    branches: [u16; DEPTH],
    /// Sum of the counts when it was built: none of them ever falls.
    generation: u32,
    /// All changes when it was last found to be current.
    seen: Cell<u64>,
}

/// No count of changes is ever this.
const STALE: u64 = u64::MAX;

impl Stamp {
    /// Makes the result stale for good.
    pub(super) fn outdate(&self) {
        self.seen.set(STALE);
    }
}

/// The prefixes of a subject or pattern, shortest first; those of a pattern end before its first wildcard.
fn prefixes(subject: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut end = 0;
    subject::tokens(subject).take(DEPTH).take_while(|token| *token != b"*" && *token != b">").map(
        move |token| {
            end += token.len() + 1;
            &subject[..end - 1]
        },
    )
}

impl Generations {
    /// A pattern came or went. `hash` must be the same for all calls.
    pub(super) fn pattern_changed(&mut self, pattern: &[u8], hash: impl Fn(&[u8]) -> u64) {
        self.changes += 1;
        match prefixes(pattern).last() {
            None => self.root = self.root.wrapping_add(1),
            Some(prefix) => {
                let branches = self.branches.get_or_insert_with(|| Box::new([0; BRANCHES]));
                let count = &mut branches[usize::from(branch(hash(prefix)))];
                *count = count.wrapping_add(1);
            }
        }
    }

    /// The stamp of a result for `subject` that is built now.
    pub(super) fn stamp(&self, subject: &[u8], hash: impl Fn(&[u8]) -> u64) -> Stamp {
        let mut branches = [0; DEPTH];
        let mut prefixes = prefixes(subject);
        let mut last = 0;
        for place in &mut branches {
            // A subject with fewer tokens names its last prefix again.
            last = prefixes.next().map_or(last, |prefix| branch(hash(prefix)));
            *place = last;
        }
        Stamp { branches, generation: self.sum(branches), seen: Cell::new(self.changes) }
    }

    fn sum(&self, branches: [u16; DEPTH]) -> u32 {
        let Some(counts) = &self.branches else { return self.root };
        branches.iter().fold(self.root, |sum, branch| sum.wrapping_add(counts[usize::from(*branch)]))
    }

    /// Whether nothing has changed for the result with this stamp.
    #[inline]
    pub(super) fn is_current(&self, stamp: &Stamp) -> bool {
        stamp.seen.get() == self.changes || self.is_unchanged(stamp)
    }

    fn is_unchanged(&self, stamp: &Stamp) -> bool {
        let unchanged = stamp.seen.get() != STALE && stamp.generation == self.sum(stamp.branches);
        if unchanged {
            stamp.seen.set(self.changes);
        }
        unchanged
    }
}

fn branch(hash: u64) -> u16 {
    u16::try_from(hash % BRANCHES as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> u64 {
        // Good enough to tell the few prefixes of these tests apart.
        bytes.iter().fold(7, |sum, byte| sum * 31 + u64::from(*byte))
    }

    fn is_kept(subject: &str, changed: &str) -> bool {
        let mut generations = Generations::default();
        generations.pattern_changed(b"other.*", hash);
        let stamp = generations.stamp(subject.as_bytes(), hash);
        generations.pattern_changed(changed.as_bytes(), hash);
        generations.is_current(&stamp)
    }

    #[test]
    fn a_pattern_touches_what_it_may_match() {
        for (subject, changed) in [
            ("a.b.c", "a.b.*"),
            ("a.b.c", "a.>"),
            ("a.b.c", "*.b.c"),
            ("a.b.c", ">"),
            ("a.b.c.d", "a.b.c.*"),
            ("a.b.c.d.e", "a.b.c.d.*"),
            ("a", "*"),
            ("a.b", "a.*"),
        ] {
            assert!(!is_kept(subject, changed), "{changed} may match {subject}");
        }
    }

    #[test]
    fn a_pattern_elsewhere_touches_nothing() {
        for (subject, changed) in
            [("a.b.c", "a.x.*"), ("a.b.c", "x.>"), ("a.b", "a.b.c.*"), ("a.b.c", "a.b.x.>")]
        {
            assert!(is_kept(subject, changed), "{changed} cannot match {subject}");
        }
    }

    #[test]
    fn an_outdated_result_stays_so() {
        let mut generations = Generations::default();
        let stamp = generations.stamp(b"a.b", hash);
        assert!(generations.is_current(&stamp));
        stamp.outdate();
        assert!(!generations.is_current(&stamp));
        generations.pattern_changed(b"x.*", hash);
        assert!(!generations.is_current(&stamp));
    }
}
