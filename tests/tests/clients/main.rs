//! Real client libraries against the server: the programs of `tests/clients/`, each scenario against a server of its
//! own.
//!
//! A case is named `library::scenario`: `cargo test -p petrel-tests --test clients -- nats_py::drain` runs one,
//! `-- nats_py::` all of a library. What a library's program does in a scenario stands in `tests/clients/`, with which
//! configuration in `scenarios.rs`, and what petrel is known not to do yet in `awaited.rs`.
//!
//! Every case must hold against the server that petrel replaces: `PETREL_TEST_SERVER` names its binary, and the table
//! of what is awaited then counts for nothing.

mod awaited;
mod fetch;
mod library;
mod run;
mod scenarios;

use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};
use petrel_tests::{Certificates, is_petrel};
use tempfile::TempDir;

use library::Library;
use scenarios::Scenario;

/// Most of a case is waiting: more of them run at a time than there are cores.
const THREADS: usize = 8;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let scenarios: Vec<Arc<Scenario>> = scenarios::all().into_iter().map(Arc::new).collect();
    let mut trials = Vec::new();
    for library in Library::ALL {
        // Where they must run they fail, with the tool's name.
        let skipped = library.missing_tool().filter(|_| !in_ci());
        if let Some(tool) = skipped {
            eprintln!("SKIPPED: {tool} IS NOT INSTALLED, NOTHING IS TESTED WITH {}", library.name());
        }
        for scenario in &scenarios {
            let awaited = awaited::reason(library, scenario.name);
            let scenario = Arc::clone(scenario);
            let name = format!("{}::{}", library.name(), scenario.name);
            let trial = Trial::test(name, move || outcome(library, &scenario, awaited));
            let trial = trial.with_ignored_flag(skipped.is_some());
            trials.push(match awaited {
                Some(what) => trial.with_kind(format!("not yet: {what}")),
                None => trial,
            });
        }
    }
    trials.push(Trial::test("awaited::names", || awaited::check_names().map_err(Failed::from)));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Whether all languages must be there.
fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true" || value == "1")
}

/// Runs a case and judges it by the table of what is awaited.
fn outcome(library: Library, scenario: &Scenario, awaited: Option<&str>) -> Result<(), Failed> {
    let program = library.program()?;
    let folder = certificates();
    match (run::case(&program, scenario, folder), awaited.filter(|_| is_petrel())) {
        (Ok(()), Some(what)) => Err(format!(
            "this works now: take {} of {} out of the table in awaited.rs (it says: not yet, {what})",
            scenario.name,
            library.name()
        )
        .into()),
        (Ok(()), None) | (Err(_), Some(_)) => Ok(()),
        (Err(problem), None) => Err(problem.into()),
    }
}

/// The folder with the certificates of all cases, made once.
fn certificates() -> &'static std::path::Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = TempDir::new().expect("a temporary folder");
        Certificates::default().write(folder.path());
        folder
    });
    folder.path()
}
