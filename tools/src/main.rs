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
    /// Look at configuration files.
    Config(petrel_tools::config_check::Arguments),
}

fn main() -> ExitCode {
    match CommandLine::parse().command {
        Command::Bench(arguments) => petrel_tools::bench::execute(&arguments),
        Command::Config(arguments) => petrel_tools::config_check::execute(&arguments),
    }
}
