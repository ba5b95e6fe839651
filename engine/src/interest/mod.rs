//! Who wants which subjects: one index for each account and core.
//!
//! Literal subjects lie in a hash table, wildcard patterns in a tree by token. Beside the core's own
//! subscriptions the index knows what the other cores want: for literal subjects a counted 64-bit
//! fingerprint is enough (a collision costs an envelope that finds nobody; delivery decides, not interest),
//! for patterns and queue groups the real thing.
//!
//! The result of a look-up is cached by literal subject. A change to a literal subject drops that subject's
//! result; a change to a pattern makes those results stale that begin like it (`generation`).

mod beyond;
mod cache;
mod generation;
mod groups;
mod literal;
mod matched;
mod remote;
mod shadow;
mod subscription;
#[cfg(test)]
mod tests;
mod wildcard;

pub(crate) use beyond::Beyond;
pub(crate) use matched::{Match, QueueMatch, Reach, Remembered};
pub(crate) use shadow::Shadow;
pub(crate) use subscription::{Subscription, Subscriptions, unmarked};

use crate::account::{Permissions, ServiceImport};
use ahash::RandomState;
use beyond::ServiceIndex;
use cache::Cache;
use generation::Generations;
use literal::LiteralIndex;
use petrel_protocol::subject;
use remote::RemoteInterest;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use wildcard::WildcardTree;

/// Most cores of a node: sets of cores are 64-bit masks.
pub const CORES_MAX: usize = 64;

/// A change of a core's interest, as the other cores are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InterestChange {
    /// The first plain subscription to the literal subject with this fingerprint came, or the last one went.
    Literal { fingerprint: u64, added: bool },
    /// The first plain subscription to a pattern came, or the last one went.
    Pattern { pattern: Box<[u8]>, added: bool },
    /// A member of a queue group came or went.
    Queue { subject: Box<[u8]>, queue: Box<[u8]>, added: bool },
}

impl InterestChange {
    /// Whether interest ended.
    pub(crate) fn is_end(&self) -> bool {
        let (Self::Literal { added, .. } | Self::Pattern { added, .. } | Self::Queue { added, .. }) = self;
        !added
    }
}

/// What happened to an index since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct IndexCounters {
    /// Subscriptions made on this core.
    pub(crate) inserts: u64,
    /// Subscriptions removed on this core.
    pub(crate) removes: u64,
    /// Look-ups that no result at hand answered.
    pub(crate) searches: u64,
}

/// The index of one account on one core.
pub(crate) struct Interest {
    hasher: RandomState,
    subscriptions: Subscriptions,
    literals: LiteralIndex,
    wildcards: WildcardTree,
    remote: RemoteInterest,
    services: ServiceIndex,
    core: u16,
    cache: Cache,
    /// The last result, so that runs of one subject need no hashing.
    recent: Rc<Match>,
    /// Results that are not worth caching are built in here.
    scratch: Rc<Match>,
    generations: Generations,
    counters: IndexCounters,
}

impl Interest {
    /// An empty index. `key` must be the same on all cores of a node: fingerprints travel.
    pub(crate) fn new(core_count: usize, core: usize, key: [u64; 4]) -> Interest {
        assert!(core_count <= CORES_MAX, "at most {CORES_MAX} cores");
        let stale = Rc::new(Match::default());
        stale.stamp.outdate();
        let hasher = RandomState::with_seeds(key[0], key[1], key[2], key[3]);
        Interest {
            wildcards: WildcardTree::new(hasher.clone()),
            hasher,
            subscriptions: Subscriptions::default(),
            literals: LiteralIndex::default(),
            remote: RemoteInterest::new(core_count, core),
            services: ServiceIndex::default(),
            core: u16::try_from(core).expect("at most CORES_MAX cores"),
            cache: Cache::default(),
            recent: stale,
            scratch: Rc::default(),
            generations: Generations::default(),
            counters: IndexCounters::default(),
        }
    }

    /// The services of other accounts that are called from here.
    pub(crate) fn set_services(&mut self, services: &[Arc<ServiceImport>]) {
        self.services = ServiceIndex::new(services);
        // Every result may lead elsewhere now.
        self.patterns_changed(b">");
    }

    /// What happened since the start.
    pub(crate) fn counters(&self) -> IndexCounters {
        self.counters
    }

    /// The number of receivers in each cached result.
    pub(crate) fn cached_fanouts(&self) -> impl Iterator<Item = u64> {
        self.cache.fanouts()
    }

    /// The subscriptions that this index holds.
    pub(crate) fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// The subscriptions, to count deliveries. Subjects and queues must not be changed through it.
    pub(crate) fn subscriptions_mut(&mut self) -> &mut Subscriptions {
        &mut self.subscriptions
    }

    /// What stands for a literal subject among cores, the same on all of them.
    pub(crate) fn fingerprint(&self, subject: &[u8]) -> u64 {
        self.hasher.hash_one(subject)
    }

    /// Adds a subscription of this core to a valid subject. Returns its key and what the other cores must be
    /// told.
    pub(crate) fn subscribe(
        &mut self,
        session: u32,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
    ) -> (u32, Option<InterestChange>) {
        self.counters.inserts += 1;
        let key = self.subscriptions.insert(Subscription::new(session, sid));
        let change = if subject::has_wildcard(subject) {
            let node = self.wildcards.insert(subject);
            let terminal = self.wildcards.terminal_mut(node);
            let first = match queue {
                None => terminal.plain.push(&mut self.subscriptions, key),
                Some(queue) => {
                    let group = terminal.queue_mut(queue);
                    group.push(&mut self.subscriptions, key);
                    false
                }
            };
            self.subscriptions.place(key, node, true, queue);
            self.patterns_changed(subject);
            pattern_change(subject, queue, first, true)
        } else {
            let fingerprint = self.fingerprint(subject);
            let node = self.literals.insert(fingerprint, subject);
            let entry = self.literals.entry_mut(node);
            let first = match queue {
                None => entry.plain.push(&mut self.subscriptions, key),
                Some(queue) => {
                    entry.queue_mut(queue).push(&mut self.subscriptions, key);
                    false
                }
            };
            self.subscriptions.place(key, node, false, queue);
            self.cache.invalidate(fingerprint);
            literal_change(fingerprint, subject, queue, first, true)
        };
        (key, change)
    }

    /// Says what the holder of a subscription must not get.
    pub(crate) fn set_filter(&mut self, key: u32, filter: Option<Arc<Permissions>>) {
        let Some(subscription) = self.subscriptions.get_mut(key) else { return };
        if filter.is_none() && !subscription.is_filtered() {
            return;
        }
        subscription.set_filter(filter);
        let (node, is_pattern) = (subscription.node(), subscription.is_pattern());
        if is_pattern {
            let pattern = self.wildcards.pattern(node);
            self.patterns_changed(&pattern);
        } else {
            let fingerprint = self.fingerprint(&self.literals.entry(node).subject);
            self.cache.invalidate(fingerprint);
        }
    }

    /// Removes a subscription. Returns it and what the other cores must be told.
    pub(crate) fn unsubscribe(&mut self, key: u32) -> Option<(Subscription, Option<InterestChange>)> {
        let (node, is_pattern, queue) = {
            let subscription = self.subscriptions.get(key)?;
            (subscription.node(), subscription.is_pattern(), subscription.queue().map(Box::<[u8]>::from))
        };
        let change = if is_pattern {
            let pattern = self.wildcards.pattern(node);
            let terminal = self.wildcards.terminal_mut(node);
            let last = terminal.remove(&mut self.subscriptions, key, queue.as_deref());
            self.wildcards.prune(node);
            self.patterns_changed(&pattern);
            pattern_change(&pattern, queue.as_deref(), last, false)
        } else {
            let entry = self.literals.entry_mut(node);
            let last = entry.remove(&mut self.subscriptions, key, queue.as_deref());
            let subject: &[u8] = &entry.subject;
            let fingerprint = self.hasher.hash_one(subject);
            let change = literal_change(fingerprint, subject, queue.as_deref(), last, false);
            self.literals.prune(fingerprint, node);
            self.cache.invalidate(fingerprint);
            change
        };
        self.counters.removes += 1;
        let subscription = self.subscriptions.remove(key)?;
        Some((subscription, change))
    }

    /// The subject of a subscription.
    pub(crate) fn subject_of(&self, subscription: &Subscription) -> Vec<u8> {
        if subscription.is_pattern() {
            self.wildcards.pattern(subscription.node())
        } else {
            self.literals.entry(subscription.node()).subject.to_vec()
        }
    }

    /// Whether a subscription of any core matches a literal subject.
    pub(crate) fn wants(&mut self, subject: &[u8]) -> bool {
        let found = self.lookup(subject);
        !found.plain.is_empty() || !found.queues.is_empty() || found.cores != 0
    }

    /// Takes in what another core wants.
    pub(crate) fn apply(&mut self, core: usize, change: InterestChange) {
        match change {
            InterestChange::Literal { fingerprint, added } => {
                self.remote.change_literal(core, fingerprint, added);
                self.cache.invalidate(fingerprint);
            }
            InterestChange::Pattern { pattern, added } => {
                let node = self.wildcards.insert(&pattern);
                self.wildcards.terminal_mut(node).change_remote(core, None, added);
                self.wildcards.prune(node);
                self.patterns_changed(&pattern);
            }
            InterestChange::Queue { subject, queue, added } => {
                if subject::has_wildcard(&subject) {
                    let node = self.wildcards.insert(&subject);
                    self.wildcards.terminal_mut(node).change_remote(core, Some(&queue), added);
                    self.wildcards.prune(node);
                    self.patterns_changed(&subject);
                } else {
                    let fingerprint = self.fingerprint(&subject);
                    self.remote.change_queue(core, fingerprint, &queue, added);
                    self.cache.invalidate(fingerprint);
                }
            }
        }
    }

    fn patterns_changed(&mut self, pattern: &[u8]) {
        self.generations.pattern_changed(pattern, |prefix| self.hasher.hash_one(prefix));
    }

    /// Who wants a subject that a message was published to. The result stays true until the index changes.
    #[inline]
    pub(crate) fn lookup(&mut self, subject: &[u8]) -> Rc<Match> {
        if subject::is_same(&self.recent.subject, subject) && self.generations.is_current(&self.recent.stamp)
        {
            return Rc::clone(&self.recent);
        }
        self.lookup_cached(subject)
    }

    /// As [`Interest::lookup`], without a search while what is remembered of this subject is true.
    #[inline]
    pub(crate) fn lookup_remembered(&mut self, subject: &[u8], remembered: &Remembered) -> Rc<Match> {
        let last = remembered.0.borrow().upgrade();
        if let Some(found) = last.filter(|found| self.generations.is_current(&found.stamp)) {
            debug_assert_eq!(found.subject[..], *subject, "one subject for each memory");
            return found;
        }
        let found = self.lookup(subject);
        // Only what is cached learns of changes to its subject.
        let is_cached = Rc::ptr_eq(&found, &self.recent);
        remembered.0.replace(if is_cached { Rc::downgrade(&found) } else { Weak::new() });
        found
    }

    fn lookup_cached(&mut self, subject: &[u8]) -> Rc<Match> {
        let fingerprint = self.fingerprint(subject);
        if let Some(found) = self.cache.get(fingerprint, subject) {
            let found = Rc::clone(found);
            if !self.generations.is_current(&found.stamp) {
                return self.rebuild(found, fingerprint, subject);
            }
            self.recent = Rc::clone(&found);
            return found;
        }
        self.counters.searches += 1;
        // A subject is cached the second time it is seen: inboxes that are used once do not push out others.
        if self.cache.seen_before(fingerprint) {
            let mut found = Match::default();
            self.build(&mut found, fingerprint, subject);
            let found = Rc::new(found);
            self.cache.insert(fingerprint, Rc::clone(&found));
            self.recent = Rc::clone(&found);
            return found;
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        if Rc::get_mut(&mut scratch).is_none() {
            scratch = Rc::default();
        }
        let found = Rc::get_mut(&mut scratch).expect("made unique above");
        self.collect(found, fingerprint, subject);
        // Used once: what it rests on need not be found out.
        found.stamp.outdate();
        self.scratch = Rc::clone(&scratch);
        scratch
    }

    /// Builds a stale result anew, in its own memory where nobody else holds it.
    fn rebuild(&mut self, stale: Rc<Match>, fingerprint: u64, subject: &[u8]) -> Rc<Match> {
        self.counters.searches += 1;
        self.cache.invalidate(fingerprint);
        if Rc::ptr_eq(&self.recent, &stale) {
            self.recent = Rc::clone(&self.scratch);
        }
        let mut found = Rc::try_unwrap(stale).unwrap_or_default();
        self.build(&mut found, fingerprint, subject);
        let found = Rc::new(found);
        self.cache.insert(fingerprint, Rc::clone(&found));
        self.recent = Rc::clone(&found);
        found
    }

    /// Builds a result that is to be kept.
    fn build(&self, found: &mut Match, fingerprint: u64, subject: &[u8]) {
        self.collect(found, fingerprint, subject);
        found.stamp = self.generations.stamp(subject, |prefix| self.hasher.hash_one(prefix));
    }

    fn collect(&self, found: &mut Match, fingerprint: u64, subject: &[u8]) {
        found.clear();
        found.subject.extend_from_slice(subject);
        self.literals.collect(fingerprint, subject, &self.subscriptions, found);
        self.remote.collect(fingerprint, found);
        self.wildcards.collect(subject, &self.subscriptions, found);
        found.beyond = self.services.find(subject);
        if let Some(owner) = found.beyond.as_ref().and_then(|beyond| beyond.owner)
            && owner != self.core
            && self.remote.is_core(owner)
        {
            // Who knows whose request this answers is a receiver of it.
            found.cores |= 1 << owner;
        }
        found.complete();
    }
}

fn queue_change(subject: &[u8], queue: &[u8], added: bool) -> InterestChange {
    InterestChange::Queue { subject: subject.into(), queue: queue.into(), added }
}

fn pattern_change(
    pattern: &[u8],
    queue: Option<&[u8]>,
    is_transition: bool,
    added: bool,
) -> Option<InterestChange> {
    match queue {
        Some(queue) => Some(queue_change(pattern, queue, added)),
        None => is_transition.then(|| InterestChange::Pattern { pattern: pattern.into(), added }),
    }
}

fn literal_change(
    fingerprint: u64,
    subject: &[u8],
    queue: Option<&[u8]>,
    is_transition: bool,
    added: bool,
) -> Option<InterestChange> {
    match queue {
        Some(queue) => Some(queue_change(subject, queue, added)),
        None => is_transition.then_some(InterestChange::Literal { fingerprint, added }),
    }
}
