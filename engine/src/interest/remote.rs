//! What the other cores want of literal subjects.

use super::Match;
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

/// Literal interest of the other cores. Plain interest is a counted fingerprint: 12 bytes and a little air a
/// subject, where the subject itself would cost 60.
pub(super) struct RemoteInterest {
    own_core: usize,
    /// For each core: fingerprint and how many of its subjects have it.
    plain: Vec<HashTable<(u64, u32)>>,
    queues: HashMap<u64, SmallVec<[RemoteQueue; 1]>, Prehashed>,
}

impl RemoteInterest {
    pub(super) fn new(core_count: usize, own_core: usize) -> RemoteInterest {
        RemoteInterest {
            own_core,
            plain: (0..core_count).map(|_| HashTable::new()).collect(),
            queues: HashMap::default(),
        }
    }

    pub(super) fn change_literal(&mut self, core: usize, fingerprint: u64, added: bool) {
        assert_ne!(core, self.own_core, "a core does not tell itself");
        let table = &mut self.plain[core];
        let entry = table.entry(fingerprint, |entry| entry.0 == fingerprint, |entry| entry.0);
        match entry {
            hashbrown::hash_table::Entry::Occupied(mut found) => {
                if added {
                    found.get_mut().1 += 1;
                } else if found.get().1 > 1 {
                    found.get_mut().1 -= 1;
                } else {
                    found.remove();
                    if table.is_empty() {
                        *table = HashTable::new();
                    }
                }
            }
            hashbrown::hash_table::Entry::Vacant(place) => {
                assert!(added, "interest is withdrawn only after it was told");
                place.insert((fingerprint, 1));
            }
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
        for (core, table) in self.plain.iter().enumerate() {
            if table.find(fingerprint, |entry| entry.0 == fingerprint).is_some() {
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
