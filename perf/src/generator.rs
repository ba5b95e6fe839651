//! The load generator of `petrel bench`, as a process of its own: this program called again.

use std::process::{Command, ExitCode, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use petrel_tools::bench::Arguments;
use serde::de::DeserializeOwned;

use crate::server::Server;

/// First word of the command line that makes a program of this package a generator.
const WORD: &str = "generator";
/// A run that takes longer than this is ended.
const TIMEOUT: Duration = Duration::from_secs(600);

#[derive(Parser)]
#[command(name = "generator")]
struct CommandLine {
    #[command(flatten)]
    arguments: Arguments,
}

/// Becomes the generator if the command line says so; to be called first in every program of this package.
pub fn run_if_asked() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1).peekable();
    if words.peek().is_none_or(|word| word != WORD) {
        return None;
    }
    Some(petrel_tools::bench::execute(&CommandLine::parse_from(words).arguments))
}

/// Runs the generator with `options` against `server`, on `core` if given, and reads its report.
///
/// # Errors
/// What the generator says when it fails.
pub fn run<R: DeserializeOwned>(server: &Server, options: &[String], core: Option<usize>) -> Result<R> {
    let mut command = Command::new(std::env::current_exe().context("this program's own path")?);
    command.arg(WORD).args(options).args(["--server", &server.address(), "--format", "json", "--quiet"]);
    command.args(["--server-pid", &server.pid().to_string()]);
    if let Some(file) = server.tls_ca() {
        command.arg("--tls-ca").arg(file);
    }
    if let Some(core) = core {
        command.args(["--core", &core.to_string()]);
    }
    let output = run_bounded(command)?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("{}", text.trim().strip_prefix("petrel bench: ").unwrap_or(text.trim()));
    }
    serde_json::from_slice(&output.stdout).context("the generator's report")
}

fn run_bounded(mut command: Command) -> Result<Output> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("the generator does not start")?;
    let pid = Pid::from_raw(child.id() as i32);
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(TIMEOUT) {
        Ok(output) => output.context("the generator"),
        Err(_) => {
            let _ = kill(pid, Signal::SIGKILL);
            bail!("the generator did not end within {} s", TIMEOUT.as_secs())
        }
    }
}
