//! Results of look-ups, by literal subject.

use super::Match;
use hashbrown::HashTable;
use std::rc::Rc;

/// Most results that one account's index on one core keeps.
pub(super) const ENTRIES_MAX: usize = 16_384;
/// Slots of the memory of subjects seen once.
const SEEN_SLOTS: usize = 4096;

struct Entry {
    fingerprint: u64,
    found: Rc<Match>,
}

#[derive(Default)]
pub(super) struct Cache {
    table: HashTable<Entry>,
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
        if self.table.len() >= ENTRIES_MAX {
            // Half of them, by a bit of the keyed hash: cheap, and the hot ones are back at their next use.
            let bit = 1 << (self.table.len() % 7 + 20);
            self.retain(|entry| entry.fingerprint & bit == 0);
            if self.table.len() >= ENTRIES_MAX {
                self.retain(|_| false);
            }
        }
        self.table.insert_unique(fingerprint, Entry { fingerprint, found }, |entry| entry.fingerprint);
    }

    /// Drops the other results. Who still holds them would not learn of changes to their subjects: they are stale.
    fn retain(&mut self, is_kept: impl Fn(&Entry) -> bool) {
        self.table.retain(|entry| {
            let keeps = is_kept(entry);
            if !keeps {
                entry.found.stamp.outdate();
            }
            keeps
        });
    }

    /// Drops the results of a subject and marks them stale where they are still held.
    pub(super) fn invalidate(&mut self, fingerprint: u64) {
        while let Ok(entry) = self.table.find_entry(fingerprint, |entry| entry.fingerprint == fingerprint) {
            entry.remove().0.found.stamp.outdate();
        }
    }
}
