//! What the other cores want of literal subjects.

use super::Match;
use super::groups::Groups;
use hashbrown::hash_table::Entry;
use hashbrown::{HashMap, HashTable};
use smallvec::SmallVec;

/// Fingerprints are keyed hashes already.
type Prehashed = std::hash::BuildHasherDefault<FingerprintHasher>;

#[derive(Default)]
pub(super) struct FingerprintHasher(u64);

impl std::hash::Hasher for FingerprintHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only u64 keys are hashed")
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

/// How many members groups have on other cores. A name has the number of the core behind it.
#[derive(Default)]
pub(super) struct RemoteQueues(Groups<u32>);

const CORE_BYTES: usize = size_of::<u16>();

impl RemoteQueues {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A member of another core came or went.
    pub(super) fn change(&mut self, core: usize, name: &[u8], added: bool) {
        let number = u16::try_from(core).expect("at most CORES_MAX cores");
        let name: SmallVec<[u8; 64]> = name.iter().copied().chain(number.to_be_bytes()).collect();
        if added {
            *self.0.of(&name) += 1;
            return;
        }
        let weight = self.0.get_mut(&name).expect("interest is withdrawn only after it was told");
        *weight -= 1;
        if *weight == 0 {
            self.0.remove(&name);
        }
    }

    pub(super) fn collect(&self, found: &mut Match) {
        for (name, weight) in self.0.iter() {
            let Some((name, core)) = name.split_last_chunk::<CORE_BYTES>() else { continue };
            found.queue_mut(name).add_remote(u16::from_be_bytes(*core), *weight);
        }
    }
}

/// What one core wants of literal subjects without a queue group. Counted fingerprints: 9 bytes and a little air a
/// subject, where the subject itself would cost 60. Two subjects with one fingerprint are rare enough for a map.
#[derive(Default)]
struct PlainInterest {
    fingerprints: HashTable<u64>,
    /// How many more subjects have a fingerprint that is in the table.
    further: HashMap<u64, u32, Prehashed>,
}

impl PlainInterest {
    fn add(&mut self, fingerprint: u64) {
        match self.fingerprints.entry(fingerprint, |known| *known == fingerprint, |known| *known) {
            Entry::Occupied(_) => *self.further.entry(fingerprint).or_insert(0) += 1,
            Entry::Vacant(place) => {
                place.insert(fingerprint);
            }
        }
    }

    fn remove(&mut self, fingerprint: u64) {
        if let Some(count) = self.further.get_mut(&fingerprint) {
            *count -= 1;
            if *count == 0 {
                self.further.remove(&fingerprint);
            }
            return;
        }
        let found = self.fingerprints.find_entry(fingerprint, |known| *known == fingerprint);
        found.expect("interest is withdrawn only after it was told").remove();
        if self.fingerprints.is_empty() {
            self.fingerprints = HashTable::new();
        }
    }

    fn wants(&self, fingerprint: u64) -> bool {
        self.fingerprints.find(fingerprint, |known| *known == fingerprint).is_some()
    }
}

/// Literal interest of the other cores.
pub(super) struct RemoteInterest {
    own_core: usize,
    /// One for each core.
    plain: Vec<PlainInterest>,
    queues: HashMap<u64, RemoteQueues, Prehashed>,
}

impl RemoteInterest {
    pub(super) fn new(core_count: usize, own_core: usize) -> RemoteInterest {
        RemoteInterest {
            own_core,
            plain: (0..core_count).map(|_| PlainInterest::default()).collect(),
            queues: HashMap::default(),
        }
    }

    /// Whether a number is that of a core of this node.
    pub(super) fn is_core(&self, core: u16) -> bool {
        usize::from(core) < self.plain.len()
    }

    pub(super) fn change_literal(&mut self, core: usize, fingerprint: u64, added: bool) {
        assert_ne!(core, self.own_core, "a core does not tell itself");
        if added {
            self.plain[core].add(fingerprint);
        } else {
            self.plain[core].remove(fingerprint);
        }
    }

    pub(super) fn change_queue(&mut self, core: usize, fingerprint: u64, name: &[u8], added: bool) {
        assert_ne!(core, self.own_core, "a core does not tell itself");
        let groups = self.queues.entry(fingerprint).or_default();
        groups.change(core, name, added);
        if groups.is_empty() {
            self.queues.remove(&fingerprint);
        }
    }

    pub(super) fn collect(&self, fingerprint: u64, found: &mut Match) {
        for (core, plain) in self.plain.iter().enumerate() {
            if plain.wants(fingerprint) {
                found.cores |= 1 << core;
            }
        }
        if self.queues.is_empty() {
            return;
        }
        if let Some(groups) = self.queues.get(&fingerprint) {
            groups.collect(found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_that_share_a_fingerprint_are_counted() {
        let mut plain = PlainInterest::default();
        for _ in 0..3 {
            plain.add(7);
        }
        plain.add(8);
        for left in [2, 1, 0] {
            plain.remove(7);
            assert_eq!(plain.wants(7), left > 0);
        }
        assert!(plain.wants(8) && plain.further.is_empty());
    }
}
