//! The simulated world: it carries bytes as TCP does, its faults take effect, and a seed is the whole story.

use petrel_runtime::sim::{Crash, FaultKind, FaultOptions, NodeHandle, SimOptions, World};
use petrel_runtime::{
    CoreId, Event, Io, ListenOptions, Monotonic, Program, SendOutcome, SocketId, TimerToken,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const PORT: u16 = 4222;
const RECONNECT: TimerToken = TimerToken(1);
/// Between two rounds of a client.
const AGAIN: Duration = Duration::from_millis(500);

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

/// What waits to be sent on a connection, in order.
#[derive(Default)]
struct Outbox {
    busy: bool,
    waiting: VecDeque<Vec<u8>>,
}

impl Outbox {
    fn push<M: Send + 'static>(&mut self, socket: SocketId, bytes: Vec<u8>, io: &mut Io<'_, M>) {
        self.waiting.push_back(bytes);
        self.flush(socket, io);
    }

    fn flush<M: Send + 'static>(&mut self, socket: SocketId, io: &mut Io<'_, M>) {
        while !self.busy
            && let Some(bytes) = self.waiting.pop_front()
        {
            self.busy = matches!(io.send(socket, bytes), SendOutcome::Pending);
        }
    }
}

/// Core 0 accepts and hands each connection to the next core, which sends back what it reads.
#[derive(Default)]
struct EchoServer {
    next_core: usize,
    connections: BTreeMap<SocketId, Outbox>,
    accepted: u64,
    accept_failures: u64,
}

impl Program for EchoServer {
    type Mail = petrel_runtime::Detached;
    type Order = ();

    fn start(&mut self, io: &mut Io<'_, Self::Mail>) {
        if io.core() == CoreId(0) {
            let options = ListenOptions { address: SocketAddr::from(([0, 0, 0, 0], PORT)), backlog: 16 };
            io.listen(&options).expect("the port is free");
        }
    }

    fn event(&mut self, event: Event<'_, Self::Mail, ()>, io: &mut Io<'_, Self::Mail>) {
        match event {
            Event::Accepted { socket, .. } => {
                self.accepted += 1;
                self.next_core = (self.next_core + 1) % io.core_count();
                if self.next_core == 0 {
                    self.connections.insert(socket, Outbox::default());
                    io.resume_read(socket);
                } else {
                    let detached = io.detach(socket).expect("just accepted");
                    io.mail(CoreId(self.next_core as u16), detached);
                }
            }
            Event::AcceptFailed { .. } => self.accept_failures += 1,
            Event::Mail { mail, .. } => {
                let socket = io.attach(mail);
                self.connections.insert(socket, Outbox::default());
                io.resume_read(socket);
            }
            Event::Received { socket, data } => {
                let outbox = self.connections.get_mut(&socket).expect("only known sockets are read");
                outbox.push(socket, data.to_vec(), io);
            }
            Event::Sent { socket, result, .. } => {
                let outbox = self.connections.get_mut(&socket).expect("only known sockets are sent to");
                outbox.busy = false;
                if result.is_ok() {
                    outbox.flush(socket, io);
                }
            }
            Event::Ended { socket, .. } => {
                self.connections.remove(&socket);
                io.close(socket);
            }
            _ => {}
        }
    }

    fn finish_turn(&mut self, _: &mut Io<'_, Self::Mail>) {}

    fn panicked(&mut self, _: Option<SocketId>, message: &str, _: &mut Io<'_, Self::Mail>) {
        panic!("{message}");
    }
}

/// Sends `total` bytes of a known pattern and checks what comes back; connects again after an error.
struct EchoClient {
    server: IpAddr,
    total: usize,
    socket: Option<SocketId>,
    outbox: Outbox,
    returned: usize,
    finished: u64,
    errors: u64,
    gives_up: bool,
}

fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

impl EchoClient {
    fn new(server: IpAddr, total: usize) -> EchoClient {
        EchoClient {
            server,
            total,
            socket: None,
            outbox: Outbox::default(),
            returned: 0,
            finished: 0,
            errors: 0,
            gives_up: false,
        }
    }

    fn connect(&mut self, io: &mut Io<'_, ()>) {
        self.outbox = Outbox::default();
        self.returned = 0;
        self.socket = Some(io.connect((self.server, PORT).into()));
    }

    fn retry(&mut self, io: &mut Io<'_, ()>) {
        if let Some(socket) = self.socket.take() {
            io.close(socket);
        }
        self.errors += 1;
        if !self.gives_up {
            io.set_timer(io.now().after(Duration::from_millis(50)), RECONNECT);
        }
    }
}

impl Program for EchoClient {
    type Mail = ();
    type Order = ();

    fn start(&mut self, io: &mut Io<'_, ()>) {
        // The server may not be there yet.
        io.set_timer(io.now().after(Duration::from_millis(10)), RECONNECT);
    }

    fn event(&mut self, event: Event<'_, (), ()>, io: &mut Io<'_, ()>) {
        match event {
            Event::Timer(_) => self.connect(io),
            Event::Connected { socket, result: Ok(()) } => {
                io.resume_read(socket);
                let bytes = (0..self.total).map(pattern).collect();
                self.outbox.push(socket, bytes, io);
            }
            Event::Connected { result: Err(_), .. } => {
                self.socket = None;
                self.retry(io);
            }
            Event::Received { socket, data } => {
                for byte in data {
                    assert_eq!(*byte, pattern(self.returned), "byte {} came back changed", self.returned);
                    self.returned += 1;
                }
                if self.returned == self.total {
                    self.finished += 1;
                    self.socket = None;
                    io.close(socket);
                    io.set_timer(io.now().after(AGAIN), RECONNECT);
                }
            }
            Event::Sent { socket, result, .. } => {
                self.outbox.busy = false;
                if result.is_ok() {
                    self.outbox.flush(socket, io);
                }
            }
            Event::Ended { .. } => self.retry(io),
            _ => {}
        }
    }

    fn finish_turn(&mut self, _: &mut Io<'_, ()>) {}

    fn panicked(&mut self, _: Option<SocketId>, message: &str, _: &mut Io<'_, ()>) {
        panic!("{message}");
    }
}

struct EchoWorld {
    world: World,
    server: NodeHandle<EchoServer>,
    clients: Vec<NodeHandle<EchoClient>>,
}

fn echo_world(options: SimOptions, server_cores: usize, sizes: &[usize]) -> EchoWorld {
    let mut world = World::new(options);
    let server = world.add_node(server_cores, ip(1), |_, _| EchoServer::default());
    let clients = sizes.iter().enumerate();
    let clients = clients
        .map(|(number, size)| {
            let size = *size;
            world.add_node(1, ip(10 + number as u8), move |_, _| EchoClient::new(ip(1), size))
        })
        .collect();
    EchoWorld { world, server, clients }
}

impl EchoWorld {
    fn finished(&mut self) -> u64 {
        let clients = self.clients.iter();
        clients.map(|client| self.world.with_program(*client, 0, |client| client.finished)).sum()
    }
}

#[test]
fn bytes_come_back_whole_in_a_healthy_world() {
    for seed in 0..10 {
        let mut echo = echo_world(SimOptions::new(seed), 3, &[1, 1000, 100_000, 1_000_000]);
        let clients = echo.clients.clone();
        let done = echo.world.run_until_done(Duration::from_secs(600), |world| {
            clients.iter().all(|client| world.with_program(*client, 0, |client| client.finished > 0))
        });
        assert!(done, "seed {seed}: some client finished nothing");
        for client in &clients {
            let errors = echo.world.with_program(*client, 0, |client| client.errors);
            assert_eq!(errors, 0, "seed {seed}: {client:?} met errors in a world without faults");
        }
        let counts = echo.world.fault_counts();
        for kind in [FaultKind::SegmentSplit, FaultKind::ShortRead, FaultKind::SendPending] {
            assert!(counts.of(kind) > 0, "seed {seed}: {kind:?} never happened: {counts}");
        }
        for kind in [FaultKind::Reset, FaultKind::Loss, FaultKind::Refused, FaultKind::PartitionHeld] {
            assert_eq!(counts.of(kind), 0, "seed {seed}: {kind:?} in a world without faults");
        }
    }
}

#[test]
fn every_fault_takes_effect_and_programs_recover() {
    let mut sums: BTreeMap<FaultKind, u64> = BTreeMap::new();
    for seed in 0..10 {
        let options = SimOptions::new(seed).with_faults(FaultOptions::heavy());
        let mut echo = echo_world(options, 2, &[1000, 50_000]);
        echo.world.run_for(Duration::from_secs(30));
        echo.world.crash(echo.server, Crash::Process);
        echo.world.run_for(Duration::from_secs(2));
        echo.world.restart(echo.server);
        echo.world.run_for(Duration::from_secs(5));
        echo.world.crash(echo.server, Crash::Power);
        // Longer than retransmissions are tried.
        echo.world.run_for(Duration::from_secs(90));
        echo.world.restart(echo.server);
        echo.world.calm();
        echo.world.run_for(Duration::from_secs(20));
        let before = echo.finished();
        echo.world.run_for(Duration::from_secs(10));
        assert!(echo.finished() > before, "seed {seed}: no progress after the faults ended");
        for (kind, count) in echo.world.fault_counts().all() {
            *sums.entry(kind).or_default() += count;
        }
    }
    println!("{sums:?}");
    // Of these the echo has no occasion: it never asks whether a mailbox has room.
    sums.remove(&FaultKind::MailboxFull);
    let absent: Vec<&FaultKind> =
        sums.iter().filter(|(_, count)| **count == 0).map(|(kind, _)| kind).collect();
    assert!(absent.is_empty(), "never took effect: {absent:?}");
}

fn traced_run(seed: u64) -> (u64, String) {
    let mut options = SimOptions::new(seed).with_faults(FaultOptions::heavy());
    options.trace_text = true;
    let mut echo = echo_world(options, 3, &[100, 20_000]);
    echo.world.run_for(Duration::from_secs(5));
    echo.world.crash(echo.server, Crash::Power);
    echo.world.run_for(Duration::from_secs(1));
    echo.world.restart(echo.server);
    echo.world.run_for(Duration::from_secs(5));
    let trace = echo.world.trace();
    (trace.digest(), trace.text().expect("asked for").to_owned())
}

#[test]
fn a_seed_is_the_whole_story() {
    let mut digests = std::collections::BTreeSet::new();
    for seed in 0..10 {
        let (one, one_text) = traced_run(seed);
        let (other, other_text) = traced_run(seed);
        let differs = one_text.lines().zip(other_text.lines()).enumerate().find(|(_, (a, b))| a != b);
        assert_eq!(differs, None, "seed {seed}: the first line that differs");
        assert_eq!(one, other, "seed {seed}");
        assert!(one_text.lines().count() > 1000);
        digests.insert(one);
    }
    assert_eq!(digests.len(), 10, "different seeds are different stories");
}

#[test]
fn a_partition_holds_bytes_back_and_loses_none() {
    for seed in 0..10 {
        let mut echo = echo_world(SimOptions::new(seed), 1, &[200_000]);
        let client = echo.clients[0];
        assert!(echo.world.run_until_done(Duration::from_secs(60), |world| {
            world.with_program(client, 0, |client| client.returned > 0)
        }));
        echo.world.partition(0, 1);
        let seen =
            |world: &mut World| world.with_program(client, 0, |client| (client.finished, client.returned));
        // What was in the client's kernel already may still be read.
        echo.world.run_for(Duration::from_secs(1));
        let before = seen(&mut echo.world);
        echo.world.run_for(Duration::from_secs(10));
        assert_eq!(seen(&mut echo.world), before, "seed {seed}: something passed a partition");
        assert!(echo.world.fault_counts().of(FaultKind::PartitionHeld) > 0);
        echo.world.heal(0, 1);
        let finished = before.0 + 1;
        assert!(echo.world.run_until_done(Duration::from_secs(120), |world| seen(world).0 >= finished));
        assert_eq!(echo.world.with_program(client, 0, |client| client.errors), 0, "seed {seed}");
    }
}

#[test]
fn nobody_answers_without_power() {
    let mut options = SimOptions::new(3);
    options.connect_give_up = Duration::from_secs(5);
    let mut echo = echo_world(options, 1, &[10]);
    let client = echo.clients[0];
    echo.world.with_program(client, 0, |client| client.gives_up = true);
    echo.world.crash(echo.server, Crash::Power);
    echo.world.run_for(Duration::from_secs(4));
    assert_eq!(echo.world.with_program(client, 0, |client| client.errors), 0);
    assert!(echo.world.run_until_idle(Duration::from_secs(10)));
    assert_eq!(echo.world.with_program(client, 0, |client| client.errors), 1);
    assert!(echo.world.now() < Monotonic(7_000_000_000));
}

#[test]
fn a_killed_process_refuses_and_its_peers_hear_of_it() {
    let mut echo = echo_world(SimOptions::new(4), 2, &[2_000_000]);
    let client = echo.clients[0];
    echo.world.with_program(client, 0, |client| client.gives_up = true);
    let met = echo.world.run_until_done(Duration::from_secs(60), |world| {
        world.with_program(client, 0, |client| client.returned > 1000)
    });
    assert!(met);
    echo.world.crash(echo.server, Crash::Process);
    // Unread bytes make the kernel reset the connection; if there are none it ends in order.
    let heard = echo.world.run_until_done(Duration::from_secs(5), |world| {
        world.with_program(client, 0, |client| client.errors == 1)
    });
    assert!(heard);
    assert_eq!(echo.world.fault_counts().of(FaultKind::ProcessCrash), 1);
    assert!(!echo.world.runs(echo.server, 0));
}
