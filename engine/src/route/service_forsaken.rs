//! Requests whose answer nobody waits for any more. As upstream, the way back of a request ends when the last
//! subscription of its account that could hear the answer goes; a request whose answer nobody could hear from the
//! beginning stays.

use super::service_latency::Outcome;
use crate::account::AccountId;
use crate::interest::InterestChange;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::subject;
use petrel_runtime::{CoreId, Io};

impl Shard {
    /// Interest of an account changed, on whatever core: when it ended, its requests are looked at before the turn ends.
    #[inline]
    pub(crate) fn note_interest(&mut self, account: AccountId, change: &InterestChange) {
        if !self.pending_replies.is_empty() && change.is_end() {
            self.ended_interest.push((account, change.clone()));
        }
    }

    /// Interest of another core's clients changed.
    pub(crate) fn take_interest(
        &mut self,
        from: CoreId,
        changes: Vec<(AccountId, InterestChange)>,
        io: &mut Io<'_, Mail>,
    ) {
        for (account, change) in changes {
            self.note_interest(account, &change);
            self.accounts[account.index()].interest.apply(from.index(), change);
        }
        if !self.ended_interest.is_empty()
            && self.end_forsaken(io)
            && !self.is_mutated(Mutation::ForsakenNotForwarded)
        {
            self.note_forward_for(from);
        }
    }

    /// A client of this core gave up a subscription. Where services are measured, another core may tell third ones of
    /// requests that end by that: the client's next PONG waits until they have heard. A subscription that ends because it
    /// got its last message makes nobody wait: who published that would have to wait for a third core's third. Upstream
    /// promises no more: there such an event came behind the publisher's PONG, and behind a later one of its listener's, 17
    /// times out of 300.
    pub(crate) fn note_unsubscribed(&mut self, key: u32, account: AccountId) {
        if self.core_count == 1
            || !self.accounts[account.index()].edges.measures
            || self.is_mutated(Mutation::ForsakenNotAwaited)
        {
            return;
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.reached_out = true;
            session.awaits_returns = true;
        }
    }

    /// Ends the requests whose answer nobody waits for any more. Returns whether that was told on other cores.
    pub(crate) fn end_forsaken(&mut self, io: &mut Io<'_, Mail>) -> bool {
        let mut is_told = false;
        while let Some((account, change)) = self.ended_interest.pop() {
            if self.is_mutated(Mutation::ForsakenRequestsStay) {
                continue;
            }
            for token in self.heard_by(account, &change) {
                let Some(pending) = self.pending_replies.get(token) else { continue };
                if self.accounts[account.index()].interest.wants(&pending.reply) {
                    continue;
                }
                let forsaken = self.pending_replies.remove(token);
                is_told |=
                    forsaken.is_some_and(|pending| self.publish_latency(pending, Outcome::RequesterGone, io));
            }
        }
        is_told
    }

    /// The requests whose answers a subscription that has gone would have heard.
    fn heard_by(&self, account: AccountId, change: &InterestChange) -> Vec<u64> {
        match change {
            InterestChange::Literal { fingerprint, .. } => {
                self.pending_replies.with_fingerprint(account, *fingerprint)
            }
            InterestChange::Pattern { pattern, .. } => self.pending_replies.matching(account, pattern),
            InterestChange::Queue { subject, .. } if subject::has_wildcard(subject) => {
                self.pending_replies.matching(account, subject)
            }
            InterestChange::Queue { subject, .. } => {
                let fingerprint = self.accounts[account.index()].interest.fingerprint(subject);
                self.pending_replies.with_fingerprint(account, fingerprint)
            }
        }
    }
}
