//! What `benches/` measures inside of this crate, and nothing else: no promise to other users.

use crate::interest::Interest;

/// The index of subscriptions of one account on the only core of a node.
pub struct SubscriptionIndex(Interest);

impl Default for SubscriptionIndex {
    fn default() -> SubscriptionIndex {
        // A fixed key, so that two runs see the same collisions.
        SubscriptionIndex(Interest::new(1, 0, [1, 2, 3, 4]))
    }
}

impl SubscriptionIndex {
    /// Adds a plain subscription to a valid subject or pattern. Returns its key.
    pub fn subscribe(&mut self, subject: &[u8]) -> u32 {
        self.0.subscribe(0, subject, None, b"1").0
    }

    /// Removes a subscription. Returns whether there was one.
    pub fn unsubscribe(&mut self, key: u32) -> bool {
        self.0.unsubscribe(key).is_some()
    }

    /// Looks a published subject up. Returns how many subscriptions want it.
    #[inline]
    pub fn lookup(&mut self, subject: &[u8]) -> usize {
        self.0.lookup(subject).plain.len()
    }
}
