//! What accounts offer others, and who may take it (reference: security.md, section 6).

use super::edges::EdgesError;
use petrel_config as config;
use petrel_config::{ExportKind, ResponseType};
use petrel_protocol::{pattern, subject};
use std::sync::Arc;
use std::time::Duration;

/// How long an answer may take when nothing is said.
const THRESHOLD: Duration = Duration::from_secs(120);

/// How a service is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Service {
    /// How many answers a request has.
    pub(crate) response: ResponseType,
    /// How long the way back is kept without an answer.
    pub(crate) threshold: Duration,
    /// Where the time that answers took is published.
    pub(crate) latency: Option<Arc<config::Latency>>,
    /// Whether traces of messages pass.
    pub(crate) allow_trace: bool,
}

impl Default for Service {
    fn default() -> Service {
        Service { response: ResponseType::Singleton, threshold: THRESHOLD, latency: None, allow_trace: false }
    }
}

struct Offer<'c> {
    subject: &'c str,
    accounts: Option<&'c [String]>,
    token_position: Option<usize>,
    /// `None`: a stream.
    service: Option<Service>,
}

/// The exports of one account, while the configuration is compiled.
#[derive(Default)]
pub(super) struct Exports<'c> {
    offers: Vec<Offer<'c>>,
}

impl<'c> Exports<'c> {
    /// Reads the exports of an account. `exists` says which accounts there are.
    pub(super) fn compile(
        account: &'c config::Account,
        has_system: bool,
        exists: impl Fn(&str) -> bool,
    ) -> Result<Exports<'c>, EdgesError> {
        let mut exports = Exports::default();
        for export in &account.exports {
            let kind = if matches!(export.kind, ExportKind::Stream) { "stream" } else { "service" };
            if let Some(unknown) = export.accounts.iter().flatten().find(|name| !exists(name)) {
                return Err(EdgesError::UnknownAccount {
                    account: unknown.clone(),
                    edge: format!("{kind} export"),
                });
            }
            if let Some(position) = export.account_token_position
                && export.subject.split('.').nth(position.wrapping_sub(1)) != Some("*")
            {
                return Err(EdgesError::ExportSubject { kind, subject: export.subject.clone() });
            }
            let service = match &export.kind {
                ExportKind::Stream => None,
                ExportKind::Service { response, threshold, latency } => {
                    if let Some(latency) = latency {
                        check_latency(export, latency, *response)?;
                    }
                    Some(Service {
                        response: *response,
                        threshold: threshold.filter(|threshold| !threshold.is_zero()).unwrap_or(THRESHOLD),
                        latency: latency.clone().filter(|_| has_system).map(Arc::new),
                        allow_trace: export.allow_trace,
                    })
                }
            };
            // A subject that is exported twice is exported as it is said last.
            exports.offers.retain(|offer| {
                offer.subject != export.subject || offer.service.is_some() != service.is_some()
            });
            exports.offers.push(Offer {
                subject: &export.subject,
                accounts: export.accounts.as_deref(),
                token_position: export.account_token_position,
                service,
            });
        }
        Ok(exports)
    }

    /// The service behind an import of `importer`. `None`: it is not offered to it.
    pub(super) fn service(&self, subject: &str, importer: &str) -> Option<Service> {
        self.find(subject, importer, true).and_then(|offer| offer.service.clone())
    }

    /// Whether `importer` may take a stream.
    pub(super) fn offers_stream(&self, subject: &str, importer: &str) -> bool {
        self.find(subject, importer, false).is_some()
    }

    fn find(&self, subject: &str, importer: &str, is_service: bool) -> Option<&Offer<'c>> {
        let offers = || self.offers.iter().filter(|offer| offer.service.is_some() == is_service);
        // An export of exactly this subject decides alone.
        if let Some(offer) = offers().find(|offer| offer.subject == subject) {
            return offer.admits(subject, importer).then_some(offer);
        }
        offers().find(|offer| {
            pattern::covers(offer.subject.as_bytes(), subject.as_bytes()) && offer.admits(subject, importer)
        })
    }
}

impl Offer<'_> {
    fn admits(&self, subject: &str, importer: &str) -> bool {
        match self.token_position {
            Some(position) => subject.split('.').nth(position.wrapping_sub(1)) == Some(importer),
            None => self.accounts.is_none_or(|accounts| accounts.iter().any(|name| name == importer)),
        }
    }
}

fn check_latency(
    export: &config::Export,
    latency: &config::Latency,
    response: ResponseType,
) -> Result<(), EdgesError> {
    let refused =
        |why| EdgesError::Latency { service: export.subject.clone(), subject: latency.subject.clone(), why };
    if response != ResponseType::Singleton {
        return Err(refused("bad service response type"));
    }
    let results = latency.subject.as_bytes();
    // Results on the service's own subject would be measured in turn.
    if !subject::is_valid_literal(results) || subject::matches(export.subject.as_bytes(), results) {
        return Err(refused("invalid publish subject"));
    }
    Ok(())
}
