//! Accounts, sessions, interest and routing: state machines, and the [`Shard`] that drives those of one core.

#![forbid(unsafe_code)]

mod acceptor;
mod account;
mod arena;
#[cfg(feature = "benchmarks")]
pub mod benchmarks;
mod encoding;
mod fixed_seeds;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod interest;
mod lame_duck;
mod latencies;
mod mail;
mod mutation;
mod options;
mod order;
mod panics;
mod reload;
mod route;
mod session;
mod shard;
mod snapshot;
mod sums;
mod surplus;
mod system;
pub mod transport;
#[cfg(test)]
mod workbench;

pub use account::{
    AccountId, AccountSpec, Directory, DirectoryError, EdgesError, MappingError, Secret, User, is_same_secret,
};
pub use encoding::Encoding;
pub use interest::CORES_MAX;
pub use latencies::Latencies;
pub use mail::Mail;
#[cfg(feature = "mutations")]
pub use mutation::Mutation;
pub use options::{Limits, Options, Trace};
pub use order::{
    CoreStatistics, Notice, Order, PasswordCheck, PasswordTicket, PasswordVerdict, SETTLING_ROUNDS,
};
pub use shard::Shard;
pub use snapshot::{
    AccountPage, AccountQuery, AccountSnapshot, ConnectionPage, ConnectionQuery, ConnectionSnapshot,
    ReplyCursor, ReplyPage, ReplyQuery, ReplySnapshot, SubscriptionCursor, SubscriptionPage,
    SubscriptionQuery, SubscriptionSnapshot,
};
pub use system::{
    NoticeKind, NoticeWeight, Publication, SYSTEM_NOTICES_MAX, SystemNotice, SystemRequest, Warning,
};
