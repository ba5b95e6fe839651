//! One run: a world with a server and clients, driven by a scenario.

use crate::client::{Client, Play};
use crate::effects::Effects;
use crate::handshakes::Handshakes;
use crate::plan::{PORT, Plan, SERVER};
use crate::random::Random;
use crate::script::{Judge, Poke, Script, Stage};
use crate::stand_in::Begin;
use crossbeam_channel::{Receiver, Sender, unbounded};
use petrel_config::HandshakeFirst;
use petrel_engine::{ConnectionQuery, ConnectionSnapshot, CoreStatistics, Notice, Options, Order, Shard};
use petrel_runtime::sim::{NodeHandle, World};
use std::cell::{Ref, RefCell, RefMut};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long everybody's PONG, or a core's answer, may take: far longer than all delays of a plan add up to.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a run is told beside its seed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// Keep the trace as text.
    pub trace_text: bool,
    /// A known bug to put back into the engine.
    #[cfg(feature = "mutations")]
    pub mutation: Option<petrel_engine::Mutation>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What was wrong; empty in a good run.
    pub violations: Vec<String>,
    /// What took effect.
    pub effects: Effects,
    /// The digest of everything that happened.
    pub digest: u64,
    /// Everything that happened, when it was asked for.
    pub trace: Option<String>,
    /// In a bad run: the connections that the server has closed, with its reasons.
    pub closed: Vec<String>,
}

/// A world with a server and clients.
pub struct Run<S: Script> {
    /// The world.
    pub world: World,
    /// The server.
    pub server: NodeHandle<Shard>,
    /// What the server has said without being asked.
    pub notices: Receiver<Notice>,
    /// What it was made from.
    pub plan: Plan,
    clients: Vec<NodeHandle<Client<S>>>,
    handshakes: Handshakes,
    play: Rc<RefCell<Play<S>>>,
}

impl<S: Script> Run<S> {
    /// Sets everything up. Nothing runs yet.
    pub fn new(plan: Plan, script: S, mut random: Random, settings: &Settings) -> Run<S> {
        let mut options = plan.world.clone();
        options.trace_text = settings.trace_text;
        let mut world = World::new(options);
        let (sender, notices) = unbounded();
        let key = std::array::from_fn(|_| random.bits());
        let server_options = Arc::new(plan.server.clone());
        let handshakes = Handshakes::new(plan.handshake_delay_max, plan.world.seed);
        let jobs = handshakes.jobs.clone();
        let first = plan.server.tls.as_ref().map(|tls| tls.first);
        #[cfg(feature = "mutations")]
        let mutation = settings.mutation;
        #[cfg(feature = "mutations")]
        let (provokes_panics, reviewed) = (plan.provokes_panics, plan.reviewed_a_turn);
        let server = world.add_node(plan.core_count, SERVER, move |core, core_count| {
            let shard = Shard::new(server_options.clone(), core, core_count, key, sender.clone());
            let shard = shard.with_handshakes(jobs.clone());
            #[cfg(feature = "mutations")]
            let shard =
                shard.with_mutation(mutation).with_provoked_panics(provokes_panics).with_reviews_of(reviewed);
            shard
        });
        let play = Play { script, stage: Stage::new(plan.profiles.clone(), random) };
        let play = Rc::new(RefCell::new(play));
        let clients = (0..plan.profiles.len()).map(|number| {
            let (play, connects) = (Rc::clone(&play), plan.connects);
            let address = IpAddr::from([10, 0, 1, u8::try_from(number).expect("at most 250 clients")]);
            let begins = match first {
                None => None,
                Some(HandshakeFirst::Always) => Some(Begin::AtOnce),
                Some(HandshakeFirst::Within(_)) if number.is_multiple_of(2) => Some(Begin::AtOnce),
                Some(_) => Some(Begin::AfterInfo),
            };
            world.add_node(1, address, move |_, _| {
                Client::new(number, SocketAddr::new(SERVER, PORT), Rc::clone(&play), connects).sealed(begins)
            })
        });
        let clients = clients.collect();
        Run { world, server, notices, plan, clients, handshakes, play }
    }

    /// The script and what it acts on.
    pub fn play(&self) -> Ref<'_, Play<S>> {
        self.play.borrow()
    }

    /// The same, to change.
    pub fn play_mut(&self) -> RefMut<'_, Play<S>> {
        self.play.borrow_mut()
    }

    /// Whether a rule was broken: the run is over then.
    pub fn has_failed(&self) -> bool {
        !self.play().stage.ledger.violations().is_empty()
    }

    /// The node's number of a client, for partitions.
    pub fn node_of(&self, client: usize) -> usize {
        self.clients[client].number()
    }

    /// Tells a client something.
    pub fn poke(&mut self, client: usize, poke: Poke) {
        self.play_mut().stage.poke(client, poke);
    }

    /// Tells all clients something.
    pub fn poke_all(&mut self, poke: Poke) {
        for client in 0..self.clients.len() {
            self.poke(client, poke);
        }
    }

    /// Runs until `done` says so, for `limit` at most, or until a rule is broken. Whether it was done.
    pub fn until(&mut self, limit: Duration, mut done: impl FnMut(&Play<S>) -> bool) -> bool {
        let end = self.world.now().after(limit);
        loop {
            self.deliver_pokes();
            self.deliver_handshakes();
            let play = Rc::clone(&self.play);
            let queue = self.handshakes.queue();
            let (mut is_done, mut has_failed) = (false, false);
            let next = self.handshakes.next_due().map_or(end, |due| due.min(end));
            let left = next.since(self.world.now());
            let stopped = self.world.run_until_done(left, |_| {
                let play = play.borrow();
                has_failed = !play.stage.ledger.violations().is_empty();
                is_done = done(&play);
                is_done || has_failed || !play.stage.pokes.is_empty() || !queue.is_empty()
            });
            if is_done || has_failed || (!stopped && self.world.now() >= end) {
                self.deliver_pokes();
                return is_done && !has_failed;
            }
        }
    }

    /// As [`Run::until`], and the lack of it breaks the rules.
    pub fn must(&mut self, limit: Duration, what: &str, done: impl FnMut(&Play<S>) -> bool) -> bool {
        let is_done = self.until(limit, done);
        if !is_done && !self.has_failed() {
            self.play_mut().stage.ledger.violate(format!("{what}: not within {limit:?}"));
        }
        is_done
    }

    /// Runs for a while, or until a rule is broken.
    pub fn pass(&mut self, time: Duration) {
        self.until(time, |_| false);
    }

    fn deliver_handshakes(&mut self) {
        for (core, answer) in self.handshakes.work(self.world.now()) {
            self.world.order(self.server, core, Order::Handshake(Box::new(answer)));
        }
    }

    /// Counts the handshakes so far.
    pub fn count_handshakes(&mut self) {
        let (done, abandoned) = (self.handshakes.done, self.handshakes.abandoned);
        let effects = &mut self.play_mut().stage.ledger.effects;
        effects.add("handshakes", done);
        effects.add("abandoned handshakes", abandoned);
    }

    fn deliver_pokes(&mut self) {
        let pokes = std::mem::take(&mut self.play.borrow_mut().stage.pokes);
        for (client, poke) in pokes {
            self.world.order(self.clients[client], 0, poke);
        }
    }

    /// Waits until all clients are connected and what they subscribed to at once is confirmed.
    pub fn open(&mut self) -> bool {
        let count = self.clients.len();
        self.must(PATIENCE, "all clients connected", |play| play.stage.open_count() == count) && self.sweep()
    }

    /// Has everybody who is connected get a PONG.
    pub fn sweep(&mut self) -> bool {
        // One that is under way ends first.
        if !self.end_sweep() {
            return false;
        }
        self.play_mut().stage.begin_sweep();
        self.end_sweep()
    }

    fn end_sweep(&mut self) -> bool {
        let is_done = self.until(PATIENCE, |play| !play.stage.ledger.is_sweeping());
        if !is_done && !self.has_failed() {
            let lacks = self.play().stage.ledger.sweep_lacks();
            self.play_mut().stage.ledger.violate(format!("clients {lacks:?} got no PONG in {PATIENCE:?}"));
        }
        is_done
    }

    /// As [`Run::until`], with sweeps now and then meanwhile.
    pub fn until_with_sweeps(&mut self, limit: Duration, mut done: impl FnMut(&Play<S>) -> bool) -> bool {
        let end = self.world.now().after(limit);
        while self.world.now() < end && !self.has_failed() {
            let pause = self.play_mut().stage.random.pause(Duration::from_millis(100));
            if self.until(pause.min(end.since(self.world.now())), &mut done) {
                return true;
            }
            let mut play = self.play_mut();
            if !play.stage.ledger.is_sweeping() {
                play.stage.begin_sweep();
            }
        }
        false
    }

    /// Everything is acknowledged, read and judged. Nobody may publish of his own accord any more.
    pub fn settle(&mut self) -> bool {
        // One sweep acknowledges what was published, the next one shows that it arrived; what clients answered
        // meanwhile needs both again.
        let mut quiet_sweeps = 0;
        while quiet_sweeps < 2 {
            let before = self.play().stage.ledger.message_count();
            if !self.sweep() {
                return false;
            }
            let is_quiet = self.play().stage.ledger.message_count() == before;
            quiet_sweeps = if is_quiet { quiet_sweeps + 1 } else { 0 };
        }
        self.play_mut().stage.ledger.finish();
        !self.has_failed()
    }

    /// Asks all cores of the server something.
    pub fn ask<T>(&mut self, order: impl Fn(Sender<T>) -> Order) -> Vec<T> {
        let answers: Vec<Receiver<T>> = (0..self.plan.core_count)
            .map(|core| {
                let (sender, answer) = unbounded();
                self.world.order(self.server, core, order(sender));
                answer
            })
            .collect();
        self.must(PATIENCE, "the cores' answers", |_| answers.iter().all(|answer| !answer.is_empty()));
        answers.iter().filter_map(|answer| answer.try_recv().ok()).collect()
    }

    /// Goes over to other options, in the two steps that the control plane takes.
    pub fn reload(&mut self, options: Options) {
        self.prepare_reload(options);
        let options = Arc::new(self.plan.server.clone());
        self.ask(|done| Order::Reload(Arc::clone(&options), done));
    }

    /// As [`Run::reload`], when a core has begun with these options a while before and the control plane has given that
    /// up: the later reload overtakes the earlier, and who waits for the earlier is told as well.
    pub fn reload_anew(&mut self, options: Options, ahead: Duration) {
        self.prepare_reload(options);
        let options = Arc::new(self.plan.server.clone());
        let core = self.play_mut().stage.random.below(self.plan.core_count);
        let (sender, earlier) = unbounded();
        self.world.order(self.server, core, Order::Reload(Arc::clone(&options), sender));
        self.pass(ahead);
        self.play_mut().stage.ledger.effects.add("reloads that overlap", 1);
        self.ask(|done| Order::Reload(Arc::clone(&options), done));
        if earlier.try_recv().is_err() && !self.has_failed() {
            self.play_mut().stage.ledger.violate("the earlier of two reloads was never told as done");
        }
    }

    fn prepare_reload(&mut self, options: Options) {
        self.plan.server = options.clone();
        let options = Arc::new(options);
        self.ask(|done| Order::PrepareReload(Arc::clone(&options), done));
    }

    /// The counters of all cores. A panic that was caught breaks the rules.
    pub fn statistics(&mut self) -> Vec<CoreStatistics> {
        let statistics = self.ask(Order::Statistics);
        let panics: u64 = statistics.iter().map(|core| core.panics).sum();
        if panics > 0 {
            self.play_mut().stage.ledger.violate(format!("{panics} panics were caught in the server"));
        }
        statistics
    }

    /// Counts what took effect in the server so far.
    pub fn count_effects(&mut self) {
        let statistics = self.statistics();
        let mut play = self.play_mut();
        let effects = &mut play.stage.ledger.effects;
        for core in &statistics {
            effects.add("envelopes", core.mails_sent);
            effects.add("delayed PONGs", core.barriers_waited);
            effects.add("delayed PUBs", core.publishes_delayed);
            effects.add("returned queue envelopes", core.queue_returns);
            effects.add("awaited reports", core.reports_awaited);
            effects.add("waits for room", core.room_waits);
            effects.add("stalls", core.stalled_clients);
            effects.add("slow consumers", core.slow_consumers);
            effects.add("dropped messages", core.dropped_msgs);
            effects.add("refused connections", core.refused_connections);
        }
    }

    /// Sweeps so often: each takes what was written one step further, and in the end all of it was read. Then the script
    /// judges, and what took effect in the server is counted.
    pub fn conclude(&mut self, sweeps: usize)
    where
        S: Judge,
    {
        if !(0..sweeps).all(|_| self.sweep()) {
            return;
        }
        {
            let mut play = self.play_mut();
            let Play { script, stage } = &mut *play;
            script.judge(&mut stage.ledger);
        }
        self.count_effects();
    }

    /// Ends the run.
    pub fn finish(mut self) -> Outcome {
        let violations = self.play().stage.ledger.violations().to_vec();
        for violation in &violations {
            self.world.note(violation);
        }
        let mut effects = self.play().stage.ledger.effects.clone();
        for (kind, count) in self.world.fault_counts().all() {
            effects.add(&format!("{kind:?}"), count);
        }
        let trace = self.world.trace();
        let closed = if violations.is_empty() { Vec::new() } else { self.closed_connections() };
        Outcome {
            violations,
            effects,
            digest: trace.digest(),
            trace: trace.text().map(str::to_owned),
            closed,
        }
    }

    /// What the server's core 0 says of the connections that have ended, if it still runs.
    fn closed_connections(&mut self) -> Vec<String> {
        let (sender, answer) = unbounded();
        let query = ConnectionQuery { closed: true, ..ConnectionQuery::default() };
        self.world.order(self.server, 0, Order::Connections(query, sender));
        self.world.run_for(Duration::from_secs(1));
        let records = answer.try_recv().unwrap_or_default().connections;
        let describe = |record: &ConnectionSnapshot| {
            let reason = record.stop.map(|(_, reason)| reason);
            format!("{} cid {}: {reason:?}", record.address.ip(), record.cid)
        };
        records.iter().map(describe).collect()
    }
}
