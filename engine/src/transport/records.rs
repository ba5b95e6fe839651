//! Bytes that arrive: straight to the session where there is no transport, through the channel where there is one.

use super::{Stage, Transport};
use crate::mail::Mail;
use crate::session::client::Session;
use crate::shard::Shard;
use petrel_protocol::client::ClosedReason;
use petrel_runtime::{End, Io};
use std::io::IoSlice;

/// Memory for records that is kept between reads.
const SCRATCH_BYTES_MAX: usize = 256 * 1024;

/// Where the records of a read lie, and what they say. One for a core.
#[derive(Default)]
pub(crate) struct Scratch {
    sealed: Vec<u8>,
    plain: Vec<u8>,
}

impl Shard {
    /// Takes bytes that arrived on a socket.
    #[inline]
    pub(crate) fn arrived(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        match self.sessions.get(key).and_then(|session| session.transport.as_ref()) {
            None => self.received(key, data, io),
            Some(transport) => {
                let stage = transport.stage;
                self.arrived_at(stage, key, data, io);
            }
        }
    }

    fn arrived_at(&mut self, stage: Stage, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        if self.sessions.get(key).is_none_or(|session| !session.takes_messages()) {
            return;
        }
        match stage {
            Stage::Proxy => self.take_proxy_header(key, data, io),
            Stage::AwaitingFirst | Stage::Deciding => self.decide(key, data, io),
            Stage::Handshake | Stage::AtWorker => self.take_handshake(key, data, io),
            Stage::Open => self.open_records(key, data, io),
            Stage::Failed => {}
        }
    }

    /// Opens what is complete and hands it on; the rest is kept.
    pub(super) fn open_records(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.plain.clear();
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(transport) = session.transport.as_mut() else { return };
        let Some(channel) = transport.channel.as_mut() else { return };
        let opened = channel.open(data, &mut scratch.sealed, &mut scratch.plain, &mut transport.control);
        let has_control = !transport.control.is_empty();
        self.recount(key);
        if has_control {
            self.touch(key, io);
        }
        if !scratch.plain.is_empty() {
            self.received(key, &scratch.plain, io);
        }
        if scratch.sealed.capacity() + scratch.plain.capacity() <= SCRATCH_BYTES_MAX {
            self.scratch = scratch;
        }
        match opened {
            Ok(true) => self.transport_ended(key, End::Eof, io),
            Ok(false) => {}
            Err(error) => {
                if let Some(session) = self.sessions.get_mut(key) {
                    tracing::debug!("{} - TLS error: {error}", session.label());
                    if let Some(transport) = session.transport.as_mut() {
                        transport.stage = Stage::Failed;
                    }
                }
                self.fail(key, None, ClosedReason::ReadError, io);
            }
        }
    }

    /// Counts anew what a connection's transport holds.
    pub(super) fn recount(&mut self, key: u32) {
        if let Some(transport) = self.sessions.get_mut(key).and_then(|session| session.transport.as_mut()) {
            let held_bytes = transport.held_bytes();
            let counted_before = std::mem::replace(&mut transport.counted_bytes, held_bytes);
            self.held_bytes = self.held_bytes - counted_before + held_bytes;
        }
    }

    /// The peer will send no more.
    pub(crate) fn transport_ended(&mut self, key: u32, end: End, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let is_closing = !session.takes_messages();
        match &mut session.transport {
            Some(transport) if !is_closing => {
                if transport.is_open() && session.holds.any() {
                    // What it sent before has to be worked off first.
                    transport.end = Some(end);
                } else {
                    self.early_end(key, end, io);
                }
            }
            _ => self.peer_ended(key, end, io),
        }
    }

    /// Announces an end that came too early, when what came before it is worked off.
    pub(crate) fn late_end(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key).filter(|session| !session.holds.any()) else { return };
        let Some(transport) = session.transport.as_mut() else { return };
        if transport.stage != Stage::AtWorker
            && let Some(end) = transport.end.take()
        {
            self.transport_ended(key, end, io);
        }
    }

    /// A connection goes: its farewell, if nothing that was queued is cut off, and its memory.
    pub(crate) fn leave_transport(
        &mut self,
        mut transport: Transport,
        session: &Session,
        io: &mut Io<'_, Mail>,
    ) {
        transport.abandon();
        self.held_bytes -= transport.counted_bytes;
        if session.out.is_empty()
            && let Some(farewell) = transport.farewell()
        {
            // Nobody may be left to read it.
            let _ = io.try_send(session.socket, &[IoSlice::new(&farewell)]);
        }
    }
}
