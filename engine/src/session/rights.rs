//! What a session may do, as one core keeps it: the permissions of its user, with the verdicts found so far.

use super::authentication::Identity;
use super::client::Session;
use super::replies::Replies;
use crate::account::{Permissions, SubscribeVerdict};
use crate::interest::Match;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::shard::Shard;
use hashbrown::HashMap;
use petrel_protocol::client::ProtocolError;
use petrel_protocol::quote::go_quote;
use petrel_runtime::{Io, Monotonic};
use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// Verdicts that are kept for one user on one core; then all are found anew.
const VERDICTS_MAX: usize = 512;
/// Longer subjects are judged each time.
const VERDICT_SUBJECT_BYTES_MAX: usize = 256;

/// The permissions of a user, shared by its sessions on this core.
pub(crate) struct Rights {
    /// Never 0, and never used again on this core.
    number: u64,
    pub(crate) permissions: Arc<Permissions>,
    publish_all: bool,
    /// Whether a literal subject may be published to. The order is never seen.
    verdicts: RefCell<HashMap<Box<[u8]>, bool, ahash::RandomState>>,
}

impl Rights {
    fn new(number: u64, permissions: Arc<Permissions>, hasher: ahash::RandomState) -> Rights {
        let verdicts = RefCell::new(HashMap::with_hasher(hasher));
        Rights { number, publish_all: permissions.may_publish_all(), permissions, verdicts }
    }

    /// Whether the user's lists allow a message on this subject.
    pub(crate) fn may_publish(&self, subject: &[u8]) -> bool {
        if self.publish_all {
            return true;
        }
        let mut verdicts = self.verdicts.borrow_mut();
        if let Some(verdict) = verdicts.get(subject) {
            return *verdict;
        }
        let verdict = self.permissions.may_publish(subject);
        if subject.len() <= VERDICT_SUBJECT_BYTES_MAX {
            if verdicts.len() >= VERDICTS_MAX {
                verdicts.clear();
            }
            verdicts.insert(subject.into(), verdict);
        }
        verdict
    }

    /// As [`Rights::may_publish`], of a message whose receivers were looked up: the last who was let is remembered with
    /// what was found, which is at hand.
    #[inline]
    pub(crate) fn let_publish(&self, subject: &[u8], found: &Match) -> bool {
        if self.publish_all || found.allowed_for.get() == self.number {
            return true;
        }
        let is_let = self.may_publish(subject);
        if is_let {
            found.allowed_for.set(self.number);
        }
        is_let
    }
}

/// The rights of the users that are logged in on this core, by their number in the directory.
pub(crate) type RightsByUser = HashMap<u32, Weak<Rights>, ahash::RandomState>;

impl Session {
    /// Whether a message may be delivered to one of its subscriptions that is filtered, and notes the reply subject
    /// that it gets leave to publish to by that.
    #[cold]
    pub(crate) fn admits_delivery(
        &mut self,
        is_filtered: bool,
        subject: &[u8],
        reply: Option<&[u8]>,
        now: Monotonic,
    ) -> bool {
        let Some(rights) = &self.rights else { return true };
        if is_filtered && rights.permissions.is_denied(subject) {
            return false;
        }
        if let (Some(replies), Some(reply)) = (&mut self.replies, reply)
            && !rights.may_publish(reply)
        {
            replies.expect(reply, now);
        }
        true
    }
}

impl Shard {
    /// Gives a session the rights of who it turned out to be.
    pub(crate) fn grant(&mut self, key: u32, identity: Identity) {
        let rights = self.rights_of(&identity);
        let hasher = self.sid_hasher.clone();
        let mut responses = rights.as_ref().and_then(|rights| rights.permissions.responses);
        if let Some(permission) = &mut responses {
            permission.max = permission.max.filter(|_| !self.is_mutated(Mutation::AnswersUncounted));
            permission.expires = permission.expires.filter(|_| !self.is_mutated(Mutation::AnswersUntimed));
        }
        let is_forgetful = self.is_mutated(Mutation::ReloadForgetsReplies);
        let Some(session) = self.sessions.get_mut(key) else { return };
        match (responses, &mut session.replies) {
            (Some(permission), Some(replies)) if !is_forgetful => replies.set_permission(permission),
            (Some(permission), _) => {
                session.replies = Some(Box::new(Replies::new(permission, hasher)));
            }
            (None, _) => session.replies = None,
        }
        session.rights = rights;
        session.identity = identity;
    }

    fn rights_of(&mut self, identity: &Identity) -> Option<Rc<Rights>> {
        let permissions = identity.permissions()?;
        let Identity::User(user) = identity else { return None };
        if let Some(rights) = self.rights.get(&user.index).and_then(Weak::upgrade)
            && Arc::ptr_eq(&rights.permissions, permissions)
        {
            return Some(rights);
        }
        let number = self.token();
        let rights = Rc::new(Rights::new(number, permissions.clone(), self.sid_hasher.clone()));
        self.rights.insert(user.index, Rc::downgrade(&rights));
        Some(rights)
    }

    /// Whether a session that has rights of its own may not publish this; then it is told.
    #[inline(never)]
    pub(crate) fn refuses_publish(&mut self, key: u32, subject: &[u8], io: &mut Io<'_, Mail>) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return true };
        let Some(rights) = &session.rights else { return false };
        if rights.may_publish(subject) {
            return false;
        }
        if let Some(replies) = &mut session.replies
            && replies.take(subject, io.now())
        {
            return false;
        }
        tracing::error!("{} - Publish Violation - Subject {}", session.label(), go_quote(subject));
        self.tell(key, &ProtocolError::PublishPermission(subject.to_vec()), io);
        true
    }

    /// What a session's permissions say of a subscription.
    pub(crate) fn subscribe_verdict(
        &self,
        key: u32,
        subject: &[u8],
        queue: Option<&[u8]>,
    ) -> SubscribeVerdict {
        let rights = self.sessions.get(key).and_then(|session| session.rights.as_ref());
        match rights.map_or(SubscribeVerdict::Allowed, |rights| rights.permissions.subscribe(subject, queue))
        {
            SubscribeVerdict::Filtered if self.is_mutated(Mutation::DeniedDelivered) => {
                SubscribeVerdict::Allowed
            }
            verdict => verdict,
        }
    }

    /// Says in the log that a subscription was refused.
    pub(crate) fn log_subscribe_violation(&self, key: u32, subject: &[u8], queue: Option<&[u8]>, sid: &[u8]) {
        let Some(session) = self.sessions.get(key) else { return };
        let queue = queue.map_or(String::new(), |queue| format!("Queue: {}, ", go_quote(queue)));
        let (label, sid) = (session.label(), String::from_utf8_lossy(sid));
        tracing::error!("{label} - Subscription Violation - Subject {}, {queue}SID {sid}", go_quote(subject));
    }
}
