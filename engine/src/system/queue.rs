//! What waits for the control plane: bounded, and what is asked apart from what is told, so that neither crowds out the
//! other.

use super::SystemNotice;
use crate::account::AccountId;
use std::collections::BTreeSet;

/// Notices of a core, requests and events each, that may wait for the control plane unless the options say otherwise.
pub const NOTICES_MAX: usize = 4096;
/// Bytes in them.
const NOTICE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Kinds of notices that are counted apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NoticeKind {
    /// Somebody asks; clients of any account can.
    Request,
    /// Something has happened that somebody wants to hear of.
    Event,
}

/// What a notice counts for, from when a core gives it out until the control plane is done with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoticeWeight {
    kind: NoticeKind,
    bytes: usize,
}

impl SystemNotice {
    /// What it counts for.
    pub fn weight(&self) -> NoticeWeight {
        let text = |record: &crate::snapshot::ConnectionSnapshot| {
            let user = record.user.as_ref().map_or(0, String::len);
            record.name.len() + record.lang.len() + record.version.len() + record.account.len() + user
        };
        match self {
            SystemNotice::Request(request) => {
                NoticeWeight { kind: NoticeKind::Request, bytes: request.headers.len() + request.body.len() }
            }
            SystemNotice::Connected(record)
            | SystemNotice::Disconnected(record)
            | SystemNotice::LoginRefused(record) => {
                NoticeWeight { kind: NoticeKind::Event, bytes: text(record) }
            }
            SystemNotice::AccountChanged(account) => {
                NoticeWeight { kind: NoticeKind::Event, bytes: account.len() }
            }
        }
    }
}

#[derive(Default)]
struct Waiting {
    count: usize,
    bytes: usize,
    /// Some were dropped since there was last room for one.
    is_dropping: bool,
}

/// What became of a notice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// It goes out.
    Given,
    /// Too much waits; it is the first that is dropped.
    DroppedFirst,
    /// Too much waits.
    Dropped,
}

/// How many notices of a core wait.
pub(crate) struct SystemQueue {
    limit: usize,
    requests: Waiting,
    events: Waiting,
    /// Accounts whose number of clients has changed when there was no room to tell. Bounded by the accounts there are.
    untold: BTreeSet<AccountId>,
}

impl SystemQueue {
    /// Nothing waits; `limit` of each kind may.
    pub(crate) fn new(limit: usize) -> SystemQueue {
        SystemQueue {
            limit,
            requests: Waiting::default(),
            events: Waiting::default(),
            untold: BTreeSet::new(),
        }
    }

    fn waiting(&mut self, kind: NoticeKind) -> &mut Waiting {
        match kind {
            NoticeKind::Request => &mut self.requests,
            NoticeKind::Event => &mut self.events,
        }
    }

    /// Counts a notice, when there is room for it.
    pub(crate) fn admit(&mut self, weight: NoticeWeight) -> Admission {
        let limit = self.limit;
        let waiting = self.waiting(weight.kind);
        if waiting.count >= limit || waiting.bytes + weight.bytes > NOTICE_BYTES_MAX {
            let was_dropping = std::mem::replace(&mut waiting.is_dropping, true);
            return if was_dropping { Admission::Dropped } else { Admission::DroppedFirst };
        }
        waiting.is_dropping = false;
        waiting.count += 1;
        waiting.bytes += weight.bytes;
        Admission::Given
    }

    /// The control plane is done with one.
    pub(crate) fn handled(&mut self, weight: NoticeWeight) {
        let waiting = self.waiting(weight.kind);
        waiting.count = waiting.count.saturating_sub(1);
        waiting.bytes = waiting.bytes.saturating_sub(weight.bytes);
    }

    /// Remembers to tell of an account when there is room.
    pub(crate) fn remember(&mut self, account: AccountId) {
        self.untold.insert(account);
    }

    /// An account to tell of, when there is room now.
    pub(crate) fn recall(&mut self) -> Option<AccountId> {
        if self.events.count >= self.limit { None } else { self.untold.pop_first() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: NoticeWeight = NoticeWeight { kind: NoticeKind::Event, bytes: 100 };
    const REQUEST: NoticeWeight = NoticeWeight { kind: NoticeKind::Request, bytes: 100 };

    #[test]
    fn each_kind_has_a_limit_of_its_own() {
        let mut queue = SystemQueue::new(NOTICES_MAX);
        for _ in 0..NOTICES_MAX {
            assert_eq!(queue.admit(EVENT), Admission::Given);
        }
        assert_eq!(queue.admit(EVENT), Admission::DroppedFirst);
        assert_eq!(queue.admit(EVENT), Admission::Dropped);
        assert_eq!(queue.admit(REQUEST), Admission::Given);
        queue.handled(REQUEST);
        assert_eq!(queue.admit(EVENT), Admission::Dropped);
        queue.handled(EVENT);
        assert_eq!(queue.admit(EVENT), Admission::Given);
        // It is told again when it begins again.
        assert_eq!(queue.admit(EVENT), Admission::DroppedFirst);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut queue = SystemQueue::new(NOTICES_MAX);
        let large = NoticeWeight { kind: NoticeKind::Request, bytes: NOTICE_BYTES_MAX / 2 + 1 };
        assert_eq!(queue.admit(large), Admission::Given);
        assert_eq!(queue.admit(large), Admission::DroppedFirst);
        queue.handled(large);
        assert_eq!(queue.admit(large), Admission::Given);
    }

    #[test]
    fn accounts_are_told_of_when_there_is_room() {
        let mut queue = SystemQueue::new(1);
        assert_eq!(queue.admit(EVENT), Admission::Given);
        queue.remember(AccountId(1));
        queue.remember(AccountId(1));
        assert_eq!(queue.recall(), None);
        queue.handled(EVENT);
        assert_eq!((queue.recall(), queue.recall()), (Some(AccountId(1)), None));
    }
}
