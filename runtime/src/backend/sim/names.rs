//! The names in a simulated folder: what is seen, and what would survive.

use super::content::Fate;
use super::dice::Dice;
use super::faults::FaultKind;
use std::collections::BTreeMap;

/// A change of names that no sync has covered.
#[derive(Clone, Debug)]
enum Change {
    Put { name: String, what: u64 },
    Remove { name: String, what: u64 },
    Rename { from: String, to: String, what: u64 },
}

/// The names in a folder, each with the number of a file or folder.
#[derive(Debug, Default)]
pub(super) struct Names {
    current: BTreeMap<String, u64>,
    durable: BTreeMap<String, u64>,
    unsynced: Vec<(u64, Change)>,
}

impl Names {
    pub(super) fn of(&self, name: &str) -> Option<u64> {
        self.current.get(name).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.current.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&String, u64)> {
        self.current.iter().map(|(name, what)| (name, *what))
    }

    pub(super) fn put(&mut self, name: String, what: u64, number: u64) {
        self.change(Change::Put { name, what }, number);
    }

    pub(super) fn remove(&mut self, name: &str, what: u64, number: u64) {
        self.change(Change::Remove { name: name.to_owned(), what }, number);
    }

    pub(super) fn rename(&mut self, from: &str, to: &str, what: u64, number: u64) {
        self.change(Change::Rename { from: from.to_owned(), to: to.to_owned(), what }, number);
    }

    fn change(&mut self, change: Change, number: u64) {
        apply(&mut self.current, &change, Fate::Kept);
        self.unsynced.push((number, change));
    }

    /// Makes changes up to a number durable.
    pub(super) fn sync(&mut self, covered: u64) {
        for (_, change) in self.unsynced.extract_if(.., |(number, _)| *number <= covered) {
            apply(&mut self.durable, &change, Fate::Kept);
        }
    }

    /// A sync fails: changes up to a number will not survive. They stay visible while the kernel runs. The
    /// number of changes dropped.
    pub(super) fn drop_covered(&mut self, covered: u64) -> usize {
        let before = self.unsynced.len();
        self.unsynced.retain(|(number, _)| *number > covered);
        before - self.unsynced.len()
    }

    /// The power fails: each unsynced change is kept, lost or torn, in any order. What happened to each.
    pub(super) fn lose_power(&mut self, dice: &mut Dice) -> Vec<FaultKind> {
        let mut happened = Vec::new();
        while !self.unsynced.is_empty() {
            let (_, change) = self.unsynced.swap_remove(dice.index(self.unsynced.len()));
            let fate = Fate::drawn(dice);
            apply(&mut self.durable, &change, fate);
            match (fate, change) {
                (Fate::Kept, _) => {}
                (Fate::Torn, Change::Rename { .. }) => happened.push(FaultKind::NameTorn),
                _ => happened.push(FaultKind::NameLost),
            }
        }
        self.current = self.durable.clone();
        happened
    }
}

/// Changes names. A torn rename has put the new name and left the old one; other changes cannot be torn.
fn apply(names: &mut BTreeMap<String, u64>, change: &Change, fate: Fate) {
    match (change, fate) {
        (_, Fate::Lost) | (Change::Put { .. } | Change::Remove { .. }, Fate::Torn) => {}
        (Change::Put { name, what }, Fate::Kept) => {
            names.insert(name.clone(), *what);
        }
        (Change::Remove { name, what }, Fate::Kept) => {
            // In another order the name may be another file's already.
            if names.get(name) == Some(what) {
                names.remove(name);
            }
        }
        (Change::Rename { from, to, what }, Fate::Kept | Fate::Torn) => {
            if fate == Fate::Kept && names.get(from) == Some(what) {
                names.remove(from);
            }
            names.insert(to.clone(), *what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_power_cut_decides_about_each_name_by_itself() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let mut names = Names::default();
            names.put("old".to_owned(), 1, 1);
            names.sync(1);
            names.rename("old", "new", 1, 2);
            names.put("other".to_owned(), 2, 3);
            assert_eq!((names.of("old"), names.of("new"), names.of("other")), (None, Some(1), Some(2)));
            names.lose_power(&mut Dice::new(seed, 0));
            let found: Vec<String> = names.iter().map(|(name, what)| format!("{name}={what}")).collect();
            seen.insert(found.join(" "));
        }
        let expected =
            ["new=1", "new=1 old=1", "new=1 old=1 other=2", "new=1 other=2", "old=1", "old=1 other=2"];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn synced_names_stay() {
        for seed in 0..20 {
            let mut names = Names::default();
            names.put("a".to_owned(), 1, 1);
            names.rename("a", "b", 1, 2);
            names.put("c".to_owned(), 2, 3);
            names.remove("c", 2, 4);
            names.sync(4);
            assert_eq!(names.lose_power(&mut Dice::new(seed, 0)), []);
            assert_eq!((names.of("a"), names.of("b"), names.of("c")), (None, Some(1), None));
        }
    }
}
