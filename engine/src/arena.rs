//! A slab that grows by chunks.

const CHUNK_BITS: u32 = 9;
const CHUNK: usize = 1 << CHUNK_BITS;
const NONE: u32 = u32::MAX;

enum Slot<T> {
    Used(T),
    /// Index of the next free slot, or `NONE`.
    Free(u32),
}

/// Values under dense 32-bit keys. It grows a chunk at a time: a million entries never cause one doubling
/// copy, and never more than one chunk of slack.
pub(crate) struct Arena<T> {
    chunks: Vec<Vec<Slot<T>>>,
    free: u32,
    len: usize,
}

impl<T> Default for Arena<T> {
    fn default() -> Self {
        Arena { chunks: Vec::new(), free: NONE, len: 0 }
    }
}

impl<T> Arena<T> {
    /// Stores a value and returns its key. Keys of removed values are used again.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        if self.free != NONE {
            let key = self.free;
            let slot = self.slot_mut(key).expect("a free key lies inside the arena");
            let Slot::Free(next) = std::mem::replace(slot, Slot::Used(value)) else {
                unreachable!("the free list holds free slots only")
            };
            self.free = next;
            return key;
        }
        if self.chunks.last().is_none_or(|chunk| chunk.len() == CHUNK) {
            // The first chunk grows on demand: most arenas stay small.
            let capacity = if self.chunks.is_empty() { 4 } else { CHUNK };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let index = self.chunks.len() - 1;
        let chunk = self.chunks.last_mut().expect("just made sure of");
        chunk.push(Slot::Used(value));
        u32::try_from((index << CHUNK_BITS) + chunk.len() - 1).expect("fewer than 2^32 entries")
    }

    fn slot_mut(&mut self, key: u32) -> Option<&mut Slot<T>> {
        self.chunks.get_mut((key >> CHUNK_BITS) as usize)?.get_mut(key as usize & (CHUNK - 1))
    }

    /// The value under a key.
    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        match self.chunks.get((key >> CHUNK_BITS) as usize)?.get(key as usize & (CHUNK - 1))? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// The value under a key, to change.
    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        match self.slot_mut(key)? {
            Slot::Used(value) => Some(value),
            Slot::Free(_) => None,
        }
    }

    /// Takes a value out.
    pub(crate) fn remove(&mut self, key: u32) -> Option<T> {
        let free = self.free;
        let slot = self.slot_mut(key)?;
        if matches!(slot, Slot::Free(_)) {
            return None;
        }
        let Slot::Used(value) = std::mem::replace(slot, Slot::Free(free)) else {
            unreachable!("checked above")
        };
        self.free = key;
        self.len -= 1;
        if self.len == 0 {
            self.chunks = Vec::new();
            self.free = NONE;
        }
        Some(value)
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// All keys and values in the order of keys.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.iter_from(0)
    }

    /// Keys and values from a key on, in the order of keys.
    pub(crate) fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, &T)> {
        let first = from as usize >> CHUNK_BITS;
        self.chunks.iter().enumerate().skip(first).flat_map(move |(chunk_index, chunk)| {
            let skipped = if chunk_index == first { from as usize & (CHUNK - 1) } else { 0 };
            chunk.iter().enumerate().skip(skipped).filter_map(move |(index, slot)| match slot {
                Slot::Used(value) => {
                    Some((u32::try_from((chunk_index << CHUNK_BITS) + index).unwrap_or(NONE), value))
                }
                Slot::Free(_) => None,
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Arena;

    #[test]
    fn keys_are_reused_and_values_found() {
        let mut arena = Arena::default();
        let keys: Vec<u32> = (0..2000).map(|value| arena.insert(value)).collect();
        assert_eq!(arena.len(), 2000);
        for key in keys.iter().step_by(2) {
            assert!(arena.remove(*key).is_some());
            assert!(arena.remove(*key).is_none());
            assert!(arena.get(*key).is_none());
        }
        let again: Vec<u32> = (0..1000).map(|value| arena.insert(value + 5000)).collect();
        assert!(again.iter().all(|key| (*key as usize) < 2000));
        assert_eq!(arena.iter().count(), 2000);
        assert!(arena.iter_from(700).map(|(key, _)| key).eq(700..2000));
        assert_eq!(arena.iter_from(9999).count(), 0);
        assert_eq!(arena.get(keys[1]), Some(&1));
    }

    #[test]
    fn an_emptied_arena_gives_its_memory_back() {
        let mut arena = Arena::default();
        let keys: Vec<u32> = (0..3000).map(|value| arena.insert(value)).collect();
        for key in keys {
            arena.remove(key);
        }
        assert_eq!(arena.len(), 0);
        assert!(arena.chunks.is_empty());
        assert_eq!(arena.insert(7), 0);
    }
}
