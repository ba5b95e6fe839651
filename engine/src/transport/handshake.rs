//! The handshake: its bytes go to a worker, with the channel, and come back.

use super::early::HANDSHAKE_RECORD;
use super::job::{HandshakeAnswer, HandshakeJob};
use super::{Handshake, Stage, TlsPeer, digest_text};
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::session::client::Holds;
use crate::session::keepalive::TimerKind;
use crate::shard::Shard;
use petrel_protocol::client::ClosedReason;
use petrel_runtime::Io;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Arc;

/// Bytes of a handshake that are kept while a worker has the channel; a client that sends more is not read until it
/// comes back.
const HANDSHAKE_INPUT_MAX: usize = 32 * 1024;
/// What a record begins with: type, version, length.
const RECORD_HEAD_BYTES: usize = 5;
/// No version of TLS will begin like this; what does is text. Go's rule.
const VERSION_MAJOR_MAX: u8 = 0x10;
/// The largest record there is; more than this is left to the channel to refuse.
const RECORD_BYTES_MAX: usize = 16 * 1024 + 2048;

impl Shard {
    /// The client's next bytes are a handshake.
    pub(super) fn begin_handshake(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(tls) = self.options.tls.clone() else { return };
        if tls.rate.as_ref().is_some_and(|rate| !rate.allow(io.now())) {
            self.throttle(key, io);
            return;
        }
        if let Some(session) = self.sessions.get(key) {
            tracing::debug!("{} - Starting TLS client connection handshake", session.label());
        }
        self.set_session_timer(key, TimerKind::Keepalive, io.now().after(tls.timeout), io);
    }

    /// Bytes of a handshake.
    pub(super) fn take_handshake(&mut self, key: u32, data: &[u8], io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let Some(transport) = session.transport.as_mut() else { return };
        transport.input.extend_from_slice(data);
        let (is_at_worker, bytes) = (transport.stage == Stage::AtWorker, transport.input.len());
        self.recount(key);
        if !is_at_worker {
            self.go_on_with_handshake(key, io);
        } else if bytes > HANDSHAKE_INPUT_MAX {
            self.hold(key, Holds::HANDSHAKE, io);
        }
    }

    /// Hands the channel to a worker when there is a record for it.
    fn go_on_with_handshake(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(tls) = self.options.tls.clone() else { return };
        let core = self.core;
        let Some(session) = self.sessions.get_mut(key) else { return };
        let cid = session.cid;
        let Some(transport) = session.transport.as_mut() else { return };
        if !transport.began && is_something_else(&transport.input) {
            // Said quietly and without an alert, as upstream does: the client speaks something else.
            transport.stage = Stage::Failed;
            tracing::debug!(
                "{} - TLS handshake error: tls: first record does not look like a TLS handshake",
                session.label()
            );
            self.fail(key, None, ClosedReason::TlsHandshakeFailure, io);
            return;
        }
        // Its first record is awaited here, so that nobody occupies a worker byte by byte.
        if transport.input.is_empty() || !(transport.began || begins_with_record(&transport.input)) {
            return;
        }
        if !std::mem::replace(&mut transport.began, true) {
            transport.began_at = io.now();
        }
        let channel = match transport.channel.take() {
            Some(channel) => Ok(channel),
            None => tls.channels.channel(),
        };
        let channel = match channel {
            Ok(channel) => channel,
            Err(error) => {
                self.refuse_handshake(key, &error.to_string(), io);
                return;
            }
        };
        transport.stage = Stage::AtWorker;
        let abandoned = Arc::clone(&transport.abandoned);
        let input = std::mem::take(&mut transport.input);
        self.recount(key);
        let job = HandshakeJob { core, key, cid, channel, input, abandoned };
        let is_taken = match &self.handshakes {
            Some(handshakes) => handshakes.try_send(Box::new(job)).is_ok(),
            None => false,
        };
        if !is_taken {
            self.refuse_handshake(key, "too many handshakes are waiting", io);
        }
    }

    /// A worker is done with a step of a handshake.
    pub(crate) fn handshake_answered(&mut self, answer: HandshakeAnswer, io: &mut Io<'_, Mail>) {
        let HandshakeAnswer { key, cid, channel, output, result } = answer;
        let is_dropped = self.is_mutated(Mutation::HandshakeInputDropped);
        let Some(session) = self.sessions.get_mut(key).filter(|session| session.cid == cid) else { return };
        let is_closing = !session.takes_messages();
        let Some(transport) = session.transport.as_mut() else { return };
        // The time was up meanwhile, or the server is going.
        if transport.stage != Stage::AtWorker || is_closing {
            return;
        }
        transport.channel = channel;
        transport.control.extend_from_slice(&output);
        if is_dropped {
            transport.input.clear();
        }
        match result {
            Ok(Handshake::Pending) => {
                transport.stage = Stage::Handshake;
                self.touch(key, io);
                self.go_on_with_handshake(key, io);
            }
            Ok(Handshake::Complete(peer)) => self.handshake_is_complete(key, peer, io),
            Err(error) => self.refuse_handshake(key, &error.to_string(), io),
        }
        if self.sessions.get(key).is_some_and(|session| session.holds.has(Holds::HANDSHAKE)) {
            self.lift(key, Holds::HANDSHAKE, io);
        }
        self.late_end(key, io);
    }

    fn handshake_is_complete(&mut self, key: u32, peer: TlsPeer, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let label = session.label();
        let pinned = self.options.tls.as_ref().and_then(|tls| tls.pinned.as_ref());
        if pinned.is_some_and(|pinned| !is_pinned(&peer, pinned, &label)) {
            self.refuse_handshake(key, "certificate not pinned", io);
            return;
        }
        tracing::debug!("{label} - TLS handshake complete");
        tracing::debug!("{label} - TLS version {}, cipher suite {}", peer.version, peer.cipher_suite);
        if let Some(transport) = session.transport.as_mut() {
            transport.stage = Stage::Open;
            self.statistics.latencies.handshakes.record(io.now().since(transport.began_at));
            transport.peer = Some(Arc::new(peer));
            // It has grown by what handshakes need.
            transport.control.shrink_to_fit();
        }
        self.cancel_timer(key, io);
        self.greet(key, io);
        self.touch(key, io);
        self.start_clock(key, io);
        // What came behind the handshake.
        let rest = self.take_input(key);
        self.open_records(key, &rest, io);
    }

    /// Ends a connection whose handshake failed; an alert of the channel goes out first.
    pub(super) fn refuse_handshake(&mut self, key: u32, problem: &str, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        tracing::error!("{} - TLS handshake error: {problem}", session.label());
        if let Some(transport) = session.transport.as_mut() {
            transport.abandon();
            transport.stage = Stage::Failed;
        }
        self.fail(key, None, ClosedReason::TlsHandshakeFailure, io);
    }

    /// Whether a connection's certificate is still among the pinned ones; true where none are, and without TLS. A review
    /// of the sessions counts who is not.
    pub(crate) fn is_still_pinned(&mut self, key: u32) -> bool {
        let Some(pinned) = self.options.tls.as_ref().and_then(|tls| tls.pinned.as_ref()) else { return true };
        let Some(session) = self.sessions.get(key) else { return true };
        let peer = session.transport.as_ref().and_then(|transport| transport.peer.as_ref());
        let is_pinned = peer.is_none_or(|peer| is_pinned(peer, pinned, &session.label()));
        if !is_pinned && let Some(review) = self.review.as_mut() {
            review.unpinned += 1;
        }
        is_pinned
    }
}

/// Whether a client's certificate has one of these keys; says which it has, when not.
fn is_pinned(peer: &TlsPeer, pinned: &BTreeSet<[u8; 32]>, label: &impl Display) -> bool {
    let Some(certificate) = peer.certificates.first() else {
        tracing::debug!("{label} - Failed pinned cert test as client did not provide a certificate");
        return false;
    };
    let is_pinned = pinned.contains(&certificate.key_digest);
    if !is_pinned {
        let digest = digest_text(&certificate.key_digest);
        tracing::debug!("{label} - Failed pinned cert test for key id: {digest}");
    }
    is_pinned
}

/// Whether the client speaks something else than TLS: the type of its first record, or the version, is none of TLS.
fn is_something_else(input: &[u8]) -> bool {
    input.first().is_some_and(|kind| *kind != HANDSHAKE_RECORD)
        || input.get(1).is_some_and(|version| *version >= VERSION_MAJOR_MAX)
}

/// Whether a whole record lies at the front, or something that only the channel can judge.
fn begins_with_record(input: &[u8]) -> bool {
    let Some(head) = input.first_chunk::<RECORD_HEAD_BYTES>() else { return false };
    let bytes = usize::from(u16::from_be_bytes([head[3], head[4]]));
    bytes > RECORD_BYTES_MAX || input.len() >= RECORD_HEAD_BYTES + bytes
}

#[cfg(test)]
mod tests {
    use super::begins_with_record;

    #[test]
    fn records_are_told_by_their_length() {
        let record = [22, 3, 1, 0, 3, 1, 2, 3];
        for end in 0..record.len() {
            assert!(!begins_with_record(&record[..end]), "{end} bytes");
        }
        assert!(begins_with_record(&record));
        assert!(begins_with_record(&[22, 3, 1, 0xff, 0xff]), "too long for any record");
    }
}
