//! The course of a run under load: phases, progress, the wait for what is under way, the result.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use super::arguments::{Arguments, Mode};
use super::clock::monotonic_ns;
use super::connection::Target;
use super::error::BenchError;
use super::flow::{Flow, Phase};
use super::hold::Crowd;
use super::interrupt::Interrupt;
use super::latency::LatencyRecorder;
use super::plan::Plan;
use super::process::{Memory, ProcessMeter};
use super::report::{Parameters, Report, StoppedReceivers, grouped, megabytes};
use super::snapshot::Snapshot;
use super::worker::{Worker, WorkerOutcome};
use crate::complain_line;

/// How often the coordinator looks: seldom, since it shares a core with the load; the workers note exact times.
const LOOK: Duration = Duration::from_millis(5);
const PROGRESS_NS: u64 = 1_000_000_000;
/// What a run in the mode sub waits for at first.
const FIRST_MESSAGE: &str = "waiting for the first message";

/// Finds the server's process: as given, or by its port if it is on this machine.
///
/// # Errors
/// [`BenchError::Usage`] when the given process does not exist.
pub fn find_server(arguments: &Arguments, target: &Target) -> Result<Option<ProcessMeter>, BenchError> {
    match arguments.server_pid {
        Some(pid) => ProcessMeter::new(pid)
            .map(Some)
            .ok_or_else(|| BenchError::Usage(format!("--server-pid {pid}: there is no such process"))),
        None if target.is_loopback() => Ok(ProcessMeter::of_listener(target.port())),
        None => Ok(None),
    }
}

/// Runs the load that `arguments` describe.
///
/// # Errors
/// Everything in [`BenchError`]; lost messages are not an error but stand in the report.
pub fn run(arguments: &Arguments, mode: Mode, target: &Target) -> Result<Report, BenchError> {
    let server = find_server(arguments, target)?;
    let before = memory_of(server.as_ref());
    let crowd = Crowd::gather(arguments, target)?;
    let plan = Plan::open(arguments, mode, target)?;
    let flow = plan.flow;
    let mut report = Report {
        address: target.address().to_owned(),
        server: plan.server,
        parameters: Parameters::of(arguments),
        unit: unit(mode).to_owned(),
        ..Report::default()
    };
    let mut begin = None;
    if arguments.warmup.is_zero() && mode != Mode::Sub {
        begin = Some(Snapshot::take(&flow, server.as_ref()));
        flow.set_phase(Phase::Measure);
    }
    let workers = start(plan.workers, &flow, arguments.spin)?;
    let interrupt = Interrupt::listen()?;
    let mut course = Course::new(arguments, &flow, server, interrupt.clone());
    let measured = course.run(mode, begin);
    flow.set_phase(Phase::Stop);
    let outcomes: Vec<WorkerOutcome> =
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).collect();
    if let Some(error) = flow.take_failure() {
        return Err(error);
    }
    let difference = measured?;
    report.is_interrupted = interrupt.is_raised();
    report.expected_total = if mode == Mode::Sub { flow.received() } else { flow.expected(flow.sent()) };
    if !flow.receivers.is_empty() {
        report.lost = report.expected_total.abs_diff(flow.received());
    }
    let (mut latency, mut lag) = (LatencyRecorder::default(), LatencyRecorder::default());
    for outcome in &outcomes {
        latency.merge(&outcome.latency);
        lag.merge(&outcome.lag);
    }
    report.latency = latency.summary();
    report.schedule_lag = lag.summary();
    report.stopped_receivers = (arguments.stopped_receivers > 0).then(|| StoppedReceivers {
        count: arguments.stopped_receivers,
        closed_by_server: outcomes.iter().map(|outcome| outcome.stopped_closed).sum(),
    });
    let after = memory_of(server.as_ref());
    report.measure(&difference, server.map(|server| server.pid()), before, after);
    crowd.map_or(Ok(()), Crowd::leave)?;
    Ok(report)
}

fn unit(mode: Mode) -> &'static str {
    match mode {
        Mode::Pub => "message",
        Mode::Sub | Mode::Fan => "delivery",
        Mode::Request => "request",
    }
}

fn memory_of(server: Option<&ProcessMeter>) -> Memory {
    server.and_then(ProcessMeter::memory).unwrap_or_default()
}

fn start(
    shares: Vec<Vec<(super::peer::Peer, Option<u64>)>>,
    flow: &Arc<Flow>,
    spins: bool,
) -> Result<Vec<JoinHandle<WorkerOutcome>>, BenchError> {
    let shares_window = shares.len() > 1;
    let mut threads = Vec::new();
    for (index, peers) in shares.into_iter().enumerate() {
        let worker = Worker::new(peers, Arc::clone(flow), shares_window, spins)?;
        let flow = Arc::clone(flow);
        let thread = std::thread::Builder::new().name(format!("load-{index}")).spawn(move || {
            flow.threads[index].store(nix::unistd::gettid().as_raw(), Ordering::Relaxed);
            worker.run()
        });
        threads.push(thread.map_err(|error| BenchError::system("a thread", error))?);
    }
    Ok(threads)
}

struct Course<'a> {
    arguments: &'a Arguments,
    flow: &'a Flow,
    server: Option<ProcessMeter>,
    interrupt: Interrupt,
    shows_progress: bool,
    last_shown: Snapshot,
    started_ns: u64,
    /// Sent and received when something last moved, and when that was.
    last_moved: (u64, u64, u64),
}

impl<'a> Course<'a> {
    fn new(
        arguments: &'a Arguments,
        flow: &'a Flow,
        server: Option<ProcessMeter>,
        interrupt: Interrupt,
    ) -> Self {
        let now_ns = monotonic_ns();
        Self {
            arguments,
            flow,
            server,
            interrupt,
            shows_progress: arguments.progress || (!arguments.quiet && std::io::stderr().is_terminal()),
            last_shown: Snapshot::take(flow, server.as_ref()),
            started_ns: now_ns,
            last_moved: (0, 0, now_ns),
        }
    }

    /// Warms up unless the measurement has begun at `begin`, measures, drains. Returns what happened while measured.
    fn run(&mut self, mode: Mode, begin: Option<Snapshot>) -> Result<Snapshot, BenchError> {
        let begin = match begin {
            Some(begin) => begin,
            None => self.warm_up(mode)?,
        };
        let Some(messages) = self.arguments.messages else {
            let duration = self.arguments.duration.unwrap_or(Arguments::DURATION_DEFAULT);
            self.wait(Some(duration), mode, |_| false)?;
            let end = Snapshot::take(self.flow, self.server.as_ref());
            self.flow.set_phase(Phase::Drain);
            self.drain(mode)?;
            return Ok(end.since(&begin));
        };
        Ok(self.counted(mode, &begin, messages)?.since(&begin))
    }

    fn warm_up(&mut self, mode: Mode) -> Result<Snapshot, BenchError> {
        if mode == Mode::Sub {
            self.wait_for_first_message()?;
        }
        self.wait(Some(self.arguments.warmup), mode, |_| false)?;
        let counts_a_load = self.arguments.messages.is_some() && self.arguments.rate.is_none();
        if counts_a_load && mode == Mode::Fan {
            // Else what the warm-up left under way would be counted as well.
            self.flow.set_phase(Phase::Settle);
            self.settle(mode)?;
        }
        if self.interrupt.is_raised() {
            return Err(self.interrupted("warming up"));
        }
        let begin = Snapshot::take(self.flow, self.server.as_ref());
        self.flow.set_phase(Phase::Measure);
        Ok(begin)
    }

    /// Waits for whatever it is that publishes, and says so: it may never come.
    fn wait_for_first_message(&mut self) -> Result<(), BenchError> {
        let subject = &self.arguments.subject;
        let subjects = match self.arguments.subjects {
            1 => subject.clone(),
            count => format!("{count} subjects below {subject}"),
        };
        let what = format!("{FIRST_MESSAGE} on {subjects}");
        self.say(&format!("{what}; something else has to publish there (Ctrl-C ends)"));
        let mut shown_ns = monotonic_ns();
        while self.flow.received() == 0 && !self.failed() {
            if self.interrupt.is_raised() {
                return Err(self.interrupted(&what));
            }
            let now_ns = monotonic_ns();
            if self.shows_progress && now_ns - shown_ns >= PROGRESS_NS {
                complain_line!("{:5.0} s  {what}", (now_ns - self.started_ns) as f64 / 1e9);
                shown_ns = now_ns;
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    fn interrupted(&self, what: &str) -> BenchError {
        let seconds = (monotonic_ns() - self.started_ns) as f64 / 1e9;
        BenchError::Interrupted { seconds, what: what.to_owned() }
    }

    /// Waits until publishers rest and all that they sent has arrived.
    fn settle(&mut self, mode: Mode) -> Result<(), BenchError> {
        let mut sent = u64::MAX;
        self.wait(None, mode, |flow| {
            let is_resting = std::mem::replace(&mut sent, flow.sent()) == flow.sent();
            is_resting && flow.received() >= flow.expected(flow.sent())
        })
    }

    /// Waits until `messages` have been sent and everything has arrived.
    fn counted(&mut self, mode: Mode, begin: &Snapshot, messages: u64) -> Result<Snapshot, BenchError> {
        if mode == Mode::Sub {
            let until = begin.received + messages;
            self.wait(None, mode, |flow| flow.received() >= until)?;
        } else {
            self.wait(None, mode, Flow::senders_done)?;
            if !self.interrupt.is_raised() {
                self.drain(mode)?;
            }
        }
        let mut end = Snapshot::take(self.flow, self.server.as_ref());
        if self.interrupt.is_raised() {
            self.flow.set_phase(Phase::Drain);
            self.drain(mode)?;
            return Ok(end);
        }
        if mode != Mode::Pub {
            // The look came a little later than the last message.
            end.at_ns = self.flow.last_received_ns();
        }
        if mode != Mode::Sub && !self.failed() && self.flow.receivers.is_empty() {
            end.at_ns = end.at_ns.max(self.flow.last_sent_ns());
        }
        Ok(end)
    }

    /// Waits until the senders are done and all they sent has arrived; what is missing after a while is lost. Ctrl-C
    /// does not shorten it: what is under way is no loss.
    fn drain(&mut self, mode: Mode) -> Result<(), BenchError> {
        let interrupt = std::mem::take(&mut self.interrupt);
        let result = self.drain_to_the_end(mode);
        self.interrupt = interrupt;
        result
    }

    fn drain_to_the_end(&mut self, mode: Mode) -> Result<(), BenchError> {
        self.wait(None, mode, Flow::senders_done)?;
        let expected = self.flow.expected(self.flow.sent());
        if mode == Mode::Sub || self.flow.receivers.is_empty() {
            return Ok(());
        }
        match self.wait(None, mode, |flow| flow.received() >= expected) {
            Err(BenchError::Stalled { .. }) => Ok(()),
            other => other,
        }
    }

    /// Waits for a time or for a condition, shows progress, and finds a stall. Ends early after a failure, or by Ctrl-C.
    fn wait(
        &mut self,
        duration: Option<Duration>,
        mode: Mode,
        mut is_over: impl FnMut(&Flow) -> bool,
    ) -> Result<(), BenchError> {
        let begin_ns = monotonic_ns();
        let until_ns = duration.map_or(u64::MAX, |duration| begin_ns + duration.as_nanos() as u64);
        self.last_moved.2 = begin_ns;
        while !is_over(self.flow) && !self.failed() && !self.interrupt.is_raised() {
            let now_ns = monotonic_ns();
            if now_ns >= until_ns {
                break;
            }
            self.show(now_ns);
            self.find_stall(now_ns, mode)?;
            std::thread::sleep(LOOK.min(Duration::from_nanos(until_ns - now_ns)));
        }
        Ok(())
    }

    fn failed(&self) -> bool {
        self.flow.phase() == Phase::Stop
    }

    fn find_stall(&mut self, now_ns: u64, mode: Mode) -> Result<(), BenchError> {
        let (sent, received) = (self.flow.sent(), self.flow.received());
        let slow_schedule = self.arguments.rate.is_some_and(|rate| rate < 1.0);
        if (sent, received) != (self.last_moved.0, self.last_moved.1) || slow_schedule {
            self.last_moved = (sent, received, now_ns);
        }
        let patience = self.arguments.patience;
        if u128::from(now_ns - self.last_moved.2) < patience.as_nanos() {
            return Ok(());
        }
        if mode == Mode::Sub {
            // Whoever publishes may be slow; it is not for this run to say that it has failed.
            self.last_moved.2 = now_ns;
            let seconds = patience.as_secs_f64();
            self.say(&format!(
                "nothing has arrived for {seconds} s, {received} so far; waiting on (Ctrl-C ends)"
            ));
            return Ok(());
        }
        let expected = self.flow.expected(sent);
        Err(BenchError::Stalled { seconds: patience.as_secs_f64(), published: sent, received, expected })
    }

    fn show(&mut self, now_ns: u64) {
        if !self.shows_progress || now_ns - self.last_shown.at_ns < PROGRESS_NS {
            return;
        }
        let now = Snapshot::take(self.flow, self.server.as_ref());
        let step = now.since(&self.last_shown);
        let seconds = step.at_ns as f64 / 1e9;
        let mut text = format!(
            "{:5.0} s  {} sent/s  {} received/s",
            (now_ns - self.started_ns) as f64 / 1e9,
            grouped(step.sent as f64 / seconds),
            grouped(step.received as f64 / seconds)
        );
        if let Some(cpu_ns) = step.server_cpu_ns {
            let resident = megabytes(memory_of(self.server.as_ref()).resident_bytes);
            text += &format!("  server {:.2} cores {resident}", cpu_ns as f64 / step.at_ns as f64);
        }
        complain_line!("{text}");
        self.last_shown = now;
    }

    /// Says what whoever waits has to know, wherever standard error goes.
    fn say(&self, text: &str) {
        if !self.arguments.quiet {
            complain_line!("{text}");
        }
    }
}
