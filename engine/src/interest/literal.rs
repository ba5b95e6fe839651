//! Literal subjects and who on this core wants them.

use super::Match;
use super::subscription::{QueueGroups, SubscriptionList, Subscriptions, remove_queue_member};
use crate::arena::Arena;
use hashbrown::HashTable;

/// What this core's sessions want of one literal subject.
pub(super) struct LiteralEntry {
    /// Fingerprint again, so that the table can grow without hashing subjects.
    fingerprint: u64,
    pub(super) subject: Box<[u8]>,
    pub(super) plain: SubscriptionList,
    /// Boxed because most subjects have no queue group.
    queues: Option<Box<QueueGroups>>,
}

impl LiteralEntry {
    pub(super) fn queue_mut(&mut self, name: &[u8]) -> &mut SubscriptionList {
        self.queues.get_or_insert_default().of(name)
    }

    /// Removes a subscription; true when it was the last plain one.
    pub(super) fn remove(
        &mut self,
        subscriptions: &mut Subscriptions,
        key: u32,
        queue: Option<&[u8]>,
    ) -> bool {
        let Some(name) = queue else { return self.plain.remove(subscriptions, key) };
        if let Some(queues) = self.queues.as_mut() {
            remove_queue_member(queues, subscriptions, key, name);
            if queues.is_empty() {
                self.queues = None;
            }
        }
        false
    }
}

/// All literal subjects of an account on this core, by fingerprint.
#[derive(Default)]
pub(super) struct LiteralIndex {
    table: HashTable<u32>,
    entries: Arena<LiteralEntry>,
}

impl LiteralIndex {
    fn find(&self, fingerprint: u64, subject: &[u8]) -> Option<u32> {
        self.table
            .find(fingerprint, |key| self.entries.get(*key).is_some_and(|entry| *entry.subject == *subject))
            .copied()
    }

    /// The entry of a subject, made if need be.
    pub(super) fn insert(&mut self, fingerprint: u64, subject: &[u8]) -> u32 {
        if let Some(key) = self.find(fingerprint, subject) {
            return key;
        }
        let key = self.entries.insert(LiteralEntry {
            fingerprint,
            subject: subject.into(),
            plain: SubscriptionList::default(),
            queues: None,
        });
        let entries = &self.entries;
        self.table
            .insert_unique(fingerprint, key, |key| entries.get(*key).map_or(0, |entry| entry.fingerprint));
        key
    }

    pub(super) fn entry(&self, key: u32) -> &LiteralEntry {
        self.entries.get(key).expect("a subscription's entry lives as long as it")
    }

    pub(super) fn entry_mut(&mut self, key: u32) -> &mut LiteralEntry {
        self.entries.get_mut(key).expect("a subscription's entry lives as long as it")
    }

    /// Drops an entry that nobody wants any more.
    pub(super) fn prune(&mut self, fingerprint: u64, key: u32) {
        let entry = self.entry(key);
        if entry.plain.is_empty() && entry.queues.is_none() {
            if let Ok(found) = self.table.find_entry(fingerprint, |candidate| *candidate == key) {
                found.remove();
            }
            self.entries.remove(key);
            if self.entries.len() == 0 {
                self.table = HashTable::new();
            }
        }
    }

    pub(super) fn collect(
        &self,
        fingerprint: u64,
        subject: &[u8],
        subscriptions: &Subscriptions,
        found: &mut Match,
    ) {
        let Some(key) = self.find(fingerprint, subject) else { return };
        let entry = self.entry(key);
        entry.plain.collect(subscriptions, subject, &mut found.plain);
        for (name, members) in entry.queues.iter().flat_map(|queues| queues.iter()) {
            members.collect(subscriptions, subject, &mut found.queue_mut(name).local);
        }
    }
}
