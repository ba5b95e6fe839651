//! What a new configuration makes of the clients that are connected: who may not be here any more is closed, and
//! rights and limits change at once.

use super::authentication::{Fate, Identity, fate};
use super::client::Phase;
use crate::account::admission::Member;
use crate::account::{AccountId, SubscribeVerdict};
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::reload::HeldSubscriptions;
use crate::shard::Shard;
use petrel_config::ConnectionType;
use petrel_protocol::client::{ClosedReason, ProtocolError};
use petrel_protocol::quote::go_quote;
use petrel_runtime::{CoreId, Io};
use std::sync::Arc;

impl Shard {
    /// Looks at a client again, with the accounts and users of the options that are in force now. What it has subscribed
    /// to is still to be looked at when that is returned.
    pub(crate) fn reauthorize(&mut self, key: u32, io: &mut Io<'_, Mail>) -> Option<HeldSubscriptions> {
        let session = self.sessions.get(key)?;
        if matches!(session.phase, Phase::Closing(_)) {
            return None;
        }
        if !self.is_still_pinned(key) {
            self.fail(key, None, ClosedReason::TlsHandshakeFailure, io);
            return None;
        }
        let session = self.sessions.get(key)?;
        if !session.connected {
            // It is looked at when it logs in.
            let payload_max = self.options.limits.payload_max;
            if let Some(session) = self.sessions.get_mut(key) {
                session.payload_max = payload_max;
            }
            return None;
        }
        let is_named = session.description.as_ref().is_some_and(|description| description.user.is_some());
        let kind = ConnectionType::Standard;
        let identity = match fate(&session.identity, is_named, kind, &self.options.directory) {
            Fate::Stays(identity) => identity,
            Fate::Gone => {
                self.fail(key, None, ClosedReason::ClientClosed, io);
                return None;
            }
            Fate::Refused => {
                self.refuse_again(key, io);
                return None;
            }
        };
        // What did not change was taken over from the directory before.
        let is_unchanged = match (session.identity.permissions(), identity.permissions()) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (old, new) => old.is_none() && new.is_none(),
        };
        let account = session.account;
        self.grant(key, identity);
        let payload_max = self.payload_max_of(account);
        if let Some(session) = self.sessions.get_mut(key) {
            session.payload_max = payload_max;
        }
        self.report_membership(key, account, io);
        if is_unchanged || self.is_mutated(Mutation::ReloadKeepsSubscriptions) {
            return None;
        }
        let session = self.sessions.get(key)?;
        let mut keys: Vec<u32> = session.subscriptions.iter().copied().collect();
        // The table's order is that of keyed hashes; clients are told in the order of keys.
        keys.sort_unstable();
        Some(HeldSubscriptions { session: key, cid: session.cid, account, keys: keys.into() })
    }

    fn refuse_again(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        if let Some(session) = self.sessions.get(key) {
            let who = match &session.identity {
                Identity::User(user) if user.is_nkey() => {
                    format!(" - Nkey {}", go_quote(user.name.as_bytes()))
                }
                Identity::User(user) => format!(" - User {}", go_quote(user.name.as_bytes())),
                Identity::Token(_) => " - Token \"[REDACTED]\"".to_owned(),
                Identity::Anybody => String::new(),
            };
            tracing::error!("{} - authentication error{who}", session.label());
        }
        let error = ProtocolError::AuthorizationViolation;
        self.fail(key, Some(&error), ClosedReason::AuthenticationFailure, io);
    }

    /// Removes a subscription if it is not allowed any more; tells the client and the log.
    pub(crate) fn review_subscription(
        &mut self,
        (key, cid, account): (u32, u64, AccountId),
        subscription: u32,
        io: &mut Io<'_, Mail>,
    ) {
        // The client may have gone or logged in anew meanwhile, and the subscription's key may be another's.
        let is_there = self.sessions.get(key).is_some_and(|session| {
            session.cid == cid && session.account == account && !matches!(session.phase, Phase::Closing(_))
        });
        let interest = &self.accounts[account.index()].interest;
        let found = interest.subscriptions().get(subscription);
        let Some(found) = found.filter(|found| is_there && found.session == key && !found.is_shadow()) else {
            return;
        };
        let (subject, queue) = (interest.subject_of(found), found.queue().map(<[u8]>::to_vec));
        if self.subscribe_verdict(key, &subject, queue.as_deref()) != SubscribeVerdict::Refused {
            self.filter_subscription(key, account, subscription);
            return;
        }
        let sid = found.sid.to_vec();
        self.remove_subscription(account, subscription);
        self.tell_removed(key, subject, queue, sid, io);
    }

    fn tell_removed(
        &mut self,
        key: u32,
        subject: Vec<u8>,
        queue: Option<Vec<u8>>,
        sid: Vec<u8>,
        io: &mut Io<'_, Mail>,
    ) {
        let Some(session) = self.sessions.get(key) else { return };
        let user = match &session.identity {
            Identity::User(user) if user.is_nkey() => format!("Nkey {}", go_quote(user.name.as_bytes())),
            Identity::User(user) => format!("User {}", go_quote(user.name.as_bytes())),
            _ => "User \"N/A\"".to_owned(),
        };
        let shown_queue = match &queue {
            Some(queue) => format!(" using queue {}", go_quote(queue)),
            None => String::new(),
        };
        let (shown_subject, shown_sid) = (go_quote(&subject), go_quote(&sid));
        tracing::info!(
            "Removed sub {shown_subject}{shown_queue} (sid {shown_sid}) for {user} - not authorized"
        );
        self.tell(key, &ProtocolError::SubscriptionRemoved { subject, queue, sid }, io);
    }

    /// Tells core 0 of a client in an account that did not limit its connections before.
    fn report_membership(&mut self, key: u32, account: AccountId, io: &mut Io<'_, Mail>) {
        let is_limited = self.options.directory.connections_max(account).is_some();
        let core = self.core;
        let Some(session) = self.sessions.get_mut(key) else { return };
        let counted_in = is_limited.then_some(account);
        if session.counted_in == counted_in {
            return;
        }
        session.counted_in = counted_in;
        let member = Member { core, session: key, cid: session.cid };
        if is_limited {
            if core == CoreId(0) {
                self.enroll(account, member, io);
            } else {
                io.mail(CoreId(0), Mail::Enroll(account, member));
            }
        }
    }

    /// Core 0 counts a client that was in an account before that had a limit.
    pub(crate) fn enroll(&mut self, account: AccountId, member: Member, io: &mut Io<'_, Mail>) {
        let limit = self.options.directory.connections_max(account);
        let Some(acceptor) = self.acceptor.as_mut() else { return };
        acceptor.admissions.enroll(account, member);
        let excess = acceptor.admissions.prune(account, limit);
        self.close_members(excess, io);
    }

    /// Has the core of a client close it, because its account has too many.
    pub(crate) fn prune(&mut self, member: Member, io: &mut Io<'_, Mail>) {
        if member.core == self.core {
            self.pruned(member, io);
        } else {
            io.mail(member.core, Mail::Pruned(member));
        }
    }

    /// Core 0 looks at the limits of connections: the server's, and those of accounts.
    pub(crate) fn enforce_connection_limits(&mut self, io: &mut Io<'_, Mail>) {
        let directory = self.options.directory.clone();
        let limit = u64::try_from(self.options.limits.connections_max).unwrap_or(0);
        let Some(acceptor) = self.acceptor.as_mut() else { return };
        let members = acceptor.admissions.set_limits(|account| directory.connections_max(account));
        let kept_by_core = acceptor.kept(limit);
        self.close_members(members, io);
        for (core, kept) in kept_by_core {
            if core == self.core {
                self.keep_oldest(kept, io);
            } else {
                io.mail(core, Mail::KeepOldest(kept));
            }
        }
    }
}
