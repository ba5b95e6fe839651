//! `petrel doctor`: what a server will find on this machine, and what to do about it.

mod clock;
mod configured;
mod disk;
mod finding;
mod kernel;
mod limits;
mod machine;
mod volume;

pub use finding::{Finding, Report, State};

use crate::output::say;
use clap::Args;
use machine::Machine;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const AFTER_HELP: &str = "Run it as the server's user, in its container, with its limits. OK is as it should be, WARN runs, \
                          worse than it could, FAIL does not run, or loses data; what to do stands behind the arrow. \
                          The exit code is 1 when something fails.";

/// `petrel doctor ...`
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct Arguments {
    /// A folder for data to look at: some blocks are written there and removed. Petrel keeps no data yet
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The configuration that the server shall run with: would it start, do its limits fit this machine
    #[arg(short = 'c', long = "config", value_name = "FILE")]
    config: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Looks, prints, and returns the exit code: 1 when something fails, 0 with nothing worse than warnings.
pub fn execute(arguments: &Arguments) -> ExitCode {
    let report = examine(arguments.folder.as_deref(), arguments.config.as_deref(), &Machine::this());
    if arguments.json {
        say(&format!("{}\n", report.to_json()));
    } else {
        say(&report.to_text());
    }
    if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All checks, in the order in which one would look.
fn examine(folder: Option<&Path>, config: Option<&str>, machine: &Machine) -> Report {
    let mut findings = kernel::look(machine);
    findings.extend(limits::look(machine));
    findings.extend(clock::look(machine));
    if let Some(folder) = folder {
        findings.extend(disk::look(folder));
    }
    if let Some(path) = config {
        findings.extend(configured::look(path, machine));
    }
    Report { findings }
}
