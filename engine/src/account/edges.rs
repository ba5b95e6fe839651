//! What leads from account to account: exports, imports and mappings, compiled when the configuration changes.

use super::export::{Exports, Service};
use super::import::{ServiceImport, StreamImport};
use super::mapping::{MappingError, Mappings};
use super::{AccountId, Directory};
use petrel_config as config;
use petrel_config::ResponseType;
use petrel_protocol::pattern;
use petrel_protocol::transform::TransformError;
use std::sync::Arc;

/// Why exports, imports and mappings do not fit together. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum EdgesError {
    #[error(transparent)]
    Mapping(#[from] MappingError),
    #[error("{account:?} account not defined for {edge}")]
    UnknownAccount { account: String, edge: String },
    #[error("Error adding {kind} export {subject:?}: sublist: invalid subject")]
    ExportSubject { kind: &'static str, subject: String },
    #[error("Error adding {kind} import {subject:?}: sublist: invalid subject")]
    ImportSubject { kind: &'static str, subject: String },
    #[error("Error adding {kind} import {subject:?}: {kind} import not authorized")]
    NotAuthorized { kind: &'static str, subject: String },
    #[error("Error adding {kind} import {subject:?}: import forms a cycle")]
    Cycle { kind: &'static str, subject: String },
    #[error("there are more than {0} service imports in one account")]
    TooManyServices(usize),
    #[error("Error adding stream import {0:?}: stream import already exists")]
    DuplicateStream(String),
    #[error(
        "Error adding service import {subject:?}: duplicate service import subject {here:?}, previously used in import for account {account:?}, subject {previous:?}"
    )]
    DuplicateService { subject: String, here: String, account: String, previous: String },
    #[error(
        "Error adding {kind} import {subject:?}: failed to create mapping transform for {kind} import subject from {from:?} to {to:?}: {error}"
    )]
    Transform { kind: &'static str, subject: String, from: String, to: String, error: TransformError },
    #[error("Error adding service latency sampling for {service:?} on subject {subject:?}: {why}")]
    Latency { service: String, subject: String, why: &'static str },
}

/// Service imports of one account; look-ups number them by 16 bits, and those of the system account come on top.
const SERVICES_MAX: usize = 65_000;

/// The edges of one account.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    /// Subjects that are changed first of all.
    pub(crate) mappings: Mappings,
    /// What it hears of others.
    pub(crate) streams: Vec<Arc<StreamImport>>,
    /// What it asks of others.
    pub(crate) services: Vec<Arc<ServiceImport>>,
    /// Whether one of those services is measured.
    pub(crate) measures: bool,
    /// Where traces of messages with a sampled parent go.
    pub(crate) message_trace: Option<config::MessageTrace>,
}

/// What is compiled for every account, by id.
struct Compilation<'c, F> {
    edges: Vec<Edges>,
    /// `None`: they do not fit together.
    exports: Vec<Option<Exports<'c>>>,
    account: F,
}

/// What does not fit, and in which account it stands.
pub(super) type Flaw = (String, EdgesError);

/// Compiles the edges of all accounts of a directory: one entry each, by id.
pub(super) fn compile(options: &config::Options, directory: &Directory) -> Result<Vec<Edges>, EdgesError> {
    let (edges, flaws) = compile_all(options, directory);
    flaws.into_iter().next().map_or(Ok(edges), |(_, error)| Err(error))
}

/// The same, and all that does not fit, in the order in which it is found. What only follows from an earlier flaw is left
/// out.
pub(super) fn compile_all(options: &config::Options, directory: &Directory) -> (Vec<Edges>, Vec<Flaw>) {
    let account_count = directory.accounts().len();
    let mut compilation = Compilation {
        edges: (0..account_count).map(|_| Edges::default()).collect(),
        exports: (0..account_count).map(|_| Some(Exports::default())).collect(),
        account: |name: &str| directory.account(name),
    };
    let mut flaws: Vec<Flaw> = Vec::new();
    let has_system_account = options.system_account_name().is_some();
    // Clusters have names; a server of its own has none.
    let cluster = "";
    let mappings = |name: &str, configured: &[config::Mapping], flaws: &mut Vec<Flaw>| {
        let compiled = Mappings::compile(configured, cluster);
        compiled.map_err(|error| flaws.push((name.to_owned(), error.into()))).unwrap_or_default()
    };
    compilation.edges[AccountId::GLOBAL.index()].mappings = mappings("$G", &options.mappings, &mut flaws);
    for configured in &options.accounts {
        let Some(id) = (compilation.account)(&configured.name) else { continue };
        let edges = &mut compilation.edges[id.index()];
        edges.mappings = mappings(&configured.name, &configured.mappings, &mut flaws);
        edges.message_trace.clone_from(&configured.message_trace);
        let exists = |name: &str| (compilation.account)(name).is_some();
        let exports = Exports::compile(configured, has_system_account, exists);
        compilation.exports[id.index()] =
            exports.map_err(|error| flaws.push((configured.name.clone(), error))).ok();
    }
    for is_service in [false, true] {
        for configured in &options.accounts {
            for import in configured.imports.iter().filter(|import| import.is_service == is_service) {
                let added = match is_service {
                    true => compilation.add_service(configured, import),
                    false => compilation.add_stream(configured, import),
                };
                flaws.extend(added.err().map(|error| (configured.name.clone(), error)));
            }
        }
    }
    if has_system_account {
        compilation.add_system_services(options, directory.system());
    }
    for edges in &mut compilation.edges {
        edges.measures = edges.services.iter().any(|import| import.service.latency.is_some());
    }
    (compilation.edges, flaws)
}

impl<F: Fn(&str) -> Option<AccountId>> Compilation<'_, F> {
    fn ends(
        &self,
        importer: &config::Account,
        import: &config::Import,
        kind: &str,
    ) -> Result<(AccountId, AccountId), EdgesError> {
        let unknown =
            || EdgesError::UnknownAccount { account: import.account.clone(), edge: format!("{kind} import") };
        let exporter = (self.account)(&import.account).ok_or_else(unknown)?;
        let importer = (self.account)(&importer.name).ok_or_else(unknown)?;
        Ok((importer, exporter))
    }

    fn add_stream(&mut self, importer: &config::Account, import: &config::Import) -> Result<(), EdgesError> {
        let (kind, subject) = ("stream", &import.subject);
        let (here, there) = self.ends(importer, import, kind)?;
        // What an account offers whose exports do not fit together is not known: that has been told.
        let Some(exports) = &self.exports[there.index()] else { return Ok(()) };
        if !exports.offers_stream(subject, &importer.name) {
            return Err(EdgesError::NotAuthorized { kind, subject: subject.clone() });
        }
        let compiled = StreamImport::compile(import, there)?;
        let known = &self.edges[here.index()].streams;
        if known.iter().any(|other| {
            other.exporter == there && other.there == compiled.there && other.here == compiled.here
        }) {
            return Err(EdgesError::DuplicateStream(subject.clone()));
        }
        let next = |account: AccountId, subject: &[u8]| {
            let streams = self.edges[account.index()].streams.iter();
            let taken = streams.filter(|other| pattern::intersection(&other.here, subject).is_some());
            taken.map(|other| (other.exporter, other.there.to_vec())).collect::<Vec<_>>()
        };
        if forms_cycle(here, there, &compiled.there, next) {
            return Err(EdgesError::Cycle { kind, subject: subject.clone() });
        }
        self.edges[here.index()].streams.push(Arc::new(compiled));
        Ok(())
    }

    fn add_service(&mut self, importer: &config::Account, import: &config::Import) -> Result<(), EdgesError> {
        let (kind, subject) = ("service", &import.subject);
        let (here, there) = self.ends(importer, import, kind)?;
        if !petrel_protocol::subject::is_valid_subscription(subject.as_bytes()) {
            return Err(EdgesError::ImportSubject { kind, subject: subject.clone() });
        }
        let Some(exports) = &self.exports[there.index()] else { return Ok(()) };
        let service = exports
            .service(subject, &importer.name)
            .ok_or_else(|| EdgesError::NotAuthorized { kind, subject: subject.clone() })?;
        let compiled = ServiceImport::compile(import, there, service)?;
        let known = &self.edges[here.index()].services;
        if known.len() >= SERVICES_MAX {
            return Err(EdgesError::TooManyServices(SERVICES_MAX));
        }
        if let Some(other) = known.iter().find(|other| other.here == compiled.here) {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let is_its = |import: &&config::Import| (self.account)(&import.account) == Some(other.exporter);
            let account = importer.imports.iter().find(is_its);
            return Err(EdgesError::DuplicateService {
                subject: subject.clone(),
                here: text(&compiled.here),
                account: account.map_or(String::new(), |import| import.account.clone()),
                previous: text(&other.there),
            });
        }
        let next = |account: AccountId, subject: &[u8]| {
            let services = self.edges[account.index()].services.iter();
            let taken = services.filter(|other| pattern::intersection(&other.here, subject).is_some());
            taken.map(|other| (other.exporter, other.there.to_vec())).collect::<Vec<_>>()
        };
        if forms_cycle(here, there, &compiled.there, next) {
            return Err(EdgesError::Cycle { kind, subject: subject.clone() });
        }
        self.edges[here.index()].services.push(Arc::new(compiled));
        Ok(())
    }

    /// Every account may ask the system account about itself.
    fn add_system_services(&mut self, options: &config::Options, system: AccountId) {
        let configured = options.accounts.iter().map(|account| account.name.as_str());
        for name in std::iter::once("$G").chain(configured) {
            let Some(id) = (self.account)(name).filter(|id| *id != system) else { continue };
            for (here, there, share, response) in system_services(name) {
                let known = &mut self.edges[id.index()].services;
                if known.iter().any(|other| *other.here == *here.as_bytes()) {
                    continue;
                }
                let import = config::Import {
                    account: String::new(),
                    subject: there,
                    to: Some(here.to_owned()),
                    prefix: None,
                    allow_trace: false,
                    share,
                    is_service: true,
                };
                let service = Service { response, ..Service::default() };
                // A name that is no token of a subject has no such service, as it has none upstream.
                if let Ok(import) = ServiceImport::compile(&import, system, service) {
                    known.push(Arc::new(import));
                }
            }
        }
    }
}

/// What an account may ask the system account: its subject, that of the system account, whether the asker is shown, and
/// how many answers there are (other servers answer as well).
fn system_services(account: &str) -> [(&'static str, String, bool, ResponseType); 4] {
    let own = |kind: &str| format!("$SYS.REQ.ACCOUNT.{account}.{kind}");
    let many = ResponseType::Stream;
    [
        ("$SYS.REQ.ACCOUNT.PING.CONNZ", own("CONNZ"), false, many),
        ("$SYS.REQ.SERVER.PING.CONNZ", own("CONNZ"), false, many),
        ("$SYS.REQ.ACCOUNT.PING.STATZ", own("STATZ"), false, many),
        ("$SYS.REQ.USER.INFO", format!("$SYS.REQ.USER.{account}.INFO"), true, ResponseType::Singleton),
    ]
}

/// Whether an edge from `from` to `there` in `to` leads back, over `next`: the edges that a subject of an account takes.
fn forms_cycle(
    from: AccountId,
    to: AccountId,
    there: &[u8],
    next: impl Fn(AccountId, &[u8]) -> Vec<(AccountId, Vec<u8>)>,
) -> bool {
    let mut seen = vec![from];
    let mut open = vec![(to, there.to_vec())];
    while let Some((account, subject)) = open.pop() {
        for (exporter, subject) in next(account, &subject) {
            if exporter == from {
                return true;
            }
            if !seen.contains(&exporter) {
                seen.push(exporter);
                open.push((exporter, subject));
            }
        }
    }
    false
}
