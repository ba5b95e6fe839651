//! What the other cores want of literal subjects.

use super::Match;
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

struct RemoteQueue {
    core: u16,
    weight: u32,
    name: Box<[u8]>,
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
    queues: HashMap<u64, SmallVec<[RemoteQueue; 1]>, Prehashed>,
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
        let index = groups.iter().position(|group| usize::from(group.core) == core && *group.name == *name);
        match (index, added) {
            (Some(index), true) => groups[index].weight += 1,
            (Some(index), false) if groups[index].weight > 1 => groups[index].weight -= 1,
            (Some(index), false) => {
                groups.swap_remove(index);
            }
            (None, true) => groups.push(RemoteQueue {
                core: u16::try_from(core).expect("at most CORES_MAX cores"),
                weight: 1,
                name: name.into(),
            }),
            (None, false) => unreachable!("interest is withdrawn only after it was told"),
        }
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
        for group in self.queues.get(&fingerprint).into_iter().flatten() {
            add_remote(found, group.core, &group.name, group.weight);
        }
    }
}

/// Adds members on another core to a group of a match.
pub(super) fn add_remote(found: &mut Match, core: u16, name: &[u8], weight: u32) {
    let queue = found.queue_mut(name);
    match queue.remote.iter_mut().find(|remote| remote.0 == core) {
        Some(remote) => remote.1 += weight,
        None => queue.remote.push((core, weight)),
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
