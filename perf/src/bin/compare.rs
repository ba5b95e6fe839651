//! Compares petrel with upstream, scenario by scenario, by turns in one run.

#![forbid(unsafe_code)]
// They panic when nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use petrel_perf::certificates::Certificates;
use petrel_perf::generator;
use petrel_perf::machine::{Machine, background_cores};
use petrel_perf::peers::Peer;
use petrel_perf::results::{Results, replace};
use petrel_perf::scenario::{SCENARIOS, Scenario};
use petrel_perf::server::Server;
use petrel_perf::turns::{Effort, Layout, Turns};
use petrel_tools::output::complain;
use petrel_tools::{complain_line, say_line};

/// How long is looked at what else runs on the machine.
const BACKGROUND_LOOK: Duration = Duration::from_millis(500);
/// Time that a stopped receiver gets at least: a server may hold some seconds of its messages before it acts.
const STOPPED_SECONDS_MIN: f64 = 4.0;
/// One run of the generator must end in time.
const SECONDS_MAX: f64 = 300.0;

/// Compare petrel with upstream's server, by turns in one run.
#[derive(Parser)]
#[command(name = "compare")]
struct CommandLine {
    /// Petrel's server
    #[arg(long, default_value = "target/release/petrel-server")]
    petrel: PathBuf,
    /// Upstream's server [default: nats-server on PATH]
    #[arg(long)]
    upstream: Option<PathBuf>,
    /// Scenarios to run, by name; may be given several times [default: all]
    #[arg(long = "scenario")]
    scenarios: Vec<String>,
    /// Layouts to run in; may be given several times [default: both, pinned in a quick run]; what is of memory alone,
    /// and loads of the public client, run shared whatever stands here
    #[arg(long = "layout", value_enum)]
    layouts: Vec<Layout>,
    /// Turns of each server [default: 3, 1 in a quick run]
    #[arg(long)]
    rounds: Option<usize>,
    /// Seconds to measure in a turn [default: 3, 0.6 in a quick run]
    #[arg(long)]
    seconds: Option<f64>,
    /// Seconds for which a receiver stops to read [default: as --seconds, and at least 4]
    #[arg(long)]
    stopped_seconds: Option<f64>,
    /// A smoke run of less than a minute
    #[arg(long)]
    quick: bool,
    /// Write the tables to this file too
    #[arg(long)]
    markdown: Option<PathBuf>,
    /// Folder for the result as JSON
    #[arg(long, default_value = "perf/results")]
    results: PathBuf,
    /// Fail when a target is missed, and not only when something does not run
    #[arg(long)]
    gate: bool,
    /// List the scenarios and their targets
    #[arg(long)]
    list: bool,
}

fn main() -> ExitCode {
    if let Some(code) = generator::run_if_asked() {
        return code;
    }
    match compare(&CommandLine::parse()) {
        Ok(code) => code,
        Err(error) => {
            complain_line!("compare: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn compare(line: &CommandLine) -> Result<ExitCode> {
    if line.list {
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let peer = Peer::nats_server()?;
    let upstream = peer.locate(line.upstream.as_deref())?;
    if !line.petrel.is_file() {
        bail!(
            "{} is not there: cargo build --release -p petrel-server, or name it by --petrel",
            line.petrel.display()
        );
    }
    let machine = Machine::describe();
    let layouts = layouts(line, &machine)?;
    let effort = effort(line)?;
    let mut results = Results {
        began: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        machine,
        background_cores: background_cores(BACKGROUND_LOOK),
        upstream_version: peer.version,
        server_options: Server::arguments(0).join(" ").replace("-p 0", "-p PORT"),
        rounds: effort.rounds,
        duration_s: effort.duration.as_secs_f64(),
        tls_configuration: Certificates::described(),
        is_quick: line.quick,
        is_complete: false,
        rows: Vec::new(),
    };
    let scenarios = chosen(line)?;
    let mut turns = Turns::new(upstream, line.petrel.clone(), effort);
    for (scenario, layout) in steps(&scenarios, &layouts) {
        complain(&format!("{:<18} {:<7} ", scenario.name, layout.word()));
        let row = turns.run(scenario, layout);
        complain_line!("{}", row.verdict());
        results.rows.push(row);
        // After each, so that an interrupted run keeps what it has measured.
        record(line, &results)?;
    }
    results.is_complete = true;
    let path = record(line, &results)?;
    say_line!("{}", results.markdown());
    complain_line!("recorded in {}", path.display());
    let is_bad = results.rows.iter().any(|row| row.is_broken() || (line.gate && row.misses_target()));
    Ok(if is_bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn record(line: &CommandLine, results: &Results) -> Result<PathBuf> {
    if let Some(path) = &line.markdown {
        replace(path, &results.markdown())?;
    }
    results.store(&line.results)
}

fn list() {
    for scenario in SCENARIOS {
        let targets: Vec<String> = scenario.targets.iter().map(|target| target.describe()).collect();
        say_line!("{:<18} {:<52} {}", scenario.name, scenario.title, targets.join(", "));
    }
}

/// Each load in each layout, and what runs shared only once.
fn steps(scenarios: &[&'static Scenario], layouts: &[Layout]) -> Vec<(&'static Scenario, Layout)> {
    let (once, loads): (Vec<_>, Vec<_>) =
        scenarios.iter().copied().partition(|scenario| scenario.is_shared_only());
    let of_layout = |layout: &Layout| loads.iter().map(|load| (*load, *layout)).collect::<Vec<_>>();
    let once = once.into_iter().map(|scenario| (scenario, Layout::Shared));
    layouts.iter().flat_map(of_layout).chain(once).collect()
}

fn chosen(line: &CommandLine) -> Result<Vec<&'static Scenario>> {
    if line.scenarios.is_empty() {
        return Ok(SCENARIOS.iter().filter(|scenario| scenario.is_quick || !line.quick).collect());
    }
    let find = |name: &String| {
        Scenario::find(name).with_context(|| format!("there is no scenario {name:?}; --list shows them"))
    };
    line.scenarios.iter().map(find).collect()
}

fn layouts(line: &CommandLine, machine: &Machine) -> Result<Vec<Layout>> {
    let layouts = match (line.layouts.as_slice(), line.quick) {
        ([], true) => vec![Layout::Pinned],
        ([], false) => vec![Layout::Pinned, Layout::Shared],
        (given, _) => given.to_vec(),
    };
    if machine.cores < 2 && layouts.contains(&Layout::Pinned) {
        bail!(
            "the layout pinned needs two cores, and this process has {}; use --layout shared",
            machine.cores
        );
    }
    Ok(layouts)
}

fn effort(line: &CommandLine) -> Result<Effort> {
    let seconds = line.seconds.unwrap_or(if line.quick { 0.6 } else { 3.0 });
    let rounds = line.rounds.unwrap_or(if line.quick { 1 } else { 3 });
    let stopped_seconds = line.stopped_seconds.unwrap_or(seconds.max(STOPPED_SECONDS_MIN));
    if rounds == 0 {
        bail!("--rounds must be above 0");
    }
    if [seconds, stopped_seconds].iter().any(|time| !(*time > 0.0 && *time <= SECONDS_MAX)) {
        bail!("--seconds and --stopped-seconds must be above 0 and at most {SECONDS_MAX}");
    }
    Ok(Effort {
        is_quick: line.quick,
        rounds,
        duration: Duration::from_secs_f64(seconds),
        warmup: Duration::from_millis(if line.quick { 300 } else { 1_000 }),
        quiet: Duration::from_secs(if line.quick { 3 } else { 10 }),
        stopped: Duration::from_secs_f64(stopped_seconds),
    })
}
