//! All that the cores know of accounts and users: made from the configuration once, shared by all cores, never
//! changed. A reload hands the cores a new one.

use super::AccountId;
use super::edges::{self, Edges, EdgesError};
use super::permissions::Permissions;
use super::secret::Secret;
use crate::fixed_seeds::FixedSeeds;
use hashbrown::HashMap;
use petrel_config as config;
use petrel_config::{ConnectionType, Credential};
use petrel_protocol::identity::public_key::{Role, decode};
use std::sync::Arc;

/// The name of the global account.
const GLOBAL: &str = "$G";
/// The name of the system account when none is configured.
const SYSTEM: &str = "$SYS";
/// The name of who clients without credentials are when nobody but the system account has users. Nobody can log in
/// under it.
const ANYBODY: &str = "nats-anybody";

/// Why accounts and users do not fit together. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum DirectoryError {
    #[error("there are more than {0} accounts")]
    TooManyAccounts(usize),
    #[error(
        "no_auth_user: {0:?} not present as user or nkey in authorization block or account configuration"
    )]
    NoAuthUser(String),
    #[error(transparent)]
    Edges(#[from] EdgesError),
    #[error("Not a valid public nkey for a user")]
    Nkey,
    #[error("config reload not supported for SystemAccount: old={old}, new={new}")]
    OtherSystem { old: String, new: String },
}

/// Who may connect, and into which account.
#[derive(Debug)]
pub struct Directory {
    /// By [`AccountId`]: `$G`, the system account where that is another one, then the configured ones in the order of
    /// the file.
    accounts: Vec<AccountSpec>,
    /// The same for the life of the server.
    system: AccountId,
    by_name: HashMap<Box<str>, AccountId, FixedSeeds>,
    users: HashMap<Box<str>, Arc<User>, FixedSeeds>,
    nkeys: HashMap<Box<str>, Arc<User>, FixedSeeds>,
    token: Option<Secret>,
    /// Who clients without credentials are.
    no_auth_user: Option<Arc<User>>,
    /// Whether clients must present something.
    auth_required: bool,
    /// Whether some account limits its connections.
    limits_connections: bool,
}

/// What is the same for an account on all cores.
#[derive(Debug)]
pub struct AccountSpec {
    /// The name.
    pub name: Arc<str>,
    /// Limits of its connections.
    pub limits: config::AccountLimits,
    /// What leads to other accounts and subjects.
    pub(crate) edges: Arc<Edges>,
}

/// A user.
#[derive(Debug)]
pub struct User {
    /// The name, or the public nkey.
    pub name: Box<str>,
    /// The account it belongs to.
    pub account: AccountId,
    /// How it proves who it is.
    pub(crate) proof: Proof,
    /// Kinds of connections it may come by; `None`: all.
    pub connection_types: Option<Vec<ConnectionType>>,
    /// What it may do; `None`: everything.
    pub(crate) permissions: Option<Arc<Permissions>>,
    /// Its number within the directory.
    pub(crate) index: u32,
}

/// How a user proves who it is.
#[derive(Debug)]
pub(crate) enum Proof {
    Password(Secret),
    /// Signs the nonce with this key.
    Nkey([u8; 32]),
    /// It is who clients without credentials are, and nobody else.
    Nothing,
}

impl Proof {
    /// Whether who passed one passes the other.
    pub(crate) fn is_same(&self, other: &Proof) -> bool {
        match (self, other) {
            (Proof::Password(one), Proof::Password(other)) => one.is(other.reveal()),
            (Proof::Nkey(one), Proof::Nkey(other)) => one == other,
            (Proof::Nothing, Proof::Nothing) => true,
            _ => false,
        }
    }
}

impl User {
    /// Whether it may come by a connection of this kind.
    pub(crate) fn may_come_by(&self, kind: ConnectionType) -> bool {
        self.connection_types.as_ref().is_none_or(|kinds| kinds.contains(&kind))
    }

    /// Whether its name is an nkey.
    pub(crate) fn is_nkey(&self) -> bool {
        matches!(self.proof, Proof::Nkey(_))
    }
}

/// Default permissions, compiled once for all who have them.
fn shared(source: &config::Permissions) -> (config::Permissions, Arc<Permissions>) {
    (source.clone(), Arc::new(Permissions::compile(source)))
}

impl Directory {
    /// Compiles what the configuration says. Accounts of `previous` keep their ids; those that are gone keep them
    /// too, without users.
    ///
    /// # Errors
    /// What does not fit together, in upstream's words.
    pub fn compile(
        options: &config::Options,
        previous: Option<&Directory>,
    ) -> Result<Directory, DirectoryError> {
        let mut directory = Directory::of_accounts_and_users(options, previous)?;
        let compiled = edges::compile(options, &directory)?;
        for (spec, edges) in directory.accounts.iter_mut().zip(compiled) {
            spec.edges = Arc::new(edges);
        }
        directory.no_auth_user = directory.who_is_nobody(options)?;
        Ok(directory)
    }

    /// All that does not fit together of exports, imports and mappings, each with the account where it stands;
    /// [`Directory::compile`] tells the first of it. Nothing, where accounts and users do not fit together themselves.
    pub fn flaws_between_accounts(options: &config::Options) -> Vec<(String, EdgesError)> {
        let directory = Directory::of_accounts_and_users(options, None);
        directory.map_or(Vec::new(), |directory| edges::compile_all(options, &directory).1)
    }

    fn of_accounts_and_users(
        options: &config::Options,
        previous: Option<&Directory>,
    ) -> Result<Directory, DirectoryError> {
        let mut directory = Directory {
            accounts: Vec::new(),
            system: AccountId::GLOBAL,
            by_name: HashMap::default(),
            users: HashMap::default(),
            nkeys: HashMap::default(),
            token: None,
            no_auth_user: None,
            auth_required: false,
            limits_connections: false,
        };
        directory.add_account(GLOBAL)?;
        let system = options.system_account_name().unwrap_or(SYSTEM);
        directory.system = directory.add_account(system)?;
        let before = previous.map(|previous| &*previous.accounts[previous.system.index()].name);
        if let Some(before) = before.filter(|before| *before != system) {
            return Err(DirectoryError::OtherSystem { old: before.to_owned(), new: system.to_owned() });
        }
        let known = previous.map_or(&[][..], |previous| &previous.accounts);
        for (place, account) in known.iter().enumerate() {
            // Cores know accounts by id alone: one that had another id would take over somebody else's interest.
            let id = directory.add_account(&account.name)?;
            assert_eq!(id.index(), place, "accounts that are known come in their order");
        }
        let configured = &options.authorization;
        let defaults = configured.default_permissions.as_ref().map(shared);
        for user in configured.users.iter().flatten() {
            directory.add_user(user, AccountId::GLOBAL, defaults.as_ref(), previous)?;
        }
        for account in &options.accounts {
            let id = directory.add_account(&account.name)?;
            directory.accounts[id.index()].limits = account.limits.clone();
            directory.limits_connections |= account.limits.connections_max.is_some();
            let defaults = account.default_permissions.as_ref().map(shared);
            for user in &account.users {
                directory.add_user(user, id, defaults.as_ref(), previous)?;
            }
        }
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        directory.token = said(&configured.token).as_deref().map(Secret::new);
        if let Some(name) = said(&configured.user)
            && configured.users.is_none()
            && directory.token.is_none()
        {
            let password = configured.password.clone().unwrap_or_default();
            let credential = Credential::Password { name, password };
            let user = config::User { credential, permissions: None, connection_types: None };
            directory.add_user(&user, AccountId::GLOBAL, None, None)?;
        }
        directory.auth_required = configured.users.is_some()
            || directory.token.is_some()
            || !directory.users.is_empty()
            || !directory.nkeys.is_empty();
        Ok(directory)
    }

    /// Who clients without credentials are: who the configuration names, and anybody of `$G` where nothing but the
    /// system account is configured (upstream invents a user for them).
    fn who_is_nobody(&self, options: &config::Options) -> Result<Option<Arc<User>>, DirectoryError> {
        if let Some(name) = options.no_auth_user.as_deref().filter(|name| !name.is_empty()) {
            let user = self.users.get(name).or_else(|| self.nkeys.get(name)).cloned();
            return user.map(Some).ok_or_else(|| DirectoryError::NoAuthUser(name.to_owned()));
        }
        let authorization = &options.authorization;
        let has_block = authorization.users.is_some()
            || authorization.user.is_some()
            || authorization.timeout.is_some()
            || self.token.is_some();
        let system = &*self.accounts[self.system.index()].name;
        let is_system_alone = options.accounts.len() == 1 && options.accounts[0].name == system;
        if !is_system_alone || has_block || options.no_system_account || !self.auth_required {
            return Ok(None);
        }
        Ok(Some(Arc::new(User {
            name: ANYBODY.into(),
            account: AccountId::GLOBAL,
            proof: Proof::Nothing,
            connection_types: None,
            permissions: None,
            index: self.user_count(),
        })))
    }

    fn add_account(&mut self, name: &str) -> Result<AccountId, DirectoryError> {
        if let Some(id) = self.by_name.get(name) {
            return Ok(*id);
        }
        let most = usize::from(u16::MAX);
        let id = u16::try_from(self.accounts.len()).map_err(|_| DirectoryError::TooManyAccounts(most))?;
        self.accounts.push(AccountSpec {
            name: name.into(),
            limits: config::AccountLimits::default(),
            edges: Arc::default(),
        });
        self.by_name.insert(name.into(), AccountId(id));
        Ok(AccountId(id))
    }

    fn user_count(&self) -> u32 {
        u32::try_from(self.users.len() + self.nkeys.len()).unwrap_or(u32::MAX)
    }

    /// Adds a user. `defaults`: what it may do when nothing is said; permissions that `previous` has alike are taken over.
    fn add_user(
        &mut self,
        user: &config::User,
        account: AccountId,
        defaults: Option<&(config::Permissions, Arc<Permissions>)>,
        previous: Option<&Directory>,
    ) -> Result<(), DirectoryError> {
        let name: Box<str> = user.name().into();
        let index = self.user_count();
        let (proof, users, known) = match &user.credential {
            Credential::Password { password, .. } => {
                let known = previous.and_then(|previous| previous.users.get(&name));
                (Proof::Password(Secret::new(password)), &mut self.users, known)
            }
            Credential::Nkey(key) => {
                let key = decode(Role::User, key).ok_or(DirectoryError::Nkey)?;
                (Proof::Nkey(key), &mut self.nkeys, previous.and_then(|previous| previous.nkeys.get(&name)))
            }
        };
        let source = user.permissions.as_ref().or(defaults.map(|defaults| &defaults.0));
        let permissions = source.map(|source| {
            let known = known.and_then(|known| known.permissions.as_ref());
            match (known.filter(|known| known.is_made_of(source)), defaults) {
                (Some(known), _) => known.clone(),
                (None, Some(defaults)) if user.permissions.is_none() => defaults.1.clone(),
                (None, _) => Arc::new(Permissions::compile(source)),
            }
        });
        let connection_types = user.connection_types.clone();
        let user = User { name: name.clone(), account, proof, connection_types, permissions, index };
        users.insert(name, Arc::new(user));
        Ok(())
    }

    /// Every account, by id.
    pub fn accounts(&self) -> &[AccountSpec] {
        &self.accounts
    }

    /// The account that the server itself is a member of.
    pub fn system(&self) -> AccountId {
        self.system
    }

    /// The account of that name.
    pub fn account(&self, name: &str) -> Option<AccountId> {
        self.by_name.get(name).copied()
    }

    /// The user of that name, who has a password.
    pub(crate) fn user(&self, name: &str) -> Option<&Arc<User>> {
        self.users.get(name)
    }

    /// Whether there are users with names at all.
    pub(crate) fn has_users(&self) -> bool {
        !self.users.is_empty()
    }

    /// The user with that public nkey.
    pub fn nkey(&self, key: &str) -> Option<&Arc<User>> {
        self.nkeys.get(key)
    }

    /// Whether there are users with nkeys: INFO carries a nonce for them to sign.
    pub fn has_nkeys(&self) -> bool {
        !self.nkeys.is_empty()
    }

    /// Who clients without credentials are.
    pub fn no_auth_user(&self) -> Option<&Arc<User>> {
        self.no_auth_user.as_ref()
    }

    /// The token that opens the door.
    pub(crate) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Whether clients must send CONNECT, in time, with what they are asked for.
    pub fn auth_required(&self) -> bool {
        self.auth_required
    }

    /// Whether INFO asks for credentials. With a `no_auth_user` it does not; it does, as upstream's does, where
    /// anybody may enter because only the system account has users.
    pub fn info_auth_required(&self) -> bool {
        let is_open = self.no_auth_user.as_ref().is_some_and(|user| !matches!(user.proof, Proof::Nothing));
        self.auth_required && !is_open
    }

    /// Connections that an account may have at once; `None`: any number.
    pub(crate) fn connections_max(&self, account: AccountId) -> Option<u64> {
        if !self.limits_connections {
            return None;
        }
        self.accounts.get(account.index()).and_then(|account| account.limits.connections_max)
    }
}

impl Default for Directory {
    /// Nothing configured: everybody is in `$G`.
    fn default() -> Directory {
        Directory::compile(&config::Options::default(), None).expect("two accounts and no user fit together")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use petrel_config::SubjectPermission;

    fn publishing(subject: &str) -> Option<config::Permissions> {
        let publish = Some(SubjectPermission { allow: Some(vec![subject.to_owned()]), deny: Vec::new() });
        Some(config::Permissions { publish, ..config::Permissions::default() })
    }

    fn user(name: &str, permissions: Option<config::Permissions>) -> config::User {
        let credential = Credential::Password { name: name.into(), password: "p".into() };
        config::User { credential, permissions, connection_types: None }
    }

    #[test]
    fn permissions_are_shared_and_taken_over() {
        let compile = |own: &str, default: &str, previous: Option<&Directory>| {
            let mut options = config::Options::default();
            options.authorization.default_permissions = publishing(default);
            options.authorization.users =
                Some(vec![user("a", None), user("b", None), user("c", publishing(own))]);
            Directory::compile(&options, previous).unwrap()
        };
        let of =
            |directory: &Directory, name: &str| directory.user(name).unwrap().permissions.clone().unwrap();
        let before = compile("x", "y", None);
        assert!(Arc::ptr_eq(&of(&before, "a"), &of(&before, "b")));
        assert!(of(&before, "c").may_publish(b"x") && !of(&before, "c").may_publish(b"y"));
        let after = compile("x", "z", Some(&before));
        assert!(Arc::ptr_eq(&of(&before, "c"), &of(&after, "c")));
        assert!(!Arc::ptr_eq(&of(&before, "a"), &of(&after, "a")) && of(&after, "a").may_publish(b"z"));
        let again = compile("x", "z", Some(&after));
        assert!(["a", "b", "c"].iter().all(|name| Arc::ptr_eq(&of(&after, name), &of(&again, name))));
    }

    #[test]
    fn accounts_keep_their_ids() {
        let account = |name: &str| config::Account { name: name.into(), ..config::Account::default() };
        let options = |names: &[&str]| config::Options {
            accounts: names.iter().map(|name| account(name)).collect(),
            ..config::Options::default()
        };
        let before = Directory::compile(&options(&["A", "B"]), None).unwrap();
        let after = Directory::compile(&options(&["C", "B"]), Some(&before)).unwrap();
        assert_eq!(before.account("B"), after.account("B"));
        assert_eq!(after.account("A"), before.account("A"));
        assert_ne!(after.account("C"), before.account("A"));
    }

    #[test]
    fn the_system_account_is_one_account_for_ever() {
        let options = |system: Option<&str>, names: &[&str]| config::Options {
            system_account: system.map(str::to_owned),
            accounts: names
                .iter()
                .map(|name| config::Account { name: (*name).into(), ..config::Account::default() })
                .collect(),
            ..config::Options::default()
        };
        let compile = |options: &config::Options, previous| Directory::compile(options, previous).map(|_| ());
        let before = Directory::compile(&options(Some("SYS"), &["A", "SYS"]), None).unwrap();
        for (system, names, new) in [
            (Some("A"), &["A", "SYS"][..], "A"),
            (Some("NEW"), &["A", "NEW"], "NEW"),
            (None, &["A", "SYS"], "$SYS"),
        ] {
            let refused = compile(&options(system, names), Some(&before)).unwrap_err().to_string();
            let text = format!("config reload not supported for SystemAccount: old=SYS, new={new}");
            assert_eq!(refused, text);
        }
        // Its block may go: it stays without users, as upstream has it.
        assert!(compile(&options(Some("SYS"), &["A"]), Some(&before)).is_ok());
    }

    #[test]
    fn the_global_account_may_be_the_system_account() {
        let options = |system: &str| config::Options {
            system_account: Some(system.to_owned()),
            accounts: vec![config::Account { name: "A".into(), ..config::Account::default() }],
            ..config::Options::default()
        };
        let directory = Directory::compile(&options("$G"), None).unwrap();
        assert_eq!(directory.system(), AccountId::GLOBAL);
        let names: Vec<&str> = directory.accounts().iter().map(|account| &*account.name).collect();
        assert_eq!(names, ["$G", "A"]);
        assert!(Directory::compile(&options("$G"), Some(&directory)).is_ok());
        let refused = Directory::compile(&options("A"), Some(&directory)).unwrap_err().to_string();
        assert_eq!(refused, "config reload not supported for SystemAccount: old=$G, new=A");
    }
}
