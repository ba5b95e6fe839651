//! The `petrel` program: tools for people who run a message broker.

#![forbid(unsafe_code)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Tools for people who run a message broker.
#[derive(Parser)]
#[command(name = "petrel", version)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Generate load against a NATS server and measure it.
    Bench(Box<petrel_tools::bench::Arguments>),
    /// Say what a server would do with a configuration file: petrel config check FILE.
    Config(petrel_tools::config_check::Arguments),
    /// Look at this machine: what a server will find here, and what to do about it.
    Doctor(petrel_tools::doctor::Arguments),
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Bench(arguments) => petrel_tools::bench::execute(&arguments),
        Command::Config(arguments) => petrel_tools::config_check::execute(&arguments),
        Command::Doctor(arguments) => petrel_tools::doctor::execute(&arguments),
    }
}
