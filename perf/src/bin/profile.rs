//! Profiles a server under the load of a scenario: on the CPU and off it.

#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use petrel_perf::folded::Folded;
use petrel_perf::machine::Machine;
use petrel_perf::scenario::Scenario;
use petrel_perf::server::Server;
use petrel_perf::{flamegraph, generator, off_cpu};
use petrel_tools::bench::Report;

/// Samples a second: not a divisor of the timers' frequencies, so that it does not run in step with them.
const FREQUENCY: &str = "999";
/// Symbols that are listed.
const HOTTEST: usize = 20;
/// Time of the recording of switches: there are very many.
const OFF_CPU_SECONDS_MAX: f64 = 3.0;
/// Time from the start of the load to the recording.
const LOAD_LEAD: Duration = Duration::from_millis(1_500);

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
            eprintln!("profile: {error:#}");
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
    let server = Server::start(&line.server, is_pinned.then_some(&[0]), None)?;
    let off_cpu_seconds = if line.off_cpu { line.seconds.min(OFF_CPU_SECONDS_MAX) } else { 0.0 };
    let seconds = line.seconds + off_cpu_seconds + 2.0 * LOAD_LEAD.as_secs_f64();
    options.extend(["--warmup".to_owned(), "0s".to_owned(), "--duration".to_owned(), format!("{seconds}s")]);
    if let Some(rate) = line.rate {
        options.extend(["--rate".to_owned(), rate.to_string()]);
    }
    thread::scope(|scope| {
        let load = scope.spawn(|| generator::run::<Report>(&server, &options, is_pinned.then_some(1)));
        thread::sleep(LOAD_LEAD);
        let recorded = record(line, &server, scenario.name, earlier.as_ref(), off_cpu_seconds);
        let report = load.join().expect("the thread of the load does not panic")?;
        recorded?;
        println!("\nload: {:.0} a second ({}), {}", report.rate, report.unit, options.join(" "));
        Ok(())
    })
}

fn record(
    line: &CommandLine,
    server: &Server,
    name: &str,
    earlier: Option<&Folded>,
    off_cpu_seconds: f64,
) -> Result<()> {
    let data = line.out.join(format!("perf-{}.data", std::process::id()));
    let pid = server.pid().to_string();
    perf_record(&data, &["-F", FREQUENCY, "-e", "cpu-clock", "-g", "-p", &pid], line.seconds)
        .context("recording on the CPU")?;
    let on_cpu = Folded::of_samples(&perf_script(&data, "comm,tid,time,event,ip,sym")?);
    let files = store(&line.out, &format!("{}-on-cpu", file_name(name)), &on_cpu, "samples")?;
    println!("on the CPU: {} samples in {:.1} s, {files}", on_cpu.weight(), line.seconds);
    print_hottest(&on_cpu);
    if let Some(earlier) = earlier {
        print_changes(&on_cpu, earlier);
    }
    fs::remove_file(&data).with_context(|| format!("{}", data.display()))?;
    if off_cpu_seconds > 0.0 {
        record_off_cpu(line, server, name, &data, off_cpu_seconds)?;
    }
    Ok(())
}

fn record_off_cpu(line: &CommandLine, server: &Server, name: &str, data: &Path, seconds: f64) -> Result<()> {
    let threads: Vec<i32> = fs::read_dir(format!("/proc/{}/task", server.pid()))
        .context("the server's threads")?
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    let filter = off_cpu::filter(&threads);
    let events = ["-e", "sched:sched_switch", "--filter", &filter, "-a", "-g"];
    if let Err(error) = perf_record(data, &events, seconds) {
        println!("\noff the CPU: not recorded, this system does not permit it: {error:#}");
        return Ok(());
    }
    let folded = off_cpu::fold(&perf_script(data, "comm,tid,time,event,trace,ip,sym")?, &threads);
    fs::remove_file(data).with_context(|| format!("{}", data.display()))?;
    let files = store(&line.out, &format!("{}-off-cpu", file_name(name)), &folded, "us")?;
    let milliseconds = folded.weight() as f64 / 1_000.0;
    println!(
        "\noff the CPU: {milliseconds:.0} ms of {} threads in {seconds:.1} s, idle waiting included, {files}",
        threads.len()
    );
    // The innermost frames are the scheduler's; what led there is the last function outside of it.
    let mut callers = Folded::default();
    for (stack, weight) in folded.iter() {
        let frames: Vec<&str> = stack.split(';').collect();
        let end = frames.iter().rposition(|frame| !is_scheduler(frame)).map_or(frames.len(), |last| last + 1);
        let inner: Vec<String> =
            frames[1.min(end)..end].iter().rev().map(|&frame| frame.to_owned()).collect();
        callers.add(frames[0], &inner, weight);
    }
    print_hottest(&callers);
    Ok(())
}

fn is_scheduler(frame: &str) -> bool {
    ["__schedule", "schedule", "preempt_schedule", "__cond_resched"].contains(&frame)
        || frame.starts_with("schedule_")
        || frame.starts_with("preempt_schedule_")
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
    println!("  itself  with callees  symbol");
    for share in folded.symbols().iter().take(HOTTEST) {
        println!("{:6.1} %      {:6.1} %  {}", share.own * 100.0, share.total * 100.0, share.symbol);
    }
}

fn print_changes(now: &Folded, earlier: &Folded) {
    println!("\nchanged most since the earlier recording:\n  before     now  symbol");
    for (symbol, before, now) in now.changes_since(earlier).iter().take(HOTTEST) {
        println!("{:6.1} % {:6.1} %  {symbol}", before * 100.0, now * 100.0);
    }
}
