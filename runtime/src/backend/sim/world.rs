//! The world that a test drives.

use super::agenda::{Action, Place};
use super::dice::{Dice, nanos};
use super::disk_options::DiskOptions;
use super::faults::{FaultCounts, FaultKind, FaultOptions};
use super::files::SimDisk;
use super::ground::Ground;
use super::network::Network;
use super::node::{AnyNode, Node};
use super::options::SimOptions;
use super::sockets::SharedNetwork;
use super::trace::Trace;
use crate::program::{CoreId, Program};
use crate::time::Monotonic;
use std::fmt;
use std::marker::PhantomData;
use std::net::IpAddr;
use std::time::Duration;

/// How a node goes down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Crash {
    /// The process is killed: the kernel closes its connections, and what was handed to it still goes out.
    Process,
    /// The power fails: connections are gone without a word; peers notice when they send.
    Power,
}

/// A node of a world, with the type of its program.
pub struct NodeHandle<P> {
    number: usize,
    program: PhantomData<fn() -> P>,
}

impl<P> NodeHandle<P> {
    /// The node's number in the world: 0 for the first one added.
    pub fn number(self) -> usize {
        self.number
    }
}

impl<P> Clone for NodeHandle<P> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<P> Copy for NodeHandle<P> {}

impl<P> fmt::Debug for NodeHandle<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "NodeHandle({})", self.number)
    }
}

/// Many nodes with many cores, on one thread, from a seed.
pub struct World {
    pub(super) network: SharedNetwork,
    pub(super) nodes: Vec<Box<dyn AnyNode>>,
    seed: u64,
}

impl World {
    /// An empty world at time 0.
    pub fn new(options: SimOptions) -> World {
        let seed = options.seed;
        let network = SharedNetwork::new(Network::new(Ground::new(options)));
        World { network, nodes: Vec::new(), seed }
    }

    /// Adds a node and starts its cores; their programs run from the next [`World::run_for`] on. `make` builds
    /// the program of each core, now and at each [`World::restart`]; what is to outlive a crash (a disk, an
    /// oracle) it shares from outside.
    ///
    /// # Panics
    /// When `cores` is 0, or `ip` is a loopback, unspecified, or another node's address.
    pub fn add_node<P: Program>(
        &mut self,
        cores: usize,
        ip: IpAddr,
        make: impl FnMut(CoreId, usize) -> P + 'static,
    ) -> NodeHandle<P> {
        assert!(cores > 0, "a node has at least one core");
        assert!(!ip.is_loopback() && !ip.is_unspecified(), "{ip} is not an address of a node");
        let (number, slots) = {
            let mut network = self.network.lock();
            assert!(network.hosts.iter().all(|host| host.ip != ip), "{ip} is taken");
            let number = network.add_host(ip, cores);
            let (low, high) = network.ground.options.mailbox_slots;
            (number, network.ground.dice.skewed(low as u64, high as u64) as usize)
        };
        let seed = Dice::new(self.seed, 1 + number as u64).bits();
        self.nodes.push(Box::new(Node::new(number, cores, slots, seed, make)));
        self.boot(number);
        NodeHandle { number, program: PhantomData }
    }

    /// Sends an order to a core's program, as a control-plane thread does. False when the core has stopped.
    pub fn order<P: Program>(&mut self, node: NodeHandle<P>, core: usize, order: P::Order) -> bool {
        let queued = self.node(node).order(core, order);
        if queued {
            let mut network = self.network.lock();
            let to = Place { node: node.number, core };
            let life = network.hosts[node.number].life;
            let delay = network.mail_delay();
            network.ground.record("order", &[node.number as u64, core as u64]);
            network.ground.later(delay, Action::Order { to, life });
        }
        queued
    }

    /// Lets a test look into a program, or change it. The program hears nothing of it.
    ///
    /// # Panics
    /// When the core has stopped or its node is down.
    pub fn with_program<P: Program, R>(
        &mut self,
        node: NodeHandle<P>,
        core: usize,
        look: impl FnOnce(&mut P) -> R,
    ) -> R {
        let program = self.node(node).program(core);
        look(program.unwrap_or_else(|| panic!("core {core} of {node:?} does not run")))
    }

    /// Whether a core's program runs: its node is up and it has not stopped.
    pub fn runs<P: Program>(&self, node: NodeHandle<P>, core: usize) -> bool {
        self.nodes[node.number].runs(core)
    }

    /// Virtual time since the world began; all nodes' monotonic clocks show it.
    pub fn now(&self) -> Monotonic {
        Monotonic(self.network.lock().ground.now)
    }

    /// Runs until a virtual time; what is due at it has happened.
    pub fn run_until(&mut self, time: Monotonic) {
        while self.step(time.0) {}
        let mut network = self.network.lock();
        network.ground.now = network.ground.now.max(time.0);
    }

    /// Runs for a virtual duration.
    pub fn run_for(&mut self, duration: Duration) {
        let time = self.now().after(duration);
        self.run_until(time);
    }

    /// Runs until `done` says so, asked after each thing that happens, for `limit` at most. Whether it was.
    pub fn run_until_done(&mut self, limit: Duration, mut done: impl FnMut(&mut World) -> bool) -> bool {
        let end = self.now().after(limit);
        while !done(self) {
            if !self.step(end.0) {
                self.run_until(end);
                return done(self);
            }
        }
        true
    }

    /// Runs until nothing is to come any more, for `limit` at most. False when the limit came first: a
    /// program with a timer that repeats is never idle, nor is a world that makes partitions by itself.
    pub fn run_until_idle(&mut self, limit: Duration) -> bool {
        let end = self.now().after(limit);
        while self.step(end.0) {}
        let idle = self.network.lock().ground.agenda.next_at().is_none();
        if !idle {
            self.run_until(end);
        }
        idle
    }

    /// Takes a node down. Its programs are dropped where they stand. Nothing happens to one that is down.
    pub fn crash<P: Program>(&mut self, node: NodeHandle<P>, how: Crash) {
        self.crash_number(node.number, how);
    }

    /// As [`World::crash`], by the node's number.
    pub fn crash_number(&mut self, number: usize, how: Crash) {
        {
            let mut network = self.network.lock();
            if network.hosts[number].gates.iter().enumerate().all(|(core, _)| !self.nodes[number].runs(core))
            {
                return;
            }
            // What is on its way to the programs of this life finds nobody.
            network.hosts[number].life += 1;
            match how {
                Crash::Process => {
                    network.ground.fault(FaultKind::ProcessCrash, "kill", &[number as u64]);
                    network.disk_loses_process(number);
                }
                Crash::Power => {
                    network.ground.fault(FaultKind::PowerLoss, "power-loss", &[number as u64]);
                    network.lose_power(number);
                    network.disk_loses_power(number);
                }
            }
        }
        self.nodes[number].halt();
    }

    /// Starts a node again that was crashed or whose cores have all stopped, with new programs.
    ///
    /// # Panics
    /// When a core of it still runs.
    pub fn restart<P: Program>(&mut self, node: NodeHandle<P>) {
        self.restart_number(node.number);
    }

    /// As [`World::restart`], by the node's number.
    pub fn restart_number(&mut self, number: usize) {
        let cores = self.network.lock().hosts[number].gates.len();
        assert!((0..cores).all(|core| !self.nodes[number].runs(core)), "node {number} still runs");
        self.boot(number);
    }

    /// Lets nothing pass between two nodes, either way, until [`World::heal`].
    pub fn partition(&mut self, one: usize, other: usize) {
        self.partition_one_way(one, other);
        self.partition_one_way(other, one);
    }

    /// Lets nothing pass from one node to another; the other way stays open.
    pub fn partition_one_way(&mut self, from: usize, to: usize) {
        self.network.lock().cut(from, to, 0);
    }

    /// Cuts a node off from all others.
    pub fn isolate(&mut self, node: usize) {
        for other in 0..self.nodes.len() {
            self.partition(node, other);
        }
    }

    /// Takes the test's partition between two nodes back. Partitions that the world makes by itself heal by
    /// themselves.
    pub fn heal(&mut self, one: usize, other: usize) {
        let mut network = self.network.lock();
        network.mend(one, other, 0);
        network.mend(other, one, 0);
    }

    /// Holds a node still for a while, as SIGSTOP does: its cores run no turns, its kernel goes on taking what
    /// arrives until its buffers are full.
    pub fn stall(&mut self, node: usize, length: Duration) {
        self.network.lock().stall(node, nanos(length));
    }

    /// Resets all connections between two nodes, both ends at once.
    pub fn reset_connections(&mut self, one: usize, other: usize) {
        self.network.lock().reset_between(one, other);
    }

    /// Changes the faults from now on.
    pub fn set_faults(&mut self, faults: FaultOptions) {
        let mut network = self.network.lock();
        network.ground.options.faults = faults;
        network.enter_next_partition();
    }

    /// Changes how disks behave from now on.
    pub fn set_disk(&mut self, disk: DiskOptions) {
        self.network.lock().ground.options.disk = disk;
    }

    /// Lets a test look at a node's disk, or damage it, whether the node runs or not.
    pub fn with_disk<R>(&mut self, node: usize, look: impl FnOnce(&mut SimDisk<'_>) -> R) -> R {
        let mut network = self.network.lock();
        look(&mut SimDisk { network: &mut network, node })
    }

    /// Ends all partitions, and stops the world from making any faults by itself from now on: the liveness
    /// phase of a scenario.
    pub fn calm(&mut self) {
        let mut network = self.network.lock();
        network.ground.options.faults = FaultOptions::none();
        network.ground.options.disk = network.ground.options.disk.calmed();
        network.mend_all();
    }

    /// How often each kind of fault took effect so far.
    pub fn fault_counts(&self) -> FaultCounts {
        self.network.lock().ground.faults.clone()
    }

    /// The record of what took effect so far.
    pub fn trace(&self) -> Trace {
        self.network.lock().ground.trace.clone()
    }

    /// Puts a line of the test's own into the trace: a decision of its own, or an observation to compare.
    pub fn note(&mut self, words: &str) {
        let mut network = self.network.lock();
        let now = network.ground.now;
        network.ground.trace.note(now, words);
    }

    /// 64 random bits for the test's own decisions, from the world's seed.
    pub fn random(&mut self) -> u64 {
        self.network.lock().ground.dice.bits()
    }

    fn boot(&mut self, number: usize) {
        let life = {
            let mut network = self.network.lock();
            network.revive(number);
            network.hosts[number].life
        };
        self.nodes[number].boot(&self.network, life);
        let mut network = self.network.lock();
        for core in 0..network.hosts[number].gates.len() {
            network.wake(Place { node: number, core });
        }
    }

    fn node<P: Program>(&mut self, node: NodeHandle<P>) -> &mut Node<P> {
        let any = self.nodes[node.number].as_any();
        any.downcast_mut().expect("a handle is used with the world that made it")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Programs may hold what refers to the network; they go first, one node after the other.
        for node in &mut self.nodes {
            node.halt();
        }
    }
}
