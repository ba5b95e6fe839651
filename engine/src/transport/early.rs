//! What comes before a client's first verb and is not TLS: INFO, the PROXY header, the choice between TLS and plain.

use super::{Ends, Stage, Transport};
use crate::mail::Mail;
use crate::session::keepalive::TimerKind;
use crate::shard::Shard;
use petrel_config::HandshakeFirst;
use petrel_protocol::client::{ClosedReason, ProtocolError};
use petrel_protocol::proxy_protocol::{self, Beginning};
use petrel_runtime::{End, Io};
use std::time::Duration;

/// How long a PROXY header may take. Upstream's figure.
const PROXY_HEADER_MAX: Duration = Duration::from_secs(5);
/// What the first byte of TLS is: a record with a handshake in it.
pub(super) const HANDSHAKE_RECORD: u8 = 0x16;

impl Shard {
    /// Greets a new connection and begins its clock, or what comes before both.
    pub(crate) fn begin(&mut self, key: u32, ends: Ends, io: &mut Io<'_, Mail>) {
        if self.options.tls.is_none() && !self.options.proxy_protocol {
            self.greet(key, io);
            self.start_clock(key, io);
            return;
        }
        let is_first = self.options.tls.as_ref().is_some_and(|tls| tls.first != HandshakeFirst::No);
        let stage = if self.options.proxy_protocol { Stage::Proxy } else { Stage::AwaitingFirst };
        if let Some(session) = self.sessions.get_mut(key) {
            session.transport = Some(Box::new(Transport::new(stage, ends)));
        }
        if !is_first {
            self.greet(key, io);
        }
        if self.options.proxy_protocol {
            self.set_session_timer(key, TimerKind::Keepalive, io.now().after(PROXY_HEADER_MAX), io);
        } else {
            self.begin_tls(key, io);
        }
    }

    /// Whether a connection that is refused at once has been, or is to be, greeted: not where TLS comes first.
    pub(crate) fn greets_in_clear(&self) -> bool {
        self.options.tls.as_ref().is_none_or(|tls| tls.first == HandshakeFirst::No)
    }

    /// Sends INFO, once.
    pub(crate) fn greet(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let mut info = self.info_for(key);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if let Some(nonce) = &session.nonce {
            info.nonce = String::from_utf8_lossy(nonce.as_slice()).into_owned();
        }
        if let Some(transport) = &mut session.transport {
            if std::mem::replace(&mut transport.greeted, true) {
                return;
            }
            if transport.stage == Stage::Proxy {
                // Whose connection it is, is not known yet.
                info.client_ip = String::new();
            }
        }
        info.encode(&mut session.out.current);
        let is_early = session.transport.as_ref().is_some_and(|transport| !transport.is_open());
        self.touch(key, io);
        if is_early {
            // In clear, before a handshake holds the output back.
            self.flush(key, io);
        }
    }

    /// The client's own bytes come next: TLS, or none, or what its first byte says.
    fn begin_tls(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        self.cancel_timer(key, io);
        let Some(tls) = self.options.tls.clone() else {
            self.begin_plain(key, io);
            return;
        };
        let Some(transport) = self.sessions.get_mut(key).and_then(|session| session.transport.as_mut())
        else {
            return;
        };
        let (stage, delay) = match tls.first {
            HandshakeFirst::Always => {
                transport.first = true;
                (Stage::Handshake, tls.timeout)
            }
            HandshakeFirst::Within(delay) if !transport.greeted => (Stage::AwaitingFirst, delay),
            _ if tls.required => (Stage::Handshake, tls.timeout),
            _ => (Stage::Deciding, tls.timeout),
        };
        transport.stage = stage;
        if stage == Stage::Handshake {
            self.begin_handshake(key, io);
        } else {
            self.set_session_timer(key, TimerKind::Keepalive, io.now().after(delay), io);
        }
    }

    /// The connection is plain from here on.
    fn begin_plain(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        self.cancel_timer(key, io);
        if let Some(session) = self.sessions.get_mut(key)
            && let Some(transport) = session.transport.take()
        {
            self.held_bytes -= transport.counted_bytes;
        }
        self.start_clock(key, io);
    }

    /// Bytes at the stage of the PROXY header.
    pub(super) fn take_proxy_header(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(transport) = session.transport.as_mut() else { return };
        let mut data = data;
        if transport.skip_bytes > 0 {
            let skipped = transport.skip_bytes.min(data.len());
            transport.skip_bytes -= skipped;
            data = &data[skipped..];
            if transport.skip_bytes > 0 {
                return;
            }
            self.begin_behind_proxy(key, data, io);
            return;
        }
        transport.input.extend_from_slice(data);
        let parsed = proxy_protocol::parse(&transport.input);
        self.recount(key);
        match parsed {
            Ok(Beginning::Incomplete) => {}
            Ok(Beginning::Absent) => {
                let input = self.take_input(key);
                self.begin_behind_proxy(key, &input, io);
            }
            Ok(Beginning::Header { bytes, source }) => {
                if let (Some(session), Some(source)) = (self.sessions.get_mut(key), source) {
                    session.peer = source;
                }
                let input = self.take_input(key);
                if bytes > input.len() {
                    let transport = self.sessions.get_mut(key).and_then(|session| session.transport.as_mut());
                    if let Some(transport) = transport {
                        transport.skip_bytes = bytes - input.len();
                    }
                } else {
                    self.begin_behind_proxy(key, &input[bytes..], io);
                }
            }
            Err(error) => self.refuse_proxy_header(key, &error.to_string(), io),
        }
    }

    fn begin_behind_proxy(&mut self, key: u32, rest: &[u8], io: &mut Io<'_, Mail>) {
        self.begin_tls(key, io);
        if !rest.is_empty() {
            self.arrived(key, rest, io);
        }
    }

    fn refuse_proxy_header(&mut self, key: u32, problem: &str, io: &mut Io<'_, Mail>) {
        if let Some(session) = self.sessions.get(key) {
            tracing::warn!("Error reading PROXY protocol header from {}: {problem}", session.peer);
        }
        self.fail(key, None, ClosedReason::ProtocolViolation, io);
    }

    /// Bytes while it is open whether TLS begins.
    pub(super) fn decide(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        let Some(tls) = self.options.tls.clone() else { return self.stay_plain(key, data, io) };
        let Some(transport) = self.sessions.get_mut(key).and_then(|session| session.transport.as_mut())
        else {
            return;
        };
        let awaits_first = transport.stage == Stage::AwaitingFirst;
        if !awaits_first && !tls.required && data.first() != Some(&HANDSHAKE_RECORD) {
            self.stay_plain(key, data, io);
            return;
        }
        // Whoever speaks before INFO has to speak TLS, whatever else is allowed: upstream's rule.
        transport.first = awaits_first;
        transport.stage = Stage::Handshake;
        self.cancel_timer(key, io);
        self.begin_handshake(key, io);
        self.arrived(key, data, io);
    }

    fn stay_plain(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        self.begin_plain(key, io);
        self.arrived(key, data, io);
    }

    /// The connection's timer is due before its session has begun. False when it has begun.
    pub(crate) fn early_timeout(&mut self, key: u32, io: &mut Io<'_, Mail>) -> bool {
        let Some(session) = self.sessions.get_mut(key) else { return false };
        let Some(transport) = session.transport.as_mut() else { return false };
        match transport.stage {
            Stage::Open => return false,
            Stage::Proxy => {
                // Silence is told like an end: upstream's words.
                let is_silent = transport.input.is_empty() && transport.skip_bytes == 0;
                let end = if is_silent { "EOF".to_owned() } else { transport.ends.timeout() };
                let problem = format!("{}: {end}", proxy_protocol::missing(&transport.input));
                self.refuse_proxy_header(key, &problem, io);
            }
            Stage::AwaitingFirst => {
                transport.stage = Stage::Deciding;
                self.greet(key, io);
                self.begin_tls(key, io);
            }
            Stage::Deciding => self.begin_plain(key, io),
            Stage::Handshake | Stage::AtWorker => {
                transport.stage = Stage::Failed;
                transport.abandon();
                let problem = transport.ends.timeout();
                tracing::debug!("{} - TLS handshake error: {problem}", session.label());
                tracing::debug!("{} - TLS handshake timeout", session.label());
                self.fail(key, None, ClosedReason::TlsHandshakeFailure, io);
            }
            Stage::Failed => self.finish(key),
        }
        true
    }

    /// The peer will send no more, and there is a transport.
    pub(super) fn early_end(&mut self, key: u32, end: End, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(transport) = session.transport.as_mut() else { return };
        match transport.stage {
            Stage::Proxy => {
                // Of the first bytes upstream does not tell a failure from an end.
                let end = if proxy_protocol::is_undecided(&transport.input) { End::Eof } else { end };
                let is_cut = end == End::Eof && proxy_protocol::is_cut(&transport.input);
                let end = if is_cut { "unexpected EOF".to_owned() } else { transport.ends.told(end) };
                let problem = format!("{}: {end}", proxy_protocol::missing(&transport.input));
                self.refuse_proxy_header(key, &problem, io);
            }
            // What is at the worker may complete what came before the end; not so when the connection failed.
            Stage::AtWorker if end == End::Eof => transport.end = Some(end),
            Stage::Handshake | Stage::AtWorker => {
                let is_cut = !transport.input.is_empty() && end == End::Eof;
                let problem = if is_cut { "unexpected EOF".to_owned() } else { transport.ends.told(end) };
                self.refuse_handshake(key, &problem, io);
            }
            // Upstream looks at the first byte, and takes a failure of that for an end.
            Stage::Deciding => self.peer_ended(key, End::Eof, io),
            Stage::AwaitingFirst | Stage::Open | Stage::Failed => {
                self.peer_ended(key, end, io);
            }
        }
    }

    /// Refuses a connection that is one too many a second.
    pub(super) fn throttle(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        // In clear: there is no TLS yet.
        if let Some(transport) = self.sessions.get_mut(key).and_then(|session| session.transport.take()) {
            self.held_bytes -= transport.counted_bytes;
        }
        let error = ProtocolError::ConnectionThrottling;
        self.fail(key, Some(&error), ClosedReason::MaximumConnectionsExceeded, io);
    }

    /// What arrived and is not worked off.
    pub(super) fn take_input(&mut self, key: u32) -> Vec<u8> {
        let transport = self.sessions.get_mut(key).and_then(|session| session.transport.as_mut());
        let input = transport.map(|transport| std::mem::take(&mut transport.input)).unwrap_or_default();
        self.recount(key);
        input
    }
}
