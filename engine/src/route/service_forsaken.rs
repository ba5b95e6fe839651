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
use petrel_runtime::Io;

impl Shard {
    /// Interest of an account changed, on whatever core: when it ended, its requests are looked at before the turn ends.
    #[inline]
    pub(crate) fn note_interest(&mut self, account: AccountId, change: &InterestChange) {
        if !self.pending_replies.is_empty() && change.is_end() {
            self.ended_interest.push((account, change.clone()));
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
