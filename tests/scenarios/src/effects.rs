//! How often what a scenario is about really happened.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by name. A scenario whose adversity never took effect has shown nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Effects {
    counts: BTreeMap<String, u64>,
}

impl Effects {
    /// Counts `times` more of a kind.
    pub fn add(&mut self, name: &str, times: u64) {
        match self.counts.get_mut(name) {
            Some(count) => *count += times,
            None => {
                self.counts.insert(name.to_owned(), times);
            }
        }
    }

    /// How often a kind was counted.
    pub fn of(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Adds what another run counted.
    pub fn merge(&mut self, other: &Effects) {
        for (name, count) in &other.counts {
            self.add(name, *count);
        }
    }
}

impl fmt::Display for Effects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, count)) in self.counts.iter().filter(|(_, count)| **count > 0).enumerate() {
            let separator = if place == 0 { "" } else { ", " };
            write!(formatter, "{separator}{count} {name}")?;
        }
        Ok(())
    }
}
