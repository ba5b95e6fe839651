//! Two accounts, one that offers and one that takes: how all scenarios set them up that need what passes between
//! accounts.

use crate::ledger::{Account, Profile};
use crate::plan::Plan;
use petrel_config::{
    Account as ConfiguredAccount, Credential, Export, ExportKind, Import, ResponseType, User,
};
use petrel_engine::{Directory, Options};
use std::sync::Arc;

/// Who offers: its users are called `e`.
pub(super) const EXPORTER: &str = "EXP";
/// Who takes: its users are called `i`.
pub(super) const IMPORTER: &str = "IMP";

/// A user whose password is its name.
pub(super) fn user(name: &str) -> User {
    User {
        credential: Credential::Password { name: name.into(), password: name.into() },
        permissions: None,
        connection_types: None,
    }
}

/// What is offered to everybody.
pub(super) fn export(subject: &str, kind: ExportKind) -> Export {
    Export { subject: subject.into(), accounts: None, account_token_position: None, allow_trace: false, kind }
}

/// A service that nobody measures.
pub(super) fn service(response: ResponseType) -> ExportKind {
    ExportKind::Service { response, threshold: None, latency: None }
}

/// Messages on `subject` of the exporter, which are called `to` here.
pub(super) fn stream_import(subject: &str, to: &str) -> Import {
    Import {
        account: EXPORTER.into(),
        subject: subject.into(),
        to: Some(to.into()),
        prefix: None,
        allow_trace: false,
        share: false,
        is_service: false,
    }
}

/// The exporter's service `subject`, which is called `to` here.
pub(super) fn service_import(subject: &str, to: &str) -> Import {
    Import { is_service: true, ..stream_import(subject, to) }
}

/// The account that offers these, and the account that takes those.
pub(super) fn pair(exports: Vec<Export>, imports: Vec<Import>) -> Vec<ConfiguredAccount> {
    let exporter = ConfiguredAccount {
        name: EXPORTER.into(),
        users: vec![user("e")],
        exports,
        ..ConfiguredAccount::default()
    };
    let importer = ConfiguredAccount {
        name: IMPORTER.into(),
        users: vec![user("i")],
        imports,
        ..ConfiguredAccount::default()
    };
    vec![exporter, importer]
}

/// The options of a server with these accounts, which has `previous` until then.
pub(super) fn with_accounts(previous: &Options, accounts: Vec<ConfiguredAccount>) -> Options {
    let configured = petrel_config::Options { accounts, ..petrel_config::Options::default() };
    let directory =
        Directory::compile(&configured, Some(&previous.directory)).expect("accounts that fit together");
    let mut options = Options { directory: Arc::new(directory), ..previous.clone() };
    options.info.auth_required = options.directory.auth_required();
    options
}

/// Has a client log in as a user whose password is its name.
pub(super) fn log_in_as(profile: &mut Profile, name: &str) {
    profile.credentials = format!(",\"user\":\"{name}\",\"pass\":\"{name}\"");
}

/// Gives the server these accounts, and each client one of the two.
pub(super) fn divide(plan: &mut Plan, accounts: Vec<ConfiguredAccount>, is_importer: impl Fn(usize) -> bool) {
    plan.server = with_accounts(&plan.server, accounts);
    for (client, profile) in plan.profiles.iter_mut().enumerate() {
        let (account, name) =
            if is_importer(client) { (Account::Importer, "i") } else { (Account::Exporter, "e") };
        profile.account = account;
        log_in_as(profile, name);
    }
}
