//! Accounts: each has its own subjects. Every index and every session belongs to one.

pub(crate) mod admission;
mod directory;
mod edges;
#[cfg(test)]
mod edges_tests;
mod export;
mod import;
mod mapping;
mod pattern_set;
mod permissions;
mod secret;

pub(crate) use directory::Proof;
pub use directory::{AccountSpec, Directory, DirectoryError, User};
pub(crate) use permissions::{Permissions, SubscribeVerdict};
pub use secret::{Secret, is_same_secret};

pub(crate) use edges::Edges;
pub use edges::EdgesError;
pub(crate) use import::{ServiceImport, StreamImport};
pub use mapping::MappingError;
pub(crate) use mapping::{Mapped, MappedSubjects};

use crate::interest::Interest;
use std::sync::Arc;

/// An account's place in the node's table; the same on all cores.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
pub struct AccountId(pub(crate) u16);

impl AccountId {
    /// `$G`, where clients are that no account was configured for.
    pub(crate) const GLOBAL: AccountId = AccountId(0);

    pub(crate) fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What sessions of this core did in an account since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct AccountCounters {
    /// Clients logged in now.
    pub(crate) connections: u64,
    /// Messages that clients published.
    pub(crate) in_msgs: u64,
    pub(crate) in_bytes: u64,
    /// Messages that clients were sent.
    pub(crate) out_msgs: u64,
    pub(crate) out_bytes: u64,
    /// Connections closed because they were slow.
    pub(crate) slow_consumers: u64,
    /// Messages that came from other cores.
    pub(crate) envelopes: u64,
}

/// What a core knows of one account.
pub(crate) struct Account {
    /// The name.
    pub(crate) name: Arc<str>,
    /// What its clients did on this core.
    pub(crate) counters: AccountCounters,
    /// Who wants which subjects.
    pub(crate) interest: Interest,
    /// What leads to other accounts and subjects.
    pub(crate) edges: Arc<Edges>,
    /// Whether published subjects are mapped.
    pub(crate) has_mappings: bool,
    pub(crate) mapped: MappedSubjects,
}

impl Account {
    pub(crate) fn new(spec: &AccountSpec, core_count: usize, core: usize, key: [u64; 4]) -> Account {
        let mut account = Account {
            name: spec.name.clone(),
            counters: AccountCounters::default(),
            interest: Interest::new(core_count, core, key),
            edges: Arc::default(),
            has_mappings: false,
            mapped: MappedSubjects::new(ahash::RandomState::with_seeds(key[0], key[1], key[2], key[3])),
        };
        account.change_edges(&spec.edges);
        account
    }

    /// Goes over to other edges. Subscriptions get or lose their shadows elsewhere.
    pub(crate) fn change_edges(&mut self, edges: &Arc<Edges>) {
        self.edges = Arc::clone(edges);
        self.interest.set_services(&edges.services);
        self.has_mappings = !edges.mappings.is_empty();
        self.mapped.clear();
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
