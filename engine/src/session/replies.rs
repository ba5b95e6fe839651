//! Leave to answer: the reply subjects of messages that a client received (reference: security.md, section 5).

use hashbrown::HashMap;
use petrel_config::ResponsePermission;
use petrel_runtime::Monotonic;
use std::collections::VecDeque;
use std::rc::Rc;

/// Reply subjects that are remembered for one client; beyond it the oldest is forgotten. Upstream has no limit.
const REPLIES_MAX: usize = 65_536;
/// Bytes of them, which are as long as those like who ask; forgotten alike.
const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Entries of the list by age that may be out of date before it is cleaned up.
const STALE_MAX: usize = 1024;

/// The reply subjects that a client may publish to for a while.
pub(crate) struct Replies {
    permission: ResponsePermission,
    // The order is never seen: only look-ups.
    by_subject: HashMap<Rc<[u8]>, Reply, ahash::RandomState>,
    /// Bytes of those subjects.
    bytes: usize,
    /// The oldest first. An entry whose time is not that of its subject any more is out of date.
    by_age: VecDeque<(Monotonic, Rc<[u8]>)>,
}

struct Reply {
    received: Monotonic,
    /// Messages that were published to it.
    sent: u32,
}

impl Replies {
    pub(crate) fn new(permission: ResponsePermission, hasher: ahash::RandomState) -> Replies {
        Replies { permission, by_subject: HashMap::with_hasher(hasher), bytes: 0, by_age: VecDeque::new() }
    }

    /// The permission changed; what was received before is judged by it from now on.
    pub(crate) fn set_permission(&mut self, permission: ResponsePermission) {
        self.permission = permission;
    }

    /// A message with this reply subject was delivered.
    pub(crate) fn expect(&mut self, reply: &[u8], now: Monotonic) {
        self.forget_old(now);
        if let Some(known) = self.by_subject.get_mut(reply) {
            *known = Reply { received: now, sent: 0 };
        }
        let subject: Rc<[u8]> = match self.by_subject.get_key_value(reply) {
            Some((subject, _)) => subject.clone(),
            None => {
                let subject: Rc<[u8]> = reply.into();
                self.by_subject.insert(subject.clone(), Reply { received: now, sent: 0 });
                self.bytes += subject.len();
                subject
            }
        };
        self.by_age.push_back((now, subject));
        while self.by_subject.len() > REPLIES_MAX || self.bytes > REPLY_BYTES_MAX {
            self.forget_oldest();
        }
    }

    /// Uses the leave to publish one message to this subject, if there is one.
    pub(crate) fn take(&mut self, subject: &[u8], now: Monotonic) -> bool {
        let Some(reply) = self.by_subject.get_mut(subject) else { return false };
        reply.sent = reply.sent.saturating_add(1);
        let is_late = self.permission.expires.is_some_and(|expires| now.since(reply.received) > expires);
        if is_late || self.permission.max.is_some_and(|max| reply.sent > max) {
            self.forget(subject);
            return false;
        }
        true
    }

    fn forget_oldest(&mut self) {
        if let Some((received, subject)) = self.by_age.pop_front()
            && self.by_subject.get(&subject).is_some_and(|reply| reply.received == received)
        {
            self.forget(&subject);
        }
    }

    fn forget(&mut self, subject: &[u8]) {
        if self.by_subject.remove(subject).is_some() {
            self.bytes -= subject.len();
        }
    }

    fn forget_old(&mut self, now: Monotonic) {
        while let Some((received, subject)) = self.by_age.front() {
            let is_current = self.by_subject.get(subject).is_some_and(|reply| reply.received == *received);
            let is_late = self.permission.expires.is_some_and(|expires| now.since(*received) > expires);
            if is_current && !is_late {
                break;
            }
            self.forget_oldest();
        }
        if self.by_age.len() > 2 * self.by_subject.len() + STALE_MAX {
            let by_subject = &self.by_subject;
            self.by_age.retain(|(received, subject)| {
                by_subject.get(subject).is_some_and(|reply| reply.received == *received)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn replies(max: Option<u32>, expires: Option<u64>) -> Replies {
        let permission = ResponsePermission { max, expires: expires.map(Duration::from_secs) };
        Replies::new(permission, ahash::RandomState::with_seeds(1, 2, 3, 4))
    }

    fn at(seconds: u64) -> Monotonic {
        Monotonic::default().after(Duration::from_secs(seconds))
    }

    #[test]
    fn each_reply_subject_is_counted_by_itself() {
        let mut replies = replies(Some(2), Some(60));
        replies.expect(b"a", at(1));
        assert!(!replies.take(b"b", at(1)));
        assert!(replies.take(b"a", at(2)) && replies.take(b"a", at(2)));
        assert!(!replies.take(b"a", at(2)) && !replies.take(b"a", at(2)));
        replies.expect(b"a", at(3));
        assert!(replies.take(b"a", at(4)), "asked again, it may be answered again");
    }

    #[test]
    fn leave_ends_after_a_while() {
        let mut replies = replies(None, Some(10));
        replies.expect(b"a", at(1));
        assert!((0..100).all(|_| replies.take(b"a", at(11))));
        assert!(!replies.take(b"a", at(12)));
        for second in 20..1000 {
            replies.expect(format!("r.{second}").as_bytes(), at(second));
        }
        assert!(replies.by_subject.len() <= 12 && replies.by_age.len() <= 12);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut replies = replies(Some(1), None);
        for number in 0..REPLIES_MAX + 10 {
            replies.expect(format!("r.{number}").as_bytes(), at(1));
        }
        assert_eq!(replies.by_subject.len(), REPLIES_MAX);
        assert!(!replies.take(b"r.9", at(1)) && replies.take(b"r.10", at(1)));
        for number in 0..REPLIES_MAX * 3 {
            let subject = format!("s.{number}");
            replies.expect(subject.as_bytes(), at(2));
            assert!(replies.take(subject.as_bytes(), at(2)) && !replies.take(subject.as_bytes(), at(2)));
        }
        assert!(replies.by_age.len() <= 2 * replies.by_subject.len() + STALE_MAX + 1);
    }

    /// As many as are remembered took a quarter of a gigabyte of one client when each was as long as a control line.
    #[test]
    fn long_subjects_make_room_for_each_other() {
        let mut replies = replies(Some(2), None);
        for number in 0..5000 {
            let subject = format!("{number:04000}");
            replies.expect(subject.as_bytes(), at(1));
            if number % 7 == 0 {
                assert!((0..3).filter(|_| replies.take(subject.as_bytes(), at(1))).count() == 2);
            }
            let bytes: usize = replies.by_subject.keys().map(|subject| subject.len()).sum();
            assert!(bytes <= REPLY_BYTES_MAX, "{bytes}");
            assert_eq!(replies.bytes, bytes);
        }
        assert!(!replies.take(format!("{:04000}", 1).as_bytes(), at(1)));
        assert!(replies.take(format!("{:04000}", 4999).as_bytes(), at(1)));
        let listed: usize = replies.by_age.iter().map(|(_, subject)| subject.len()).sum();
        assert!(listed <= 3 * REPLY_BYTES_MAX + 4000 * STALE_MAX, "{listed}");
    }
}
