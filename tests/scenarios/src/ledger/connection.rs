//! A connection as its client knows it.

use super::{Account, MessageId, SubscriptionId};
use std::collections::VecDeque;

/// A connection's number. A client that connects again has another one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct ConnectionId(pub usize);

/// What a client is and says of itself in CONNECT.
#[derive(Clone, Debug)]
pub struct Profile {
    /// It wants its own messages.
    pub echo: bool,
    /// It understands headers.
    pub headers: bool,
    /// It wants 503 notices.
    pub no_responders: bool,
    /// It wants `+OK`.
    pub verbose: bool,
    /// Its level of the protocol: with 1 it understands INFO at any time.
    pub protocol: u8,
    /// The account that its credentials are for.
    pub account: Account,
    /// Further fields of CONNECT, each with a comma before it.
    pub credentials: String,
    /// It says nothing by itself, not even CONNECT.
    pub is_silent: bool,
}

impl Default for Profile {
    fn default() -> Profile {
        Profile {
            echo: true,
            headers: true,
            no_responders: false,
            verbose: false,
            protocol: 1,
            account: Account::default(),
            credentials: String::new(),
            is_silent: false,
        }
    }
}

/// Why a client asks for a PONG.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PingPurpose {
    /// Behind CONNECT.
    Greeting,
    /// The client's own business.
    Own,
    /// For [`super::Ledger::begin_sweep`].
    Sweep,
}

/// A PING whose PONG has not come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ping {
    pub(super) written: u64,
    pub(super) purpose: PingPurpose,
}

/// A connection.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The client's number.
    pub client: usize,
    /// What it said in CONNECT.
    pub profile: Profile,
    pub(super) is_alive: bool,
    pub(super) pings: VecDeque<Ping>,
    /// Messages that no PONG has acknowledged.
    pub(super) unacknowledged: Vec<MessageId>,
    /// Subscriptions that no PONG has confirmed.
    pub(super) unconfirmed: Vec<SubscriptionId>,
    /// Subscriptions whose UNSUB no PONG has confirmed.
    pub(super) leaving: Vec<SubscriptionId>,
    /// All subscriptions for which messages may have to come.
    pub(super) subscriptions: Vec<SubscriptionId>,
}
