//! Bytes of established connections: sending, arriving, reading, ending.

use super::agenda::{Action, Place};
use super::dice::nanos;
use super::faults::FaultKind;
use super::network::{EndpointId, Network, Payload, PendingSend, Segment, Stage};
use crate::net::{End, SendOutcome, SocketId};
use std::collections::VecDeque;
use std::io::{ErrorKind, Read};

/// A burst leaves in at most this many segments, so that megabytes do not become millions of events.
const SEGMENTS_PER_BURST: u64 = 64;
/// Nanoseconds between segments that follow each other closely.
const SEGMENT_GAP: u64 = 1_000;

/// What a look at an endpoint gave its program.
#[derive(Debug)]
pub(super) enum News {
    Connected(Result<(), ErrorKind>),
    Sent(Vec<u8>, Result<(), ErrorKind>),
    /// This many bytes were put into the reader's buffer.
    Bytes(usize),
    Ended(End),
}

impl Network {
    /// See [`crate::Io::try_send`].
    pub(super) fn try_send(
        &mut self,
        id: EndpointId,
        pieces: &[std::io::IoSlice<'_>],
    ) -> Result<usize, ErrorKind> {
        let endpoint = self.endpoints.get_mut(&id).ok_or(ErrorKind::NotConnected)?;
        assert!(endpoint.pending.is_none(), "a send was started while another one of the socket was pending");
        match endpoint.stage {
            Stage::Connecting => return Err(ErrorKind::NotConnected),
            Stage::Failed(kind) => return Err(kind),
            Stage::Open if endpoint.fin_wanted => return Err(ErrorKind::BrokenPipe),
            Stage::Open => {}
        }
        let bytes: Vec<u8> = pieces.iter().flat_map(|piece| piece.iter().copied()).collect();
        let room = endpoint.outbox_bytes_max.saturating_sub(endpoint.outbox.len()).min(bytes.len());
        let reluctant = room > 0 && self.ground.dice.below(4) == 0;
        let taken = if reluctant { self.ground.dice.index(room) } else { room };
        endpoint.outbox.extend(&bytes[..taken]);
        self.ground.trace.record_bytes(self.ground.now, "try-send", &[id.0, taken as u64], &bytes);
        self.transmit(id);
        Ok(taken)
    }

    /// Takes what there is room for at once; the rest becomes pending.
    pub(super) fn send(&mut self, id: EndpointId, buffer: Vec<u8>) -> SendOutcome {
        let Some(endpoint) = self.endpoints.get_mut(&id) else {
            return SendOutcome::Failed(buffer, ErrorKind::NotConnected);
        };
        assert!(endpoint.pending.is_none(), "a send was started while another one of the socket was pending");
        if buffer.is_empty() {
            return SendOutcome::Done(buffer);
        }
        match endpoint.stage {
            Stage::Connecting => return SendOutcome::Failed(buffer, ErrorKind::NotConnected),
            Stage::Failed(kind) => return SendOutcome::Failed(buffer, kind),
            Stage::Open if endpoint.fin_wanted => return SendOutcome::Failed(buffer, ErrorKind::BrokenPipe),
            Stage::Open => {}
        }
        let room = endpoint.outbox_bytes_max.saturating_sub(endpoint.outbox.len()).min(buffer.len());
        // Now and then the kernel takes less than it could.
        let reluctant = room > 0 && self.ground.dice.below(16) == 0;
        let taken = if reluctant { self.ground.dice.index(room) } else { room };
        endpoint.outbox.extend(&buffer[..taken]);
        let whole = taken == buffer.len();
        self.ground.trace.record_bytes(self.ground.now, "send", &[id.0, taken as u64], &buffer);
        if whole {
            self.transmit(id);
            return SendOutcome::Done(buffer);
        }
        endpoint.pending = Some(PendingSend { buffer, taken });
        self.ground.fault(FaultKind::SendPending, "send-pending", &[id.0]);
        self.transmit(id);
        SendOutcome::Pending
    }

    /// Puts what the other end has room for into flight, in segments of any size, and lets a pending send
    /// follow.
    pub(super) fn transmit(&mut self, id: EndpointId) {
        loop {
            self.burst(id);
            if !self.refill(id) {
                break;
            }
        }
        self.settle(id);
    }

    /// Sends the outbox as far as the window goes, then the end of the stream when it is wanted.
    fn burst(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        if endpoint.stage != Stage::Open {
            return;
        }
        let (from, to) = (endpoint.place.node, endpoint.remote_node);
        let burst = endpoint.outbox.len().min(endpoint.window);
        let style = self.ground.dice.below(4);
        let mut left = burst;
        let mut pieces = 0;
        while left > 0 {
            let size = match style {
                // Splinters.
                0 => {
                    let smallest = (burst as u64 / SEGMENTS_PER_BURST).max(1);
                    (self.ground.dice.between(smallest, smallest * 8) as usize).min(left)
                }
                // Two or three pieces, cut anywhere.
                1 if pieces < 2 => self.ground.dice.skewed(1, left as u64) as usize,
                _ => left,
            };
            let endpoint = self.endpoints.get_mut(&id).expect("looked up above");
            let mut bytes = vec![0; size];
            take_front(&mut endpoint.outbox, &mut bytes);
            endpoint.window -= size;
            left -= size;
            pieces += 1;
            self.put_in_flight(id, from, to, Payload::Bytes(bytes));
        }
        if pieces > 1 {
            self.ground.fault(FaultKind::SegmentSplit, "split", &[id.0, pieces]);
        }
        let endpoint = self.endpoints.get_mut(&id).expect("looked up above");
        if endpoint.fin_wanted
            && !endpoint.fin_sent
            && endpoint.outbox.is_empty()
            && endpoint.pending.is_none()
        {
            endpoint.fin_sent = true;
            self.put_in_flight(id, from, to, Payload::Fin);
        }
    }

    /// Moves a pending send into the outbox; true when something moved. A finished one becomes a result.
    fn refill(&mut self, id: EndpointId) -> bool {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return false };
        let Some(pending) = &mut endpoint.pending else { return false };
        let room = endpoint.outbox_bytes_max.saturating_sub(endpoint.outbox.len());
        let moved = room.min(pending.buffer.len() - pending.taken);
        endpoint.outbox.extend(&pending.buffer[pending.taken..pending.taken + moved]);
        pending.taken += moved;
        if pending.taken == pending.buffer.len() {
            let buffer = endpoint.pending.take().expect("matched above").buffer;
            endpoint.send_result = Some((buffer, Ok(())));
            self.ground.record("sent", &[id.0]);
            self.list(id);
        }
        moved > 0
    }

    fn put_in_flight(&mut self, id: EndpointId, from: usize, to: usize, payload: Payload) {
        let mut latency = self.latency(from, to);
        if from != to && self.ground.dice.per_million(self.ground.options.faults.loss_per_million) {
            latency += self.retransmit_pause(0);
            self.ground.fault(FaultKind::Loss, "loss", &[id.0]);
        }
        let endpoint = self.endpoints.get_mut(&id).expect("the sender is there");
        let arrives_at = (self.ground.now + latency).max(endpoint.last_arrival + SEGMENT_GAP);
        endpoint.last_arrival = arrives_at;
        endpoint.in_flight.push_back(Segment { arrives_at, payload });
        self.enter_arrival(id);
    }

    fn enter_arrival(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if let (false, Some(first)) = (endpoint.arrival_entered, endpoint.in_flight.front()) {
            endpoint.arrival_entered = true;
            let at = first.arrives_at;
            self.ground.at(at, Action::Arrive { sender: id });
        }
    }

    /// The first segment in flight reaches the other end, or is held back.
    pub(super) fn arrive(&mut self, sender: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&sender) else { return };
        endpoint.arrival_entered = false;
        let (from, to) = (endpoint.place.node, endpoint.remote_node);
        if !self.passes(from, to) {
            return self.hold(sender, from, to);
        }
        let endpoint = self.endpoints.get_mut(&sender).expect("looked up above");
        (endpoint.held_since, endpoint.held_times) = (None, 0);
        let Some(segment) = endpoint.in_flight.pop_front() else { return };
        let (remote, ended) = (endpoint.remote, endpoint.ended == Some(End::Eof));
        let resets = self.ground.options.faults.reset_per_million;
        if from != to && self.ground.dice.per_million(resets) {
            self.ground.fault(FaultKind::Reset, "reset", &[sender.0]);
            if let Some(remote) = remote {
                self.fail(remote, ErrorKind::ConnectionReset);
            }
            self.fail(sender, ErrorKind::ConnectionReset);
            return;
        }
        match remote.filter(|remote| self.endpoints.contains_key(remote)) {
            Some(remote) => self.take_in(sender, remote, segment.payload),
            None if matches!(segment.payload, Payload::Reset) => {}
            // The other end closed in order before this one: its kernel still takes the end of the stream.
            None if matches!(segment.payload, Payload::Fin) && ended => {}
            None => self.answer_with_reset(sender),
        }
        self.enter_arrival(sender);
        self.settle(sender);
    }

    /// A segment waits for a partition or a power cut to end; in the end the connection is given up.
    fn hold(&mut self, sender: EndpointId, from: usize, to: usize) {
        self.count_held(from, to);
        let give_up = nanos(self.ground.options.retransmit_give_up);
        let now = self.ground.now;
        let endpoint = self.endpoints.get_mut(&sender).expect("the caller looked it up");
        let since = *endpoint.held_since.get_or_insert(now);
        endpoint.held_times += 1;
        let times = endpoint.held_times - 1;
        if now - since >= give_up {
            self.ground.fault(FaultKind::GivenUp, "gives-up", &[sender.0]);
            return self.fail(sender, ErrorKind::TimedOut);
        }
        let pause = self.retransmit_pause(times);
        self.endpoints.get_mut(&sender).expect("the caller looked it up").arrival_entered = true;
        self.ground.later(pause, Action::Arrive { sender });
    }

    /// The receiving end takes a segment.
    fn take_in(&mut self, sender: EndpointId, receiver: EndpointId, payload: Payload) {
        let endpoint = self.endpoints.get_mut(&receiver).expect("the caller looked it up");
        match payload {
            Payload::Reset => self.fail(receiver, ErrorKind::ConnectionReset),
            Payload::Fin => {
                if endpoint.ended.is_none() {
                    endpoint.ended = Some(End::Eof);
                }
                self.ground.record("fin", &[receiver.0]);
                self.list(receiver);
            }
            Payload::Bytes(bytes) => {
                self.ground.trace.record(self.ground.now, "arrive", &[receiver.0, bytes.len() as u64]);
                if endpoint.closed || matches!(endpoint.stage, Stage::Failed(_)) {
                    // As Linux does: data for a closed socket resets the connection, and what it still had
                    // to send is gone.
                    self.answer_with_reset(sender);
                    return self.fail(receiver, ErrorKind::ConnectionReset);
                }
                endpoint.inbox.extend(&bytes);
                self.list(receiver);
            }
        }
    }

    /// A kernel that knows no such connection answers with a reset.
    fn answer_with_reset(&mut self, to: EndpointId) {
        let Some(endpoint) = self.endpoints.get(&to) else { return };
        let (here, there) = (endpoint.place.node, endpoint.remote_node);
        let latency = self.latency(there, here);
        self.ground.later(latency, Action::Reset { endpoint: to });
    }

    /// A reset reaches an endpoint, or is lost: then what it answered is sent again and answered again, until
    /// the endpoint gives up.
    pub(super) fn reset_arrives(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        let (from, to) = (endpoint.remote_node, endpoint.place.node);
        if matches!(endpoint.stage, Stage::Failed(_)) {
            return;
        }
        let since = *endpoint.held_since.get_or_insert(self.ground.now);
        if self.passes(from, to) {
            return self.fail(id, ErrorKind::ConnectionReset);
        }
        self.count_held(from, to);
        if self.ground.now - since >= nanos(self.ground.options.retransmit_give_up) {
            self.ground.fault(FaultKind::GivenUp, "gives-up", &[id.0]);
            return self.fail(id, ErrorKind::TimedOut);
        }
        let pause = self.retransmit_pause(2);
        self.ground.later(pause, Action::Reset { endpoint: id });
    }

    /// The connection fails at this end. What arrived before can still be read.
    pub(super) fn fail(&mut self, id: EndpointId, kind: ErrorKind) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if matches!(endpoint.stage, Stage::Failed(_)) {
            return;
        }
        self.ground.trace.record(self.ground.now, "fail", &[id.0, kind as u64]);
        let connecting = endpoint.stage == Stage::Connecting;
        endpoint.stage = Stage::Failed(kind);
        endpoint.outbox.clear();
        endpoint.in_flight.clear();
        if let Some(pending) = endpoint.pending.take() {
            endpoint.send_result = Some((pending.buffer, Err(kind)));
        }
        if endpoint.ended.is_none() {
            endpoint.ended = Some(End::Error(kind));
        }
        if connecting {
            endpoint.connect_result = Some(Err(kind));
            // The other side may have been made already and thinks that it is connected.
            if let Some(remote) = endpoint.remote {
                self.answer_with_reset(remote);
            }
        }
        self.list(id);
        self.settle(id);
    }

    /// The other end has made room.
    pub(super) fn window(&mut self, sender: EndpointId, bytes: usize) {
        let Some(endpoint) = self.endpoints.get(&sender) else { return };
        let (here, there) = (endpoint.place.node, endpoint.remote_node);
        if self.passes(there, here) {
            self.endpoints.get_mut(&sender).expect("looked up above").window += bytes;
            self.transmit(sender);
        } else {
            let pause = self.retransmit_pause(2);
            self.ground.later(pause, Action::Window { sender, bytes });
        }
    }

    /// Reads from now on, or no longer.
    pub(super) fn read_on(&mut self, id: EndpointId, reading: bool) {
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            endpoint.reading = reading;
            self.ground.record(if reading { "resume" } else { "pause" }, &[id.0]);
            self.list(id);
        }
    }

    /// Bytes of a pending send that were not taken yet.
    pub(super) fn unsent_bytes(&self, id: EndpointId) -> usize {
        let pending = self.endpoints.get(&id).and_then(|endpoint| endpoint.pending.as_ref());
        pending.map_or(0, |pending| pending.buffer.len() - pending.taken)
    }

    /// Looks at one endpoint of a core's list. `into` takes bytes.
    pub(super) fn look(&mut self, place: Place, id: EndpointId, into: &mut [u8]) -> Option<(SocketId, News)> {
        let endpoint = self.endpoints.get_mut(&id).filter(|endpoint| endpoint.place == place)?;
        endpoint.listed = false;
        let socket = endpoint.owner?;
        let news = if let Some(result) = endpoint.connect_result.take() {
            News::Connected(result)
        } else if endpoint.send_result.is_some() && (!endpoint.can_read() || self.ground.dice.below(2) == 0) {
            let (buffer, result) = endpoint.send_result.take()?;
            News::Sent(buffer, result)
        } else if endpoint.can_read() {
            self.read(id, into)
        } else {
            return None;
        };
        self.list(id);
        Some((socket, news))
    }

    fn read(&mut self, id: EndpointId, into: &mut [u8]) -> News {
        let endpoint = self.endpoints.get_mut(&id).expect("the caller looked it up");
        if endpoint.inbox.is_empty() {
            endpoint.ended_told = true;
            let end = endpoint.ended.expect("nothing to read but the end");
            self.ground.record("ended", &[id.0]);
            return News::Ended(end);
        }
        let most = endpoint.inbox.len().min(into.len());
        let short = most > 1 && self.ground.dice.below(4) == 0;
        let count = if short { self.ground.dice.skewed(1, most as u64) as usize } else { most };
        take_front(&mut endpoint.inbox, &mut into[..count]);
        endpoint.unreported_room += count;
        let report = endpoint.inbox.is_empty() || endpoint.unreported_room >= into.len();
        if count < most {
            self.ground.faults.add(FaultKind::ShortRead);
        }
        self.ground.trace.record_bytes(self.ground.now, "read", &[id.0], &into[..count]);
        if report {
            self.report_room(id);
        }
        News::Bytes(count)
    }

    /// Tells the other end how much was read.
    fn report_room(&mut self, id: EndpointId) {
        let endpoint = self.endpoints.get_mut(&id).expect("the caller looked it up");
        let bytes = std::mem::take(&mut endpoint.unreported_room);
        let (here, there) = (endpoint.place.node, endpoint.remote_node);
        if let Some(sender) = endpoint.remote {
            let latency = self.latency(here, there);
            self.ground.later(latency, Action::Window { sender, bytes });
        }
    }

    /// Ends the sending side after what was sent.
    pub(super) fn shutdown_write(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if endpoint.stage == Stage::Open && !endpoint.fin_wanted {
            endpoint.fin_wanted = true;
            self.ground.record("shutdown", &[id.0]);
            self.transmit(id);
        }
    }

    /// The program lets go of a connection. What it sent goes out unless something unread is lost by it.
    pub(super) fn close(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if endpoint.closed {
            return;
        }
        endpoint.closed = true;
        endpoint.owner = None;
        endpoint.reading = false;
        endpoint.pending = None;
        endpoint.send_result = None;
        endpoint.connect_result = None;
        self.ground.record("close", &[id.0]);
        let endpoint = self.endpoints.get_mut(&id).expect("looked up above");
        match endpoint.stage {
            Stage::Connecting => self.fail(id, ErrorKind::ConnectionAborted),
            Stage::Open if !endpoint.inbox.is_empty() => self.abort(id),
            Stage::Open => {
                endpoint.fin_wanted = true;
                self.transmit(id);
            }
            Stage::Failed(_) => self.settle(id),
        }
    }

    /// Resets a connection from this end: what was to be sent is lost.
    pub(super) fn abort(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        endpoint.closed = true;
        endpoint.owner = None;
        endpoint.outbox.clear();
        endpoint.pending = None;
        let remote = endpoint.remote;
        self.ground.record("abort", &[id.0]);
        if self.endpoints[&id].stage == Stage::Open && remote.is_some() {
            let (from, to) = (self.endpoints[&id].place.node, self.endpoints[&id].remote_node);
            let endpoint = self.endpoints.get_mut(&id).expect("looked up above");
            endpoint.fin_wanted = true;
            endpoint.fin_sent = true;
            self.put_in_flight(id, from, to, Payload::Reset);
        }
        self.settle(id);
    }

    /// Forgets an endpoint that is closed and has nothing more to send.
    fn settle(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        let done = match endpoint.stage {
            Stage::Open => endpoint.fin_sent && endpoint.outbox.is_empty() && endpoint.in_flight.is_empty(),
            Stage::Failed(_) => true,
            Stage::Connecting => false,
        };
        if endpoint.closed && done {
            self.endpoints.remove(&id);
        }
    }
}

/// Moves the first bytes of a queue, which has them.
fn take_front(queue: &mut VecDeque<u8>, into: &mut [u8]) {
    queue.read_exact(into).expect("the queue has that many bytes");
}
