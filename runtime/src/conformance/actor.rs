//! What a scenario runs on a core.

use crate::io::Io;
use crate::net::SocketId;
use crate::program::{Event, Program};
use std::net::SocketAddr;
use std::sync::mpsc::Sender;

/// What a behaviour tells the scenario.
#[derive(Debug)]
pub(super) enum Report {
    /// Something worth waiting for happened; the number says more.
    Note(&'static str, u64),
    /// A listener is bound.
    Listening(SocketAddr),
    /// A promise was broken.
    Broken(String),
}

/// A behaviour's line to the scenario.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) line: Sender<Report>,
}

impl Reporter {
    /// Tells that something happened.
    pub(super) fn note(&self, what: &'static str, number: u64) {
        // A scenario that has ended listens no more.
        let _ = self.line.send(Report::Note(what, number));
    }

    /// Tells where a listener is bound.
    pub(super) fn listening(&self, address: SocketAddr) {
        let _ = self.line.send(Report::Listening(address));
    }

    /// Tells that a promise was broken.
    pub(super) fn broken(&self, words: String) {
        let _ = self.line.send(Report::Broken(words));
    }
}

/// What a core does in a scenario. An assertion that fails in it breaks the scenario.
pub(super) trait Behaviour: Sized + 'static {
    /// What cores send each other.
    type Mail: Send + 'static;
    /// What the scenario orders.
    type Order: Send + 'static;

    fn start(&mut self, _io: &mut Io<'_, Self::Mail>, _report: &Reporter) {}

    fn event(
        &mut self,
        event: Event<'_, Self::Mail, Self::Order>,
        io: &mut Io<'_, Self::Mail>,
        report: &Reporter,
    );

    fn finish_turn(&mut self, _io: &mut Io<'_, Self::Mail>, _report: &Reporter) {}

    /// Told of panics; the one scenario that panics on purpose answers otherwise.
    fn panicked(
        &mut self,
        _socket: Option<SocketId>,
        message: &str,
        _io: &mut Io<'_, Self::Mail>,
        report: &Reporter,
    ) {
        report.broken(message.to_owned());
    }
}

/// What the scenario sends to a core.
pub(super) enum Command<O> {
    /// For the behaviour.
    Do(O),
    /// End the core.
    Stop,
}

/// A behaviour as a program.
pub(super) struct Actor<B> {
    pub(super) behaviour: B,
    pub(super) report: Reporter,
}

impl<B: Behaviour> Program for Actor<B> {
    type Mail = B::Mail;
    type Order = Command<B::Order>;

    fn start(&mut self, io: &mut Io<'_, B::Mail>) {
        self.behaviour.start(io, &self.report);
    }

    fn event(&mut self, event: Event<'_, B::Mail, Command<B::Order>>, io: &mut Io<'_, B::Mail>) {
        let event = match event {
            Event::Order(Command::Stop) => return io.stop(),
            Event::Order(Command::Do(order)) => Event::Order(order),
            Event::Accepted { listener, socket, peer, local } => {
                Event::Accepted { listener, socket, peer, local }
            }
            Event::AcceptFailed { listener, error } => Event::AcceptFailed { listener, error },
            Event::Connected { socket, result } => Event::Connected { socket, result },
            Event::Received { socket, data } => {
                assert!(!data.is_empty(), "an empty read is no event");
                assert!(data.len() <= crate::backend::READ_BUFFER_BYTES, "{} bytes at once", data.len());
                Event::Received { socket, data }
            }
            Event::Ended { socket, end } => Event::Ended { socket, end },
            Event::Sent { socket, buffer, result } => Event::Sent { socket, buffer, result },
            Event::Mail { from, mail } => Event::Mail { from, mail },
            Event::MailRoom { core } => Event::MailRoom { core },
            Event::Timer(token) => Event::Timer(token),
        };
        self.behaviour.event(event, io, &self.report);
    }

    fn finish_turn(&mut self, io: &mut Io<'_, B::Mail>) {
        self.behaviour.finish_turn(io, &self.report);
    }

    fn panicked(&mut self, socket: Option<SocketId>, message: &str, io: &mut Io<'_, B::Mail>) {
        self.behaviour.panicked(socket, message, io, &self.report);
    }
}

/// What to call an event that a scenario does not expect.
pub(super) fn name_of<M, O>(event: &Event<'_, M, O>) -> &'static str {
    match event {
        Event::Accepted { .. } => "Accepted",
        Event::AcceptFailed { .. } => "AcceptFailed",
        Event::Connected { .. } => "Connected",
        Event::Received { .. } => "Received",
        Event::Ended { .. } => "Ended",
        Event::Sent { .. } => "Sent",
        Event::Mail { .. } => "Mail",
        Event::MailRoom { .. } => "MailRoom",
        Event::Order(_) => "Order",
        Event::Timer(_) => "Timer",
    }
}
