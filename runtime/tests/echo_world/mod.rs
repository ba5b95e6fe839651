//! An echo server and its clients in a simulated world.

use petrel_runtime::sim::{NodeHandle, SimOptions, World};
use petrel_runtime::{
    CoreId, Event, Io, ListenOptions, Monotonic, Program, SendOutcome, SocketId, TimerToken,
};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

const PORT: u16 = 4222;
const RECONNECT: TimerToken = TimerToken(1);
/// A peer without power says nothing, so a client that hears nothing for long begins anew.
const HEARTBEAT: TimerToken = TimerToken(2);
const PATIENCE: Duration = Duration::from_secs(15);
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
pub struct EchoServer {
    next_core: usize,
    connections: BTreeMap<SocketId, Outbox>,
    pub accepted: u64,
    pub accept_failures: u64,
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
pub struct EchoClient {
    server: IpAddr,
    total: usize,
    socket: Option<SocketId>,
    outbox: Outbox,
    heard_at: Monotonic,
    pub returned: usize,
    pub finished: u64,
    pub errors: u64,
    pub gives_up: bool,
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
            heard_at: Monotonic(0),
            returned: 0,
            finished: 0,
            errors: 0,
            gives_up: false,
        }
    }

    fn connect(&mut self, io: &mut Io<'_, ()>) {
        self.outbox = Outbox::default();
        self.returned = 0;
        self.heard_at = io.now();
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
        if !self.gives_up {
            io.set_timer(io.now().after(PATIENCE), HEARTBEAT);
        }
    }

    fn event(&mut self, event: Event<'_, (), ()>, io: &mut Io<'_, ()>) {
        match event {
            Event::Timer(HEARTBEAT) => {
                if self.socket.is_some() && io.now().since(self.heard_at) > PATIENCE {
                    self.retry(io);
                }
                io.set_timer(io.now().after(PATIENCE), HEARTBEAT);
            }
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
                self.heard_at = io.now();
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

/// A world with one server and a client for each size.
pub struct EchoWorld {
    pub world: World,
    pub server: NodeHandle<EchoServer>,
    pub clients: Vec<NodeHandle<EchoClient>>,
}

pub fn echo_world(options: SimOptions, server_cores: usize, sizes: &[usize]) -> EchoWorld {
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
    pub fn finished(&mut self) -> u64 {
        let clients = self.clients.iter();
        clients.map(|client| self.world.with_program(*client, 0, |client| client.finished)).sum()
    }
}
