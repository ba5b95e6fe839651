//! `petrel-sim`: runs scenarios on the simulator, one seed or many.

use clap::Parser;
use petrel_scenarios::campaign;
use petrel_scenarios::run::Settings;
use petrel_scenarios::scenario::{SCENARIOS, Scenario, find};
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs the engine on the simulator and judges it from outside.
#[derive(Parser, Debug)]
#[command(name = "petrel-sim")]
struct Flags {
    /// The scenario; all of them when it is left out.
    scenario: Option<String>,
    /// Run this seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Run these seeds: FROM..TO, without TO.
    #[arg(long, value_parser = seeds, value_name = "FROM..TO", default_value = "0..25")]
    seeds: (u64, u64),
    /// Threads that run seeds.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Write the trace of the one seed to this file.
    #[arg(long, value_name = "FILE", requires_all = ["seed", "scenario"])]
    trace: Option<PathBuf>,
    /// Put a known bug back into the engine.
    #[cfg(feature = "mutations")]
    #[arg(long, value_name = "NAME", value_parser = petrel_scenarios::mutants::find)]
    mutation: Option<petrel_engine::Mutation>,
    /// List the scenarios.
    #[arg(long)]
    list: bool,
}

fn seeds(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once("..").ok_or("two numbers with .. between them")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    Ok((number(from)?, number(to)?))
}

fn main() -> ExitCode {
    let flags = Flags::parse();
    if flags.list {
        for scenario in SCENARIOS {
            println!("{:14} {}", scenario.name, scenario.about);
        }
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&Scenario> = match flags.scenario.as_deref() {
        None => SCENARIOS.iter().collect(),
        Some(name) => match find(name) {
            Some(scenario) => vec![scenario],
            None => {
                eprintln!("petrel-sim: there is no scenario {name:?}; --list shows them");
                return ExitCode::FAILURE;
            }
        },
    };
    let settings = Settings {
        trace_text: flags.trace.is_some(),
        #[cfg(feature = "mutations")]
        mutation: flags.mutation,
    };
    // All are run, whatever the first ones bring.
    let results: Vec<bool> = chosen.iter().map(|scenario| run(scenario, &flags, &settings)).collect();
    if results.iter().all(|good| *good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs a scenario as the flags say. Whether all was well.
fn run(scenario: &Scenario, flags: &Flags, settings: &Settings) -> bool {
    if let Some(seed) = flags.seed {
        return run_one(scenario, seed, flags, settings);
    }
    let (from, to) = flags.seeds;
    let summary = campaign::run(scenario, from..to, flags.threads, settings, false);
    println!(
        "{}: {} runs, {} failed: {}",
        scenario.name,
        summary.runs,
        summary.failures.len(),
        summary.effects
    );
    for (seed, violations) in &summary.failures {
        println!("  petrel-sim {} --seed {seed}", scenario.name);
        for violation in violations.iter().take(3) {
            println!("    {violation}");
        }
    }
    let absent = summary.absent(scenario);
    if !absent.is_empty() {
        println!("  never took effect: {}", absent.join(", "));
    }
    summary.failures.is_empty() && absent.is_empty()
}

fn run_one(scenario: &Scenario, seed: u64, flags: &Flags, settings: &Settings) -> bool {
    let outcome = (scenario.run)(seed, settings);
    println!("{} --seed {seed}: digest {:016x}: {}", scenario.name, outcome.digest, outcome.effects);
    for violation in &outcome.violations {
        println!("  {violation}");
    }
    for closed in &outcome.closed {
        println!("  closed by the server: {closed}");
    }
    if let (Some(path), Some(trace)) = (&flags.trace, &outcome.trace)
        && let Err(error) = std::fs::write(path, trace)
    {
        eprintln!("petrel-sim: {}: {error}", path.display());
        return false;
    }
    outcome.violations.is_empty()
}
