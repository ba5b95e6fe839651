//! A subscription as its client knows it.

use super::{ConnectionId, MessageId};
use crate::subject::matches;
use std::collections::{BTreeMap, BTreeSet};

/// A subscription's number in the order of subscribing; also its sid on the wire.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SubscriptionId(pub usize);

/// What a client subscribes to.
#[derive(Clone, Debug, Default)]
pub struct Interest {
    /// A literal subject or a pattern.
    pub pattern: String,
    /// The queue group.
    pub queue: Option<String>,
    /// It ends after so many messages: said by an UNSUB right behind the SUB.
    pub max: Option<u32>,
    /// It stays as long as its connection.
    pub is_permanent: bool,
    /// What its client may not get of it.
    pub denied: Vec<String>,
}

impl Interest {
    /// Whether messages on a subject are for it.
    pub fn wants(&self, subject: &str) -> bool {
        matches(&self.pattern, subject) && !self.denied.iter().any(|denied| matches(denied, subject))
    }
}

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Whose it is.
    pub connection: ConnectionId,
    /// What it is for.
    pub interest: Interest,
    /// When it was written.
    pub(super) written: u64,
    /// The PONG of a PING behind it was read.
    pub(super) confirmed: bool,
    /// When its UNSUB was written.
    pub(super) left: Option<u64>,
    /// The PONG of a PING behind its UNSUB was read: nothing may come any more.
    pub(super) is_gone: bool,
    pub(super) deliveries: u32,
    /// Messages that must come and have not come yet.
    pub(super) outstanding: BTreeSet<MessageId>,
    /// The last message of each publisher, and of the answers that went back over one core.
    pub(super) last: BTreeMap<(ConnectionId, Option<String>), MessageId>,
}

impl Subscription {
    /// Whether its client wants messages still.
    pub fn is_wanted(&self) -> bool {
        self.left.is_none()
    }

    /// Whether it is for sure that the server knows it.
    pub(super) fn is_sure(&self) -> bool {
        self.confirmed && self.left.is_none() && self.interest.max.is_none()
    }
}
