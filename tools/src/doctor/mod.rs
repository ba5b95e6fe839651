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

use clap::Args;
use machine::Machine;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// `petrel doctor ...`
#[derive(Args)]
pub struct Arguments {
    /// The folder where the server shall keep data; some blocks are written there and removed.
    #[arg(default_value = ".")]
    folder: PathBuf,
    /// The configuration that the server shall run with: its limits are held against this machine.
    #[arg(short = 'c', long = "config")]
    config: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Looks, prints, and returns the exit code: 1 when something fails, 0 with nothing worse than warnings.
pub fn execute(arguments: &Arguments) -> ExitCode {
    let report = examine(&arguments.folder, arguments.config.as_deref(), &Machine::this());
    if arguments.json {
        println!("{}", report.to_json());
    } else {
        print!("{}", report.to_text());
    }
    if report.is_healthy() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// All checks, in the order in which one would look.
fn examine(folder: &Path, config: Option<&str>, machine: &Machine) -> Report {
    let mut findings = kernel::look(machine);
    findings.extend(limits::look(machine));
    findings.extend(clock::look(machine));
    findings.extend(disk::look(folder));
    if let Some(path) = config {
        findings.extend(configured::look(path, machine));
    }
    Report { findings }
}
