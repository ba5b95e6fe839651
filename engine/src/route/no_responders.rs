//! The 503 notice: a request that nobody received is answered at once.
//!
//! Whether somebody received it is decided by delivery. Receivers on the publisher's core are known at once;
//! other cores that got the request report, and the notice follows when the last of them says no.

use super::service::Requests;
use crate::mail::{Mail, Report};
use crate::mutation::Mutation;
use crate::shard::Shard;
use hashbrown::HashMap;
use petrel_protocol::client::encode;
use petrel_runtime::Io;

struct PendingReport {
    session: u32,
    cid: u64,
    /// Reports still missing.
    outstanding: u32,
    subject: Box<[u8]>,
    reply: Box<[u8]>,
    /// Whether the requester wants a notice.
    wants_notice: bool,
    /// What it became in other accounts.
    requests: Requests,
}

/// Requests whose delivery other cores will report. Bounded by what is in the mailboxes: every entry has an
/// envelope or a report under way.
pub(crate) struct PendingReports {
    by_token: HashMap<u64, PendingReport, ahash::RandomState>,
}

impl PendingReports {
    pub(crate) fn new(hasher: ahash::RandomState) -> PendingReports {
        PendingReports { by_token: HashMap::with_hasher(hasher) }
    }
}

impl Shard {
    /// Remembers a request that went to `envelopes` other cores and to nobody here.
    pub(crate) fn await_reports(
        &mut self,
        token: u64,
        key: u32,
        envelopes: u32,
        subject: &[u8],
        reply: &[u8],
    ) {
        self.await_reports_of(token, key, envelopes, (subject, reply), true, Requests::new());
    }

    /// As [`Shard::await_reports`], of a message that became requests to other accounts.
    pub(crate) fn await_reports_of(
        &mut self,
        token: u64,
        key: u32,
        envelopes: u32,
        (subject, reply): (&[u8], &[u8]),
        wants_notice: bool,
        requests: Requests,
    ) {
        let Some(session) = self.sessions.get(key) else { return };
        let pending = PendingReport {
            session: key,
            cid: session.cid,
            outstanding: envelopes,
            subject: subject.into(),
            reply: reply.into(),
            wants_notice,
            requests,
        };
        self.statistics.reports_awaited += 1;
        self.pending_reports.by_token.insert(token, pending);
    }

    /// Somebody received the request: no notice.
    pub(super) fn report_delivered(&mut self, token: u64) {
        self.pending_reports.by_token.remove(&token);
    }

    /// The request went to one more core.
    pub(super) fn expect_another_report(&mut self, token: u64) {
        if let Some(pending) = self.pending_reports.by_token.get_mut(&token) {
            pending.outstanding += 1;
        }
    }

    pub(crate) fn take_reports(&mut self, reports: &[Report], io: &mut Io<'_, Mail>) {
        if self.is_mutated(Mutation::ReportsIgnored) {
            return;
        }
        for report in reports {
            let Some(pending) = self.pending_reports.by_token.get_mut(&report.token) else { continue };
            pending.outstanding -= 1;
            if report.delivered {
                self.pending_reports.by_token.remove(&report.token);
            } else if pending.outstanding == 0
                && let Some(pending) = self.pending_reports.by_token.remove(&report.token)
            {
                for request in &pending.requests {
                    if self.request_failed(*request, io) {
                        self.note_consequence(pending.session, pending.cid);
                    }
                }
                let is_there =
                    self.sessions.get(pending.session).is_some_and(|session| session.cid == pending.cid);
                if is_there && pending.wants_notice {
                    self.send_no_responders(pending.session, &pending.subject, &pending.reply, io);
                }
            }
        }
    }

    /// Sends the notice to the first plain subscription of the requester that matches the reply subject, as
    /// upstream does; without one there is no notice.
    pub(crate) fn send_no_responders(
        &mut self,
        key: u32,
        subject: &[u8],
        reply: &[u8],
        io: &mut Io<'_, Mail>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let account = session.account.index();
        let found = self.accounts[account].interest.lookup(reply);
        let subscriptions = self.accounts[account].interest.subscriptions();
        let own = found.plain.iter().filter_map(|key| subscriptions.get(*key)).find(|s| s.session == key);
        let Some(subscription) = own else { return };
        if !session.takes_messages() {
            return;
        }
        // Nobody's message: as upstream has it, it does not count as one that was sent.
        encode::no_responders(&mut session.out.current, reply, &subscription.sid, subject);
        self.touch(key, io);
    }
}
