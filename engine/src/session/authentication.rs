//! Whether a CONNECT may enter (reference: security.md, sections 1 and 2).

use crate::account::{AccountId, Directory, Permissions, Proof, Secret, User};
use petrel_config::ConnectionType;
use petrel_protocol::client::ConnectOptions;
use petrel_protocol::identity::signature;
use std::sync::Arc;

/// Who a client turned out to be.
#[derive(Clone, Debug)]
pub(crate) enum Identity {
    /// Nobody was asked.
    Anybody,
    /// Somebody who knows this token.
    Token(Secret),
    /// A user.
    User(Arc<User>),
}

/// What a client shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Presented<'a> {
    pub(crate) connect: &'a ConnectOptions,
    /// The nonce of its INFO, where it got one.
    pub(crate) nonce: Option<&'a [u8]>,
    /// How it came.
    pub(crate) kind: ConnectionType,
    /// Where certificates are mapped to users: the names that its certificate offers, best first.
    pub(crate) certificate_names: Option<&'a [String]>,
}

/// What becomes of a login.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// Refused, whatever the cause; the client is not told which.
    Refused,
    /// Accepted.
    Accepted(Identity),
    /// Accepted when the password (the token, where that is what is asked for) fits this hash: too slow to find out
    /// on a core.
    Check(Identity, Secret),
}

impl Identity {
    /// Where it is.
    pub(crate) fn account(&self) -> AccountId {
        match self {
            Identity::Anybody | Identity::Token(_) => AccountId::GLOBAL,
            Identity::User(user) => user.account,
        }
    }

    /// What it may do; `None`: everything.
    pub(crate) fn permissions(&self) -> Option<&Arc<Permissions>> {
        match self {
            Identity::User(user) => user.permissions.as_ref(),
            Identity::Anybody | Identity::Token(_) => None,
        }
    }
}

/// Checks the credentials of a CONNECT. A list of users goes before a token, as upstream looks at them; the file
/// alone cannot say both, but the command line can add one.
pub(crate) fn authenticate(directory: &Directory, presented: &Presented<'_>) -> Verdict {
    let connect = presented.connect;
    // An account in CONNECT is a relic; upstream refuses any use of it.
    if !connect.account.is_empty() || connect.new_account {
        return Verdict::Refused;
    }
    if !directory.auth_required() {
        return Verdict::Accepted(Identity::Anybody);
    }
    let is_silent = connect.user.is_empty() && connect.pass.is_empty() && connect.auth_token.is_empty();
    if presented.certificate_names.is_none()
        && is_silent
        && let Some(user) = directory.no_auth_user()
        && (!user.is_nkey() || connect.nkey.is_empty() || *connect.nkey == *user.name)
        && (user.is_nkey() || connect.nkey.is_empty() || !directory.has_nkeys())
    {
        // An nkey that everybody may be needs no signature, also when it is named.
        let enters = user.may_come_by(presented.kind);
        return if enters { Verdict::Accepted(Identity::User(user.clone())) } else { Verdict::Refused };
    }
    if directory.has_nkeys() && !connect.nkey.is_empty() {
        return by_signature(directory, presented);
    }
    if directory.has_users() || directory.has_nkeys() {
        return by_password(directory, presented);
    }
    let Some(token) = directory.token() else { return Verdict::Refused };
    compare(Identity::Token(token.clone()), token, &connect.auth_token)
}

/// Who may enter when the first verb is no CONNECT: the `no_auth_user`, when it has a name and not an nkey.
pub(crate) fn without_connect(directory: &Directory, kind: ConnectionType) -> Option<Identity> {
    let user = directory.no_auth_user().filter(|user| !user.is_nkey() && user.may_come_by(kind))?;
    Some(Identity::User(user.clone()))
}

fn by_signature(directory: &Directory, presented: &Presented<'_>) -> Verdict {
    let connect = presented.connect;
    let found = directory.nkey(&connect.nkey).filter(|user| user.may_come_by(presented.kind));
    match (found, found.map(|user| &user.proof), presented.nonce) {
        (Some(user), Some(Proof::Nkey(key)), Some(nonce)) if signature::verify(key, nonce, &connect.sig) => {
            Verdict::Accepted(Identity::User(user.clone()))
        }
        _ => Verdict::Refused,
    }
}

fn by_password(directory: &Directory, presented: &Presented<'_>) -> Verdict {
    let connect = presented.connect;
    let found = match presented.certificate_names {
        // A name in CONNECT does not count where the certificate says who somebody is.
        Some(names) => names.iter().find_map(|name| directory.user(name)),
        None => directory.user(&connect.user),
    };
    let Some(user) = found.filter(|user| user.may_come_by(presented.kind)) else { return Verdict::Refused };
    let Proof::Password(secret) = &user.proof else { return Verdict::Refused };
    compare(Identity::User(user.clone()), secret, &connect.pass)
}

fn compare(identity: Identity, secret: &Secret, presented: &str) -> Verdict {
    if secret.is_hash() {
        return Verdict::Check(identity, secret.clone());
    }
    if secret.is(presented) { Verdict::Accepted(identity) } else { Verdict::Refused }
}

/// What becomes of who is logged in when the configuration changes.
#[derive(Debug)]
pub(crate) enum Fate {
    /// It stays, as this.
    Stays(Identity),
    /// It is not known any more, or is somewhere else: closed without a word.
    Gone,
    /// What it showed does not open the door any more.
    Refused,
}

/// What becomes of somebody in a new directory. Passwords are not kept, so a secret that is written differently is
/// another one. `is_named`: CONNECT named a user, an nkey or a token.
pub(crate) fn fate(identity: &Identity, is_named: bool, kind: ConnectionType, new: &Directory) -> Fate {
    match identity {
        Identity::Anybody | Identity::Token(_) if !new.auth_required() => Fate::Stays(Identity::Anybody),
        Identity::Token(old) => match new.token() {
            Some(token) if token.is(old.reveal()) => Fate::Stays(identity.clone()),
            _ => Fate::Refused,
        },
        Identity::Anybody => match new.no_auth_user() {
            Some(user) if !is_named && user.may_come_by(kind) => Fate::Stays(Identity::User(user.clone())),
            _ => Fate::Refused,
        },
        Identity::User(old) => {
            let found = match &old.proof {
                Proof::Password(_) => new.user(&old.name),
                Proof::Nkey(_) => new.nkey(&old.name),
                Proof::Nothing => new.no_auth_user().filter(|user| matches!(user.proof, Proof::Nothing)),
            };
            match found {
                Some(user) if user.account != old.account => Fate::Gone,
                Some(user) if !user.proof.is_same(&old.proof) || !user.may_come_by(kind) => Fate::Refused,
                Some(user) => Fate::Stays(Identity::User(user.clone())),
                None => Fate::Gone,
            }
        }
    }
}

#[cfg(test)]
mod tests;
