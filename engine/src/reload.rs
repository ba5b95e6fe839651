//! A new configuration, in three steps, each taken by all cores before the next begins: first every core gets the new
//! accounts (a core may otherwise hear from a session of an account that it does not know), then the options change.
//!
//! With the second step every session is looked at again ([`Review`]), and before them the subscriptions of accounts that
//! import other streams now, some in each turn, so that messages are not held up by twenty thousand of them. Until its own
//! turn comes a session has the rights that it had; the step is answered when all have been looked at, and so nobody has
//! them any more when the reload is told as done. Who logs in or subscribes meanwhile does so under the new options. The third
//! step waits for those to be closed, on all cores, whom new limits leave no room for.

use crate::account::{Account, AccountId, Directory};
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::options::Options;
use crate::session::keepalive::TimerKind;
use crate::shard::NO_SESSION;
use crate::shard::Shard;
use crossbeam_channel::Sender;
use petrel_protocol::client::ParseLimits;
use petrel_runtime::Io;
use std::collections::VecDeque;
use std::sync::Arc;

/// Sessions, and subscriptions whose holder's permissions or whose account's imports have changed, that are looked at in
/// one turn: a tenth of a millisecond, and less than one when all of them are closed.
pub(crate) const REVIEWED_A_TURN: usize = 128;

/// So many imports of an account count, for each of its subscriptions, as much as a session.
const IMPORTS_A_STEP: usize = 32;

/// Sessions and subscriptions that are being looked at again.
#[derive(Default)]
pub(crate) struct Review {
    /// Accounts that hear other streams now, each with the key from which on its subscriptions have not been looked at.
    recasts: VecDeque<(AccountId, u32)>,
    /// The key from which on they have not been looked at.
    next: u32,
    /// What the last one that was looked at has subscribed to.
    held: Option<HeldSubscriptions>,
    /// Clients that were closed because their certificate is not pinned any more.
    pub(crate) unpinned: usize,
    /// Who waits for the end. More than one when a reload was given up by who asked for it.
    done: Vec<Sender<()>>,
}

/// Subscriptions of a session that may not be allowed any more.
pub(crate) struct HeldSubscriptions {
    /// The session, and its connection's id, for the key may be another's when its turn comes.
    pub(crate) session: u32,
    pub(crate) cid: u64,
    /// The account in which they are.
    pub(crate) account: AccountId,
    /// Their keys, rising.
    pub(crate) keys: VecDeque<u32>,
}

impl Shard {
    /// Adds the accounts that are new.
    pub(crate) fn prepare_reload(&mut self, options: &Options) {
        for spec in options.directory.accounts().iter().skip(self.accounts.len()) {
            self.accounts.push(Account::new(spec, self.core_count, self.core.index(), self.key));
        }
    }

    /// Gives every account the edges that the new directory has for it. Returns those that hear other streams now.
    fn change_edges(&mut self, directory: &Directory) -> Vec<AccountId> {
        let mut changed = Vec::new();
        for (index, spec) in directory.accounts().iter().enumerate() {
            let account = &mut self.accounts[index];
            if account.edges.streams != spec.edges.streams {
                changed.push(AccountId(u16::try_from(index).expect("accounts are numbered by u16")));
            }
            account.change_edges(&spec.edges);
        }
        if self.is_mutated(Mutation::ReloadKeepsShadows) { Vec::new() } else { changed }
    }

    /// Goes over to new options; `done` is told when no session acts by the old ones any more.
    pub(crate) fn reload(&mut self, options: Arc<Options>, done: Sender<()>, io: &mut Io<'_, Mail>) {
        self.prepare_reload(&options);
        self.parse_limits = ParseLimits {
            control_line_max: options.limits.control_line_max,
            payload_max: options.limits.payload_max,
        };
        // Requests under way keep their way back, as upstream's do.
        if self.is_mutated(Mutation::ReloadEndsRequests) {
            self.pending_replies.clear();
        }
        let changed = self.change_edges(&options.directory);
        self.options = options;
        self.rights.clear();
        // An earlier one that lasts begins again, and who waits for it waits for this one. The subscriptions that it was
        // at are kept: their session has its new permissions already, and will seem unchanged; and so are the accounts
        // whose imports had changed.
        let mut review = self.review.take().unwrap_or_default();
        review.next = 0;
        if self.is_mutated(Mutation::ReloadForgetsShadows) {
            review.recasts.clear();
        }
        review.recasts.retain(|(account, _)| !changed.contains(account));
        review.recasts.extend(changed.into_iter().map(|account| (account, 0)));
        if self.is_mutated(Mutation::ReloadReportedEarly) {
            let _ = done.send(());
        } else {
            review.done.push(done);
        }
        self.review = Some(review);
        self.go_on_reviewing(io);
    }

    /// Looks at some more sessions.
    pub(crate) fn go_on_reviewing(&mut self, io: &mut Io<'_, Mail>) {
        if self.review.is_none() {
            return;
        }
        // First of all, so that it goes on whatever happens to this turn.
        self.set_timer(TimerKind::Review, NO_SESSION, io.now(), io);
        let mut left = self.reviewed_a_turn();
        while left > 0 {
            let Some(cost) = self.review_next(io) else {
                self.end_review(io);
                return;
            };
            left = left.saturating_sub(cost);
        }
    }

    /// Looks at one more subscription or session. Returns what that counts for; `None`: all have been looked at.
    fn review_next(&mut self, io: &mut Io<'_, Mail>) -> Option<usize> {
        let review = self.review.as_mut()?;
        if let Some((account, from)) = review.recasts.front_mut() {
            let of = &self.accounts[account.index()];
            let account = *account;
            let Some((subscription, _)) = of.interest.subscriptions().iter_from(*from).next() else {
                review.recasts.pop_front();
                return Some(1);
            };
            *from = subscription + 1;
            let cost = 1 + of.edges.streams.len() / IMPORTS_A_STEP;
            self.cast_shadows(account, subscription);
            return Some(cost);
        }
        if let Some(mut held) = review.held.take() {
            if let Some(subscription) = held.keys.pop_front() {
                let holder = (held.session, held.cid, held.account);
                review.held = Some(held);
                self.review_subscription(holder, subscription, io);
            }
            return Some(1);
        }
        let from = review.next;
        let (key, next) = self.next_to_review(from)?;
        if let Some(review) = self.review.as_mut() {
            review.next = next;
        }
        // A defect in this is the session's own end, not that of the others' review.
        self.working = key;
        let held = self.reauthorize(key, io);
        self.working = NO_SESSION;
        if let Some(review) = self.review.as_mut() {
            review.held = held;
        }
        Some(1)
    }

    /// The next session to look at, and from where on those are that come after it.
    fn next_to_review(&self, from: u32) -> Option<(u32, u32)> {
        if self.is_mutated(Mutation::ReviewCountsSessions) {
            return self.sessions.iter().nth(from as usize).map(|(key, _)| (key, from + 1));
        }
        self.sessions.iter_from(from).next().map(|(key, _)| (key, key + 1))
    }

    fn end_review(&mut self, io: &mut Io<'_, Mail>) {
        let Some(review) = self.review.take() else { return };
        if review.unpinned > 0 {
            tracing::info!("Disconnect {} clients due to pinned certs reload", review.unpinned);
        }
        self.enforce_connection_limits(io);
        self.tell_without_surplus(review.done);
    }
}
