//! `petrel bench`: load against any NATS server, and what it costs.

mod arguments;
mod clock;
mod connection;
mod error;
mod flow;
mod hold;
mod interrupt;
mod latency;
mod lines;
mod peer;
mod plan;
mod process;
mod reader;
mod report;
mod role;
mod run;
mod schedule;
mod snapshot;
mod subjects;
mod wire;
mod worker;

use std::process::ExitCode;

use crate::complain_line;
use crate::output::say;

pub use arguments::{Arguments, Format, Mode};
pub use connection::{Credentials, ServerIdentity, Target};
pub use error::BenchError;
pub use hold::HoldReport;
pub use latency::LatencySummary;
pub use process::{Memory, ProcessMeter, machine_idle};
pub use report::{
    GeneratorUse, MachineUse, Parameters, Report, ServerUse, StoppedReceivers, grouped, megabytes,
};
pub use wire::client_config;

/// Runs what the command line asks for, prints the result, and returns the exit code: 1 after a failure, which
/// lost messages are too, 2 for options that make no sense, 130 when Ctrl-C has ended the run early.
pub fn execute(arguments: &Arguments) -> ExitCode {
    match arguments.check().and_then(|()| dispatch(arguments)) {
        Ok(code) => code,
        Err(error) => {
            complain_line!("petrel bench: {error}");
            ExitCode::from(match error {
                BenchError::Usage(_) => 2,
                BenchError::Interrupted { .. } => interrupt::EXIT_CODE,
                _ => 1,
            })
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<ExitCode, BenchError> {
    if let Some(core) = arguments.core {
        pin(core)?;
    }
    let target = Target::resolve(&arguments.server, arguments.credentials(), arguments.tls()?)?;
    let Some(mode) = arguments.mode else {
        say(&hold::run(arguments, &target)?.render(arguments.format));
        return Ok(ExitCode::SUCCESS);
    };
    let report = run::run(arguments, mode, &target)?;
    say(&report.render(arguments.format));
    if report.is_interrupted {
        return Ok(ExitCode::from(interrupt::EXIT_CODE));
    }
    if report.lost > 0 {
        let (lost, expected) = (report.lost, report.expected_total);
        complain_line!("petrel bench: {lost} of {expected} messages were lost or came twice");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

/// Confines this process to one core.
fn pin(core: usize) -> Result<(), BenchError> {
    let mut cores = nix::sched::CpuSet::new();
    cores
        .set(core)
        .and_then(|()| nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &cores))
        .map_err(|error| BenchError::system(format!("--core {core}"), error))
}
