//! `petrel config check`: what becomes of a configuration file that was written for upstream.

mod plan;
mod render;
mod report;
pub(crate) mod source;

pub use plan::{Accounts, Limits, Listener, Plan, Tls};
pub use report::{Line, Report, check};

use crate::output::say;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// `petrel config ...`
#[derive(Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tell what of a configuration file works, what does not yet, and what the server would do with it.
    Check(CheckArguments),
}

const AFTER_HELP: &str = "It goes by this machine, this user and this folder: whether files can be read and written, \
                          certificates fit their keys, hosts resolve, CPUs and open files suffice. Nothing is bound or \
                          written; a port that somebody else has shows at the start alone. The exit code is 0 when the \
                          server would start.";

/// `petrel config check ...`
#[derive(Args)]
#[command(after_help = AFTER_HELP)]
pub struct CheckArguments {
    /// The configuration file.
    file: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Checks the file, prints the report, and returns the exit code: 0 when the server would start with it, else 1.
pub fn execute(arguments: &Arguments) -> ExitCode {
    let Command::Check(arguments) = &arguments.command;
    let report = check(&arguments.file);
    if arguments.json {
        say(&format!("{}\n", report.to_json()));
    } else {
        say(&report.to_text());
    }
    if report.starts { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
