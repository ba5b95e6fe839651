//! The timers of a connection: logging in, PINGs, writing, resting.

use super::client::{Holds, Phase};
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::shard::Shard;
use petrel_protocol::client::{ClosedReason, ProtocolError, encode};
use petrel_runtime::{Io, Monotonic, TimerToken};
use std::time::Duration;

/// The first PING comes after this at the latest (upstream's figure), so that the round-trip time is known soon.
const FIRST_PING_MAX: Duration = Duration::from_secs(2);
/// A round-trip time older than this is measured again even when the connection is busy.
const RTT_AGE_MAX: Duration = Duration::from_secs(60 * 60);

/// What a timer of a core is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TimerKind {
    /// Login, PING, or the last moment of a closing connection.
    Keepalive,
    /// The write deadline.
    Write,
    /// The end of a publisher's rest.
    Stall,
    /// The next step of lame duck mode.
    LameDuck,
    /// Those who waited for room when a defect was met go on.
    Room,
    /// Requests to other accounts that expire.
    ServiceReplies,
    /// More sessions are looked at after a reload.
    Review,
    /// More clients are closed because there are too many.
    Surplus,
}

/// Kind in the upper 8 bits, then 24 bits of the connection id as a guard, then the session's key.
fn token(kind: TimerKind, cid: u64, key: u32) -> TimerToken {
    TimerToken((kind as u64) << 56 | (cid & 0xff_ffff) << 32 | u64::from(key))
}

impl Shard {
    /// Sets a timer about a session, or about the core with the key `NO_SESSION`.
    pub(crate) fn set_timer(
        &mut self,
        kind: TimerKind,
        key: u32,
        deadline: Monotonic,
        io: &mut Io<'_, Mail>,
    ) -> petrel_runtime::TimerId {
        let cid = self.sessions.get(key).map_or(0, |session| session.cid);
        io.set_timer(deadline, token(kind, cid, key))
    }

    /// Sets the timer that a session has one of at a time.
    pub(crate) fn set_session_timer(
        &mut self,
        key: u32,
        kind: TimerKind,
        deadline: Monotonic,
        io: &mut Io<'_, Mail>,
    ) {
        let timer = self.set_timer(kind, key, deadline, io);
        if let Some(session) = self.sessions.get_mut(key) {
            session.timer = Some(timer);
        }
    }

    /// Takes the session's timer back.
    pub(crate) fn cancel_timer(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        if let Some(timer) = self.sessions.get_mut(key).and_then(|session| session.timer.take()) {
            io.cancel_timer(timer);
        }
    }

    /// A timer is due.
    pub(crate) fn timer(&mut self, due: TimerToken, io: &mut Io<'_, Mail>) {
        let key = u32::try_from(due.0 & 0xffff_ffff).unwrap_or(crate::shard::NO_SESSION);
        if due == token(TimerKind::LameDuck, 0, crate::shard::NO_SESSION) {
            self.lame_duck_step(io);
            return;
        }
        if due == token(TimerKind::Room, 0, crate::shard::NO_SESSION) {
            self.room_came(io);
            return;
        }
        if due == token(TimerKind::ServiceReplies, 0, crate::shard::NO_SESSION) {
            self.expire_requests(io);
            return;
        }
        if due == token(TimerKind::Review, 0, crate::shard::NO_SESSION) {
            self.go_on_reviewing(io);
            return;
        }
        if due == token(TimerKind::Surplus, 0, crate::shard::NO_SESSION) {
            self.go_on_closing(io);
            return;
        }
        // A timer may have been due in the same turn in which its session ended.
        let Some(session) = self.sessions.get(key) else { return };
        if due == token(TimerKind::Keepalive, session.cid, key) {
            self.keepalive(key, io);
        } else if due == token(TimerKind::Write, session.cid, key) {
            self.check_write_deadline(key, io);
        } else if due == token(TimerKind::Stall, session.cid, key) {
            self.lift(key, Holds::STALL, io);
        }
    }

    fn keepalive(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let is_timed = !self.is_mutated(Mutation::LoginNotTimed);
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.timer = None;
        if matches!(session.phase, Phase::Closing(_)) || session.ended {
            self.finish(key);
            return;
        }
        if session.transport.is_some() && self.early_timeout(key, io) {
            return;
        }
        let Some(session) = self.sessions.get_mut(key) else { return };
        if is_timed && !session.connected && self.options.directory.auth_required() {
            let error = ProtocolError::AuthenticationTimeout;
            self.fail(key, Some(&error), ClosedReason::AuthenticationTimeout, io);
            return;
        }
        let now = io.now();
        let interval = self.options.ping_interval;
        let is_busy = now.since(session.activity.heard) < interval;
        let rtt_is_known = session.rtt.is_some()
            && session.pings_outstanding == 0
            && session.ponged_once
            && now.since(session.rtt_measured) < RTT_AGE_MAX;
        if !(is_busy && rtt_is_known) {
            if session.pings_outstanding + 1 > self.options.ping_max {
                tracing::debug!("{} - Stale Client Connection - Closing", session.label());
                let error = ProtocolError::StaleConnection;
                self.fail(key, Some(&error), ClosedReason::StaleConnection, io);
                return;
            }
            self.send_ping(key, io);
        }
        self.set_session_timer(key, TimerKind::Keepalive, now.after(interval), io);
    }

    fn send_ping(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.pings_outstanding += 1;
        session.ping_sent = io.now();
        session.out.current.extend_from_slice(encode::PING);
        if self.options.trace.on {
            self.trace_answer(key, "PING");
        }
        self.touch(key, io);
    }

    /// A client that says CONNECT has answered INFO: that took a round trip, and whatever time the client took. Upstream
    /// estimates alike, at each CONNECT, so that the time is known before the first PONG.
    pub(super) fn estimate_round_trip(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.rtt = Some(io.now().since(session.accepted).max(Duration::from_nanos(1)));
        }
    }

    pub(super) fn pong(&mut self, key: u32, io: &mut Io<'_, Mail>) -> super::operations::Flow {
        if let Some(session) = self.sessions.get_mut(key) {
            if session.pings_outstanding > 0 {
                session.rtt = Some(io.now().since(session.ping_sent).max(Duration::from_nanos(1)));
                session.rtt_measured = io.now();
                self.statistics.latencies.round_trips.record(io.now().since(session.ping_sent));
            }
            session.pings_outstanding = 0;
            session.ponged_once = true;
        }
        super::operations::Flow::Next
    }

    /// Starts the clock of a new connection: for its login where one is required, else for PINGs.
    pub(crate) fn start_clock(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let delay = match self.options.directory.auth_required() {
            true => self.options.auth_timeout,
            false => self.options.ping_interval,
        };
        self.set_session_timer(key, TimerKind::Keepalive, io.now().after(delay), io);
    }

    /// CONNECT came: the first PING follows soon, spread so that a crowd does not answer at once.
    pub(super) fn start_pinging(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        self.cancel_timer(key, io);
        let delay = self.options.ping_interval.min(FIRST_PING_MAX);
        let spread_us = usize::try_from(delay.as_micros() / 5).unwrap_or(0);
        let spread = Duration::from_micros(self.pick(spread_us + 1) as u64);
        self.set_session_timer(key, TimerKind::Keepalive, io.now().after(delay + spread), io);
    }

    pub(super) fn start_write_timer(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let deadline = io.now().after(self.options.write_deadline);
        let timer = self.set_timer(TimerKind::Write, key, deadline, io);
        if let Some(session) = self.sessions.get_mut(key) {
            session.write_timer = Some(timer);
        }
    }

    /// One timer stands for many writes: it is not taken back when one ends, it looks at the one under way.
    fn check_write_deadline(&mut self, key: u32, io: &mut Io<'_, Mail>) {
        let deadline = self.options.write_deadline;
        let Some(session) = self.sessions.get_mut(key) else { return };
        session.write_timer = None;
        if !session.out.is_writing() {
            return;
        }
        let due = session.write_started.after(deadline);
        if io.now() >= due {
            let taken = session.out.taken_bytes(io.unsent_bytes(session.socket));
            let has_moved = taken > session.taken_at_check;
            if !(self.options.write_timeout_retry && has_moved) {
                tracing::info!(
                    "{} - Slow Consumer Detected: WriteDeadline of {deadline:?} exceeded with {} bytes queued",
                    session.label(),
                    session.out.pending_bytes()
                );
                self.doom(key, ClosedReason::SlowConsumerWriteDeadline);
                return;
            }
            session.write_started = io.now();
            session.taken_at_check = taken;
        }
        let due = session.write_started.after(deadline);
        let timer = self.set_timer(TimerKind::Write, key, due, io);
        if let Some(session) = self.sessions.get_mut(key) {
            session.write_timer = Some(timer);
        }
    }
}
