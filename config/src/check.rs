//! Checks over all options, file and command line together (reference: config.md, section 17).

use crate::duration::format_duration;
use crate::options::{Credential, HandshakeFirst, Options, defaults, is_bcrypt};
use crate::top::SERVER_NAME_HAS_SPACES;
use std::time::Duration;

/// The name of the global account, which is there anyway.
pub(crate) const GLOBAL: &str = "$G";

/// The system account's name, unless another is configured.
const SYSTEM: &str = "$SYS";

/// Payloads above this are worth a warning at start.
const PAYLOAD_BYTES_HIGH: i64 = 8 * 1024 * 1024;

/// Why options do not go together. The texts are upstream's where it has the check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum CheckError {
    #[error("lame duck grace period ({grace}) should be strictly lower than lame duck duration ({duration})")]
    LameDuck { grace: String, duration: String },
    #[error("max_payload ({payload}) cannot be higher than max_pending ({pending})")]
    Payload { payload: i64, pending: i64 },
    #[error("{SERVER_NAME_HAS_SPACES}")]
    ServerName,
    #[error("no_auth_user: {0:?} present, but users/nkeys are not defined")]
    NoUsers(String),
    #[error(
        "no_auth_user: {0:?} not present as user or nkey in authorization block or account configuration"
    )]
    NoAuthUser(String),
    #[error("can't specify both HTTP ({http}) and HTTPs ({https}) ports")]
    TwoMonitors { http: i64, https: i64 },
    #[error("TLS cert and key required for HTTPS")]
    NoTlsForHttps,
}

impl CheckError {
    /// The keys at top level that it is about, by their first names: the first of them that a file uses is where it stands.
    pub fn keys(&self) -> &'static [&'static str] {
        match self {
            CheckError::LameDuck { .. } => &["lame_duck_grace_period", "lame_duck_duration"],
            CheckError::Payload { .. } => &["max_payload", "max_pending"],
            CheckError::ServerName => &["server_name"],
            CheckError::NoUsers(_) | CheckError::NoAuthUser(_) => {
                &["no_auth_user", "authorization", "accounts"]
            }
            CheckError::TwoMonitors { .. } => &["https", "https_port", "http", "http_port"],
            CheckError::NoTlsForHttps => &["https", "https_port", "tls"],
        }
    }
}

/// The configured system account is no account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error resolving system account: account missing")]
pub struct SystemAccountMissing;

impl Options {
    /// Checks what concerns more than one option, and what the command line may have brought in.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn check(&self) -> Result<(), CheckError> {
        self.flaws().into_iter().next().map_or(Ok(()), Err)
    }

    /// All that does not fit, in the order in which a start would find it.
    pub fn flaws(&self) -> Vec<CheckError> {
        let mut flaws = Vec::new();
        if self.server_name.as_ref().is_some_and(|name| name.contains(' ')) {
            flaws.push(CheckError::ServerName);
        }
        let (grace, duration) = (self.lame_duck_grace_period(), self.lame_duck_duration());
        if grace >= duration {
            let shown =
                |duration: Duration| format_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX));
            flaws.push(CheckError::LameDuck { grace: shown(grace), duration: shown(duration) });
        }
        let (payload, pending) = (self.payload_max(), self.pending_max());
        if payload > pending {
            flaws.push(CheckError::Payload { payload, pending });
        }
        flaws.extend(self.check_no_auth_user().err());
        let (http, https) = (self.http_port.unwrap_or(0), self.https_port.unwrap_or(0));
        if http != 0 && https != 0 {
            flaws.push(CheckError::TwoMonitors { http, https });
        }
        if https != 0 && self.tls.is_none() {
            flaws.push(CheckError::NoTlsForHttps);
        }
        flaws
    }

    fn check_no_auth_user(&self) -> Result<(), CheckError> {
        let Some(name) = self.no_auth_user.clone() else { return Ok(()) };
        let of_accounts = self.accounts.iter().flat_map(|account| &account.users);
        let mut users = self.authorization.users.iter().flatten().chain(of_accounts).peekable();
        if users.peek().is_none() {
            return Err(CheckError::NoUsers(name));
        }
        if users.any(|user| user.name() == name) { Ok(()) } else { Err(CheckError::NoAuthUser(name)) }
    }

    /// Checks that the system account is there. Apart from the other checks, because a reload may not name another one
    /// anyway, and upstream says that first.
    ///
    /// # Errors
    /// When it names an account that is not.
    pub fn check_system_account(&self) -> Result<(), SystemAccountMissing> {
        let Some(name) = &self.system_account else { return Ok(()) };
        let is_known = name == GLOBAL || self.accounts.iter().any(|account| account.name == *name);
        if is_known { Ok(()) } else { Err(SystemAccountMissing) }
    }

    /// The system account's name, when there is one: `no_system_account` only takes away the one that nobody has
    /// configured.
    pub fn system_account_name(&self) -> Option<&str> {
        let is_there =
            || !self.no_system_account || self.accounts.iter().any(|account| account.name == SYSTEM);
        self.system_account.as_deref().or_else(|| is_there().then_some(SYSTEM))
    }

    /// What works and is not wise; one line each.
    pub fn advice(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.has_plain_passwords() {
            lines.push("Plaintext passwords detected, use nkeys or bcrypt".to_owned());
        }
        if self.payload_max() > PAYLOAD_BYTES_HIGH {
            lines.push(
                "Maximum payloads over 8.00 MB are generally discouraged and could lead to poor performance"
                    .to_owned(),
            );
        }
        if self.tls.as_ref().is_some_and(|tls| tls.handshake_first == HandshakeFirst::Always) {
            lines.push(
                "Clients that are not using \"TLS Handshake First\" option will fail to connect".to_owned(),
            );
        }
        lines
    }

    /// Whether a password is no hash; none at all is one too, but where certificates say who is who.
    fn has_plain_passwords(&self) -> bool {
        let by_certificate = self.tls.as_ref().is_some_and(|tls| tls.verify_and_map);
        let single = self.authorization.password.as_deref().filter(|password| !password.is_empty());
        let of_accounts = self.accounts.iter().flat_map(|account| &account.users);
        let mut users = self.authorization.users.iter().flatten().chain(of_accounts);
        single.is_some_and(|password| !is_bcrypt(password))
            || users.any(|user| match &user.credential {
                Credential::Password { password, .. } if password.is_empty() => !by_certificate,
                Credential::Password { password, .. } => !is_bcrypt(password),
                Credential::Nkey(_) => false,
            })
    }

    /// Bytes of headers and payload together; a configured 0 is none.
    pub fn payload_max(&self) -> i64 {
        or_default(self.payload_max, defaults::PAYLOAD_MAX)
    }

    /// Bytes queued for one client; a configured 0 is none.
    pub fn pending_max(&self) -> i64 {
        or_default(self.pending_max, defaults::PENDING_MAX)
    }

    /// How long lame duck mode takes in all.
    pub fn lame_duck_duration(&self) -> Duration {
        or_default(self.lame_duck_duration, defaults::LAME_DUCK_DURATION)
    }

    /// How long lame duck mode waits before it closes the first client; a configured 0 is none.
    pub fn lame_duck_grace_period(&self) -> Duration {
        or_default(self.lame_duck_grace_period, defaults::LAME_DUCK_GRACE_PERIOD)
    }
}

/// Upstream takes a configured zero for "not configured" in most options.
pub fn or_default<T: Default + PartialEq>(configured: Option<T>, default: T) -> T {
    configured.filter(|value| *value != T::default()).unwrap_or(default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        options.check().map_or_else(|error| error.to_string(), |()| "fine".to_owned())
    }

    #[test]
    fn texts_are_upstreams() {
        assert_eq!(message(|_| {}), "fine");
        assert_eq!(
            message(|options| options.lame_duck_grace_period = Some(Duration::from_secs(200))),
            "lame duck grace period (3m20s) should be strictly lower than lame duck duration (2m0s)"
        );
        assert_eq!(
            message(|options| options.payload_max = Some(68_157_440)),
            "max_payload (68157440) cannot be higher than max_pending (67108864)"
        );
        assert_eq!(
            message(|options| options.pending_max = Some(1000)),
            "max_payload (1048576) cannot be higher than max_pending (1000)"
        );
        assert_eq!(
            message(|options| options.server_name = Some("a b".into())),
            "server name cannot contain spaces"
        );
    }

    #[test]
    fn zero_is_not_configured() {
        assert_eq!(message(|options| options.lame_duck_grace_period = Some(Duration::ZERO)), "fine");
        let options = Options { payload_max: Some(0), ..Options::default() };
        assert_eq!(options.payload_max(), 1_048_576);
    }
}
