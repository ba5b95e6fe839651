//! What a look-up finds.

use super::beyond::Beyond;
use super::generation::Stamp;
use super::groups::SCANNED_MAX;
use smallvec::SmallVec;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// A queue group at one subject.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct QueueMatch {
    /// The group's name.
    pub(crate) name: Rc<[u8]>,
    /// Members on this core.
    pub(crate) local: Vec<u32>,
    /// Members on other cores: core and how many.
    pub(crate) remote: SmallVec<[(u16, u32); 2]>,
}

/// Who wants one literal subject.
#[derive(Debug, Default)]
pub(crate) struct Match {
    /// The subject. Inline, like the receivers: with many subjects each look-up is a chain of cache misses.
    pub(crate) subject: SmallVec<[u8; 36]>,
    /// Plain subscriptions on this core, in the order of their keys' insertion into the index.
    pub(crate) plain: SmallVec<[u32; 4]>,
    /// Queue groups, one entry a name over all patterns.
    pub(crate) queues: Vec<QueueMatch>,
    /// Other cores with plain subscriptions, as a mask.
    pub(crate) cores: u64,
    /// What leads out of the account.
    pub(crate) beyond: Option<Box<Beyond>>,
    /// Number of the rights (`session/rights.rs`) that were last found to allow publishing it; 0: none.
    pub(crate) allowed_for: Cell<u64>,
    pub(super) stamp: Stamp,
    reach: Reach,
}

/// How far a message goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Reach {
    /// Nobody wants it.
    #[default]
    Nowhere,
    /// Plain subscriptions of this core want it, and nobody else.
    Here,
    /// A choice has to be made, or it leaves this core or account.
    Beyond,
}

impl Match {
    /// Whether nobody wants it.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.reach == Reach::Nowhere
    }

    /// How far a message goes.
    #[inline]
    pub(crate) fn reach(&self) -> Reach {
        self.reach
    }

    /// What was collected is everything.
    pub(super) fn complete(&mut self) {
        if self.queues.len() > SCANNED_MAX {
            self.merge_queues();
        }
        self.reach = if !self.queues.is_empty() || self.cores != 0 || self.beyond.is_some() {
            Reach::Beyond
        } else if self.plain.is_empty() {
            Reach::Nowhere
        } else {
            Reach::Here
        };
    }

    pub(super) fn clear(&mut self) {
        self.subject.clear();
        self.plain.clear();
        self.queues.clear();
        self.cores = 0;
        self.beyond = None;
        self.allowed_for.set(0);
    }

    /// A group to add to, while this is collected. Where there are many it may come several times until all is collected.
    pub(super) fn queue_mut(&mut self, name: &[u8]) -> &mut QueueMatch {
        // Groups at one subject are few: a scan beats a map.
        let known = self.queues.iter().take(SCANNED_MAX).position(|queue| *queue.name == *name);
        let index = known.unwrap_or_else(|| {
            self.queues.push(QueueMatch { name: Rc::from(name), ..QueueMatch::default() });
            self.queues.len() - 1
        });
        &mut self.queues[index]
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        let subject = if self.subject.spilled() { self.subject.capacity() } else { 0 };
        let plain = if self.plain.spilled() { self.plain.capacity() * size_of::<u32>() } else { 0 };
        let groups = self.queues.iter().map(|queue| {
            let remote =
                if queue.remote.spilled() { queue.remote.capacity() * size_of::<(u16, u32)>() } else { 0 };
            size_of::<QueueMatch>() + queue.name.len() + queue.local.capacity() * size_of::<u32>() + remote
        });
        size_of::<Match>() + subject + plain + groups.sum::<usize>()
    }

    /// A group.
    pub(crate) fn queue(&self, name: &[u8]) -> Option<&QueueMatch> {
        if self.queues.len() <= SCANNED_MAX {
            return self.queues.iter().find(|queue| *queue.name == *name);
        }
        let index = self.queues.binary_search_by(|queue| (*queue.name).cmp(name)).ok()?;
        self.queues.get(index)
    }

    /// Puts many groups in the order of their names, and those together that came several times.
    fn merge_queues(&mut self) {
        self.queues.sort_by(|one, other| one.name.cmp(&other.name));
        self.queues.dedup_by(|again, first| {
            let is_same = again.name == first.name;
            if is_same {
                first.local.append(&mut again.local);
                again.remote.drain(..).for_each(|(core, weight)| first.add_remote(core, weight));
            }
            is_same
        });
    }
}

impl QueueMatch {
    /// Adds members on another core.
    pub(super) fn add_remote(&mut self, core: u16, weight: u32) {
        match self.remote.iter_mut().find(|remote| remote.0 == core) {
            Some(remote) => remote.1 += weight,
            None => self.remote.push((core, weight)),
        }
    }
}

/// What was last found for one subject, kept by who looks that subject up again and again. It does not keep what the cache
/// has given up: that may be large.
#[derive(Debug, Default)]
pub(crate) struct Remembered(pub(super) RefCell<Weak<Match>>);
