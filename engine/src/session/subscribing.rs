//! SUB and UNSUB.

use super::client::AfterBarrier;
use super::operations::Flow;
use crate::account::{AccountId, SubscribeVerdict};
use crate::interest::InterestChange;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::client::ProtocolError;
use petrel_protocol::subject;
use petrel_runtime::Io;

impl Shard {
    pub(super) fn subscribe(
        &mut self,
        key: u32,
        subject: &[u8],
        queue: Option<&[u8]>,
        sid: &[u8],
        io: &mut Io<'_, Mail>,
    ) -> Flow {
        if let Some(error) = self.refusal(key, subject, queue, sid) {
            self.tell(key, &error, io);
            return Flow::Next;
        }
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        let (account, verbose, count) = (session.account, session.verbose, session.subscriptions.len());
        // A sid in use keeps its subscription; the new one is ignored without a word.
        if self.find_subscription(key, sid).is_none() {
            if count >= self.subscriptions_max_of(account) {
                if let Some(session) = self.sessions.get(key) {
                    tracing::error!("{} - maximum subscriptions exceeded", session.label());
                }
                self.tell(key, &ProtocolError::MaximumSubscriptionsExceeded, io);
                return Flow::Next;
            }
            let interest = &mut self.accounts[account.index()].interest;
            let (subscription, change) = interest.subscribe(key, subject, queue, sid);
            self.remember_subscription(key, subscription, sid);
            self.filter_subscription(key, account, subscription);
            self.tell_cores(key, account, change);
            if !self.accounts[account.index()].edges.streams.is_empty() {
                self.cast_shadows(account, subscription);
            }
            self.share_interest_under_way(key, io);
        }
        if verbose { self.acknowledge_in_force(key, io) } else { Flow::Next }
    }

    /// Why a subscription is refused, if it is.
    fn refusal(&self, key: u32, subject: &[u8], queue: Option<&[u8]>, sid: &[u8]) -> Option<ProtocolError> {
        if !subject::is_valid_subscription(subject) {
            return Some(ProtocolError::InvalidSubject);
        }
        let is_reserved = queue == Some(b"_sys_");
        if is_reserved || self.subscribe_verdict(key, subject, queue) == SubscribeVerdict::Refused {
            self.log_subscribe_violation(key, subject, queue, sid);
            return Some(match queue {
                Some(queue) => ProtocolError::QueueSubscribePermission(subject.to_vec(), queue.to_vec()),
                None => ProtocolError::SubscribePermission(subject.to_vec()),
            });
        }
        let tokens_max = self.options.limits.subscription_tokens_max;
        if tokens_max > 0 && subject::tokens(subject).count() > tokens_max {
            return Some(ProtocolError::TooManyTokens(subject.to_vec()));
        }
        None
    }

    /// Subscriptions that one client of an account may have: what the server and the account allow.
    fn subscriptions_max_of(&self, account: AccountId) -> usize {
        let server = Some(self.options.limits.subscriptions_max).filter(|max| *max > 0);
        let spec = self.options.directory.accounts().get(account.index());
        let limit = spec.and_then(|spec| spec.limits.subscriptions_max);
        let limit = limit.and_then(|limit| usize::try_from(limit).ok());
        let limit = limit.filter(|_| !self.is_mutated(Mutation::AccountLimitsIgnored));
        server.unwrap_or(usize::MAX).min(limit.unwrap_or(usize::MAX))
    }

    /// Marks a subscription that also matches what its holder must not get.
    pub(super) fn filter_subscription(&mut self, key: u32, account: AccountId, subscription: u32) {
        if self.sessions.get(key).is_none_or(|session| session.rights.is_none()) {
            return;
        }
        let interest = &self.accounts[account.index()].interest;
        let Some(found) = interest.subscriptions().get(subscription) else { return };
        let (subject, queue) = (interest.subject_of(found), found.queue());
        let is_filtered = self.subscribe_verdict(key, &subject, queue) == SubscribeVerdict::Filtered;
        let rights = self.sessions.get(key).and_then(|session| session.rights.as_ref());
        let filter = rights.filter(|_| is_filtered).map(|rights| rights.permissions.clone());
        self.accounts[account.index()].interest.set_filter(subscription, filter);
    }

    pub(super) fn unsubscribe(
        &mut self,
        key: u32,
        sid: &[u8],
        max: Option<u64>,
        io: &mut Io<'_, Mail>,
    ) -> Flow {
        let Some(session) = self.sessions.get(key) else { return Flow::Closed };
        let (account, verbose, cid) = (session.account, session.verbose, session.cid);
        if let Some(found) = self.find_subscription(key, sid) {
            let subscriptions = self.accounts[account.index()].interest.subscriptions_mut();
            let max = max.unwrap_or(0);
            match subscriptions.get_mut(found) {
                Some(subscription) if max > subscription.delivered => subscription.set_max(max),
                _ => {
                    self.remove_subscription(account, found);
                    self.note_unsubscribed(key, account);
                }
            }
            if !self.ended_interest.is_empty() && self.end_forsaken(io) {
                self.note_consequence(key, cid);
            }
        }
        if verbose { self.acknowledge_in_force(key, io) } else { Flow::Next }
    }

    /// Appends `+OK` when the change of interest is in force on all cores: a client may rely on it as on PONG.
    fn acknowledge_in_force(&mut self, key: u32, io: &mut Io<'_, Mail>) -> Flow {
        let changed = self.sessions.get(key).is_some_and(|session| session.changed_interest);
        if changed && !self.start_barrier(key, AfterBarrier::Acknowledgement, io) {
            return Flow::Held;
        }
        self.acknowledge(key, io);
        Flow::Next
    }

    fn find_subscription(&self, key: u32, sid: &[u8]) -> Option<u32> {
        let session = self.sessions.get(key)?;
        let subscriptions = self.accounts[session.account.index()].interest.subscriptions();
        let hash = self.sid_hasher.hash_one(sid);
        session
            .subscriptions
            .find(hash, |key| subscriptions.get(*key).is_some_and(|found| *found.sid == *sid))
            .copied()
    }

    fn remember_subscription(&mut self, key: u32, subscription: u32, sid: &[u8]) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let subscriptions = self.accounts[session.account.index()].interest.subscriptions();
        let hasher = &self.sid_hasher;
        session.subscriptions.insert_unique(hasher.hash_one(sid), subscription, |key| {
            subscriptions.get(*key).map_or(0, |found| hasher.hash_one(&*found.sid))
        });
    }

    /// Removes a subscription from the index and from its session, and tells the other cores.
    pub(crate) fn remove_subscription(&mut self, account: AccountId, subscription: u32) {
        let interest = &mut self.accounts[account.index()].interest;
        let Some((removed, change)) = interest.unsubscribe(subscription) else { return };
        if self.options.trace.on {
            self.trace_removal(removed.session, &removed.sid);
        }
        if let Some(change) = &change {
            self.note_interest(account, change);
        }
        for (exporter, shadow) in removed.shadows() {
            self.remove_shadow(*exporter, *shadow);
        }
        if let Some(session) = self.sessions.get_mut(removed.session) {
            let hash = self.sid_hasher.hash_one(&*removed.sid);
            if let Ok(entry) = session.subscriptions.find_entry(hash, |key| *key == subscription) {
                entry.remove();
            }
            if session.subscriptions.is_empty() {
                session.subscriptions = hashbrown::HashTable::new();
            }
        }
        if !self.is_mutated(Mutation::InterestNotWithdrawn) {
            self.tell_cores(removed.session, account, change);
        }
    }

    /// Takes all of a session's subscriptions out of the index.
    pub(super) fn remove_all_subscriptions(&mut self, key: u32) {
        if self.is_mutated(Mutation::SubscriptionsOutliveSession) {
            return;
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        let account = session.account;
        let mut subscriptions: Vec<u32> = std::mem::take(&mut session.subscriptions).into_iter().collect();
        // The table's order is that of keyed hashes; the others are told in the order of keys.
        subscriptions.sort_unstable();
        for subscription in subscriptions {
            self.remove_subscription(account, subscription);
        }
    }

    /// Notes a change of interest for all other cores.
    pub(crate) fn tell_cores(&mut self, key: u32, account: AccountId, change: Option<InterestChange>) {
        let Some(change) = change else { return };
        if self.core_count == 1 {
            return;
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.reached_out = true;
            session.changed_interest = true;
        }
        for core in self.other_cores() {
            self.outgoing[core.index()].interest.push((account, change.clone()));
        }
    }
}
