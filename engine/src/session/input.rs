//! Bytes that arrive for a session, until they are verbs.

use super::client::{Holds, Phase};
use super::operations::Flow;
use crate::mail::{Mail, Message};
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::client::{ParseError, ParseLimits, Parsed, WholePublish, parse, parse_publish};
use petrel_runtime::Io;

/// Bytes of envelopes on their way to one other core beyond which no client is read. A receiver there that is nearly
/// full stalls the publishers here; what is under way by then must fit into the rest of its `max_pending`, so an eighth
/// of that is the limit where it is less.
const IN_TRANSIT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of an incomplete verb that are kept in an allocation of their own size.
const SMALL_INPUT_BYTES: usize = 1024;
/// Most bytes that are reserved on the word of a control line alone; the rest is reserved as it comes.
const INPUT_RESERVE_BYTES_MAX: usize = 256 * 1024;

impl Shard {
    /// Takes bytes that arrived for a session.
    pub(crate) fn received(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get(key) else { return };
        if matches!(session.phase, Phase::Closing(_)) {
            return;
        }
        if !self.has_room_everywhere(io) {
            self.waiting_for_room.push(key);
            self.hold(key, Holds::MAILBOX, io);
        }
        let rest = self.complete_input(key, data, io);
        let used = match self.sessions.get(key) {
            // Nothing behind a verb that ends the connection is carried out, also when the verb came in pieces.
            Some(session) if matches!(session.phase, Phase::Closing(_)) => return,
            Some(session) if session.input.is_empty() && !session.holds.any() => self.work(key, rest, io),
            _ => 0,
        };
        if used < rest.len() {
            self.keep_input(key, &rest[used..]);
        }
        self.apply_stall(key, io);
    }

    /// Whether a client may be read: every other core has room for what it may cause there.
    pub(crate) fn has_room_everywhere(&self, io: &mut Io<'_, Mail>) -> bool {
        let in_transit_max = IN_TRANSIT_BYTES_MAX.min(self.options.limits.pending_max / 8);
        // Every mailbox is asked, also after one said no: each that is full must promise to tell.
        let mut has_room = true;
        for core in self.other_cores() {
            has_room &= io.mail_has_room(core);
            has_room &= self.outgoing[core.index()].in_transit_bytes() < in_transit_max;
        }
        has_room
    }

    /// Completes the verb that the session's input begins with, taking no more of `data` than it needs, so
    /// that everything behind it is parsed where it lies. Returns what is left of `data`.
    fn complete_input<'d>(&mut self, key: u32, data: &'d [u8], io: &mut Io<'_, Mail>) -> &'d [u8] {
        let mut rest = data;
        loop {
            let Some(session) = self.sessions.get_mut(key) else { return rest };
            if rest.is_empty() || session.input.is_empty() || session.holds.any() {
                return rest;
            }
            let missing = session.input_needed.saturating_sub(session.input.len());
            let take = if missing > 1 {
                missing.min(rest.len())
            } else {
                // The control line is incomplete: up to its end.
                memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1)
            };
            let before = session.input.capacity();
            session.input.extend_from_slice(&rest[..take]);
            self.held_bytes += session.input.capacity() - before;
            rest = &rest[take..];
            // One byte early: a payload's closing CRLF may be wrong in its first byte.
            if session.input.len() + 1 >= session.input_needed {
                self.work_input(key, io);
            }
        }
    }

    /// Works off what a session's input holds.
    pub(crate) fn work_input(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let mut input = std::mem::take(&mut session.input);
        self.held_bytes -= input.capacity();
        let used = self.work(key, &input, io);
        match self.sessions.get_mut(key) {
            Some(session) if used < input.len() => {
                input.drain(..used);
                self.held_bytes += input.capacity();
                session.input = input;
            }
            _ => self.pool.give(input),
        }
    }

    /// Keeps what could not be worked off: an incomplete verb, or more of a held connection.
    fn keep_input(&mut self, key: u32, rest: &[u8]) {
        let is_dropped = self.is_mutated(Mutation::HeldInputDropped);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if matches!(session.phase, Phase::Closing(_)) || (is_dropped && session.holds.any()) {
            return;
        }
        let before = session.input.capacity();
        if before == 0 && rest.len() > SMALL_INPUT_BYTES {
            session.input = self.pool.take();
        }
        let needed = session.input_needed.min(INPUT_RESERVE_BYTES_MAX);
        session.input.reserve(needed.max(rest.len()).saturating_sub(session.input.len()));
        session.input.extend_from_slice(rest);
        self.held_bytes += session.input.capacity() - before;
    }

    /// Carries out the verbs that `data` begins with. Returns how many bytes are done with: all but an
    /// incomplete verb, or all but what is held back.
    fn work(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) -> usize {
        self.source.open(data);
        self.working = key;
        let done = self.work_verbs(key, data, io);
        self.working = crate::shard::NO_SESSION;
        self.close_source(data, io);
        if let Some(session) = self.sessions.get_mut(key) {
            session.note_publishing(io.now());
        }
        done
    }

    fn work_verbs(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) -> usize {
        let mut limits = self.parse_limits_of(key);
        let mut is_outside = self.must_connect_first(key);
        let is_traced = self.options.trace.on;
        let mut done = 0;
        while done < data.len() {
            let is_connect = matches!(data[done], b'C' | b'c');
            if is_outside && !is_connect {
                match self.enter_unannounced(key, io) {
                    Flow::Next => (limits, is_outside) = (self.parse_limits_of(key), false),
                    Flow::Closed => return data.len(),
                    Flow::Held | Flow::Again => break,
                }
            }
            // Publishing is what a broker does all day: a whole message spares the detour by a verb.
            let publish = if is_traced { None } else { parse_publish(&data[done..], &limits) };
            let (flow, consumed) = match publish {
                Some(WholePublish { subject, reply, header_bytes, message: bytes, consumed }) => {
                    let message = Message { subject, reply, header_bytes, bytes };
                    (self.publish(key, &message, io), consumed)
                }
                None => match parse(&data[done..], &limits) {
                    Ok(Parsed::Op { op, consumed }) => (self.operation(key, op, io), consumed),
                    Ok(Parsed::Incomplete { at_least }) => {
                        return self.await_more(key, done, data, at_least, io);
                    }
                    Err(error) => {
                        let comes_first = error == ParseError::PayloadExceeded
                            && self.has_unannounced_headers(key, &data[done..]);
                        let error = if comes_first { ParseError::Violation } else { error };
                        self.refuse_input(key, error, &data[done..], io);
                        return data.len();
                    }
                },
            };
            match flow {
                Flow::Next => {
                    done += consumed;
                    if is_connect {
                        (limits, is_outside) = (self.parse_limits_of(key), false);
                    }
                }
                Flow::Held => {
                    done += consumed;
                    break;
                }
                Flow::Again => break,
                Flow::Closed => return data.len(),
            }
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.input_needed = 0;
        }
        done
    }

    /// Notes how many bytes a verb must have, of which `data` has the beginning behind `done` bytes. Returns how many
    /// bytes are done with.
    fn await_more(
        &mut self,
        key: u32,
        done: usize,
        data: &[u8],
        at_least: usize,
        io: &mut Io<'_, Mail>,
    ) -> usize {
        if self.has_unannounced_headers(key, &data[done..]) {
            self.refuse_input(key, ParseError::Violation, &data[done..], io);
            return data.len();
        }
        if let Some(session) = self.sessions.get_mut(key) {
            session.input_needed = at_least;
        }
        done
    }

    /// The limits of a session's verbs: those of the server, with the payload that its account allows.
    fn parse_limits_of(&self, key: u32) -> ParseLimits {
        let payload_max = self.sessions.get(key).map_or(self.parse_limits.payload_max, |s| s.payload_max);
        ParseLimits { payload_max, ..self.parse_limits }
    }

    /// Whether the connection has to log in first.
    fn must_connect_first(&self, key: u32) -> bool {
        self.options.directory.auth_required()
            && self.sessions.get(key).is_some_and(|session| !session.connected)
    }

    /// Whether `data` begins with the whole control line of an `HPUB` of a client that did not announce headers:
    /// it is refused before its payload comes.
    fn has_unannounced_headers(&self, key: u32, data: &[u8]) -> bool {
        matches!(data.first(), Some(b'H' | b'h'))
            && memchr::memchr(b'\n', data).is_some()
            && self.sessions.get(key).is_some_and(|session| !session.headers)
    }
}
