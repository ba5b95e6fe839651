//! Texts of `-ERR`, and the reasons for which connections are closed. Both are upstream's words
//! (reference: protocol.md, sections 14 and 15): clients and dashboards compare them.

use crate::quote::go_quote;
use std::fmt;

/// An error that a client is told. [`std::fmt::Display`] gives the text between the quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ProtocolError {
    UnknownProtocolOperation,
    MaximumControlLineExceeded,
    MaximumPayloadViolation,
    AuthorizationViolation,
    AuthenticationTimeout,
    MaximumConnectionsExceeded,
    MaximumAccountConnectionsExceeded,
    MaximumSubscriptionsExceeded,
    ConnectionThrottling,
    StaleConnection,
    InvalidClientProtocol,
    NoRespondersRequiresHeaders,
    InvalidSubject,
    InvalidPublishSubject,
    /// The subject, unquoted.
    PublishPermission(Vec<u8>),
    /// The reply subject, unquoted.
    PublishReplyPermission(Vec<u8>),
    /// The subject, unquoted.
    SubscribePermission(Vec<u8>),
    /// Subject and queue group, unquoted.
    QueueSubscribePermission(Vec<u8>, Vec<u8>),
    /// The subject, unquoted.
    TooManyTokens(Vec<u8>),
    /// A reload took the leave for a subscription away.
    SubscriptionRemoved {
        subject: Vec<u8>,
        queue: Option<Vec<u8>>,
        sid: Vec<u8>,
    },
}

/// Why a connection ended, as connz and events show it. [`std::fmt::Display`] and [`ClosedReason::text`] give
/// upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum ClosedReason {
    ClientClosed,
    AuthenticationTimeout,
    AuthenticationFailure,
    TlsHandshakeFailure,
    SlowConsumerPendingBytes,
    SlowConsumerWriteDeadline,
    WriteError,
    ReadError,
    ParseError,
    StaleConnection,
    ProtocolViolation,
    BadClientProtocolVersion,
    IncorrectPort,
    MaximumConnectionsExceeded,
    MaximumAccountConnectionsExceeded,
    MaximumPayloadExceeded,
    MaximumControlLineExceeded,
    MaximumSubscriptionsExceeded,
    ServerShutdown,
    AuthenticationExpired,
    MissingAccount,
    CredentialsRevoked,
    InternalClient,
    MessageHeaderViolation,
    NoRespondersRequiresHeaders,
    Kicked,
}

impl ProtocolError {
    /// Why the connection is closed after this error was written; `None` when it stays open.
    pub fn closed_reason(&self) -> Option<ClosedReason> {
        match self {
            ProtocolError::UnknownProtocolOperation => Some(ClosedReason::ProtocolViolation),
            ProtocolError::MaximumControlLineExceeded => Some(ClosedReason::MaximumControlLineExceeded),
            ProtocolError::MaximumPayloadViolation => Some(ClosedReason::MaximumPayloadExceeded),
            ProtocolError::AuthorizationViolation => Some(ClosedReason::AuthenticationFailure),
            ProtocolError::AuthenticationTimeout => Some(ClosedReason::AuthenticationTimeout),
            ProtocolError::MaximumConnectionsExceeded => Some(ClosedReason::MaximumConnectionsExceeded),
            ProtocolError::MaximumAccountConnectionsExceeded => {
                Some(ClosedReason::MaximumAccountConnectionsExceeded)
            }
            ProtocolError::ConnectionThrottling => Some(ClosedReason::MaximumConnectionsExceeded),
            ProtocolError::StaleConnection => Some(ClosedReason::StaleConnection),
            ProtocolError::InvalidClientProtocol => Some(ClosedReason::BadClientProtocolVersion),
            ProtocolError::NoRespondersRequiresHeaders => Some(ClosedReason::NoRespondersRequiresHeaders),
            ProtocolError::MaximumSubscriptionsExceeded
            | ProtocolError::InvalidSubject
            | ProtocolError::InvalidPublishSubject
            | ProtocolError::PublishPermission(_)
            | ProtocolError::PublishReplyPermission(_)
            | ProtocolError::SubscribePermission(_)
            | ProtocolError::QueueSubscribePermission(..)
            | ProtocolError::TooManyTokens(_)
            | ProtocolError::SubscriptionRemoved { .. } => None,
        }
    }

    /// Whether the connection is closed after this error was written.
    pub fn closes(&self) -> bool {
        self.closed_reason().is_some()
    }
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            ProtocolError::UnknownProtocolOperation => "Unknown Protocol Operation",
            ProtocolError::MaximumControlLineExceeded => "maximum control line exceeded",
            ProtocolError::MaximumPayloadViolation => "Maximum Payload Violation",
            ProtocolError::AuthorizationViolation => "Authorization Violation",
            ProtocolError::AuthenticationTimeout => "Authentication Timeout",
            ProtocolError::MaximumConnectionsExceeded => "maximum connections exceeded",
            ProtocolError::MaximumAccountConnectionsExceeded => "maximum account active connections exceeded",
            ProtocolError::MaximumSubscriptionsExceeded => "maximum subscriptions exceeded",
            ProtocolError::ConnectionThrottling => "Connection throttling is active. Please try again later.",
            ProtocolError::StaleConnection => "Stale Connection",
            ProtocolError::InvalidClientProtocol => "invalid client protocol",
            ProtocolError::NoRespondersRequiresHeaders => "no responders requires headers support",
            ProtocolError::InvalidSubject => "Invalid Subject",
            ProtocolError::InvalidPublishSubject => "Invalid Publish Subject",
            ProtocolError::PublishPermission(subject) => {
                return write!(formatter, "Permissions Violation for Publish to {}", go_quote(subject));
            }
            ProtocolError::PublishReplyPermission(reply) => {
                return write!(
                    formatter,
                    "Permissions Violation for Publish with Reply of {}",
                    go_quote(reply)
                );
            }
            ProtocolError::SubscribePermission(subject) => {
                return write!(formatter, "Permissions Violation for Subscription to {}", go_quote(subject));
            }
            ProtocolError::QueueSubscribePermission(subject, queue) => {
                return write!(
                    formatter,
                    "Permissions Violation for Subscription to {} using queue {}",
                    go_quote(subject),
                    go_quote(queue)
                );
            }
            ProtocolError::TooManyTokens(subject) => {
                return write!(
                    formatter,
                    "Permissions Violation for Subscription to {}, too many tokens",
                    go_quote(subject)
                );
            }
            ProtocolError::SubscriptionRemoved { subject, queue, sid } => {
                write!(formatter, "Permissions Violation for Subscription to {}", go_quote(subject))?;
                if let Some(queue) = queue {
                    write!(formatter, " using queue {}", go_quote(queue))?;
                }
                return write!(formatter, " (sid {})", go_quote(sid));
            }
        };
        formatter.write_str(text)
    }
}

impl std::error::Error for ProtocolError {}

impl ClosedReason {
    /// Upstream's words.
    pub fn text(self) -> &'static str {
        match self {
            ClosedReason::ClientClosed => "Client Closed",
            ClosedReason::AuthenticationTimeout => "Authentication Timeout",
            ClosedReason::AuthenticationFailure => "Authentication Failure",
            ClosedReason::TlsHandshakeFailure => "TLS Handshake Failure",
            ClosedReason::SlowConsumerPendingBytes => "Slow Consumer (Pending Bytes)",
            ClosedReason::SlowConsumerWriteDeadline => "Slow Consumer (Write Deadline)",
            ClosedReason::WriteError => "Write Error",
            ClosedReason::ReadError => "Read Error",
            ClosedReason::ParseError => "Parse Error",
            ClosedReason::StaleConnection => "Stale Connection",
            ClosedReason::ProtocolViolation => "Protocol Violation",
            ClosedReason::BadClientProtocolVersion => "Bad Client Protocol Version",
            ClosedReason::IncorrectPort => "Incorrect Port",
            ClosedReason::MaximumConnectionsExceeded => "Maximum Connections Exceeded",
            ClosedReason::MaximumAccountConnectionsExceeded => "Maximum Account Connections Exceeded",
            ClosedReason::MaximumPayloadExceeded => "Maximum Message Payload Exceeded",
            ClosedReason::MaximumControlLineExceeded => "Maximum Control Line Exceeded",
            ClosedReason::MaximumSubscriptionsExceeded => "Maximum Subscriptions Exceeded",
            ClosedReason::ServerShutdown => "Server Shutdown",
            ClosedReason::AuthenticationExpired => "Authentication Expired",
            ClosedReason::MissingAccount => "Missing Account",
            ClosedReason::CredentialsRevoked => "Credentials Revoked",
            ClosedReason::InternalClient => "Internal Client",
            ClosedReason::MessageHeaderViolation => "Message Header Violation",
            ClosedReason::NoRespondersRequiresHeaders => "No Responders Requires Headers",
            ClosedReason::Kicked => "Kicked",
        }
    }
}

impl fmt::Display for ClosedReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_quote_subjects_as_go_does() {
        let publish = ProtocolError::PublishPermission(b"a\x01\"b".to_vec());
        assert_eq!(publish.to_string(), r#"Permissions Violation for Publish to "a\x01\"b""#);
        let reply = ProtocolError::PublishReplyPermission(b"$JS.ACK.x".to_vec());
        assert_eq!(reply.to_string(), r#"Permissions Violation for Publish with Reply of "$JS.ACK.x""#);
        let subscribe = ProtocolError::SubscribePermission(b"\xff".to_vec());
        assert_eq!(subscribe.to_string(), r#"Permissions Violation for Subscription to "\xff""#);
        let queue = ProtocolError::QueueSubscribePermission(b"a".to_vec(), b"q".to_vec());
        assert_eq!(queue.to_string(), r#"Permissions Violation for Subscription to "a" using queue "q""#);
        let tokens = ProtocolError::TooManyTokens(b"a.b".to_vec());
        assert_eq!(tokens.to_string(), r#"Permissions Violation for Subscription to "a.b", too many tokens"#);
        let queue = Some(b"q".to_vec());
        let removed =
            ProtocolError::SubscriptionRemoved { subject: b"a".to_vec(), queue, sid: b"1".to_vec() };
        let text = r#"Permissions Violation for Subscription to "a" using queue "q" (sid "1")"#;
        assert_eq!(removed.to_string(), text);
    }

    #[test]
    fn nine_errors_leave_the_connection_open() {
        // feature-matrix.md, P16.
        let open = [
            ProtocolError::MaximumSubscriptionsExceeded,
            ProtocolError::InvalidSubject,
            ProtocolError::InvalidPublishSubject,
            ProtocolError::PublishPermission(Vec::new()),
            ProtocolError::PublishReplyPermission(Vec::new()),
            ProtocolError::SubscribePermission(Vec::new()),
            ProtocolError::QueueSubscribePermission(Vec::new(), Vec::new()),
            ProtocolError::TooManyTokens(Vec::new()),
            ProtocolError::SubscriptionRemoved { subject: Vec::new(), queue: None, sid: Vec::new() },
        ];
        assert!(open.iter().all(|error| !error.closes()));
        let closed = [
            (ProtocolError::UnknownProtocolOperation, "Protocol Violation"),
            (ProtocolError::MaximumControlLineExceeded, "Maximum Control Line Exceeded"),
            (ProtocolError::MaximumPayloadViolation, "Maximum Message Payload Exceeded"),
            (ProtocolError::AuthorizationViolation, "Authentication Failure"),
            (ProtocolError::AuthenticationTimeout, "Authentication Timeout"),
            (ProtocolError::MaximumConnectionsExceeded, "Maximum Connections Exceeded"),
            (ProtocolError::MaximumAccountConnectionsExceeded, "Maximum Account Connections Exceeded"),
            (ProtocolError::StaleConnection, "Stale Connection"),
            (ProtocolError::InvalidClientProtocol, "Bad Client Protocol Version"),
            (ProtocolError::NoRespondersRequiresHeaders, "No Responders Requires Headers"),
        ];
        for (error, reason) in closed {
            assert_eq!(error.closed_reason().map(|reason| reason.to_string()).as_deref(), Some(reason));
        }
    }
}
