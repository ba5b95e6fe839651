//! What an account takes from others, compiled (reference: security.md, section 6).

use super::AccountId;
use super::edges::EdgesError;
use super::export::Service;
use petrel_config as config;
use petrel_protocol::subject;
use petrel_protocol::transform::Transform;

/// Messages of another account that this one's subscriptions reach.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StreamImport {
    /// Whose messages.
    pub(crate) exporter: AccountId,
    /// What they are called there.
    pub(crate) there: Box<[u8]>,
    /// What they are called here, as a pattern.
    pub(crate) here: Box<[u8]>,
    /// From there to here.
    pub(crate) inwards: Transform,
    /// From here to there; also of patterns.
    pub(crate) outwards: Transform,
    /// Whether traces of messages pass.
    pub(crate) allow_trace: bool,
}

/// Requests that another account answers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ServiceImport {
    /// Who answers.
    pub(crate) exporter: AccountId,
    /// What the service is called here, as a pattern.
    pub(crate) here: Box<[u8]>,
    /// What it is called there, as a pattern.
    pub(crate) there: Box<[u8]>,
    /// From here to there.
    pub(crate) outwards: Transform,
    /// Whether the exporter learns who asks.
    pub(crate) share: bool,
    /// How it is answered.
    pub(crate) service: Service,
}

/// Writes a pattern's `*` as `$1`, `$2`...
pub(super) fn numbered(text: &str) -> String {
    let mut star = 0;
    let tokens = text.split('.').map(|token| match token {
        "*" => {
            star += 1;
            format!("${star}")
        }
        _ => token.to_owned(),
    });
    tokens.collect::<Vec<_>>().join(".")
}

impl StreamImport {
    pub(super) fn compile(import: &config::Import, exporter: AccountId) -> Result<StreamImport, EdgesError> {
        let there = &import.subject;
        let written = match (&import.prefix, &import.to) {
            (Some(prefix), _) => format!("{}.{there}", prefix.strip_suffix('.').unwrap_or(prefix)),
            (None, Some(to)) => to.clone(),
            (None, None) => there.clone(),
        };
        let inwards =
            Transform::for_import(there, &numbered(&written)).map_err(|error| EdgesError::Transform {
                kind: "stream",
                subject: there.clone(),
                from: there.clone(),
                to: written,
                error,
            })?;
        let outwards = inwards
            .reversed()
            .ok_or_else(|| EdgesError::ImportSubject { kind: "stream", subject: there.clone() })?;
        Ok(StreamImport {
            exporter,
            there: there.as_bytes().into(),
            here: inwards.pattern().into(),
            inwards,
            outwards,
            allow_trace: import.allow_trace,
        })
    }
}

impl ServiceImport {
    pub(super) fn compile(
        import: &config::Import,
        exporter: AccountId,
        service: Service,
    ) -> Result<ServiceImport, EdgesError> {
        let there = &import.subject;
        let written = import.to.as_ref().unwrap_or(there);
        let invalid = || EdgesError::ImportSubject { kind: "service", subject: there.clone() };
        if !subject::is_valid_subscription(there.as_bytes())
            || !subject::is_valid_subscription(written.as_bytes())
        {
            return Err(invalid());
        }
        let wrong = |error| EdgesError::Transform {
            kind: "service",
            subject: there.clone(),
            from: written.clone(),
            to: there.clone(),
            error,
        };
        let has_wildcard = |text: &str| subject::has_wildcard(text.as_bytes());
        let (here, outwards) = if has_wildcard(there) || there == written {
            // The other way round first: every wildcard there must be named here.
            let back = Transform::for_import(there, &numbered(written)).map_err(wrong)?;
            (back.pattern(), back.reversed().ok_or_else(invalid)?)
        } else {
            // One subject there, however many are called so here.
            (written.as_bytes().to_vec(), Transform::onto(written, there).map_err(wrong)?)
        };
        Ok(ServiceImport {
            exporter,
            here: here.into(),
            there: there.as_bytes().into(),
            outwards,
            share: import.share,
            service,
        })
    }
}
