//! Users by certificate (`verify_and_map`).

use crate::shard::Shard;
use petrel_protocol::client::ConnectOptions;

/// A certificate is asked for and stands for nobody.
pub(crate) struct NoUser;

impl Shard {
    /// The user that the client's certificate stands for; `None` where certificates do not name users. A name in CONNECT
    /// does not count then; the password is checked as always.
    pub(crate) fn certificate_user(
        &self,
        key: u32,
        connect: &ConnectOptions,
    ) -> Result<Option<String>, NoUser> {
        let Some(tls) = self.options.tls.as_ref().filter(|tls| tls.maps_certificates) else {
            return Ok(None);
        };
        let directory = &self.options.directory;
        // An nkey proves itself, and where nobody has to log in there is nothing to map to.
        if !directory.auth_required() || !connect.nkey.is_empty() {
            return Ok(None);
        }
        let session = self.sessions.get(key).ok_or(NoUser)?;
        let label = session.label();
        let Some(peer) = session.transport.as_ref().and_then(|transport| transport.peer.as_ref()) else {
            tracing::debug!("{label} - User required in cert, no TLS connection state");
            return Err(NoUser);
        };
        let Some(names) = peer.names.as_deref() else {
            tracing::debug!("{label} - User required in cert, no peer certificates found");
            return Err(NoUser);
        };
        let Some((user, found_by)) = tls.user_of(names, |name| directory.user(name).is_some()) else {
            tracing::debug!("{label} - User in cert [{:?}], not found", names.text);
            return Err(NoUser);
        };
        if let Some(what) = found_by.shown() {
            tracing::debug!("{label} - Using {what} for auth [{user:?}]");
        }
        if !connect.user.is_empty() {
            tracing::warn!("User {:?} found in connect proto, but user required from cert", connect.user);
        }
        Ok(Some(user))
    }
}
