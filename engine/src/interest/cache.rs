//! Results of look-ups, by literal subject.

use super::Match;
use hashbrown::HashTable;
use std::rc::Rc;

/// Most results that one account's index on one core keeps.
pub(super) const ENTRIES_MAX: usize = 16_384;
/// Bytes of the results that it keeps, but for one that is larger: a result names all receivers, and it takes a client with
/// many subscriptions to one pattern to make all of them large.
const BYTES_MAX: usize = 16 * 1024 * 1024;
/// Slots of the memory of subjects seen once.
const SEEN_SLOTS: usize = 4096;

struct Entry {
    fingerprint: u64,
    bytes: usize,
    found: Rc<Match>,
}

#[derive(Default)]
pub(super) struct Cache {
    table: HashTable<Entry>,
    /// Of all results.
    bytes: usize,
    /// Fingerprints of subjects that were looked up once, direct-mapped; made on first use.
    seen: Vec<u32>,
}

impl Cache {
    pub(super) fn get(&self, fingerprint: u64, subject: &[u8]) -> Option<&Rc<Match>> {
        self.table
            .find(fingerprint, |entry| {
                entry.fingerprint == fingerprint && entry.found.subject[..] == *subject
            })
            .map(|entry| &entry.found)
    }

    /// How many receivers each result has.
    pub(super) fn fanouts(&self) -> impl Iterator<Item = u64> {
        self.table.iter().map(|entry| {
            let found = &entry.found;
            (found.plain.len() + found.queues.len()) as u64 + u64::from(found.cores.count_ones())
        })
    }

    /// Whether this subject was looked up recently; remembers it.
    pub(super) fn seen_before(&mut self, fingerprint: u64) -> bool {
        if self.seen.is_empty() {
            self.seen = vec![0; SEEN_SLOTS];
        }
        let slot = &mut self.seen[usize::try_from(fingerprint % SEEN_SLOTS as u64).unwrap_or(0)];
        // The upper half: the slot's number is made of the lower one.
        let mark = u32::try_from(fingerprint >> 32).unwrap_or(0) | 1;
        std::mem::replace(slot, mark) == mark
    }

    pub(super) fn insert(&mut self, fingerprint: u64, found: Rc<Match>) {
        let bytes = found.bytes();
        let is_full = |cache: &Cache| {
            cache.table.len() >= ENTRIES_MAX || (cache.bytes + bytes > BYTES_MAX && !cache.table.is_empty())
        };
        if is_full(self) {
            // Half of them, by a bit of the keyed hash: cheap, and the hot ones are back at their next use.
            let bit = 1 << (self.table.len() % 7 + 20);
            self.retain(|entry| entry.fingerprint & bit == 0);
            if is_full(self) {
                self.retain(|_| false);
            }
        }
        self.bytes += bytes;
        self.table.insert_unique(fingerprint, Entry { fingerprint, bytes, found }, |entry| entry.fingerprint);
    }

    /// Drops the other results. Who still holds them would not learn of changes to their subjects: they are stale.
    fn retain(&mut self, is_kept: impl Fn(&Entry) -> bool) {
        let mut bytes = 0;
        self.table.retain(|entry| {
            let keeps = is_kept(entry);
            if keeps {
                bytes += entry.bytes;
            } else {
                entry.found.stamp.outdate();
            }
            keeps
        });
        self.bytes = bytes;
    }

    /// Drops the results of a subject and marks them stale where they are still held.
    pub(super) fn invalidate(&mut self, fingerprint: u64) {
        while let Ok(entry) = self.table.find_entry(fingerprint, |entry| entry.fingerprint == fingerprint) {
            let Entry { bytes, found, .. } = entry.remove().0;
            self.bytes -= bytes;
            found.stamp.outdate();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who wants this: so many subscriptions.
    fn found(subject: &str, receivers: u32) -> Rc<Match> {
        let mut found = Match::default();
        found.subject.extend_from_slice(subject.as_bytes());
        found.plain.extend(0..receivers);
        Rc::new(found)
    }

    /// Sixteen thousand results with ten thousand receivers each took more than half a gigabyte.
    #[test]
    fn large_results_make_room_for_each_other() {
        let mut cache = Cache::default();
        for number in 0..2000_u64 {
            let fingerprint = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            cache.insert(fingerprint, found(&format!("s.{number}"), 10_000));
            assert!(cache.get(fingerprint, format!("s.{number}").as_bytes()).is_some());
            if number % 3 == 0 {
                cache.invalidate(fingerprint);
            }
            let kept: usize = cache.table.iter().map(|entry| entry.found.bytes()).sum();
            assert!(kept <= BYTES_MAX, "{kept}");
            assert_eq!(cache.bytes, kept);
        }
        let kept = cache.table.len();
        assert!(kept > 100, "{kept} of 400 that fit");
        // One that is larger than all is kept alone.
        cache.insert(7, found("huge", 8_000_000));
        assert_eq!(cache.table.len(), 1);
        cache.insert(8, found("small", 1));
        assert_eq!(cache.table.len(), 1);
        assert!(cache.get(8, b"small").is_some());
    }

    #[test]
    fn small_results_are_counted_not_weighed() {
        let mut cache = Cache::default();
        for number in 0..ENTRIES_MAX as u64 {
            cache.insert(number.wrapping_mul(0x9e37_79b9_7f4a_7c15), found("s", 4));
        }
        assert_eq!(cache.table.len(), ENTRIES_MAX);
    }
}
