//! Runs a scenario against a server within the bounds of a small node, and fails when memory runs out.

#![forbid(unsafe_code)]
// They panic when nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use petrel_perf::certificates::Certificates;
use petrel_perf::confinement::MemoryBound;
use petrel_perf::generator;
use petrel_perf::machine::Machine;
use petrel_perf::measurement::Measurement;
use petrel_perf::scenario::{Kind, Scenario};
use petrel_perf::server::Server;
use petrel_tools::bench::{HoldReport, Report, megabytes};
use petrel_tools::{complain_line, say_line};

/// Run a scenario against a server with 2 CPUs and 2 GB.
#[derive(Parser)]
#[command(name = "node")]
struct CommandLine {
    /// Scenario of perf/compare (perf/compare --list shows them)
    scenario: String,
    /// Server to run
    #[arg(long, default_value = "target/release/petrel-server")]
    server: PathBuf,
    /// Cores of the node
    #[arg(long, default_value_t = 2)]
    cpus: usize,
    /// Memory of the node in MiB
    #[arg(long, default_value_t = 2048)]
    memory_mib: u64,
    /// Seconds of load
    #[arg(long, default_value_t = 30.0)]
    seconds: f64,
    /// More options for the load generator, behind --
    #[arg(last = true)]
    more: Vec<String>,
}

fn main() -> ExitCode {
    if let Some(code) = generator::run_if_asked() {
        return code;
    }
    match run(&CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain_line!("node: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(line: &CommandLine) -> Result<()> {
    let scenario = Scenario::find(&line.scenario).with_context(|| {
        format!("there is no scenario {:?}; perf/compare --list shows them", line.scenario)
    })?;
    let machine = Machine::describe();
    if line.cpus == 0 || line.cpus > machine.cores {
        bail!("this process has {} cores, not {}", machine.cores, line.cpus);
    }
    let bound = MemoryBound::new(line.memory_mib << 20);
    say_line!("{}", machine.line());
    say_line!("server: cores 0 to {}, {}", line.cpus - 1, bound.describe());
    let cores: Vec<usize> = (0..line.cpus).collect();
    let certificates = Certificates::make_for(scenario)?;
    let mut server = Server::start(&line.server, Some(&cores), Some(&bound), certificates.as_ref())?;
    let result = load(line, scenario, &server);
    let peak = server.memory().map(|memory| megabytes(memory.peak_bytes));
    let kills = bound.kills();
    let has_ended = !server.is_running();
    let log = server.log_end();
    drop(server);
    if kills.unwrap_or(0) > 0 {
        bail!("memory ran out: the kernel ended the server");
    }
    if has_ended {
        bail!("the server has ended: {log}");
    }
    let measurement = result?;
    for (metric, value) in &measurement.values {
        say_line!("{:<28} {}", metric.name(), metric.show(*value));
    }
    say_line!("{:<28} {}", "peak within the bound", peak.unwrap_or_else(|_| "unknown".to_owned()));
    Ok(())
}

fn load(line: &CommandLine, scenario: &Scenario, server: &Server) -> Result<Measurement> {
    let mut options = scenario.load_options().unwrap_or_default();
    match scenario.kind {
        Kind::Load(_) => {}
        Kind::HalfRate(_) => bail!("{} needs a rate of upstream; give the load's own name", scenario.name),
        Kind::Growth(_, beside) => options.extend([beside.option.to_owned(), beside.many.to_string()]),
        Kind::PublicClient(_) => bail!("{} is for compare", scenario.name),
        Kind::Start => return Ok(Measurement::default()),
        Kind::SlowReceiver => options.extend(["--stopped-receivers".to_owned(), "1".to_owned()]),
        Kind::IdleConnections(_, full) => options.extend(["--idle-connections".to_owned(), full.to_string()]),
        Kind::Subscriptions(_, full) => options.extend(["--hold-subscriptions".to_owned(), full.to_string()]),
    }
    let is_hold = matches!(scenario.kind, Kind::IdleConnections(..) | Kind::Subscriptions(..));
    if !is_hold {
        options.extend(["--duration".to_owned(), format!("{}s", line.seconds)]);
    }
    options.extend(line.more.iter().cloned());
    if is_hold {
        return Ok(Measurement::of_hold(&generator::run::<HoldReport>(server, &options, None)?));
    }
    Ok(Measurement::of_load(&generator::run::<Report>(server, &options, None)?))
}
