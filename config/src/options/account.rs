//! Accounts and what passes between them, as it is configured.

use super::authorization::User;
use super::permission::Permissions;
use std::time::Duration;

/// One entry of `accounts { }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Account {
    /// The name.
    pub name: String,
    /// The account's public nkey, shown by monitoring.
    pub nkey: Option<String>,
    /// Who may connect to it.
    pub users: Vec<User>,
    /// What users without permissions of their own may do.
    pub default_permissions: Option<Permissions>,
    /// What it offers others.
    pub exports: Vec<Export>,
    /// What it takes from others.
    pub imports: Vec<Import>,
    /// Subjects that are changed before a message is matched.
    pub mappings: Vec<Mapping>,
    /// Its limits.
    pub limits: AccountLimits,
    /// Where traces of messages go that carry a sampled `traceparent`.
    pub message_trace: Option<MessageTrace>,
}

/// Limits of an account; `None`: unlimited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountLimits {
    /// Connections at once.
    pub connections_max: Option<u64>,
    /// Subscriptions of one connection.
    pub subscriptions_max: Option<u64>,
    /// Bytes of a message of one connection.
    pub payload_max: Option<u64>,
    /// Leafnodes at once.
    pub leafnodes_max: Option<u64>,
}

/// `msg_trace`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageTrace {
    /// The subject that traces are published to.
    pub destination: String,
    /// Percent of messages that are traced, 1 to 100.
    pub sampling_percent: u8,
}

/// What an account offers others.
#[derive(Clone, Debug, PartialEq)]
pub struct Export {
    /// The subject; it may carry wildcards.
    pub subject: String,
    /// The accounts that may import it; `None`: all.
    pub accounts: Option<Vec<String>>,
    /// The token, counted from 1, that must be the importer's name; its place holds `*`.
    pub account_token_position: Option<usize>,
    /// Whether traces of messages pass.
    pub allow_trace: bool,
    /// What is offered.
    pub kind: ExportKind,
}

/// What is offered.
#[derive(Clone, Debug, PartialEq)]
pub enum ExportKind {
    /// Messages.
    Stream,
    /// Answers.
    Service {
        /// How many answers a request has.
        response: ResponseType,
        /// How long an answer may take; upstream's default where it is `None`.
        threshold: Option<Duration>,
        /// Where the time that answers took is published.
        latency: Option<Latency>,
    },
}

/// How many answers a request has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ResponseType {
    /// One.
    #[default]
    Singleton,
    /// Many, up to an empty one.
    Stream,
    /// One in many parts, up to an empty one.
    Chunked,
}

/// `latency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Latency {
    /// The subject of the events.
    pub subject: String,
    /// Percent of requests that are measured, 1 to 100; 0: those with trace headers only.
    pub sampling_percent: u8,
}

/// What an account takes from another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The account that offers it.
    pub account: String,
    /// The subject there; it may carry wildcards.
    pub subject: String,
    /// The subject here, with `$1` or `{{wildcard(1)}}` for the wildcards of `subject`; for a service the other
    /// way round: what is published here, whose wildcards fill `subject`. A stream's `prefix: p` is `p.<subject>`.
    /// `None`: the same subject.
    pub to: Option<String>,
    /// Whether `to` was written as `prefix`; its value.
    pub prefix: Option<String>,
    /// Whether traces of messages pass (streams).
    pub allow_trace: bool,
    /// Whether the exporter learns who asks (services).
    pub share: bool,
    /// Stream or service.
    pub is_service: bool,
}

/// A subject that is changed before a message is matched (reference: security.md, section 9).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapping {
    /// The subject that is mapped; it may carry wildcards.
    pub source: String,
    /// Where it goes, each with its share.
    pub destinations: Vec<MappingDestination>,
}

/// One destination of a mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingDestination {
    /// The subject, with mapping functions; checked to fit the source.
    pub subject: String,
    /// Percent of the messages, 0 to 100.
    pub weight_percent: u8,
    /// Only on servers of this cluster; empty: everywhere.
    pub cluster: String,
}
