//! Clients that come and go: counted for their account, and told to whoever wants to hear of them. An event is made
//! only when somebody listens on its subject.

use super::{SystemNotice, subjects};
use crate::account::AccountId;
use crate::mutation::Mutation;
use crate::shard::Shard;
use crate::snapshot::ConnectionSnapshot;
use petrel_protocol::client::ClosedReason;

impl Shard {
    /// A client has logged in; `left` is the account it was in before, if any.
    pub(crate) fn client_entered(&mut self, key: u32, left: Option<AccountId>) {
        let Some(session) = self.sessions.get(key) else { return };
        let account = session.account;
        if let Some(left) = left {
            self.accounts[left.index()].counters.connections -= 1;
            if left != account {
                self.tell_account_changed(left);
            }
        }
        self.accounts[account.index()].counters.connections += 1;
        if !self.options.system_services {
            return;
        }
        if left != Some(account) {
            self.tell_account_changed(account);
        }
        let subject = subjects::client_event(&self.accounts[account.index()].name, "CONNECT");
        if self.is_wanted(self.options.directory.system(), &subject)
            && let Some(session) = self.sessions.get(key)
        {
            let record = self.snapshot(session);
            self.notify(SystemNotice::Connected(record));
        }
    }

    /// A client is gone, before its session is removed.
    pub(crate) fn client_left(&mut self, key: u32, record: &ConnectionSnapshot) {
        let Some(session) = self.sessions.get(key) else { return };
        let account = session.account;
        let was_in = session.connected;
        if was_in {
            self.accounts[account.index()].counters.connections -= 1;
        }
        if !self.options.system_services {
            return;
        }
        if was_in && !self.is_mutated(Mutation::DeparturesUncounted) {
            self.tell_account_changed(account);
        }
        if matches!(record.stop, Some((_, ClosedReason::AuthenticationFailure))) {
            let subject = subjects::login_refused(&self.options.info.server_id);
            if self.is_wanted(self.options.directory.system(), &subject)
                || self.is_wanted(account, subjects::LOGIN_REFUSED)
            {
                self.notify(SystemNotice::LoginRefused(record.clone()));
            }
        }
        let subject = subjects::client_event(&self.accounts[account.index()].name, "DISCONNECT");
        if self.is_wanted(self.options.directory.system(), &subject) {
            self.notify(SystemNotice::Disconnected(record.clone()));
        }
    }

    /// The number of clients of an account has changed; upstream never tells of the global one.
    pub(super) fn tell_account_changed(&mut self, account: AccountId) {
        if !self.options.system_services || account == AccountId::GLOBAL {
            return;
        }
        let name = self.accounts[account.index()].name.clone();
        let system = self.options.directory.system();
        if subjects::connection_counts(&name).iter().any(|subject| self.is_wanted(system, subject)) {
            // What is told is the number as it is when the notice is worked off: the last one must not get lost.
            if !self.notify(SystemNotice::AccountChanged(name))
                && !self.is_mutated(Mutation::ChangesForgotten)
            {
                self.system.remember(account);
            }
        }
    }

    /// Whether anybody on any core wants a subject.
    fn is_wanted(&mut self, account: AccountId, subject: &str) -> bool {
        !self.accounts[account.index()].interest.lookup(subject.as_bytes()).is_empty()
    }

    /// For each of these subjects of the system account, whether anybody wants it.
    pub(crate) fn interested(&mut self, subjects: &[String]) -> Vec<bool> {
        let system = self.options.directory.system();
        subjects.iter().map(|subject| self.is_wanted(system, subject)).collect()
    }
}
