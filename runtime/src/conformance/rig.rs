//! A node under test, whatever drives it.

use super::actor::{Actor, Behaviour, Command, Report, Reporter};
use crate::launch::{BackendChoice, LaunchOptions, RunningNode, launch};
use crate::online_cpus;
use crate::program::CoreId;
use crate::sim::{NodeHandle, SimOptions, World};
use crate::time::Monotonic;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// How long a scenario waits for something that must come. Virtual time in the simulator.
const PATIENCE: Duration = Duration::from_secs(60);

/// What drives a scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// io_uring.
    Uring,
    /// epoll.
    Epoll,
    /// The simulator, from a seed.
    Sim {
        /// The world's seed.
        seed: u64,
    },
}

impl Backend {
    /// Whether time and threads are real.
    pub(super) fn is_real(self) -> bool {
        !matches!(self, Backend::Sim { .. })
    }

    /// Picks a size: in the simulator, where many seeds run, a smaller one.
    pub(super) fn scale<T>(self, real: T, simulated: T) -> T {
        if self.is_real() { real } else { simulated }
    }
}

enum Drive<B: Behaviour> {
    Real(Option<RunningNode<Command<B::Order>>>),
    Sim(Box<World>, NodeHandle<Actor<B>>),
}

/// A node under test with its line of reports.
pub(super) struct Rig<B: Behaviour> {
    drive: Drive<B>,
    cores: usize,
    line: Receiver<Report>,
    /// Notes that came while another one was waited for.
    earlier: VecDeque<(&'static str, u64)>,
    /// Folders of this machine to be removed in the end.
    directories: Vec<PathBuf>,
}

impl<B: Behaviour> Rig<B> {
    /// Starts a node. Its mailboxes have the usual size; in the simulator, one that the seed picks.
    pub(super) fn start(
        backend: Backend,
        cores: usize,
        make: impl Fn(CoreId) -> B + Send + Sync + 'static,
    ) -> Rig<B> {
        Rig::with_slots(backend, cores, 0, make)
    }

    /// Starts a node whose mailboxes have this many slots; 0 leaves it open.
    pub(super) fn with_slots(
        backend: Backend,
        cores: usize,
        mailbox_slots: usize,
        make: impl Fn(CoreId) -> B + Send + Sync + 'static,
    ) -> Rig<B> {
        let (sender, line) = channel();
        let report = Reporter { line: sender };
        let build = move |core, _| Actor { behaviour: make(core), report: report.clone() };
        let drive = match backend {
            Backend::Uring => Drive::Real(Some(launch_on(BackendChoice::Uring, cores, mailbox_slots, build))),
            Backend::Epoll => Drive::Real(Some(launch_on(BackendChoice::Epoll, cores, mailbox_slots, build))),
            Backend::Sim { seed } => {
                let mut options = SimOptions::new(seed);
                options.disk.short_write_per_million = 200_000;
                if mailbox_slots > 0 {
                    options.mailbox_slots = (mailbox_slots, mailbox_slots);
                }
                let mut world = World::new(options);
                let node = world.add_node(cores, IpAddr::from([10, 0, 0, 1]), build);
                Drive::Sim(Box::new(world), node)
            }
        };
        Rig { drive, cores, line, earlier: VecDeque::new(), directories: Vec::new() }
    }

    /// An empty folder.
    pub(super) fn directory(&mut self) -> PathBuf {
        match &mut self.drive {
            Drive::Real(_) => {
                static NUMBERS: AtomicU64 = AtomicU64::new(0);
                let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
                let name = format!("petrel-conformance-{}-{number}", std::process::id());
                let path = std::env::temp_dir().join(name);
                std::fs::create_dir(&path).expect("a folder can be made for temporary files");
                self.directories.push(path.clone());
                path
            }
            Drive::Sim(world, node) => {
                let path = PathBuf::from("/data");
                world.with_disk(node.number(), |disk| disk.make_directory(&path));
                path
            }
        }
    }

    /// Orders something. False when the core has stopped.
    pub(super) fn order(&mut self, core: usize, order: B::Order) -> bool {
        self.command(core, Command::Do(order))
    }

    fn command(&mut self, core: usize, command: Command<B::Order>) -> bool {
        match &mut self.drive {
            Drive::Real(node) => node.as_ref().is_some_and(|node| node.orders[core].send(command)),
            Drive::Sim(world, node) => world.order(*node, core, command),
        }
    }

    /// Waits for a note and gives its number.
    pub(super) fn expect(&mut self, what: &'static str) -> u64 {
        if let Some(position) = self.earlier.iter().position(|(name, _)| *name == what) {
            return self.earlier.remove(position).map_or(0, |(_, number)| number);
        }
        loop {
            match self.next() {
                Some(Report::Note(name, number)) if name == what => return number,
                Some(Report::Note(name, number)) => self.earlier.push_back((name, number)),
                Some(Report::Listening(address)) => {
                    panic!("waited for {what:?}, got a listener at {address}")
                }
                Some(Report::Broken(words)) => panic!("{words}"),
                None => panic!("{what:?} did not happen; seen: {:?}", self.earlier),
            }
        }
    }

    /// Waits for a listener's address; to be reached at the loopback address of the first family.
    pub(super) fn expect_listener(&mut self) -> SocketAddr {
        loop {
            match self.next() {
                Some(Report::Listening(bound)) => return bound,
                Some(Report::Note(name, number)) => self.earlier.push_back((name, number)),
                Some(Report::Broken(words)) => panic!("{words}"),
                None => panic!("no listener came up"),
            }
        }
    }

    /// Lets time pass. Panics when a promise is broken meanwhile.
    pub(super) fn pass(&mut self, time: Duration) {
        match &mut self.drive {
            Drive::Real(_) => std::thread::sleep(time),
            Drive::Sim(world, _) => world.run_for(time),
        }
        while let Ok(report) = self.line.try_recv() {
            match report {
                Report::Note(name, number) => self.earlier.push_back((name, number)),
                Report::Broken(words) => panic!("{words}"),
                Report::Listening(_) => {}
            }
        }
    }

    /// How often a note came that nobody has waited for yet.
    pub(super) fn count(&self, what: &str) -> usize {
        self.earlier.iter().filter(|(name, _)| *name == what).count()
    }

    /// Stops one core.
    pub(super) fn stop(&mut self, core: usize) {
        self.command(core, Command::Stop);
    }

    /// Stops all cores and waits for them; what they reported meanwhile counts.
    pub(super) fn finish(mut self) {
        for core in 0..self.cores {
            self.stop(core);
        }
        match &mut self.drive {
            Drive::Real(node) => {
                if let Some(node) = node.take() {
                    node.join().expect("no core's thread died");
                }
            }
            Drive::Sim(world, node) => {
                let node = *node;
                let cores = self.cores;
                let stopped =
                    world.run_until_done(PATIENCE, |world| (0..cores).all(|core| !world.runs(node, core)));
                assert!(stopped, "a core did not stop");
            }
        }
        while let Ok(report) = self.line.try_recv() {
            if let Report::Broken(words) = report {
                panic!("{words}");
            }
        }
    }

    fn next(&mut self) -> Option<Report> {
        match &mut self.drive {
            Drive::Real(_) => self.line.recv_timeout(PATIENCE).ok(),
            Drive::Sim(world, _) => {
                let mut found = self.line.try_recv().ok();
                let line = &self.line;
                world.run_until_done(PATIENCE, |_| {
                    found = found.take().or_else(|| line.try_recv().ok());
                    found.is_some()
                });
                found
            }
        }
    }
}

impl<B: Behaviour> Drop for Rig<B> {
    /// A scenario that failed still ends the threads it started.
    fn drop(&mut self) {
        if let Drive::Real(Some(node)) = &self.drive {
            for orders in &node.orders {
                orders.send(Command::Stop);
            }
        }
        for directory in &self.directories {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

fn launch_on<B: Behaviour>(
    backend: BackendChoice,
    cores: usize,
    mailbox_slots: usize,
    build: impl Fn(CoreId, usize) -> Actor<B> + Send + Sync + 'static,
) -> RunningNode<Command<B::Order>> {
    let cpus: Vec<usize> = online_cpus().into_iter().cycle().take(cores).collect();
    launch(&LaunchOptions { cpus, backend, mailbox_slots }, build).expect("the cores start")
}

/// Waits for a virtual or real moment in a behaviour.
pub(super) fn in_milliseconds(now: Monotonic, milliseconds: u64) -> Monotonic {
    now.after(Duration::from_millis(milliseconds))
}
