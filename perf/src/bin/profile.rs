//! Profiles a server under the load of a scenario: on the CPU and off it.

#![forbid(unsafe_code)]
// They panic when nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use petrel_perf::certificates::Certificates;
use petrel_perf::folded::Folded;
use petrel_perf::machine::Machine;
use petrel_perf::scenario::Scenario;
use petrel_perf::server::Server;
use petrel_perf::{flamegraph, generator, off_cpu};
use petrel_tools::bench::Report;
use petrel_tools::{complain_line, say_line};

/// Samples a second: not a divisor of the timers' frequencies, so that it does not run in step with them.
const FREQUENCY: &str = "999";
/// Symbols that are listed.
const HOTTEST: usize = 20;
/// Time of the recording of switches: there are very many.
const OFF_CPU_SECONDS_MAX: f64 = 3.0;
/// Time from the start of the load to the recording.
const LOAD_LEAD: Duration = Duration::from_millis(1_500);
/// What the load lasts longer than the recordings: `perf` takes seconds to begin and to end them on a busy machine.
const LOAD_MARGIN: Duration = Duration::from_secs(10);

/// Profile a server under the load of a scenario.
#[derive(Parser)]
#[command(name = "profile")]
struct CommandLine {
    /// Scenario of perf/compare (perf/compare --list shows them)
    scenario: String,
    /// Server to profile; build it by: RUSTFLAGS="-C force-frame-pointers=yes" cargo build --profile profiling -p petrel-server
    #[arg(long, default_value = "target/profiling/petrel-server")]
    server: PathBuf,
    /// Seconds to record on the CPU
    #[arg(long, default_value_t = 10.0)]
    seconds: f64,
    /// Messages a second on a schedule, in place of full speed
    #[arg(long)]
    rate: Option<f64>,
    /// Folded stacks of an earlier recording to compare with
    #[arg(long)]
    earlier: Option<PathBuf>,
    /// Folder for the recordings
    #[arg(long, default_value = "perf/results/local")]
    out: PathBuf,
    /// Record off-CPU time too
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    off_cpu: bool,
}

fn main() -> ExitCode {
    if let Some(code) = generator::run_if_asked() {
        return code;
    }
    match profile(&CommandLine::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain_line!("profile: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn profile(line: &CommandLine) -> Result<()> {
    let scenario = Scenario::find(&line.scenario).with_context(|| {
        format!("there is no scenario {:?}; perf/compare --list shows them", line.scenario)
    })?;
    let Some(mut options) = scenario.load_options() else {
        bail!("the scenario {} has no load to profile", scenario.name);
    };
    let earlier = line.earlier.as_deref().map(read_folded).transpose()?;
    fs::create_dir_all(&line.out).with_context(|| format!("{}", line.out.display()))?;
    let is_pinned = Machine::describe().cores >= 2;
    let certificates = Certificates::make_for(scenario)?;
    let server = Server::start(&line.server, is_pinned.then_some(&[0]), None, certificates.as_ref())?;
    let off_cpu_seconds = if line.off_cpu { line.seconds.min(OFF_CPU_SECONDS_MAX) } else { 0.0 };
    let seconds = line.seconds + off_cpu_seconds + (LOAD_LEAD + LOAD_MARGIN).as_secs_f64();
    options.extend(["--warmup".to_owned(), "0s".to_owned(), "--duration".to_owned(), format!("{seconds}s")]);
    if let Some(rate) = line.rate {
        options.extend(["--rate".to_owned(), rate.to_string()]);
    }
    let recordings = thread::scope(|scope| {
        let load = scope.spawn(|| generator::run::<Report>(&server, &options, is_pinned.then_some(1)));
        thread::sleep(LOAD_LEAD);
        let recordings = Recordings::make(line, &server, off_cpu_seconds);
        let has_ended = load.is_finished();
        let report = load.join().expect("the thread of the load does not panic")?;
        if has_ended {
            bail!("the load ended before the recordings did: the machine is too busy for them");
        }
        say_line!("load: {:.0} a second ({}), {}\n", report.rate, report.unit, options.join(" "));
        recordings
    })?;
    recordings.show_on_cpu(line, scenario.name, earlier.as_ref())?;
    recordings.show_off_cpu(line, scenario.name)
}

/// What `perf` recorded; its files go with this.
struct Recordings {
    on_cpu: PathBuf,
    off_cpu: PathBuf,
    off_cpu_seconds: f64,
    /// Why off-CPU time could not be recorded.
    refusal: Option<String>,
    /// The server's threads.
    threads: Vec<i32>,
}

impl Recordings {
    /// Records one after the other and leaves the evaluation for later: the load does not wait for it.
    fn make(line: &CommandLine, server: &Server, off_cpu_seconds: f64) -> Result<Self> {
        let file = |name: &str| line.out.join(format!("perf-{name}-{}.data", std::process::id()));
        let threads: Vec<i32> = fs::read_dir(format!("/proc/{}/task", server.pid()))
            .context("the server's threads")?
            .flatten()
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect();
        let (on_cpu, off_cpu) = (file("on-cpu"), file("off-cpu"));
        let mut recordings = Self { on_cpu, off_cpu, off_cpu_seconds, refusal: None, threads };
        let pid = server.pid().to_string();
        let events = ["-F", FREQUENCY, "-e", "cpu-clock", "-g", "-p", &pid];
        perf_record(&recordings.on_cpu, &events, line.seconds).context("recording on the CPU")?;
        if off_cpu_seconds > 0.0 {
            let filter = off_cpu::filter(&recordings.threads);
            let events = ["-e", "sched:sched_switch", "--filter", &filter, "-a", "-g"];
            let result = perf_record(&recordings.off_cpu, &events, off_cpu_seconds);
            recordings.refusal = result.err().map(|error| format!("{error:#}"));
        }
        Ok(recordings)
    }

    fn show_on_cpu(&self, line: &CommandLine, name: &str, earlier: Option<&Folded>) -> Result<()> {
        let on_cpu = Folded::of_samples(&perf_script(&self.on_cpu, "comm,tid,time,event,ip,sym")?);
        if on_cpu.weight() == 0 {
            bail!("no sample was recorded on the CPU");
        }
        let files = store(&line.out, &format!("{}-on-cpu", file_name(name)), &on_cpu, "samples")?;
        say_line!("on the CPU: {} samples in {:.1} s, {files}", on_cpu.weight(), line.seconds);
        print_hottest(&on_cpu);
        if let Some(earlier) = earlier {
            print_changes(&on_cpu, earlier);
        }
        Ok(())
    }

    fn show_off_cpu(&self, line: &CommandLine, name: &str) -> Result<()> {
        let seconds = self.off_cpu_seconds;
        if seconds == 0.0 {
            return Ok(());
        }
        if let Some(refusal) = &self.refusal {
            say_line!("\noff the CPU: not recorded, this system does not permit it: {refusal}");
            return Ok(());
        }
        let script = perf_script(&self.off_cpu, "comm,tid,time,event,trace,ip,sym")?;
        let folded = off_cpu::fold(&script, &self.threads);
        let files = store(&line.out, &format!("{}-off-cpu", file_name(name)), &folded, "us")?;
        say_line!(
            "\noff the CPU: {:.0} ms of {} threads in {seconds:.1} s, waiting for work included, {files}",
            folded.weight() as f64 / 1_000.0,
            self.threads.len()
        );
        print_hottest(&off_cpu::callers(&folded));
        Ok(())
    }
}

impl Drop for Recordings {
    fn drop(&mut self) {
        for file in [&self.on_cpu, &self.off_cpu] {
            let _ = fs::remove_file(file);
        }
    }
}

fn perf_record(data: &Path, events: &[&str], seconds: f64) -> Result<()> {
    let output = Command::new("perf")
        .arg("record")
        .args(events)
        .arg("-o")
        .arg(data)
        .args(["--", "sleep", &seconds.to_string()])
        .stdin(Stdio::null())
        .output()
        .context("perf is not installed")?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        bail!("perf record: {}", text.trim());
    }
    Ok(())
}

fn perf_script(data: &Path, fields: &str) -> Result<String> {
    let output = Command::new("perf")
        .args(["script", "-F", fields, "-i"])
        .arg(data)
        .stdin(Stdio::null())
        .output()
        .context("perf is not installed")?;
    if !output.status.success() {
        bail!("perf script: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn read_folded(path: &Path) -> Result<Folded> {
    let text = fs::read_to_string(path).with_context(|| format!("{}", path.display()))?;
    let folded = Folded::parse(&text);
    if folded.weight() == 0 {
        bail!("{} has no folded stacks", path.display());
    }
    Ok(folded)
}

fn store(folder: &Path, name: &str, folded: &Folded, unit: &str) -> Result<String> {
    let (stacks, graph) = (folder.join(format!("{name}.folded")), folder.join(format!("{name}.svg")));
    fs::write(&stacks, folded.render()).with_context(|| format!("{}", stacks.display()))?;
    fs::write(&graph, flamegraph::draw(folded, name, unit))
        .with_context(|| format!("{}", graph.display()))?;
    Ok(format!("{} and {}", stacks.display(), graph.display()))
}

fn file_name(scenario: &str) -> String {
    scenario.replace(':', "-")
}

fn print_hottest(folded: &Folded) {
    say_line!("  itself  with callees  symbol");
    for share in folded.symbols().iter().take(HOTTEST) {
        say_line!("{:6.1} %      {:6.1} %  {}", share.own * 100.0, share.total * 100.0, share.symbol);
    }
}

fn print_changes(now: &Folded, earlier: &Folded) {
    say_line!("\nchanged most since the earlier recording:\n  before     now  symbol");
    for (symbol, before, now) in now.changes_since(earlier).iter().take(HOTTEST) {
        say_line!("{:6.1} % {:6.1} %  {symbol}", before * 100.0, now * 100.0);
    }
}
