//! A node in a world of its own, and clients that say what a test has them say: for tests of what cannot be seen from
//! outside. What can be seen is for `tests/scenarios`.

use crate::options::Options;
use crate::shard::Shard;
use petrel_runtime::sim::{NodeHandle, SimOptions, World};
use petrel_runtime::{CoreId, Event, Io, Program, SendOutcome, SocketId};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const PORT: u16 = 4222;
/// Longer than everything takes that a client says in one go.
const MOMENT: Duration = Duration::from_millis(20);

/// A world whose network and cores are quick.
pub(crate) fn quick_world(seed: u64) -> SimOptions {
    let micros = Duration::from_micros;
    let mut options = SimOptions::new(seed);
    options.mailbox_slots = (64, 64);
    options.latency = (micros(100), micros(100));
    options.jitter_max = micros(20);
    options.socket_buffer_bytes = (262_144, 262_144);
    options.turn = (micros(1), micros(20));
    options.notice_max = micros(20);
    options.mail_delay_max = micros(20);
    options
}

/// A node under test and its clients.
pub(crate) struct Workbench<P: Program = Shard> {
    pub(crate) world: World,
    pub(crate) server: NodeHandle<P>,
    clients: Vec<NodeHandle<Crowd>>,
}

impl Workbench {
    /// A node of so many cores with these options.
    pub(crate) fn new(world: SimOptions, cores: usize, options: Options) -> Workbench {
        Workbench::with(world, cores, options, |shard| shard)
    }
}

impl<P: Program> Workbench<P> {
    /// A node whose cores run what `wrap` makes of a shard.
    pub(crate) fn with(
        world: SimOptions,
        cores: usize,
        mut options: Options,
        wrap: impl Fn(Shard) -> P + 'static,
    ) -> Workbench<P> {
        options.listen = SocketAddr::new(SERVER, PORT);
        let options = Arc::new(options);
        let (notices, _) = crossbeam_channel::unbounded();
        let mut world = World::new(world);
        let server = world.add_node(cores, SERVER, move |core: CoreId, core_count| {
            wrap(Shard::new(options.clone(), core, core_count, [1, 2, 3, 4], notices.clone()))
        });
        world.run_for(MOMENT);
        Workbench { world, server, clients: Vec::new() }
    }

    /// So many connections that do alike, as one client; they say nothing by themselves.
    pub(crate) fn crowd(&mut self, connections: usize) -> usize {
        let number = self.clients.len();
        let address = IpAddr::from([10, 0, 1, u8::try_from(number).expect("few clients")]);
        let client = self.world.add_node(1, address, move |_, _| Crowd::of(connections));
        self.clients.push(client);
        self.world.run_for(MOMENT);
        number
    }

    /// A client that has connected. Each goes to the core with the fewest, on a tie to the lowest.
    pub(crate) fn client(&mut self) -> usize {
        self.client_that_says(
            "CONNECT {\"verbose\":false,\"headers\":true,\"no_responders\":true}\r\nPING\r\n",
        )
    }

    /// A client that begins with this, the last of which is a PING.
    pub(crate) fn client_that_says(&mut self, greeting: &str) -> usize {
        let client = self.crowd(1);
        self.say(client, greeting);
        let heard = self.heard_up_to(client, "PONG\r\n");
        assert!(heard.contains("PONG\r\n"), "{heard}");
        client
    }

    /// Has a client say something; it is on its way when this returns.
    pub(crate) fn say(&mut self, client: usize, text: &str) {
        self.world.order(self.clients[client], 0, text.as_bytes().to_vec());
    }

    /// As [`Workbench::say`], and waits a moment for what comes of it.
    pub(crate) fn say_and_wait(&mut self, client: usize, text: &str) {
        self.say(client, text);
        self.world.run_for(MOMENT);
    }

    /// What a client heard since this was last asked.
    pub(crate) fn heard(&mut self, client: usize) -> String {
        let heard =
            self.world.with_program(self.clients[client], 0, |crowd| std::mem::take(&mut crowd.heard));
        String::from_utf8_lossy(&heard).into_owned()
    }

    /// What a client hears until this comes, or nothing for a second.
    pub(crate) fn heard_up_to(&mut self, client: usize, end: &str) -> String {
        let handle = self.clients[client];
        self.world.run_until_done(Duration::from_secs(1), |world| {
            world
                .with_program(handle, 0, |crowd| memchr::memmem::find(&crowd.heard, end.as_bytes()).is_some())
        });
        self.heard(client)
    }

    /// How many connections of a client have ended.
    pub(crate) fn ended(&mut self, client: usize) -> usize {
        self.world.with_program(self.clients[client], 0, |crowd| crowd.ended)
    }

    /// Looks into a core of the node.
    pub(crate) fn core<R>(&mut self, core: usize, look: impl FnOnce(&mut P) -> R) -> R {
        self.world.with_program(self.server, core, look)
    }
}

struct Link {
    socket: SocketId,
    outbox: VecDeque<Vec<u8>>,
    is_sending: bool,
}

/// The program of a client's node.
struct Crowd {
    count: usize,
    links: Vec<Link>,
    heard: Vec<u8>,
    ended: usize,
}

impl Crowd {
    fn of(count: usize) -> Crowd {
        Crowd { count, links: Vec::new(), heard: Vec::new(), ended: 0 }
    }

    fn flush(&mut self, io: &mut Io<'_, ()>) {
        for link in &mut self.links {
            while !link.is_sending
                && let Some(bytes) = link.outbox.pop_front()
            {
                link.is_sending = matches!(io.send(link.socket, bytes), SendOutcome::Pending);
            }
        }
    }
}

impl Program for Crowd {
    type Mail = ();
    type Order = Vec<u8>;

    fn start(&mut self, io: &mut Io<'_, ()>) {
        for _ in 0..self.count {
            let socket = io.connect(SocketAddr::new(SERVER, PORT));
            self.links.push(Link { socket, outbox: VecDeque::new(), is_sending: true });
        }
    }

    fn event(&mut self, event: Event<'_, (), Vec<u8>>, io: &mut Io<'_, ()>) {
        match event {
            Event::Connected { socket, result: Ok(()) } => {
                io.resume_read(socket);
                self.links
                    .iter_mut()
                    .filter(|link| link.socket == socket)
                    .for_each(|it| it.is_sending = false);
            }
            Event::Sent { socket, result: Ok(()), .. } => {
                self.links
                    .iter_mut()
                    .filter(|link| link.socket == socket)
                    .for_each(|it| it.is_sending = false);
            }
            Event::Received { data, .. } => self.heard.extend_from_slice(data),
            Event::Ended { socket, .. } => {
                self.ended += 1;
                self.links.retain(|link| link.socket != socket);
                io.close(socket);
            }
            Event::Order(bytes) => {
                self.links.iter_mut().for_each(|link| link.outbox.push_back(bytes.clone()));
            }
            _ => {}
        }
        self.flush(io);
    }

    fn finish_turn(&mut self, _io: &mut Io<'_, ()>) {}

    fn panicked(&mut self, _socket: Option<SocketId>, message: &str, _io: &mut Io<'_, ()>) {
        panic!("a client itself is wrong: {message}");
    }
}
