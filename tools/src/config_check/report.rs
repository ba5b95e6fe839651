//! What a check finds.

use super::plan::Plan;
use super::source::System;
use petrel_config::{Finding, Outcome, Position, Problem, inspect};
use petrel_server::rehearse;
use serde::Serialize;

/// What became of a file. Nothing in it is secret: keys, names and counts, never passwords or tokens.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file as it was named.
    pub file: String,
    /// Whether the server would start with it.
    pub starts: bool,
    /// The digest of the file, as upstream and the server say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Why the server would not start.
    pub errors: Vec<Line>,
    /// Keys at top level whose errors keep other things from being looked at, which may be wrong as well.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unchecked: Vec<&'static str>,
    /// What `-t` or the start complains of and the server starts with.
    pub warnings: Vec<Line>,
    /// Keys in force.
    pub works: Vec<Line>,
    /// Keys that stop the start, with what would be missing without them.
    pub not_yet: Vec<Line>,
    /// Keys that are ignored, with the reason.
    pub ignored: Vec<Line>,
    /// What the server would do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server: Option<Plan>,
}

/// Something that is said of a file.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The key, from top level.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The file, which may be an included one; `None`: upstream does not say where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1; of several uses the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// How often the key is used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
}

/// Checks a file as the server would at its start on this machine, but for what only the start can show: ports that
/// somebody else has.
pub fn check(file: &str) -> Report {
    let mut report = Report::new(file);
    let inspection = match inspect(file, &mut System) {
        Ok(inspection) => inspection,
        Err(error) => {
            report.errors.push(Line::of_text(error.to_string()));
            return report;
        }
    };
    for finding in &inspection.findings {
        report.add(finding);
    }
    // What is not there yet is an error to the server; here it stands apart from what is wrong.
    let not_yet: Vec<&Position> =
        inspection.findings.iter().filter(|found| is_not_yet(found)).map(|found| &found.position).collect();
    for problem in &inspection.problems.errors {
        let is_told = problem.position.as_ref().is_some_and(|position| not_yet.contains(&position))
            && problem.is_not_yet();
        if !is_told {
            report.errors.push(Line::of_problem(problem));
        }
    }
    for notice in &inspection.problems.notices {
        let is_told = |finding: &Finding| {
            matches!(finding.outcome, Outcome::Ignored(_))
                && notice.position.as_ref() == Some(&finding.position)
        };
        let is_repeated = notice.text.contains("is ignored: ") && inspection.findings.iter().any(is_told);
        if !is_repeated {
            report.ignored.push(Line::of_problem(notice));
        }
    }
    report.warnings.extend(inspection.problems.warnings.iter().map(Line::of_problem));
    // One error does not hide the next: what could be read is looked at as a start would.
    let rehearsal = rehearse(&inspection);
    report.errors.extend(rehearsal.errors.iter().map(Line::of_problem));
    report.warnings.extend(rehearsal.warnings.iter().map(Line::of_problem));
    report.unchecked.extend(rehearsal.unchecked);
    report.warnings.extend(inspection.options.advice().into_iter().map(Line::of_text));
    report.starts = inspection.problems.errors.is_empty() && report.errors.is_empty();
    report.digest = Some(inspection.digest);
    report.server = Some(Plan::new(&inspection.options));
    report
}

fn is_not_yet(finding: &Finding) -> bool {
    matches!(finding.outcome, Outcome::NotYet(_))
}

impl Report {
    fn new(file: &str) -> Report {
        Report {
            file: file.to_owned(),
            starts: false,
            digest: None,
            errors: Vec::new(),
            unchecked: Vec::new(),
            warnings: Vec::new(),
            works: Vec::new(),
            not_yet: Vec::new(),
            ignored: Vec::new(),
            server: None,
        }
    }

    fn add(&mut self, finding: &Finding) {
        let line = |text: Option<&str>| Line {
            key: Some(finding.path.clone()),
            text: text.map(str::to_owned),
            file: Some(finding.position.file.to_string()),
            line: Some(finding.position.line),
            count: Some(finding.count),
        };
        match finding.outcome {
            Outcome::Works => self.works.push(line(None)),
            Outcome::NotYet(missing) => self.not_yet.push(line(Some(missing))),
            Outcome::Ignored(why) => self.ignored.push(line(Some(why))),
            Outcome::Variable => self.ignored.push(line(Some("a variable, no option"))),
            // The error says it.
            Outcome::Unknown => {}
        }
    }
}

impl Line {
    fn of_text(text: String) -> Line {
        Line { key: None, text: Some(text), file: None, line: None, count: None }
    }

    fn of_problem(problem: &Problem) -> Line {
        let position = problem.place.as_ref();
        Line {
            key: None,
            text: Some(problem.text.clone()),
            file: position.map(|position| position.file.to_string()),
            line: position.map(|position| position.line),
            count: None,
        }
    }
}
