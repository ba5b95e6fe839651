//! Accounts: each has its own subjects. Every index and every session belongs to one.

use crate::interest::Interest;

/// An account's place in the node's table; the same on all cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub struct AccountId(pub(crate) u16);

impl AccountId {
    /// `$G`, where clients are that no account was configured for.
    pub(crate) const GLOBAL: AccountId = AccountId(0);
    /// `$SYS`, the system account.
    pub(crate) const SYSTEM: AccountId = AccountId(1);

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What a core knows of one account.
pub(crate) struct Account {
    /// `$G`, `$SYS`.
    pub(crate) name: &'static str,
    /// Who wants which subjects.
    pub(crate) interest: Interest,
}

/// The accounts of a node as one core holds them: `$G` and `$SYS`.
pub(crate) fn initial_accounts(core_count: usize, core: usize, key: [u64; 4]) -> Vec<Account> {
    ["$G", "$SYS"]
        .into_iter()
        .map(|name| Account { name, interest: Interest::new(core_count, core, key) })
        .collect()
}
