//! The server as a library, so that more than its program can reach into it: [`run`] is all of the program, the fuzz
//! targets read strangers' bytes with the rest, `petrel config check` asks [`rehearse`] what a start would say, and the
//! other programs print by [`console`]. Command line, configuration, log, signals and monitoring stand around the cores of
//! `petrel-engine`.

#![forbid(unsafe_code)]

mod address;
mod chores;
mod configure;
pub mod console;
mod descriptors;
mod files;
mod flags;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod identity;
mod inquiry;
mod log;
mod memory;
mod monitor;
mod node;
mod passwords;
mod placement;
mod ports_file;
mod process;
mod quit;
mod rehearsal;
mod reload;
mod run;
mod send_signal;
mod server;
mod settings;
mod signals;
mod system;
mod tcp;
mod tls;
mod usage;
mod version;

pub use rehearsal::{Rehearsal, rehearse};

use flags::{Command, FlagError};
use std::path::Path;
use std::process::ExitCode;
use version::PROGRAM;

/// Does what the arguments of the command line say, its name left out, and returns when that is done.
pub fn run(arguments: &[String]) -> ExitCode {
    match flags::parse(arguments) {
        Ok(Command::Version) => console::say(&format!("{PROGRAM}: v{}\n", version::UPSTREAM)),
        Ok(Command::Help) => console::say(usage::TEXT),
        Ok(Command::HelpTls) => console::say(&usage::tls_text()),
        Ok(Command::Signal(expression)) => {
            if let Err(error) = send_signal::send(&expression, Path::new("/proc")) {
                console::complain(&format!("{PROGRAM}: {error}\n"));
                return ExitCode::FAILURE;
            }
        }
        Ok(Command::Run(flags)) => return run::run(&flags),
        // Upstream ends well here, and wrappers may count on it.
        Err(error @ FlagError::Syntax(_)) => {
            console::complain(&format!("{error}\n"));
            console::say(usage::TEXT);
        }
        Err(error) => {
            console::complain(&format!("{PROGRAM}: {error}\n"));
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
