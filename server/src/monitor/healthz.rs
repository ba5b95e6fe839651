//! `/healthz`: whether traffic shall come here.

use super::query::{BadParameter, Query};
use super::state::Monitor;
use serde::Serialize;
use tracing::warn;

/// The answer: its HTTP status and body.
#[derive(Serialize)]
pub struct Healthz {
    #[serde(skip)]
    pub status_code: u16,
    status: &'static str,
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

/// Makes the checks in their order (reference: monitoring.md, section 7). Those that concern JetStream pass,
/// because it is not configured.
///
/// # Errors
/// When a parameter cannot be read.
pub fn healthz(monitor: &Monitor, query: &Query) -> Result<Healthz, BadParameter> {
    if query.boolean("js-enabled")? {
        warn!("Healthcheck: js-enabled deprecated, use js-enabled-only instead");
    }
    for name in ["js-enabled-only", "js-server-only", "js-meta-only"] {
        query.boolean(name)?;
    }
    let details = query.boolean("details")?;
    let Some(failure) = check(monitor, query) else {
        return Ok(Healthz { status_code: 200, status: "ok", error: None, errors: Vec::new() });
    };
    let Failure { status_code, kind, error } = failure;
    if details {
        warn!("Healthcheck failed: 1 errors");
        let errors = vec![Detail { kind, error }];
        return Ok(Healthz { status_code, status: "error", error: None, errors });
    }
    warn!("Healthcheck failed: {error:?}");
    Ok(Healthz { status_code, status: "error", error: Some(error), errors: Vec::new() })
}

fn check(monitor: &Monitor, query: &Query) -> Option<Failure> {
    let bad_request =
        |error: &str| Some(Failure { status_code: 400, kind: "BAD_REQUEST", error: error.to_owned() });
    let is_given = |name: &str| !query.text(name).is_empty();
    if is_given("stream") && !is_given("account") {
        return bad_request("\"account\" must not be empty when checking stream health");
    }
    if is_given("consumer") && !is_given("stream") {
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
