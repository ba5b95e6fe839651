//! Load by the public Go client: what applications see of a server's speed. The program lies in `perf/public_client`
//! and is built from the Go module proxy.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use petrel_runtime::end_with_this_thread;
use petrel_tools::bench::ProcessMeter;
use serde::Deserialize;

use crate::confinement::on_cores;
use crate::measurement::{Measurement, Metric};
use crate::server::Server;

/// What the program prints in the end.
#[derive(Deserialize)]
struct Outcome {
    rate: f64,
    count: u64,
}

/// Builds the program.
///
/// # Errors
/// When Go is missing, or what it says.
pub fn build() -> Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("public_client");
    let binary = std::env::temp_dir().join(format!("petrel-public-client-{}", std::process::id()));
    let output = Command::new("go")
        .args(["build", "-o"])
        .arg(&binary)
        .arg(".")
        .current_dir(&source)
        .output()
        .context("go is needed to build the public client's load")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(binary)
}

/// Runs the program with `options` against `server`, on `core` if given.
///
/// # Errors
/// What it says when it fails, and when the server's CPU cannot be read.
pub fn run(
    program: &Path,
    server: &Server,
    options: &[&str],
    core: Option<usize>,
    warmup: Duration,
    duration: Duration,
) -> Result<Measurement> {
    let mut command = Command::new(program);
    command.args(["--server", &server.address()]).args(options);
    if let Some(file) = server.tls_ca() {
        command.arg("--tls-ca").arg(file);
    }
    command.args(["--warmup", &milliseconds(warmup), "--duration", &milliseconds(duration)]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // It would look for a server that is gone.
    end_with_this_thread(&mut command);
    let core = core.map(|core| [core]);
    let mut child = on_cores(core.as_ref().map(|core| core.as_slice()), || {
        command.spawn().context("the public client's load does not start")
    })?;
    let result = watch(&mut child, server);
    let output = child.wait_with_output().context("the public client's load")?;
    match result {
        Ok(measurement) if output.status.success() => Ok(measurement),
        Ok(_) => bail!("{}", String::from_utf8_lossy(&output.stderr).trim()),
        Err(error) => {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            if said.is_empty() { Err(error) } else { bail!(said) }
        }
    }
}

/// Reads the server's CPU where the measured time begins and ends.
fn watch(child: &mut Child, server: &Server) -> Result<Measurement> {
    let meter = ProcessMeter::new(server.pid()).context("the server has ended")?;
    let cpu = || meter.cpu_ns().context("the server has ended");
    let stdout = child.stdout.take().context("the program's output")?;
    let (mut began_ns, mut ended_ns, mut outcome) = (None, None, None);
    for line in BufReader::new(stdout).lines() {
        match line.context("the program's output")?.as_str() {
            "begin" => began_ns = Some(cpu()?),
            "end" => ended_ns = Some(cpu()?),
            text => outcome = Some(serde_json::from_str::<Outcome>(text).context("its result")?),
        }
    }
    let (Some(began_ns), Some(ended_ns), Some(outcome)) = (began_ns, ended_ns, outcome) else {
        bail!("the public client's load ended early");
    };
    let mut measurement = Measurement::of(Metric::Rate, outcome.rate);
    let cpu_s_per_million = (ended_ns - began_ns) as f64 / 1e3 / outcome.count.max(1) as f64;
    measurement.values.insert(Metric::ServerCpu, cpu_s_per_million);
    let memory = meter.memory().context("the server has ended")?;
    measurement.values.insert(Metric::PeakMemory, memory.peak_bytes as f64);
    Ok(measurement)
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
