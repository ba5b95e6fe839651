//! One connection to a server of its own, in a world of its own.

use super::model::Setting;
use crate::handshakes::Handshakes;
use crate::plan::{PORT, SERVER, server_options};
use crate::stand_in::StandIn;
use crossbeam_channel::{Receiver, Sender, unbounded};
use petrel_config::HandshakeFirst;
use petrel_engine::transport::TlsOptions;
use petrel_engine::{ConnectionQuery, Options, Order, Shard};
use petrel_protocol::client::ClosedReason;
use petrel_runtime::sim::{NodeHandle, SimOptions, World};
use petrel_runtime::{Event, Io, Program, SendOutcome, SocketId, TimerToken};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// How long a server that awaits TLS waits for the first byte.
pub const GREETING_DELAY: Duration = Duration::from_millis(150);
/// Bytes that can be sent one at a time within that.
pub const BYTES_MAX: usize = 250;
/// From one byte to the next, when they come one at a time: more than any delay of the world.
const STEP: Duration = Duration::from_micros(500);
/// When the bytes come that come late. A server that greets does so before; one that asks whether a client is alive, later.
const LATE: Duration = Duration::from_millis(400);
/// When a client goes that does not go at once.
const END: Duration = Duration::from_secs(30);
/// How long a handshake may take. Not how these end.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(100);
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 1, 1));

/// What is up to chance and to the client's patience.
#[derive(Clone, Copy, Debug)]
pub struct Timetable {
    /// The client closes its side right behind its last byte.
    pub ends_at_once: bool,
    /// What a step of a handshake takes at most.
    pub handshake_delay: Duration,
    /// Of the world.
    pub seed: u64,
}

/// What came of a connection.
#[derive(Default, PartialEq, Eq)]
pub struct Heard {
    /// What the server said: in clear, and, when that is told apart, in records.
    pub clear: Vec<u8>,
    pub opened: Vec<u8>,
    /// Records of its handshake.
    pub handshakes: usize,
    /// Messages that it took in, and their bytes.
    pub in_msgs: u64,
    pub in_bytes: u64,
    /// Why it closed the connection.
    pub reason: Option<ClosedReason>,
    /// Panics that were caught.
    pub panics: u64,
    /// What it holds when all is over.
    pub held_bytes: u64,
}

impl fmt::Debug for Heard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Heard { clear, opened, handshakes, in_msgs, in_bytes, reason, panics, held_bytes } = self;
        write!(
            formatter,
            "\"{}\" in clear, \"{}\" in records, {handshakes} records of the handshake, {in_msgs} messages with \
             {in_bytes} bytes taken in, ended with {reason:?}, {panics} panics, {held_bytes} bytes held",
            clear.escape_ascii(),
            opened.escape_ascii(),
        )
    }
}

/// Sends `bytes` to a server, split at `splits` and where the early ones end, and hears what comes of it. Without a
/// setting the server is plain.
pub fn converse(
    setting: Option<Setting>,
    bytes: &[u8],
    early: usize,
    splits: &[usize],
    timetable: Timetable,
) -> Heard {
    let mut conversation = Conversation::new(setting, pieces(bytes, early, splits, timetable), timetable);
    conversation.run_for(LATE + END + Duration::from_secs(10));
    conversation.judge()
}

/// What is sent when; nothing is the end.
fn pieces(bytes: &[u8], early: usize, splits: &[usize], timetable: Timetable) -> Vec<(Duration, Vec<u8>)> {
    let due = |place: usize| match place < early {
        true => STEP * place as u32,
        false => LATE + STEP * (place - early) as u32,
    };
    let mut cuts: Vec<usize> = splits.iter().copied().chain([0, early, bytes.len()]).collect();
    cuts.retain(|cut| *cut <= bytes.len());
    cuts.sort_unstable();
    cuts.dedup();
    let mut pieces: Vec<_> =
        cuts.windows(2).map(|cut| (due(cut[0]), bytes[cut[0]..cut[1]].to_vec())).collect();
    let last = bytes.len().checked_sub(1).map_or(Duration::ZERO, due);
    let end = if timetable.ends_at_once { last + 2 * STEP } else { LATE + END };
    pieces.push((end, Vec::new()));
    pieces
}

struct Conversation {
    world: World,
    server: NodeHandle<Shard>,
    handshakes: Handshakes,
    said: Rc<RefCell<Vec<u8>>>,
}

impl Conversation {
    fn new(setting: Option<Setting>, pieces: Vec<(Duration, Vec<u8>)>, timetable: Timetable) -> Conversation {
        let micros = Duration::from_micros;
        let mut options = SimOptions::new(timetable.seed);
        options.latency = (micros(100), micros(100));
        options.jitter_max = micros(20);
        options.turn = (micros(1), micros(20));
        options.notice_max = micros(20);
        options.mail_delay_max = micros(20);
        options.socket_buffer_bytes = (65_536, 65_536);
        let mut world = World::new(options);
        let handshakes = Handshakes::new(timetable.handshake_delay, timetable.seed);
        let jobs = handshakes.jobs.clone();
        let (notices, _) = unbounded();
        let server_options = Arc::new(configured(setting));
        let server = world.add_node(1, SERVER, move |core, core_count| {
            let shard = Shard::new(server_options.clone(), core, core_count, [1, 2, 3, 4], notices.clone());
            shard.with_handshakes(jobs.clone())
        });
        let said = Rc::new(RefCell::new(Vec::new()));
        let heard = Rc::clone(&said);
        world.add_node(1, CLIENT, move |_, _| Probe {
            pieces: pieces.clone(),
            outbox: VecDeque::new(),
            is_sending: false,
            socket: None,
            heard: Rc::clone(&heard),
        });
        Conversation { world, server, handshakes, said }
    }

    fn run_for(&mut self, duration: Duration) {
        let end = self.world.now().after(duration);
        let queue = self.handshakes.queue();
        while self.world.now() < end {
            for (core, answer) in self.handshakes.work(self.world.now()) {
                self.world.order(self.server, core, Order::Handshake(Box::new(answer)));
            }
            let next = self.handshakes.next_due().map_or(end, |due| due.min(end));
            let left = next.since(self.world.now());
            self.world.run_until_done(left, |_| !queue.is_empty());
        }
    }

    fn ask<T>(&mut self, order: impl FnOnce(Sender<T>) -> Order) -> Option<T> {
        let (sender, answer): (Sender<T>, Receiver<T>) = unbounded();
        self.world.order(self.server, 0, order(sender));
        self.world.run_until_done(Duration::from_secs(1), |_| !answer.is_empty());
        answer.try_recv().ok()
    }

    fn judge(mut self) -> Heard {
        let query = ConnectionQuery { closed: true, ..ConnectionQuery::default() };
        let closed = self.ask(|answer| Order::Connections(query, answer)).unwrap_or_default();
        let reason = closed.connections.first().and_then(|connection| Some(connection.stop?.1));
        let statistics = self.ask(Order::Statistics).unwrap_or_default();
        Heard {
            clear: self.said.take(),
            in_msgs: statistics.in_msgs,
            in_bytes: statistics.in_bytes,
            reason,
            panics: statistics.panics,
            held_bytes: statistics.pending_bytes,
            ..Heard::default()
        }
    }
}

fn configured(setting: Option<Setting>) -> Options {
    let mut options = server_options();
    let Some(Setting { is_proxied, first, is_required }) = setting else { return options };
    options.proxy_protocol = is_proxied;
    options.tls = first.map(|first: HandshakeFirst| {
        Arc::new(TlsOptions {
            channels: Arc::new(StandIn),
            required: is_required,
            first,
            timeout: HANDSHAKE_TIMEOUT,
            maps_certificates: false,
            pinned: None,
            rate: None,
            users_by_subject: Default::default(),
        })
    });
    options
}

/// The program of the client: it sends what it was given, when it was told to, and writes down what it hears.
struct Probe {
    pieces: Vec<(Duration, Vec<u8>)>,
    /// What is due and was not sent.
    outbox: VecDeque<Vec<u8>>,
    is_sending: bool,
    socket: Option<SocketId>,
    heard: Rc<RefCell<Vec<u8>>>,
}

impl Probe {
    fn flush(&mut self, io: &mut Io<'_, ()>) {
        let Some(socket) = self.socket else { return };
        while !self.is_sending
            && let Some(bytes) = self.outbox.pop_front()
        {
            if bytes.is_empty() {
                io.shutdown_write(socket);
            } else {
                self.is_sending = matches!(io.send(socket, bytes), SendOutcome::Pending);
            }
        }
    }
}

impl Program for Probe {
    type Mail = ();
    type Order = ();

    fn start(&mut self, io: &mut Io<'_, ()>) {
        self.socket = Some(io.connect(SocketAddr::new(SERVER, PORT)));
    }

    fn event(&mut self, event: Event<'_, (), ()>, io: &mut Io<'_, ()>) {
        match event {
            Event::Connected { socket, result } => {
                assert_eq!(result, Ok(()), "the server does not listen");
                io.resume_read(socket);
                for (number, (due, _)) in self.pieces.iter().enumerate() {
                    io.set_timer(io.now().after(*due), TimerToken(number as u64));
                }
            }
            Event::Timer(TimerToken(number)) => {
                let piece = self.pieces.get(number as usize).map(|(_, bytes)| bytes.clone());
                self.outbox.extend(piece);
                self.flush(io);
            }
            Event::Sent { .. } => {
                self.is_sending = false;
                self.flush(io);
            }
            Event::Received { data, .. } => self.heard.borrow_mut().extend_from_slice(data),
            Event::Ended { socket, .. } => {
                self.socket = None;
                io.close(socket);
            }
            _ => {}
        }
    }

    fn finish_turn(&mut self, _io: &mut Io<'_, ()>) {}

    fn panicked(&mut self, _socket: Option<SocketId>, message: &str, _io: &mut Io<'_, ()>) {
        panic!("the client itself is wrong: {message}");
    }
}
