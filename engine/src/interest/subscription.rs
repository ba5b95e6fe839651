//! Subscriptions of this core, and the lists they stand in.

use super::groups::Groups;
use super::shadow::Shadow;
use crate::account::{AccountId, Permissions};
use crate::arena::Arena;
use smallvec::SmallVec;
use std::sync::Arc;

/// End of a list.
const NONE: u32 = u32::MAX;

/// A client's key for a subscription: most are short numbers.
pub(crate) type Sid = SmallVec<[u8; 16]>;

/// Set in the key of a filtered subscription in a result, when its holder may get the result's subject: it was looked
/// at when the result was built. Keys stay far below.
const PASSES: u32 = 1 << 31;

/// A subscription's key as it stands in a result, and whether it is known to let the subject through.
#[inline]
pub(crate) fn unmarked(key: u32) -> (u32, bool) {
    (key & !PASSES, key & PASSES != 0)
}

/// One subscription. A million of them must fit: every byte here counts against 200 in all.
pub(crate) struct Subscription {
    /// The session that holds it.
    pub(crate) session: u32,
    node: u32,
    next: u32,
    previous: u32,
    /// Messages delivered so far.
    pub(crate) delivered: u64,
    /// The client's key.
    pub(crate) sid: Sid,
    /// What most subscriptions do not have.
    extra: Option<Box<Extra>>,
    is_pattern: bool,
    pub(super) is_shadow: bool,
    is_filtered: bool,
}

#[derive(Default)]
pub(super) struct Extra {
    queue: Option<Box<[u8]>>,
    max: u64,
    /// What its holder must not get.
    filter: Option<Arc<Permissions>>,
    pub(super) shadow: Option<Shadow>,
    pub(super) shadows: Vec<(AccountId, u32)>,
}

impl Subscription {
    pub(super) fn new(session: u32, sid: &[u8]) -> Subscription {
        Subscription {
            session,
            node: NONE,
            next: NONE,
            previous: NONE,
            delivered: 0,
            sid: Sid::from_slice(sid),
            extra: None,
            is_pattern: false,
            is_shadow: false,
            is_filtered: false,
        }
    }

    /// Whether its holder must not get some of what it matches.
    #[inline]
    pub(crate) fn is_filtered(&self) -> bool {
        self.is_filtered
    }

    /// Says what its holder must not get; `None`: it gets everything. Results of look-ups are stale then.
    pub(super) fn set_filter(&mut self, filter: Option<Arc<Permissions>>) {
        self.is_filtered = filter.is_some();
        if self.is_filtered || self.extra.is_some() {
            self.extra_mut().filter = filter;
        }
    }

    /// Whether its filter lets a subject through.
    fn passes(&self, subject: &[u8]) -> bool {
        let filter = self.extra.as_ref().and_then(|extra| extra.filter.as_ref());
        filter.is_none_or(|permissions| !permissions.is_denied(subject))
    }

    /// Whether it only leads to a subscription of another account.
    #[inline]
    pub(crate) fn is_shadow(&self) -> bool {
        self.is_shadow
    }

    pub(super) fn extra(&self) -> Option<&Extra> {
        self.extra.as_deref()
    }

    pub(super) fn extra_mut(&mut self) -> &mut Extra {
        self.extra.get_or_insert_default()
    }

    /// Deliveries after which it ends; 0: none.
    #[inline]
    pub(crate) fn max(&self) -> u64 {
        self.extra.as_ref().map_or(0, |extra| extra.max)
    }

    /// Sets the number of deliveries after which it ends; 0: none.
    pub(crate) fn set_max(&mut self, max: u64) {
        if max != 0 || self.extra.is_some() {
            self.extra.get_or_insert_default().max = max;
        }
    }

    /// The queue group.
    pub(crate) fn queue(&self) -> Option<&[u8]> {
        self.extra.as_ref().and_then(|extra| extra.queue.as_deref())
    }

    pub(super) fn node(&self) -> u32 {
        self.node
    }

    pub(super) fn is_pattern(&self) -> bool {
        self.is_pattern
    }
}

/// The subscriptions of an account on this core.
#[derive(Default)]
pub(crate) struct Subscriptions {
    arena: Arena<Subscription>,
}

impl Subscriptions {
    pub(super) fn insert(&mut self, subscription: Subscription) -> u32 {
        self.arena.insert(subscription)
    }

    pub(super) fn place(&mut self, key: u32, node: u32, is_pattern: bool, queue: Option<&[u8]>) {
        let Some(subscription) = self.arena.get_mut(key) else { return };
        subscription.node = node;
        subscription.is_pattern = is_pattern;
        if let Some(queue) = queue {
            subscription.extra.get_or_insert_default().queue = Some(queue.into());
        }
    }

    pub(super) fn remove(&mut self, key: u32) -> Option<Subscription> {
        self.arena.remove(key)
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.arena.len()
    }

    /// Those from a key on, in the order of keys.
    pub(crate) fn iter_from(&self, from: u32) -> impl Iterator<Item = (u32, &Subscription)> {
        self.arena.iter_from(from)
    }

    /// A subscription, while it exists.
    pub(crate) fn get(&self, key: u32) -> Option<&Subscription> {
        self.arena.get(unmarked(key).0)
    }

    /// A subscription to change.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: u32) -> Option<&mut Subscription> {
        self.arena.get_mut(unmarked(key).0)
    }
}

/// A doubly linked list through subscriptions: removal is constant however many share a subject.
#[derive(Clone, Copy, Debug)]
pub(super) struct SubscriptionList {
    head: u32,
    tail: u32,
}

impl Default for SubscriptionList {
    fn default() -> Self {
        SubscriptionList { head: NONE, tail: NONE }
    }
}

impl SubscriptionList {
    pub(super) fn is_empty(self) -> bool {
        self.head == NONE
    }

    /// Appends; true when the list was empty.
    pub(super) fn push(&mut self, subscriptions: &mut Subscriptions, key: u32) -> bool {
        let was_empty = self.is_empty();
        if let Some(tail) = subscriptions.arena.get_mut(self.tail) {
            tail.next = key;
        }
        if let Some(subscription) = subscriptions.arena.get_mut(key) {
            subscription.previous = self.tail;
            subscription.next = NONE;
        }
        if was_empty {
            self.head = key;
        }
        self.tail = key;
        was_empty
    }

    /// Removes a member; true when the list is empty now.
    pub(super) fn remove(&mut self, subscriptions: &mut Subscriptions, key: u32) -> bool {
        let Some(subscription) = subscriptions.arena.get(key) else { return self.is_empty() };
        let (previous, next) = (subscription.previous, subscription.next);
        match subscriptions.arena.get_mut(previous) {
            Some(previous) => previous.next = next,
            None => self.head = next,
        }
        match subscriptions.arena.get_mut(next) {
            Some(next) => next.previous = previous,
            None => self.tail = previous,
        }
        self.is_empty()
    }

    /// Lists the members for a result about `subject`.
    pub(super) fn collect(self, subscriptions: &Subscriptions, subject: &[u8], into: &mut impl Extend<u32>) {
        let mut key = self.head;
        while let Some(subscription) = subscriptions.arena.get(key) {
            let passes = subscription.is_filtered && subscription.passes(subject);
            into.extend([if passes { key | PASSES } else { key }]);
            key = subscription.next;
        }
    }
}

/// The queue groups at one subject or pattern.
pub(super) type QueueGroups = Groups<SubscriptionList>;

/// Removes a member, and its group when it was the last.
pub(super) fn remove_queue_member(
    groups: &mut QueueGroups,
    subscriptions: &mut Subscriptions,
    key: u32,
    name: &[u8],
) {
    if groups.get_mut(name).is_some_and(|members| members.remove(subscriptions, key)) {
        groups.remove(name);
    }
}
