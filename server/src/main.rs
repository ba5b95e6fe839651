//! The program `petrel-server`, also when it is called as `nats-server`: command line, configuration, log,
//! signals and monitoring around the cores of `petrel-engine`.

#![forbid(unsafe_code)]

mod address;
mod configure;
mod console;
mod files;
mod flags;
mod identity;
mod inquiry;
mod log;
mod memory;
mod monitor;
mod node;
mod passwords;
mod ports_file;
mod process;
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

use flags::{Command, FlagError};
use std::path::Path;
use std::process::ExitCode;
use version::PROGRAM;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    match flags::parse(&arguments) {
        Ok(Command::Version) => console::say(&format!("{PROGRAM}: v{}\n", version::UPSTREAM)),
        Ok(Command::Help) => console::say(usage::TEXT),
        Ok(Command::HelpTls) => console::say(usage::TLS_TEXT),
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
