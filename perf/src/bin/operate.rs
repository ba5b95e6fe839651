//! Measures what operators wait for, and prints a table.

#![forbid(unsafe_code)]
// They panic when nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser;
use petrel_perf::generator;
use petrel_perf::machine::Machine;
use petrel_perf::operate::MEASURES;
use petrel_tools::{complain_line, say_line};

/// Measure starts, reloads, logins and monitoring of petrel's server.
#[derive(Parser)]
#[command(name = "operate")]
struct CommandLine {
    /// Server to run
    #[arg(long, default_value = "target/release/petrel-server")]
    server: PathBuf,
    /// Measurements to run, by name; may be given several times [default: all]
    #[arg(long = "measure")]
    measures: Vec<String>,
    /// A smoke run
    #[arg(long)]
    quick: bool,
    /// Fail when a bound is missed, and not only when something does not run
    #[arg(long)]
    gate: bool,
}

fn main() -> ExitCode {
    if let Some(code) = generator::run_if_asked() {
        return code;
    }
    match run(&CommandLine::parse()) {
        Ok(code) => code,
        Err(error) => {
            complain_line!("operate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(line: &CommandLine) -> Result<ExitCode> {
    if let Some(unknown) = line.measures.iter().find(|name| MEASURES.iter().all(|(known, _)| known != name)) {
        bail!("there is no measurement {unknown:?}");
    }
    say_line!("{}\n", Machine::describe().line());
    say_line!("| what | measured | at most | verdict |\n|---|---|---|---|");
    let (mut broken, mut missed) = (false, false);
    for (name, measure) in MEASURES {
        if !line.measures.is_empty() && line.measures.iter().all(|wanted| wanted != name) {
            continue;
        }
        match measure(&line.server, line.quick) {
            Ok(figures) => {
                for figure in figures {
                    let verdict = if figure.is_met() { "pass" } else { "FAIL" };
                    missed |= !figure.is_met();
                    let (value, bound, unit) = (figure.value, figure.bound, figure.unit);
                    say_line!("| {} | {value:.2} {unit} | {bound:.2} {unit} | {verdict} |", figure.name);
                }
            }
            Err(error) => {
                broken = true;
                say_line!("| {name} | - | - | FAIL: {} |", format!("{error:#}").replace('\n', "; "));
            }
        }
    }
    Ok(if broken || (missed && line.gate) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
