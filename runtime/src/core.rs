//! A core below its program: its state, and the turn that all backends share.

use crate::backend::{Completion, Sockets};
use crate::file::{FileDriver, PortDriver};
use crate::histogram::Histogram;
use crate::io::Io;
use crate::launch::BackendKind;
use crate::mailbox::MailPort;
use crate::net::SocketId;
use crate::program::{CoreId, Event, Program};
use crate::random::RandomStream;
use crate::tasks::Tasks;
use crate::time::Monotonic;
use crate::time::clock::Clock;
use crate::time::wheel::TimerWheel;
use std::any::Any;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The state of a core below its program.
pub struct CoreState<M> {
    pub(crate) core: CoreId,
    pub(crate) backend: BackendKind,
    pub(crate) clock: Clock,
    /// The clock as of the beginning of this turn.
    pub(crate) now: Monotonic,
    pub(crate) sockets: Sockets,
    /// One for each core of the node, the own one included.
    pub(crate) mail: Vec<MailPort<M>>,
    /// For each core, whether its program was told that there is no room.
    pub(crate) room_awaited: Vec<bool>,
    pub(crate) timers: TimerWheel,
    pub(crate) random: RandomStream,
    pub(crate) tasks: Tasks,
    pub(crate) files: PortDriver,
    /// How long the turns were that handled something.
    pub(crate) turn_lengths: Histogram,
    /// The program asked for the end.
    pub(crate) stopping: bool,
}

/// What a core is made of.
pub(crate) struct CoreParts<M> {
    pub(crate) core: CoreId,
    pub(crate) backend: BackendKind,
    pub(crate) clock: Clock,
    pub(crate) sockets: Sockets,
    /// One for each core of the node, [`MailPort::Own`] at the core's own place.
    pub(crate) mail: Vec<MailPort<M>>,
    pub(crate) random_seed: u64,
    pub(crate) tasks: Tasks,
    pub(crate) files: FileDriver,
}

impl<M: Send + 'static> CoreState<M> {
    /// A core before its first turn.
    pub(crate) fn new(parts: CoreParts<M>) -> CoreState<M> {
        let now = parts.clock.monotonic();
        CoreState {
            core: parts.core,
            backend: parts.backend,
            clock: parts.clock,
            now,
            sockets: parts.sockets,
            room_awaited: vec![false; parts.mail.len()],
            mail: parts.mail,
            timers: TimerWheel::new(now),
            random: RandomStream::from_seed(parts.random_seed),
            tasks: parts.tasks,
            files: PortDriver::new(parts.files),
            turn_lengths: Histogram::default(),
            stopping: false,
        }
    }

    /// Whether the next turn would find something without waiting: sockets' completions already gathered,
    /// mail, room that was waited for, tasks, ended file operations. Orders and timers are not looked at.
    pub(crate) fn has_work(&mut self) -> bool {
        if self.sockets.has_ready() || self.tasks.has_work() || self.files.has_work() {
            return true;
        }
        let ports = self.mail.iter_mut().zip(&self.room_awaited);
        ports.into_iter().any(|(port, awaited)| port.has_work() || (*awaited && port.has_room()))
    }

    /// When the next turn is due if nothing happens: a timer's or a rest of the sockets' own.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        [self.timers.next_deadline(), self.sockets.next_deadline()].into_iter().flatten().min()
    }

    fn publish_mail(&mut self) {
        for (port, awaited) in self.mail.iter_mut().zip(&self.room_awaited) {
            port.publish();
            // The peer may have made room and woken this core for mail that had spilled: then the ring is full
            // again, and who waits for room has to be woken once more.
            if *awaited && !port.has_room() {
                port.want_room();
            }
        }
    }
}

/// Lets the program start, before the first turn.
pub(crate) fn start<P: Program>(program: &mut P, state: &mut CoreState<P::Mail>) {
    state.now = state.clock.monotonic();
    state.timers.expire(state.now);
    program.start(&mut Io { core: state });
    state.publish_mail();
}

/// One turn. Returns whether anything was handled. Does not wait.
pub(crate) fn turn<P: Program>(
    program: &mut P,
    state: &mut CoreState<P::Mail>,
    orders: &mut VecDeque<P::Order>,
) -> bool {
    state.now = state.clock.monotonic();
    // Timers that the program sets for now while this turn lasts wait for the next one, so that it ends.
    let due_timers = state.timers.expire(state.now);
    state.sockets.poll(state.now);
    let mut handled = false;
    while let Some(completion) = state.sockets.next_completion() {
        handled = true;
        complete(program, state, completion);
    }
    handled |= read_mail(program, state);
    for _ in 0..orders.len() {
        let Some(order) = orders.pop_front() else { break };
        handled = true;
        deliver(program, state, None, Event::Order(order));
    }
    handled |= fire_timers(program, state, due_timers);
    state.files.gather(&mut state.sockets);
    handled |= run_tasks(program, state);
    state.files.submit(&mut state.sockets);
    if handled {
        guarded(program, state, None, |program, io| program.finish_turn(io));
    }
    state.publish_mail();
    handled
}

fn complete<P: Program>(program: &mut P, state: &mut CoreState<P::Mail>, completion: Completion) {
    match completion {
        Completion::Accepted { listener, socket, peer, local } => {
            deliver(program, state, Some(socket), Event::Accepted { listener, socket, peer, local });
        }
        Completion::AcceptFailed { listener, error } => {
            deliver(program, state, None, Event::AcceptFailed { listener, error });
        }
        Completion::Connected { socket, result } => {
            deliver(program, state, Some(socket), Event::Connected { socket, result });
        }
        Completion::Received { socket, data } => {
            deliver(program, state, Some(socket), Event::Received { socket, data: data.as_slice() });
            state.sockets.recycle(data);
        }
        Completion::Ended { socket, end } => {
            deliver(program, state, Some(socket), Event::Ended { socket, end });
        }
        Completion::Sent { socket, buffer, result } => {
            deliver(program, state, Some(socket), Event::Sent { socket, buffer, result });
        }
    }
}

fn read_mail<P: Program>(program: &mut P, state: &mut CoreState<P::Mail>) -> bool {
    let mut handled = false;
    for peer in 0..state.mail.len() {
        // What arrives while this is worked on waits for the next turn, so that a turn ends.
        let waiting = state.mail[peer].waiting();
        let from = CoreId(peer as u16);
        for _ in 0..waiting {
            let mail = state.mail[peer].take();
            deliver(program, state, None, Event::Mail { from, mail });
            state.mail[peer].handled();
        }
        if waiting > 0 {
            state.mail[peer].drained();
            handled = true;
        }
        if state.room_awaited[peer] && state.mail[peer].has_room() {
            state.room_awaited[peer] = false;
            deliver(program, state, None, Event::MailRoom { core: from });
            handled = true;
        }
    }
    handled
}

fn fire_timers<P: Program>(program: &mut P, state: &mut CoreState<P::Mail>, due: usize) -> bool {
    for _ in 0..due {
        let Some(token) = state.timers.next_due() else { break };
        deliver(program, state, None, Event::Timer(token));
    }
    due > 0
}

fn run_tasks<P: Program>(program: &mut P, state: &mut CoreState<P::Mail>) -> bool {
    let due = state.tasks.due();
    for _ in 0..due {
        if let Err(payload) = state.tasks.poll_one() {
            let message = panic_message(payload.as_ref());
            tracing::error!(core = state.core.0, message, "a task panicked and was ended");
            program.panicked(None, &message, &mut Io { core: state });
        }
    }
    due > 0
}

fn deliver<P: Program>(
    program: &mut P,
    state: &mut CoreState<P::Mail>,
    socket: Option<SocketId>,
    event: Event<'_, P::Mail, P::Order>,
) {
    guarded(program, state, socket, |program, io| program.event(event, io));
}

fn guarded<P: Program>(
    program: &mut P,
    state: &mut CoreState<P::Mail>,
    socket: Option<SocketId>,
    call: impl FnOnce(&mut P, &mut Io<'_, P::Mail>),
) {
    // The state below is changed by short calls of `Io` that leave it whole; what the program may have left
    // half done is its own to repair in `panicked`.
    let outcome = catch_unwind(AssertUnwindSafe(|| call(program, &mut Io { core: state })));
    if let Err(payload) = outcome {
        program.panicked(socket, &panic_message(payload.as_ref()), &mut Io { core: state });
    }
}

/// The text of a panic that was caught.
pub fn panic_message(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a text".to_owned()
    }
}
