//! From the command line to a server, and to the exit code of the process.

use crate::configure::configure;
use crate::flags::Flags;
use crate::log::{self, Levels, Log, Sink, Stamp};
use crate::server::Server;
use crate::version::PROGRAM;
use petrel_config::LogOptions;
use std::process::ExitCode;

/// Runs the server as the command line and the file say, until a signal ends it; or only checks the file.
pub fn run(flags: &Flags) -> ExitCode {
    let configured = match configure(flags) {
        Ok(Some(configured)) => configured,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{PROGRAM}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let log = match start_log(&configured.options.log) {
        Ok(log) => log,
        Err(error) => {
            eprintln!("{PROGRAM}: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match Server::start(&configured) {
        Ok(server) => match server.serve(&log) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                log.fatal(error.to_string());
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            log.fatal(error.to_string());
            ExitCode::FAILURE
        }
    };
    log.flush();
    code
}

fn start_log(options: &LogOptions) -> Result<Log, String> {
    let stamp = Stamp::new(options.time.unwrap_or(true), options.utc.unwrap_or(false));
    let file = options.file.as_deref().filter(|path| !path.is_empty());
    let sink = file.map_or(Sink::Stderr, |path| Sink::File(path.into()));
    let log = Log::start(sink, stamp)
        .map_err(|error| format!("cannot log to {}: {error}", file.unwrap_or("standard error")))?;
    log::install(log.clone(), Levels::new(options.debug.unwrap_or(false), options.trace.unwrap_or(false)));
    Ok(log)
}
