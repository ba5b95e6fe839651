//! Who may connect, as it is configured.

use super::permission::Permissions;
use std::time::Duration;

/// The `authorization` block. At most one of single user, token and list of users is set.
#[derive(Clone, Default, PartialEq)]
pub struct Authorization {
    /// The single user's name.
    pub user: Option<String>,
    /// The single user's password, plain or a bcrypt hash.
    pub password: Option<String>,
    /// The token, plain or a bcrypt hash.
    pub token: Option<String>,
    /// How long a client may take to send its credentials.
    pub timeout: Option<Duration>,
    /// Users; `Some` of an empty list still asks for authorization that nobody can pass.
    pub users: Option<Vec<User>>,
    /// What users of `$G` without permissions of their own may do.
    pub default_permissions: Option<Permissions>,
}

/// One user of `authorization` or of an account.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// How it proves who it is.
    pub credential: Credential,
    /// What it may do; `None`: the default permissions of its account, else everything.
    pub permissions: Option<Permissions>,
    /// Kinds of connections it may come by; `None`: all.
    pub connection_types: Option<Vec<ConnectionType>>,
}

/// How a user proves who it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// A name and a password.
    Password {
        /// The name; for certificates that are mapped to users it may be an address or a distinguished name.
        name: String,
        /// Plain or a bcrypt hash. Empty: only for who a certificate identifies.
        password: String,
    },
    /// A public nkey of a user (`U...`), checked to be one.
    Nkey(String),
}

/// Kinds of client connections (reference: security.md, section 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ConnectionType {
    Standard,
    Websocket,
    Leafnode,
    LeafnodeWebsocket,
    Mqtt,
    MqttWebsocket,
    InProcess,
}

/// Whether a password or token is a bcrypt hash: `$2a$`, `$2b$`, `$2x$` or `$2y$`, then two digits of cost and `$`.
/// Everything else is plain text.
pub fn is_bcrypt(secret: &str) -> bool {
    let [b'$', b'2', letter, b'$', tens, ones, b'$', ..] = secret.as_bytes() else { return false };
    b"abxy".contains(letter) && tens.is_ascii_digit() && ones.is_ascii_digit()
}

impl User {
    /// The name or the key.
    pub fn name(&self) -> &str {
        match &self.credential {
            Credential::Password { name, .. } | Credential::Nkey(name) => name,
        }
    }
}

impl std::fmt::Debug for Authorization {
    /// Shows what is set, never a secret.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Authorization")
            .field("user", &self.user)
            .field("password", &self.password.is_some())
            .field("token", &self.token.is_some())
            .field("timeout", &self.timeout)
            .field("users", &self.users)
            .field("default_permissions", &self.default_permissions)
            .finish()
    }
}

impl std::fmt::Debug for User {
    /// Shows the name and what it may do, never the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("User")
            .field("name", &self.name())
            .field("permissions", &self.permissions)
            .field("connection_types", &self.connection_types)
            .finish()
    }
}
