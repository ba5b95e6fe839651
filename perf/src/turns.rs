//! Runs a scenario against two servers by turns, each turn with a fresh server. Chance decides who begins a round, and
//! how long a pause lies before each turn: what recurs on the machine (a kernel thread that takes a processor for 30 ms
//! each second, say) would otherwise meet the same server again and again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use petrel_runtime::RandomStream;
use petrel_tools::bench::{HoldReport, Report};

use crate::certificates::Certificates;
use crate::generator;
use crate::machine::Machine;
use crate::measurement::{Measurement, Metric};
use crate::public_client;
use crate::row::{Row, Side};
use crate::scenario::{Beside, Kind, Scenario};
use crate::server::Server;

/// Time after which a server that has just started is looked at.
const SETTLE: Duration = Duration::from_secs(2);
/// Most time between two turns.
const PAUSE_MS_MAX: u64 = 1000;
/// Open files that a server needs beside its connections.
const OTHER_FILES: u64 = 256;
/// Where servers and generator run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Layout {
    /// The server on core 0, the generator on core 1.
    Pinned,
    /// Both on all cores.
    Shared,
}

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// A smoke run.
    pub is_quick: bool,
    /// Turns of each server.
    pub rounds: usize,
    /// Time measured in a turn.
    pub duration: Duration,
    /// Time before it.
    pub warmup: Duration,
    /// Time without a PING before held memory is read.
    pub quiet: Duration,
    /// Time for which a receiver stops to read.
    pub stopped: Duration,
}

/// Two servers and what has been found out about them.
pub struct Turns {
    upstream: PathBuf,
    petrel: PathBuf,
    effort: Effort,
    /// The program of the public client's load, once it was needed.
    public_client: Option<PathBuf>,
    /// What servers over TLS show, once it was needed.
    certificates: Option<Certificates>,
    /// Messages a second that upstream took at full speed, by scenario and layout.
    full_rates: BTreeMap<(&'static str, &'static str), f64>,
    random: RandomStream,
}

impl Layout {
    /// Its word in tables and files.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pinned => "pinned",
            Self::Shared => "shared",
        }
    }

    fn server_cores(self) -> Option<&'static [usize]> {
        (self == Self::Pinned).then_some(&[0])
    }

    fn generator_core(self) -> Option<usize> {
        (self == Self::Pinned).then_some(1)
    }
}

impl Drop for Turns {
    fn drop(&mut self) {
        if let Some(program) = &self.public_client {
            // Left behind it would only be a file among the temporary ones.
            let _ = std::fs::remove_file(program);
        }
    }
}

impl Turns {
    /// Turns between these two binaries.
    pub fn new(upstream: PathBuf, petrel: PathBuf, effort: Effort) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            random: RandomStream::from_seed(now.as_nanos() as u64),
            upstream,
            petrel,
            effort,
            public_client: None,
            certificates: None,
            full_rates: BTreeMap::new(),
        }
    }

    /// Runs `scenario` in `layout`.
    pub fn run(&mut self, scenario: &'static Scenario, layout: Layout) -> Row {
        let options = match self.options(scenario, layout) {
            Ok(options) => options,
            Err(error) => {
                let side = || Side::new(Vec::new(), Some(format!("{error:#}")));
                return Row::new(scenario, layout.word(), String::new(), side(), side());
            }
        };
        let binaries = [self.upstream.clone(), self.petrel.clone()];
        let mut runs = [Vec::new(), Vec::new()];
        let mut failures = [None, None];
        let mut published = Vec::new();
        for _ in 0..self.effort.rounds {
            let first = usize::from(self.random.next_u64() & 1 == 1);
            for side in [first, 1 - first] {
                if failures[side].is_some() {
                    continue;
                }
                thread::sleep(Duration::from_millis(self.random.next_u64() % PAUSE_MS_MAX));
                match self.turn(scenario, layout, &binaries[side], &options) {
                    Ok((measurement, publish_rate)) => {
                        runs[side].push(measurement);
                        if side == 0 {
                            published.push(publish_rate);
                        }
                    }
                    Err(error) => failures[side] = Some(format!("{error:#}").replace('\n', "; ")),
                }
            }
        }
        published.sort_by(f64::total_cmp);
        if let (Kind::Load(_), Some(median)) = (scenario.kind, published.get(published.len() / 2)) {
            self.full_rates.insert((scenario.name, layout.word()), *median);
        }
        let [upstream, petrel] = runs;
        let [upstream_failure, petrel_failure] = failures;
        let (upstream, petrel) = (Side::new(upstream, upstream_failure), Side::new(petrel, petrel_failure));
        let mut row = Row::new(scenario, layout.word(), options.join(" "), upstream, petrel);
        row.note = self.note(scenario);
        row
    }

    /// Options of the generator, the time apart.
    fn options(&mut self, scenario: &'static Scenario, layout: Layout) -> Result<Vec<String>> {
        let mut options = scenario.load_options().unwrap_or_default();
        let count = |quick: u32, full: u32| if self.effort.is_quick { quick } else { full };
        if self.certificates.is_none() {
            self.certificates = Certificates::make_for(scenario)?;
        }
        match scenario.kind {
            Kind::Load(_) | Kind::Start | Kind::SlowReceiver | Kind::Growth(..) => {}
            Kind::PublicClient(words) => {
                if self.public_client.is_none() {
                    self.public_client = Some(public_client::build()?);
                }
                options.extend(words.split(' ').map(str::to_owned));
            }
            Kind::HalfRate(of) => {
                let full_rate = self.full_rate(of, layout)?;
                options.extend(["--rate".to_owned(), format!("{:.0}", full_rate / 2.0)]);
                if layout == Layout::Pinned {
                    options.push("--spin".to_owned());
                }
            }
            Kind::IdleConnections(quick, full) => {
                let count = connections_allowed(count(quick, full));
                options.extend(["--idle-connections".to_owned(), count.to_string()]);
            }
            Kind::Subscriptions(quick, full) => {
                let count = count(quick, full).to_string();
                options.extend(["--hold-subscriptions", &count, "--clients", "4"].map(str::to_owned));
            }
        }
        Ok(options)
    }

    fn note(&self, scenario: &Scenario) -> String {
        let (quick, full) = match scenario.kind {
            Kind::IdleConnections(quick, full) => (quick, full),
            Kind::Growth(_, beside) if beside.is_connection => (beside.many_quick, beside.many),
            Kind::SlowReceiver => return format!("stopped for {} s", self.effort.stopped.as_secs_f64()),
            _ => return String::new(),
        };
        let wanted = if self.effort.is_quick { quick } else { full };
        match connections_allowed(wanted) {
            allowed if allowed < wanted => format!("{allowed} of {wanted}: the limit of open files"),
            _ => String::new(),
        }
    }

    /// What upstream takes at full speed: as measured before in this run, or measured now.
    fn full_rate(&mut self, of: &'static str, layout: Layout) -> Result<f64> {
        if let Some(rate) = self.full_rates.get(&(of, layout.word())) {
            return Ok(*rate);
        }
        let scenario = Scenario::find(of).context("a half-rate run needs its load")?;
        let options = scenario.load_options().unwrap_or_default();
        let (_, rate) =
            self.turn(scenario, layout, &self.upstream, &options).context("upstream at full speed")?;
        self.full_rates.insert((of, layout.word()), rate);
        Ok(rate)
    }

    /// One run against a fresh server. Returns the figures, and the messages published a second.
    fn turn(
        &self,
        scenario: &Scenario,
        layout: Layout,
        binary: &Path,
        options: &[String],
    ) -> Result<(Measurement, f64)> {
        let certificates = self.certificates.as_ref().filter(|_| scenario.is_over_tls);
        let mut server = Server::start(binary, layout.server_cores(), None, certificates)?;
        let result = match scenario.kind {
            Kind::Load(_) | Kind::HalfRate(_) => self.load(&server, layout, options),
            Kind::Growth(_, beside) => self.growth(&server, layout, options, beside),
            Kind::PublicClient(_) => self.public_load(&server, layout, options),
            Kind::SlowReceiver => self.slow_receiver(&server, layout, options),
            Kind::Start => {
                thread::sleep(SETTLE);
                Ok((Measurement::of(Metric::StartMemory, server.memory()?.resident_bytes as f64), 0.0))
            }
            Kind::IdleConnections(..) | Kind::Subscriptions(..) => self.hold(&server, layout, options),
        };
        if result.is_err() && !server.is_running() {
            bail!("the server has ended: {}", server.log_end());
        }
        result
    }

    fn load(&self, server: &Server, layout: Layout, options: &[String]) -> Result<(Measurement, f64)> {
        let Effort { warmup, duration, .. } = self.effort;
        let report = self.report(server, layout, options, warmup, duration, &[])?;
        let publish_rate = if report.elapsed_s > 0.0 { report.sent as f64 / report.elapsed_s } else { 0.0 };
        Ok((Measurement::of_load(&report), publish_rate))
    }

    fn report(
        &self,
        server: &Server,
        layout: Layout,
        options: &[String],
        warmup: Duration,
        duration: Duration,
        more: &[&str],
    ) -> Result<Report> {
        let mut options = options.to_vec();
        options.extend(more.iter().map(|&option| option.to_owned()));
        options.extend(["--duration".to_owned(), milliseconds(duration)]);
        options.extend(["--warmup".to_owned(), milliseconds(warmup)]);
        generator::run(server, &options, layout.generator_core())
    }

    /// The rate of a receiver while all read, then while one of them has stopped, from the moment at which it stops.
    fn slow_receiver(
        &self,
        server: &Server,
        layout: Layout,
        options: &[String],
    ) -> Result<(Measurement, f64)> {
        let per_receiver = |report: &Report, receivers: f64| report.rate / receivers;
        let Effort { warmup, duration, stopped, .. } = self.effort;
        let all = self.report(server, layout, options, warmup, duration, &[])?;
        let more = ["--stopped-receivers", "1"];
        let stopped = self.report(server, layout, options, Duration::ZERO, stopped, &more)?;
        let mut measurement = Measurement::of_load(&stopped);
        let kept = per_receiver(&stopped, 3.0) / per_receiver(&all, 4.0);
        measurement.values.insert(Metric::RateKept, kept);
        let closed = stopped.stopped_receivers.map_or(0, |stopped| stopped.closed_by_server);
        measurement.values.insert(Metric::StoppedClosed, closed as f64);
        Ok((measurement, 0.0))
    }

    fn public_load(&self, server: &Server, layout: Layout, options: &[String]) -> Result<(Measurement, f64)> {
        let program = self.public_client.as_deref().context("the public client's load is not built")?;
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        let Effort { warmup, duration, .. } = self.effort;
        let core = layout.generator_core();
        Ok((public_client::run(program, server, &options, core, warmup, duration)?, 0.0))
    }

    /// The cost of a message beside few held things, then beside many, on the same server.
    fn growth(
        &self,
        server: &Server,
        layout: Layout,
        options: &[String],
        beside: Beside,
    ) -> Result<(Measurement, f64)> {
        let Effort { warmup, duration, is_quick, .. } = self.effort;
        let wanted = if is_quick { beside.many_quick } else { beside.many };
        let many = if beside.is_connection { connections_allowed(wanted) } else { wanted };
        let cost = |count: u32| -> Result<(Measurement, f64)> {
            let more = [beside.option, &count.to_string()];
            let report = self.report(server, layout, options, warmup, duration, &more)?;
            let cpu = report.server_use.as_ref().map(|server| server.cpu_s_per_million);
            Ok((Measurement::of_load(&report), cpu.context("the server's CPU is not seen")?))
        };
        let (_, few_cpu) = cost(beside.few)?;
        let (mut measurement, many_cpu) = cost(many)?;
        measurement.values.insert(Metric::CostGrowth, many_cpu / few_cpu);
        Ok((measurement, 0.0))
    }

    fn hold(&self, server: &Server, layout: Layout, options: &[String]) -> Result<(Measurement, f64)> {
        let mut options = options.to_vec();
        options.extend(["--duration".to_owned(), milliseconds(self.effort.quiet)]);
        let report: HoldReport = generator::run(server, &options, layout.generator_core())?;
        Ok((Measurement::of_hold(&report), 0.0))
    }
}

/// As many connections as the limit of open files lets one process have.
fn connections_allowed(wanted: u32) -> u32 {
    let files = Machine::describe().open_files_max.saturating_sub(OTHER_FILES);
    wanted.min(u32::try_from(files).unwrap_or(u32::MAX))
}

fn milliseconds(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
