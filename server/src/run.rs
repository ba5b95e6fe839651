//! From the command line to a server, and to the exit code of the process.

use crate::configure::configure;
use crate::console;
use crate::flags::Flags;
use crate::log::{self, Destination, Level, Levels, Line, Log, OutputError};
use crate::server::Server;
use crate::settings;
use crate::version::PROGRAM;
use petrel_config::LogOptions;
use std::process::ExitCode;

/// Runs the server as the command line and the file say, until a signal ends it; or only checks the file.
pub fn run(flags: &Flags) -> ExitCode {
    let configured = match configure(flags) {
        Ok(Some(configured)) => configured,
        Ok(None) => return ExitCode::SUCCESS,
        Err(error) => {
            console::complain(&format!("{PROGRAM}: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let (log, levels) = match start_log(&configured.options.log) {
        Ok(started) => started,
        Err(error) => {
            console::complain(&format!("{PROGRAM}: {error}\n"));
            return ExitCode::FAILURE;
        }
    };
    let code = match Server::start(flags, &configured, &log, levels) {
        Ok(server) => match server.serve() {
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

fn start_log(options: &LogOptions) -> Result<(Log, Levels), OutputError> {
    let log = Log::start(Destination::of(options))?;
    log_panics(&log);
    let levels = Levels::new(options.debug.unwrap_or(false), settings::is_traced(options));
    log::install(log.clone(), levels.clone());
    Ok((log, levels))
}

/// Panics go to the log. Those on a core are caught there: the core counts them and goes on.
fn log_panics(log: &Log) {
    let log = log.clone();
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed").to_owned();
        let message = panic.payload_as_str().unwrap_or("no message");
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        log.write(Line::now(Level::Error, format!("panic in thread {name} at {place}: {message}")));
    }));
}
