//! A program made of a closure, for tests that run real cores.
#![allow(dead_code, reason = "each test file uses a part")]

pub mod seen;

use petrel_runtime::{
    BackendChoice, CoreId, Event, Io, LaunchOptions, ListenOptions, Program, RunningNode, SocketId, launch,
    online_cpus,
};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// How long anything here may take before the test fails. Generous: a test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// What tests mail and order: a closure to be run on the core with its program's state.
pub type Call<S> = Box<dyn FnOnce(&mut S, &mut Io<'_, Letter>) + Send>;

/// What a test does with events.
pub type OnEvent<S> = dyn Fn(&mut S, Event<'_, Letter, ()>, &mut Io<'_, Letter>) + Send + Sync;

/// Mail between the cores of a test.
pub enum Letter {
    Number(u64),
    Socket(petrel_runtime::Detached),
}

/// Runs on each core of a test.
pub struct Script<S: 'static> {
    state: S,
    on_event: Arc<OnEvent<S>>,
    pub panics: Sender<String>,
}

impl<S: 'static> Program for Script<S> {
    type Mail = Letter;
    type Order = Call<S>;

    fn start(&mut self, _io: &mut Io<'_, Letter>) {}

    fn event(&mut self, event: Event<'_, Letter, Call<S>>, io: &mut Io<'_, Letter>) {
        let event = match event {
            Event::Order(call) => return call(&mut self.state, io),
            Event::Accepted { listener, socket, peer, local } => {
                Event::Accepted { listener, socket, peer, local }
            }
            Event::AcceptFailed { listener, error } => Event::AcceptFailed { listener, error },
            Event::Connected { socket, result } => Event::Connected { socket, result },
            Event::Received { socket, data } => Event::Received { socket, data },
            Event::Ended { socket, end } => Event::Ended { socket, end },
            Event::Sent { socket, buffer, result } => Event::Sent { socket, buffer, result },
            Event::Mail { from, mail } => Event::Mail { from, mail },
            Event::MailRoom { core } => Event::MailRoom { core },
            Event::Timer(token) => Event::Timer(token),
        };
        (self.on_event)(&mut self.state, event, io);
    }

    fn finish_turn(&mut self, _io: &mut Io<'_, Letter>) {}

    fn panicked(&mut self, socket: Option<SocketId>, message: &str, io: &mut Io<'_, Letter>) {
        if let Some(socket) = socket {
            io.close(socket);
        }
        let _ = self.panics.send(message.to_owned());
    }
}

/// A node of scripts.
pub struct Cores<S: 'static> {
    node: RunningNode<Call<S>>,
    pub panics: Receiver<String>,
}

impl<S: Send + 'static> Cores<S> {
    /// Starts as many cores, which share the CPUs there are.
    pub fn start(
        backend: BackendChoice,
        cores: usize,
        mailbox_slots: usize,
        state: impl Fn() -> S + Send + Sync + 'static,
        on_event: impl Fn(&mut S, Event<'_, Letter, ()>, &mut Io<'_, Letter>) + Send + Sync + 'static,
    ) -> Cores<S> {
        let cpus = online_cpus().into_iter().cycle().take(cores).collect();
        let options = LaunchOptions { cpus, backend, mailbox_slots };
        let (report, panics) = channel();
        let report = std::sync::Mutex::new(report);
        let on_event: Arc<OnEvent<S>> = Arc::new(on_event);
        let node = launch(&options, move |_: CoreId, _| Script {
            state: state(),
            on_event: on_event.clone(),
            panics: report.lock().unwrap().clone(),
        })
        .unwrap();
        Cores { node, panics }
    }

    /// Runs a closure on a core and waits for what it returns.
    pub fn call<T: Send + 'static>(
        &self,
        core: usize,
        call: impl FnOnce(&mut S, &mut Io<'_, Letter>) -> T + Send + 'static,
    ) -> T {
        let (reply, answer) = channel();
        assert!(self.node.orders[core].send(Box::new(move |state, io| {
            let _ = reply.send(call(state, io));
        })));
        answer.recv_timeout(PATIENCE).expect("the core answers")
    }

    /// Runs a closure on a core and does not wait for it.
    pub fn post(&self, core: usize, call: impl FnOnce(&mut S, &mut Io<'_, Letter>) + Send + 'static) {
        assert!(self.node.orders[core].send(Box::new(call)));
    }

    /// Lets a core listen on a free port of the loopback.
    pub fn listen(&self, core: usize) -> SocketAddr {
        self.call(core, |_, io| {
            let options = ListenOptions { address: "127.0.0.1:0".parse().unwrap(), backlog: 1024 };
            io.listen(&options).unwrap().1
        })
    }

    /// Asks a core until the answer is as wished.
    pub fn wait_until(
        &self,
        core: usize,
        wished: impl Fn(&mut S, &mut Io<'_, Letter>) -> bool + Send + Sync + 'static,
    ) {
        let wished = Arc::new(wished);
        let deadline = std::time::Instant::now() + PATIENCE;
        loop {
            let check = wished.clone();
            if self.call(core, move |state, io| check(state, io)) {
                return;
            }
            assert!(std::time::Instant::now() < deadline, "what was waited for did not happen");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops all cores and expects that nothing panicked.
    pub fn stop(self) {
        assert_eq!(self.panics.try_recv().err(), Some(std::sync::mpsc::TryRecvError::Empty));
        self.stop_after_panics();
    }

    /// Stops all cores.
    pub fn stop_after_panics(self) {
        for orders in &self.node.orders {
            orders.send(Box::new(|_, io| io.stop()));
        }
        self.node.join().unwrap();
    }

    /// The next panic that a program was told of.
    pub fn next_panic(&self) -> Result<String, RecvTimeoutError> {
        self.panics.recv_timeout(PATIENCE)
    }

    /// The running node itself.
    pub fn into_node(self) -> RunningNode<Call<S>> {
        self.node
    }
}

/// Both backends where io_uring is to be had, else the one.
pub fn backends() -> Vec<BackendChoice> {
    match petrel_runtime::probe_io_uring() {
        Ok(()) => vec![BackendChoice::Uring, BackendChoice::Epoll],
        Err(reason) => {
            eprintln!("without io_uring: {reason}");
            vec![BackendChoice::Epoll]
        }
    }
}
