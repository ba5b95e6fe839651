//! Writing to connections, and their end.

use super::client::{Holds, Phase};
use super::keepalive::TimerKind;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::client::{ClosedReason, ProtocolError, encode};
use petrel_protocol::quote::go_quote;
use petrel_runtime::{End, Io, SendOutcome};
use std::io::ErrorKind;
use std::time::Duration;

/// How long a connection that was told an error stays for the client to read it. Closing at once with unread
/// input in the kernel would send a reset, and the reset would overtake the error.
const LINGER: Duration = Duration::from_millis(100);

impl Shard {
    /// Notes that a session's out-buffer holds something, to be flushed when the turn ends.
    pub(crate) fn touch(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.touched {
            session.touched = true;
            self.touched.push(key);
        }
        if session.out.current.len() >= super::outbound::BUFFER_FULL_BYTES {
            self.buffer_is_full(key, io);
        }
    }

    /// Appends `+OK`.
    pub(crate) fn acknowledge(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.out.current.extend_from_slice(encode::OK);
            if self.options.trace.on {
                self.trace_answer(key, "OK");
            }
            self.touch(key, io);
        }
    }

    /// Appends an error that leaves the connection open.
    pub(crate) fn tell(&mut self, key: u32, error: &ProtocolError, io: &mut Io<'_, Mail>) {
        if let Some(session) = self.sessions.get_mut(key) {
            encode::error(&mut session.out.current, &error.to_string());
            if self.options.trace.on {
                self.trace_answer(key, &format!("-ERR {error}"));
            }
            self.touch(key, io);
        }
    }

    /// Hands a session's out-buffers to the kernel as far as it takes them.
    pub(crate) fn flush(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        self.counting_memory(key, |shard| shard.flush_uncounted(key, io));
    }

    /// Does something with a session's out-buffers, and counts the memory that they take afterwards.
    fn counting_memory(&mut self, key: u32, change: impl FnOnce(&mut Shard)) {
        let memory_bytes = |shard: &Shard| shard.sessions.get(key).map_or(0, |it| it.out.memory_bytes());
        let before = memory_bytes(self);
        change(self);
        self.held_bytes = self.held_bytes + memory_bytes(self) - before;
    }

    fn flush_uncounted(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let is_cut_off = self.is_mutated(Mutation::EndOfInputCutsWrites);
        let Some(session) = self.sessions.get_mut(key) else { return };
        if session.out.is_writing() && !is_cut_off {
            // The rest follows when that is written; an end announced meanwhile has to wait for it too.
            session.out.look_at_current();
            return;
        }
        while let Some(buffer) = session.next_buffer(&mut self.pool) {
            let (bytes, memory_bytes) = (buffer.len(), buffer.capacity());
            match io.send(session.socket, buffer) {
                SendOutcome::Done(buffer) => {
                    session.out.written_bytes += bytes as u64;
                    self.pool.give(buffer);
                }
                SendOutcome::Pending => {
                    let unsent = io.unsent_bytes(session.socket).clamp(1, bytes);
                    session.out.written_bytes += (bytes - unsent) as u64;
                    session.out.writing(unsent, memory_bytes);
                    session.write_started = io.now();
                    if session.write_timer.is_none() {
                        // Upstream writes all that waits in one call, so what the kernel took of it at once counts
                        // as progress; here that went before, in buffers of its own.
                        session.taken_at_check = session.out.written_bytes.saturating_sub(1);
                        self.start_write_timer(key, io);
                    }
                    return;
                }
                SendOutcome::Failed(buffer, kind) => {
                    self.pool.give(buffer);
                    session.out.clear();
                    let reason = write_failure(session.ended, kind);
                    self.doom(key, reason);
                    return;
                }
            }
        }
        match session.phase {
            // It sends no more, so that nothing is lost by closing at once.
            Phase::Closing(reason) if session.ended => self.doom(key, reason),
            Phase::Closing(_) => io.shutdown_write(session.socket),
            _ if session.ended => self.doom(key, ClosedReason::ClientClosed),
            _ => {}
        }
    }

    /// A background write ended.
    pub(crate) fn sent(&mut self, key: u32, result: Result<(), ErrorKind>, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        match result {
            Ok(()) => {
                self.statistics.latencies.writes.record(io.now().since(session.write_started));
                self.counting_memory(key, |shard| {
                    if let Some(session) = shard.sessions.get_mut(key) {
                        session.out.written();
                    }
                    shard.flush_uncounted(key, io);
                });
            }
            Err(kind) => {
                self.held_bytes -= session.out.memory_bytes();
                session.out.clear();
                let reason = write_failure(session.ended, kind);
                self.doom(key, reason);
            }
        }
    }

    /// The peer will send no more. What it sent before is worked off by now: nothing is announced for a held
    /// connection.
    pub(crate) fn peer_ended(&mut self, key: u32, end: End, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if matches!(session.phase, Phase::Closing(_)) {
            if end == End::Eof && !session.out.is_empty() {
                // What it was told goes out first: it may have closed its sending side only.
                session.ended = true;
                self.touch(key, io);
            } else {
                self.finish(key);
            }
            return;
        }
        match end {
            End::Eof => {
                session.ended = true;
                if session.out.is_empty() {
                    self.doom(key, ClosedReason::ClientClosed);
                } else {
                    // What is queued goes out first, for a peer that only closed its sending side, as long as
                    // its writes keep their deadline; nothing more is queued.
                    self.part_with_subscriptions(key);
                    self.cancel_timer(key, io);
                    self.touch(key, io);
                }
            }
            End::Error(_) => self.doom(key, ClosedReason::ReadError),
        }
    }

    /// Refuses a login: one text whatever the cause.
    pub(crate) fn refuse_login(
        &mut self,
        key: u32,
        connect: Option<&petrel_protocol::client::ConnectOptions>,
        io: &mut Io<'_, Mail>,
    ) {
        if let Some(session) = self.sessions.get(key) {
            let who = match connect {
                Some(connect) if !connect.nkey.is_empty() => {
                    format!(" - Nkey {}", go_quote(connect.nkey.as_bytes()))
                }
                Some(connect) if !connect.user.is_empty() => {
                    format!(" - User {}", go_quote(connect.user.as_bytes()))
                }
                Some(connect) if !connect.auth_token.is_empty() => " - Token \"[REDACTED]\"".to_owned(),
                _ => String::new(),
            };
            tracing::error!("{} - authentication error{who}", session.label());
        }
        let error = ProtocolError::AuthorizationViolation;
        self.fail(key, Some(&error), ClosedReason::AuthenticationFailure, io);
    }

    /// Closes a connection in order: an error if there is one, what is queued before it, then the end.
    pub(crate) fn fail(
        &mut self,
        key: u32,
        error: Option<&ProtocolError>,
        reason: ClosedReason,
        io: &mut Io<'_, Mail>,
    ) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if matches!(session.phase, Phase::Closing(_)) {
            return;
        }
        session.phase = Phase::Closing(reason);
        self.held_bytes -= session.input.capacity();
        session.input = Vec::new();
        session.barrier = None;
        session.login = None;
        if let Some(error) = error {
            tracing::debug!("{} - Client connection is closing: {error}", session.label());
            encode::error(&mut session.out.current, &error.to_string());
            if self.options.trace.on {
                self.trace_answer(key, &format!("-ERR {error}"));
            }
        }
        self.part_with_subscriptions(key);
        // Whoever comes next may have its place at once.
        self.leave_account(key, io);
        self.linger(key, io);
        self.touch(key, io);
    }

    /// Gives a closing connection a last moment.
    fn linger(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        self.cancel_timer(key, io);
        self.set_session_timer(key, TimerKind::Keepalive, io.now().after(LINGER), io);
    }

    /// Ends a closing connection whose last moment is over.
    pub(crate) fn finish(&mut self, key: u32) {
        if let Some(session) = self.sessions.get(key) {
            let reason = match session.phase {
                Phase::Closing(reason) => reason,
                _ => ClosedReason::ClientClosed,
            };
            self.doom(key, reason);
        }
    }

    /// Ends a connection when the event at hand is worked off: nothing more is queued for it from now on.
    pub(crate) fn doom(&mut self, key: u32, reason: ClosedReason) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        let reason = match session.phase {
            Phase::Closing(earlier) => earlier,
            _ => reason,
        };
        session.phase = Phase::Closing(reason);
        session.holds.set(Holds::CLOSING);
        self.doomed.push((key, reason));
    }

    /// Removes a session and closes its socket.
    pub(crate) fn end(&mut self, key: u32, reason: ClosedReason, io: &mut Io<'_, Mail>) {
        self.part_with_subscriptions(key);
        self.cancel_timer(key, io);
        self.leave_account(key, io);
        let Some(session) = self.sessions.get(key) else { return };
        tracing::debug!("{} - Client connection closed: {}", session.label(), reason.text());
        match reason {
            ClosedReason::SlowConsumerPendingBytes | ClosedReason::SlowConsumerWriteDeadline => {
                self.statistics.slow_consumers += 1;
                self.accounts[session.account.index()].counters.slow_consumers += 1;
            }
            ClosedReason::StaleConnection => self.statistics.stale_connections += 1,
            _ => {}
        }
        let mut record = self.snapshot(session);
        record.pending_bytes = 0;
        record.stop = Some((io.wall_clock(), reason));
        self.client_left(key, &record);
        let Some(mut session) = self.sessions.remove(key) else { return };
        self.held_bytes -= session.out.memory_bytes() + session.input.capacity();
        if let Some(transport) = session.transport.take() {
            self.leave_transport(*transport, &session, io);
        }
        if let Some(timer) = session.write_timer.take() {
            io.cancel_timer(timer);
        }
        if let Some(wait) = &session.barrier {
            self.barriers.remove(&wait.token);
        }
        if let Some(slot) = self.session_by_slot.get_mut(session.socket.slot as usize) {
            *slot = crate::shard::NO_SESSION;
        }
        io.close(session.socket);
        self.statistics.connections -= 1;
        if self.core.0 == 0 {
            self.record_ended(self.core, record);
        } else {
            io.mail(petrel_runtime::CoreId(0), Mail::Ended(Box::new(record)));
        }
        self.check_empty(io);
    }

    /// Stops reading a connection for a reason.
    pub(crate) fn hold(&mut self, key: u32, hold: u8, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        if !session.holds.any() {
            io.pause_read(session.socket);
        }
        session.holds.set(hold);
    }

    /// Lifts a reason; when it was the last, works off what was held and reads on.
    pub(crate) fn lift(&mut self, key: u32, hold: u8, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.holds.lift(hold);
        if session.holds.any() {
            return;
        }
        if !session.input.is_empty() {
            self.work_input(key, io);
            self.apply_stall(key, io);
        }
        if let Some(session) = self.sessions.get(key)
            && !session.holds.any()
        {
            io.resume_read(session.socket);
            self.late_end(key, io);
        }
    }
}

fn write_failure(peer_ended: bool, kind: ErrorKind) -> ClosedReason {
    match kind {
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset if peer_ended => ClosedReason::ClientClosed,
        _ => ClosedReason::WriteError,
    }
}
