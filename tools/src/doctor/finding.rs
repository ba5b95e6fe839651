//! What was found, and how it is told.

use serde::Serialize;
use std::fmt::Write;

/// How good or bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// As it should be.
    Ok,
    /// The server runs, worse than it could.
    Warn,
    /// The server does not run, or loses data.
    Fail,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at; a name that stays the same.
    pub check: &'static str,
    /// How good or bad it is.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do; nothing when it is as it should be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn ok(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, state: State::Ok, found: found.into(), advice: None }
    }

    /// Not as good as it could be.
    pub fn warn(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check, state: State::Warn, found: found.into(), advice: Some(advice.into()) }
    }

    /// Bad.
    pub fn fail(check: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Finding {
        Finding { check, state: State::Fail, found: found.into(), advice: Some(advice.into()) }
    }
}

/// All that was found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// In the order in which it was looked at.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing fails.
    pub fn is_healthy(&self) -> bool {
        self.findings.iter().all(|finding| finding.state != State::Fail)
    }

    /// One line each, one more for what to do, and one for all of them.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        let width = self.findings.iter().map(|finding| finding.check.len()).max().unwrap_or(0);
        for finding in &self.findings {
            let state = match finding.state {
                State::Ok => "OK  ",
                State::Warn => "WARN",
                State::Fail => "FAIL",
            };
            // Writing into a string cannot fail.
            let _ = writeln!(text, "{state}  {:width$}  {}", finding.check, finding.found);
            if let Some(advice) = &finding.advice {
                let _ = writeln!(text, "      {:width$}  -> {advice}", "");
            }
        }
        let count = |state| self.findings.iter().filter(|finding| finding.state == state).count();
        let (all, warned, failed) = (self.findings.len(), count(State::Warn), count(State::Fail));
        let _ = match (failed, warned) {
            (0, 0) => writeln!(text, "All {all} are as they should be."),
            (0, _) => {
                writeln!(text, "{warned} of {all} could be better; none keeps a server from running here.")
            }
            _ => writeln!(text, "{failed} of {all} must be mended, {warned} could be better."),
        };
        text
    }

    /// One object: `healthy`, and `findings` with `check`, `state`, `found`, `advice`.
    pub fn to_json(&self) -> String {
        let object = serde_json::json!({ "healthy": self.is_healthy(), "findings": self.findings });
        object.to_string()
    }
}
