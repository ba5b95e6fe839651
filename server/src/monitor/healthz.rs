//! `/healthz`: whether traffic shall come here.

use super::query::{BadParameter, Query};
use super::state::Monitor;
use crate::system::Body;
use serde::Serialize;
use tracing::warn;

/// The answer: its HTTP status and body.
#[derive(Serialize)]
pub struct Healthz {
    status: &'static str,
    /// The code; shown in the body only over the system account.
    #[serde(skip_serializing_if = "Option::is_none")]
    status_code: Option<u16>,
    /// The code of the answer over HTTP.
    #[serde(skip)]
    pub code: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Detail>,
}

/// One failed check, with `details=1`.
#[derive(Serialize)]
struct Detail {
    #[serde(rename = "type")]
    kind: &'static str,
    error: String,
}

/// A check that failed.
struct Failure {
    status_code: u16,
    kind: &'static str,
    error: String,
}

/// What is to be checked.
#[derive(Clone, Debug, Default)]
pub struct Request {
    has_account: bool,
    has_stream: bool,
    has_consumer: bool,
    details: bool,
}

impl Request {
    /// Reads the parameters of a request over HTTP.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn from_query(query: &Query) -> Result<Request, BadParameter> {
        let is_deprecated = query.boolean("js-enabled")?;
        for name in ["js-enabled-only", "js-server-only", "js-meta-only"] {
            query.boolean(name)?;
        }
        warn_of(is_deprecated);
        let is_given = |name: &str| !query.text(name).is_empty();
        Ok(Request {
            has_account: is_given("account"),
            has_stream: is_given("stream"),
            has_consumer: is_given("consumer"),
            details: query.boolean("details")?,
        })
    }

    /// Reads the options of a request to the system account.
    pub fn from_body(body: &mut Body) -> Request {
        for name in ["js-enabled", "js-enabled-only", "js-server-only", "js-meta-only"] {
            body.boolean(name);
        }
        Request {
            has_account: !body.text("account").is_empty(),
            has_stream: !body.text("stream").is_empty(),
            has_consumer: !body.text("consumer").is_empty(),
            details: body.boolean("details"),
        }
    }
}

fn warn_of(is_deprecated: bool) {
    if is_deprecated {
        warn!("Healthcheck: js-enabled deprecated, use js-enabled-only instead");
    }
}

/// Makes the checks in their order (reference: monitoring.md, section 7). Those that concern JetStream pass,
/// because it is not configured.
pub fn healthz(monitor: &Monitor, request: &Request) -> Healthz {
    let Some(failure) = check(monitor, request) else {
        return Healthz { status: "ok", status_code: None, code: 200, error: None, errors: Vec::new() };
    };
    let Failure { status_code: code, kind, error } = failure;
    if request.details {
        let errors = vec![Detail { kind, error }];
        return Healthz { status: "error", status_code: None, code, error: None, errors };
    }
    Healthz { status: "error", status_code: None, code, error: Some(error), errors: Vec::new() }
}

impl Healthz {
    /// Tells the log what is wrong, if anything is. As upstream: for who asks over HTTP.
    pub fn tell(&self) {
        match &self.error {
            Some(error) => warn!("Healthcheck failed: {error:?}"),
            None if self.errors.is_empty() => {}
            None => warn!("Healthcheck failed: {} errors", self.errors.len()),
        }
    }

    /// With the code in the body, as the system account's answers have it.
    pub fn with_code(mut self) -> Healthz {
        self.status_code = Some(self.code);
        self
    }
}

fn check(monitor: &Monitor, request: &Request) -> Option<Failure> {
    let bad_request =
        |error: &str| Some(Failure { status_code: 400, kind: "BAD_REQUEST", error: error.to_owned() });
    if request.has_stream && !request.has_account {
        return bad_request("\"account\" must not be empty when checking stream health");
    }
    if request.has_consumer && !request.has_stream {
        return bad_request("\"stream\" must not be empty when checking consumer health");
    }
    let connection = |error: String| Some(Failure { status_code: 500, kind: "CONNECTION", error });
    if !monitor.is_accepting() {
        return connection("failed to be ready for connections after 1ms: server".to_owned());
    }
    // A core that does not turn any more serves nobody, though its port accepts.
    let cores = monitor.inquiry().statistics();
    let silent = cores.iter().position(Option::is_none)?;
    connection(format!("core {silent} does not answer"))
}
