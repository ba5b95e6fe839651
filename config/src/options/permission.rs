//! What a user may publish and subscribe to, as it is configured.

use std::time::Duration;

/// `permissions { }` (reference: security.md, section 5). Subjects were checked to be valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Subjects to publish to. `None`: all.
    pub publish: Option<SubjectPermission>,
    /// Subjects to subscribe to; an entry may be `"<subject> <queue>"`. `None`: all.
    pub subscribe: Option<SubjectPermission>,
    /// `allow_responses`.
    pub responses: Option<ResponsePermission>,
}

/// Lists of subjects that may carry wildcards. Deny wins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubjectPermission {
    /// `None`: everything is allowed that is not denied. An empty list allows nothing.
    pub allow: Option<Vec<String>>,
    /// What is refused.
    pub deny: Vec<String>,
}

/// Leave to publish to the reply subjects of messages that were received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponsePermission {
    /// Messages for each reply subject. `None`: unlimited.
    pub max: Option<u32>,
    /// How long after the message was received. `None`: for ever.
    pub expires: Option<Duration>,
}

impl ResponsePermission {
    /// What `allow_responses: true` means, and a 0 in its block: one message, two minutes.
    pub const DEFAULT: ResponsePermission =
        ResponsePermission { max: Some(1), expires: Some(Duration::from_secs(120)) };
}
