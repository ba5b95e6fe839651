//! All that the cores know of accounts and users: made from the configuration once, shared by all cores, never
//! changed. A reload hands the cores a new one.

use super::AccountId;
use super::edges::{self, Edges, EdgesError};
use hashbrown::HashMap;
use petrel_config as config;
use petrel_config::Credential;
use std::sync::Arc;

/// The name of the global account.
const GLOBAL: &str = "$G";
/// The name of the system account when none is configured.
const SYSTEM: &str = "$SYS";

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
}

/// Who may connect, and into which account.
#[derive(Debug)]
pub struct Directory {
    /// By [`AccountId`]: `$G`, the system account, then the configured ones in the order of the file.
    accounts: Vec<AccountSpec>,
    by_name: HashMap<Box<str>, AccountId, ahash::RandomState>,
    users: HashMap<Box<str>, Arc<User>, ahash::RandomState>,
    nkeys: HashMap<Box<str>, Arc<User>, ahash::RandomState>,
    token: Option<Secret>,
    /// Who clients without credentials are.
    no_auth_user: Option<Arc<User>>,
    /// Whether clients must present something.
    auth_required: bool,
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
    pub connection_types: Option<Vec<config::ConnectionType>>,
}

/// How a user proves who it is.
#[derive(Debug)]
pub(crate) enum Proof {
    Password(Secret),
    /// Signs the nonce with the key that is its name.
    Nkey,
}

/// A password or token. It is never shown.
pub(crate) struct Secret(Box<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret(..)")
    }
}

impl Secret {
    pub(crate) fn new(text: &str) -> Secret {
        Secret(text.into())
    }

    /// Compares in a time that depends on the length of what was presented only.
    pub(crate) fn is(&self, presented: &str) -> bool {
        let (secret, presented) = (self.0.as_bytes(), presented.as_bytes());
        let mut difference = usize::from(secret.len() != presented.len());
        for (index, byte) in presented.iter().enumerate() {
            let expected = secret.get(index).copied().unwrap_or(0);
            difference |= usize::from(std::hint::black_box(expected ^ byte));
        }
        difference == 0
    }
}

fn map<V>() -> HashMap<Box<str>, V, ahash::RandomState> {
    // Names of the configuration, not of clients: the order is never seen and nobody can choose them to collide.
    HashMap::with_hasher(ahash::RandomState::with_seeds(1, 2, 3, 4))
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
        let mut directory = Directory {
            accounts: Vec::new(),
            by_name: map(),
            users: map(),
            nkeys: map(),
            token: None,
            no_auth_user: None,
            auth_required: false,
        };
        directory.add_account(GLOBAL)?;
        directory.add_account(options.system_account.as_deref().unwrap_or(SYSTEM))?;
        for known in previous.into_iter().flat_map(|previous| &previous.accounts) {
            directory.add_account(&known.name)?;
        }
        let configured = &options.authorization;
        for user in configured.users.iter().flatten() {
            directory.add_user(user, AccountId::GLOBAL);
        }
        for account in &options.accounts {
            let id = directory.add_account(&account.name)?;
            directory.accounts[id.index()].limits = account.limits.clone();
            for user in &account.users {
                directory.add_user(user, id);
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
            directory.add_user(&user, AccountId::GLOBAL);
        }
        directory.auth_required = configured.users.is_some()
            || directory.token.is_some()
            || !directory.users.is_empty()
            || !directory.nkeys.is_empty();
        if let Some(name) = &options.no_auth_user {
            let name = name.as_str();
            let user = directory.users.get(name).or_else(|| directory.nkeys.get(name)).cloned();
            directory.no_auth_user = Some(user.ok_or_else(|| DirectoryError::NoAuthUser(name.to_owned()))?);
        }
        let compiled = edges::compile(options, directory.accounts.len(), |name| directory.account(name))?;
        for (spec, edges) in directory.accounts.iter_mut().zip(compiled) {
            spec.edges = Arc::new(edges);
        }
        Ok(directory)
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

    fn add_user(&mut self, user: &config::User, account: AccountId) {
        let connection_types = user.connection_types.clone();
        let name: Box<str> = user.name().into();
        let (proof, users) = match &user.credential {
            Credential::Password { password, .. } => {
                (Proof::Password(Secret::new(password)), &mut self.users)
            }
            Credential::Nkey(_) => (Proof::Nkey, &mut self.nkeys),
        };
        users.insert(name.clone(), Arc::new(User { name, account, proof, connection_types }));
    }

    /// Every account, by id.
    pub fn accounts(&self) -> &[AccountSpec] {
        &self.accounts
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

    /// Who clients without credentials are.
    pub fn no_auth_user(&self) -> Option<&Arc<User>> {
        self.no_auth_user.as_ref()
    }

    /// The token that opens the door.
    pub(crate) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }

    /// Whether clients must present something.
    pub fn auth_required(&self) -> bool {
        self.auth_required
    }
}

impl Default for Directory {
    /// Nothing configured: everybody is in `$G`.
    fn default() -> Directory {
        Directory::compile(&config::Options::default(), None).expect("two accounts and no user fit together")
    }
}
