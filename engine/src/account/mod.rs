//! Accounts: each has its own subjects. Every index and every session belongs to one.

mod directory;

pub(crate) use directory::Proof;
pub use directory::{AccountSpec, Directory, DirectoryError, User};

use crate::interest::Interest;
use std::sync::Arc;

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
    /// The name.
    pub(crate) name: Arc<str>,
    /// Who wants which subjects.
    pub(crate) interest: Interest,
}

impl Account {
    pub(crate) fn new(spec: &AccountSpec, core_count: usize, core: usize, key: [u64; 4]) -> Account {
        Account { name: spec.name.clone(), interest: Interest::new(core_count, core, key) }
    }
}

/// The accounts of a node as one core holds them, by id.
pub(crate) fn initial_accounts(
    directory: &Directory,
    core_count: usize,
    core: usize,
    key: [u64; 4],
) -> Vec<Account> {
    directory.accounts().iter().map(|spec| Account::new(spec, core_count, core, key)).collect()
}
