//! A NATS client on a node of its own: it connects, greets, writes what the script says and reads strictly.

use crate::ledger::{Arrival, ConnectionId, PingPurpose, Profile};
use crate::script::{Hand, Poke, Script, Stage, Wishes};
use crate::stand_in::{Begin, ClientEnd};
use crate::wire::{Said, ServerStream};
use petrel_runtime::{End, Event, Io, Program, SendOutcome, SocketId, TimerId, TimerToken};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

const ACT: TimerToken = TimerToken(1);
const CONNECT: TimerToken = TimerToken(2);
/// A refused connection is tried again after this.
const RETRY: Duration = Duration::from_millis(20);

/// The script and what it acts on.
pub struct Play<S> {
    /// What clients do.
    pub script: S,
    /// What they share.
    pub stage: Stage,
}

/// A connection to the server.
struct Link {
    socket: SocketId,
    id: ConnectionId,
    stream: ServerStream,
    seal: Option<ClientEnd>,
    greeted: bool,
    sending: bool,
    outbox: VecDeque<Vec<u8>>,
    /// Close this side when the outbox is empty.
    closes_side: bool,
}

/// The program of a client's node.
pub struct Client<S> {
    number: usize,
    server: SocketAddr,
    play: Rc<RefCell<Play<S>>>,
    connecting: Option<SocketId>,
    link: Option<Link>,
    act_timer: Option<TimerId>,
    has_left: bool,
    /// When it begins a handshake; `None`: it is plain.
    begins: Option<Begin>,
    /// It connects by itself, and again when it is refused.
    wants_connection: bool,
}

impl<S: Script> Client<S> {
    /// Client `number` of a play. It connects as soon as it runs when `connects` says so.
    pub fn new(number: usize, server: SocketAddr, play: Rc<RefCell<Play<S>>>, connects: bool) -> Client<S> {
        Client {
            number,
            server,
            play,
            connecting: None,
            link: None,
            act_timer: None,
            has_left: false,
            begins: None,
            wants_connection: connects,
        }
    }

    /// The same client behind the stand-in for TLS.
    #[must_use]
    pub fn sealed(mut self, begins: Option<Begin>) -> Client<S> {
        self.begins = begins;
        self
    }

    fn connect(&mut self, io: &mut Io<'_, ()>) {
        if self.link.is_none() && self.connecting.is_none() {
            self.has_left = false;
            self.connecting = Some(io.connect(self.server));
        }
    }

    /// Lets the script do something, and carries out what it wishes.
    fn with_script(&mut self, io: &mut Io<'_, ()>, call: impl FnOnce(&mut S, &mut Hand<'_>)) {
        let play = Rc::clone(&self.play);
        let mut play = play.borrow_mut();
        let Play { script, stage } = &mut *play;
        let mut hand = Hand {
            client: self.number,
            now: io.now(),
            stage,
            has_left: self.has_left,
            awaits_pong: false,
            connection: self.link.as_ref().map(|link| link.id),
            wishes: Wishes::default(),
        };
        call(script, &mut hand);
        let wishes = hand.wishes;
        self.carry_out(wishes, stage, io);
    }

    fn carry_out(&mut self, wishes: Wishes, stage: &mut Stage, io: &mut Io<'_, ()>) {
        if let Some(pause) = wishes.act_in {
            if let Some(timer) = self.act_timer.take() {
                io.cancel_timer(timer);
            }
            self.act_timer = Some(io.set_timer(io.now().after(pause), ACT));
        }
        if let Some(pause) = wishes.connect_in {
            io.set_timer(io.now().after(pause), CONNECT);
        }
        let Some(link) = &mut self.link else { return };
        match wishes.reading {
            Some(true) => io.resume_read(link.socket),
            Some(false) => io.pause_read(link.socket),
            None => {}
        }
        if !wishes.bytes.is_empty() {
            let bytes = match &link.seal {
                Some(seal) => seal.seal(&wishes.bytes),
                None => wishes.bytes,
            };
            link.outbox.push_back(bytes);
        }
        if wishes.half_close {
            self.has_left = true;
            link.closes_side = true;
            stage.open[self.number] = None;
            stage.ledger.closed_its_side(link.id);
        }
        self.flush(io);
        if wishes.close {
            self.has_left = true;
            self.drop_link(stage, io);
        }
    }

    fn flush(&mut self, io: &mut Io<'_, ()>) {
        let Some(link) = &mut self.link else { return };
        while !link.sending
            && let Some(bytes) = link.outbox.pop_front()
        {
            // A failure is told by the end of the connection.
            link.sending = matches!(io.send(link.socket, bytes), SendOutcome::Pending);
        }
        if link.closes_side && !link.sending {
            link.closes_side = false;
            io.shutdown_write(link.socket);
        }
    }

    fn drop_link(&mut self, stage: &mut Stage, io: &mut Io<'_, ()>) {
        if let Some(link) = self.link.take() {
            stage.open[self.number] = None;
            stage.ledger.ended(link.id);
            io.close(link.socket);
        }
    }

    fn received(&mut self, data: &[u8], io: &mut Io<'_, ()>) {
        let was_open = self.is_sealed();
        if let Some(link) = &mut self.link {
            match link.seal.as_mut().map(|seal| seal.open(data)) {
                None => link.stream.push(data),
                Some(Ok((plain, answer))) => {
                    link.stream.push(&plain);
                    if !answer.is_empty() {
                        link.outbox.push_back(answer);
                    }
                }
                Some(Err(wrong)) => {
                    self.play.borrow_mut().stage.ledger.violate(format!("client {}: {wrong}", self.number));
                    return;
                }
            }
        }
        if self.is_sealed() && !was_open {
            if self.begins == Some(Begin::AfterInfo) {
                // Right behind the last flight: the server may not be ready for it.
                self.greet(io);
            }
            self.flush(io);
        }
        while let Some(link) = &mut self.link {
            match link.stream.next_said() {
                Ok(Some(said)) => self.heard(said, io),
                Ok(None) => return,
                Err(wrong) => {
                    let mut play = self.play.borrow_mut();
                    play.stage.ledger.violate(format!("client {} heard {wrong}", self.number));
                    return;
                }
            }
        }
    }

    fn heard(&mut self, said: Said, io: &mut Io<'_, ()>) {
        let Some(link) = &mut self.link else { return };
        match said {
            Said::Info(_) if !link.greeted => {
                link.greeted = true;
                match &mut link.seal {
                    Some(seal) if !seal.is_open() => {
                        link.outbox.push_back(seal.begin());
                        self.flush(io);
                    }
                    _ => self.greet(io),
                }
            }
            Said::Info(json) => self.with_script(io, |script, hand| script.informed(&json, hand)),
            Said::Message(received) => {
                let id = link.id;
                let mut is_taken = false;
                self.with_script(io, |script, hand| is_taken = script.takes(&received, hand));
                if is_taken {
                    return;
                }
                let arrival = self.play.borrow_mut().stage.ledger.delivered(id, &received);
                if let Arrival::Message(message, subscription) = arrival {
                    self.with_script(io, |script, hand| script.message(message, subscription, hand));
                }
            }
            Said::Ping => self.with_script(io, |_, hand| hand.raw(b"PONG\r\n")),
            Said::Pong => self.ponged(io),
            Said::Ok => {}
            Said::Error(text) => self.with_script(io, |script, hand| script.refused(&text, hand)),
        }
    }

    /// Says CONNECT.
    fn greet(&mut self, io: &mut Io<'_, ()>) {
        self.with_script(io, |_, hand| {
            if hand.stage.profiles[hand.client].is_silent {
                return;
            }
            let connect = connect_line(&hand.stage.profiles[hand.client]);
            hand.raw(connect.as_bytes());
            hand.ping_for(PingPurpose::Greeting);
        });
    }

    fn is_sealed(&self) -> bool {
        let seal = self.link.as_ref().and_then(|link| link.seal.as_ref());
        seal.is_some_and(ClientEnd::is_open)
    }

    fn ponged(&mut self, io: &mut Io<'_, ()>) {
        let Some(id) = self.link.as_ref().map(|link| link.id) else { return };
        let purpose = self.play.borrow_mut().stage.ledger.ponged(id);
        match purpose {
            Some(PingPurpose::Greeting) => {
                self.play.borrow_mut().stage.open[self.number] = Some(id);
                self.with_script(io, |script, hand| script.opened(hand));
            }
            Some(PingPurpose::Own) => self.with_script(io, |script, hand| script.ponged(hand)),
            Some(PingPurpose::Sweep) | None => {}
        }
    }

    fn ended(&mut self, end: End, io: &mut Io<'_, ()>) {
        let Some(id) = self.link.as_ref().map(|link| link.id) else { return };
        let awaits_pong = self.play.borrow().stage.ledger.awaits_pong(id);
        let play = Rc::clone(&self.play);
        self.drop_link(&mut play.borrow_mut().stage, io);
        drop(play);
        self.with_script(io, |script, hand| {
            hand.awaits_pong = awaits_pong;
            script.ended(end, hand);
        });
    }

    fn poked(&mut self, poke: Poke, io: &mut Io<'_, ()>) {
        match poke {
            Poke::Connect => {
                self.wants_connection = true;
                self.connect(io);
            }
            Poke::Sweep => {
                let open = self.play.borrow().stage.open[self.number];
                if open.is_some() && open == self.link.as_ref().map(|link| link.id) {
                    self.with_script(io, |_, hand| hand.ping_for(PingPurpose::Sweep));
                }
            }
            Poke::Leave => {
                self.wants_connection = false;
                if let Some(timer) = self.act_timer.take() {
                    io.cancel_timer(timer);
                }
                if let Some(socket) = self.connecting.take() {
                    io.close(socket);
                }
                self.has_left = true;
                let play = Rc::clone(&self.play);
                self.drop_link(&mut play.borrow_mut().stage, io);
            }
            Poke::Script(word) => self.with_script(io, |script, hand| script.poked(word, hand)),
        }
    }
}

impl<S: Script> Program for Client<S> {
    type Mail = ();
    type Order = Poke;

    fn start(&mut self, io: &mut Io<'_, ()>) {
        if self.wants_connection {
            self.connect(io);
        }
    }

    fn event(&mut self, event: Event<'_, (), Poke>, io: &mut Io<'_, ()>) {
        match event {
            Event::Connected { socket, result } if self.connecting == Some(socket) => {
                self.connecting = None;
                if result.is_err() {
                    io.set_timer(io.now().after(RETRY), CONNECT);
                    return;
                }
                let mut play = self.play.borrow_mut();
                let profile = play.stage.profiles[self.number].clone();
                let mut seal = self.begins.map(|_| ClientEnd::default());
                let mut outbox = VecDeque::new();
                if let (Some(seal), Some(Begin::AtOnce)) = (&mut seal, self.begins) {
                    outbox.push_back(seal.begin());
                }
                self.link = Some(Link {
                    socket,
                    id: play.stage.ledger.connected(self.number, profile),
                    stream: ServerStream::default(),
                    seal,
                    greeted: false,
                    sending: false,
                    outbox,
                    closes_side: false,
                });
                drop(play);
                io.resume_read(socket);
                self.flush(io);
            }
            Event::Received { socket, data } if self.owns(socket) => self.received(data, io),
            Event::Sent { socket, result, .. } if self.owns(socket) => {
                if let Some(link) = &mut self.link {
                    link.sending = result.is_err();
                }
                self.flush(io);
            }
            Event::Ended { socket, end } if self.owns(socket) => self.ended(end, io),
            Event::Timer(ACT) => {
                self.act_timer = None;
                self.with_script(io, |script, hand| script.act(hand));
            }
            Event::Timer(CONNECT) if self.wants_connection => self.connect(io),
            Event::Order(poke) => self.poked(poke, io),
            _ => {}
        }
    }

    fn finish_turn(&mut self, _io: &mut Io<'_, ()>) {}

    fn panicked(&mut self, _socket: Option<SocketId>, message: &str, _io: &mut Io<'_, ()>) {
        let mut play = self.play.borrow_mut();
        play.stage.ledger.violate(format!("client {} itself is wrong: {message}", self.number));
    }
}

impl<S> Client<S> {
    fn owns(&self, socket: SocketId) -> bool {
        self.link.as_ref().is_some_and(|link| link.socket == socket)
    }
}

fn connect_line(profile: &Profile) -> String {
    let Profile { echo, headers, no_responders, verbose, protocol, credentials, .. } = profile;
    format!(
        "CONNECT {{\"verbose\":{verbose},\"pedantic\":false,\"echo\":{echo},\"headers\":{headers},\
         \"no_responders\":{no_responders},\"protocol\":{protocol},\"lang\":\"simulated\"{credentials}}}\r\n"
    )
}
