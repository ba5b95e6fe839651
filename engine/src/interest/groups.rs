//! Values by the name of a queue group, at one subject. Clients make up the names, and as many as they like.

use smallvec::SmallVec;
use std::collections::BTreeMap;

/// As long as there are no more, a scan beats a tree, and takes less memory.
pub(super) const SCANNED_MAX: usize = 32;

/// A few values in a list, many in a tree. The order in which they are seen is that of their coming or of their names.
#[derive(Debug)]
pub(super) enum Groups<V> {
    Few(SmallVec<[(Box<[u8]>, V); 1]>),
    Many(BTreeMap<Box<[u8]>, V>),
}

impl<V> Default for Groups<V> {
    fn default() -> Self {
        Groups::Few(SmallVec::new())
    }
}

impl<V: Default> Groups<V> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Groups::Few(list) => list.is_empty(),
            Groups::Many(tree) => tree.is_empty(),
        }
    }

    /// The value of a name.
    pub(super) fn get_mut(&mut self, name: &[u8]) -> Option<&mut V> {
        match self {
            Groups::Few(list) => list.iter_mut().find(|(known, _)| **known == *name).map(|(_, value)| value),
            Groups::Many(tree) => tree.get_mut(name),
        }
    }

    /// The value of a name, made if need be.
    pub(super) fn of(&mut self, name: &[u8]) -> &mut V {
        if let Groups::Few(list) = self
            && list.len() == SCANNED_MAX
            && list.iter().all(|(known, _)| **known != *name)
        {
            *self = Groups::Many(list.drain(..).collect());
        }
        match self {
            Groups::Few(list) => {
                let index = match list.iter().position(|(known, _)| **known == *name) {
                    Some(index) => index,
                    None => {
                        list.push((name.into(), V::default()));
                        list.len() - 1
                    }
                };
                &mut list[index].1
            }
            Groups::Many(tree) => tree.entry(name.into()).or_default(),
        }
    }

    /// Forgets a name.
    pub(super) fn remove(&mut self, name: &[u8]) {
        match self {
            Groups::Few(list) => {
                if let Some(index) = list.iter().position(|(known, _)| **known == *name) {
                    list.swap_remove(index);
                }
            }
            Groups::Many(tree) => {
                tree.remove(name);
                // Half as many, so that it does not go back and forth.
                if tree.len() <= SCANNED_MAX / 2 {
                    *self = Groups::Few(std::mem::take(tree).into_iter().collect());
                }
            }
        }
    }

    /// All names and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], &V)> {
        let (list, tree) = match self {
            Groups::Few(list) => (Some(list), None),
            Groups::Many(tree) => (None, Some(tree)),
        };
        let few = list.into_iter().flatten().map(|(name, value)| (&**name, value));
        few.chain(tree.into_iter().flatten().map(|(name, value)| (&**name, value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn few_or_many_they_are_a_map(steps in proptest::collection::vec((any::<bool>(), 0..100_u32), 0..600)) {
            let mut groups: Groups<u32> = Groups::default();
            let mut model: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            for (adds, number) in steps {
                let name = number.to_string().into_bytes();
                if adds {
                    *groups.of(&name) += 1;
                    *model.entry(name.clone()).or_default() += 1;
                } else {
                    groups.remove(&name);
                    model.remove(&name);
                }
                prop_assert_eq!(groups.get_mut(&name).copied(), model.get(&name).copied());
                prop_assert_eq!(groups.is_empty(), model.is_empty());
            }
            let all: BTreeMap<Vec<u8>, u32> =
                groups.iter().map(|(name, value)| (name.to_vec(), *value)).collect();
            prop_assert_eq!(all, model);
        }
    }
}
