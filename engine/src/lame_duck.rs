//! Going away in order: lame duck mode, and the plain end.

use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::order::Notice;
use crate::session::client::Phase;
use crate::session::keepalive::TimerKind;
use crate::shard::{NO_SESSION, Shard};
use petrel_protocol::client::ClosedReason;
use petrel_runtime::{CoreId, Io, Monotonic};
use std::time::Duration;

/// Connections are never closed further apart than this. Upstream's figure.
const SPACING_MAX: Duration = Duration::from_secs(1);

/// A core in lame duck mode.
pub(crate) struct LameDuck {
    /// When the last client is to be gone.
    deadline: Monotonic,
    /// The grace period is over.
    is_closing: bool,
    /// This core has said that it has no client left.
    said_empty: bool,
    /// Core 0: cores that have said so.
    empty_cores: usize,
}

impl Shard {
    /// Stops accepting and tells the clients; they are closed one by one after the grace period.
    pub(crate) fn enter_lame_duck(&mut self, io: &mut Io<'_, Mail>) {
        if self.lame_duck.is_some() {
            return;
        }
        self.stop_listening(io);
        let now = io.now();
        self.lame_duck = Some(LameDuck {
            deadline: now.after(self.options.lame_duck_duration),
            is_closing: false,
            said_empty: false,
            empty_cores: 0,
        });
        let listeners: Vec<u32> = self
            .sessions
            .iter()
            .filter(|(_, session)| session.understands_info && session.ponged && session.takes_messages())
            .map(|(key, _)| key)
            .collect();
        for key in listeners {
            let mut info = self.info_for(key);
            info.ldm = true;
            if let Some(session) = self.sessions.get_mut(key) {
                info.encode(&mut session.out.current);
            }
            self.touch(key, io);
        }
        let grace_ends = now.after(self.options.lame_duck_grace_period);
        self.set_timer(TimerKind::LameDuck, NO_SESSION, grace_ends, io);
        self.check_empty(io);
    }

    fn stop_listening(&mut self, io: &mut Io<'_, Mail>) {
        if let Some(listener) = self.acceptor.as_mut().and_then(|acceptor| acceptor.listener.take()) {
            io.close_listener(listener);
        }
    }

    /// Closes one client and sets the time for the next, so that the last goes at the deadline.
    pub(crate) fn lame_duck_step(&mut self, io: &mut Io<'_, Mail>) {
        let open: Vec<u32> = self
            .sessions
            .iter()
            .filter(|(_, session)| !matches!(session.phase, Phase::Closing(_)))
            .map(|(key, _)| key)
            .collect();
        let Some(lame_duck) = self.lame_duck.as_mut() else { return };
        if open.is_empty() {
            return;
        }
        let deadline = lame_duck.deadline;
        if !lame_duck.is_closing {
            lame_duck.is_closing = true;
            if self.core.0 == 0 {
                tracing::info!("Closing existing clients");
            }
        }
        let left = deadline.since(io.now());
        let key = open[self.pick(open.len())];
        self.fail(key, None, ClosedReason::ServerShutdown, io);
        let spacing = (left / u32::try_from(open.len()).unwrap_or(u32::MAX)).min(SPACING_MAX);
        // Random, but the mean is the spacing that empties this core in time.
        let jitter = self.pick(usize::try_from(spacing.as_micros()).unwrap_or(0) + 1) as u64;
        let next = io.now().after(spacing / 2 + Duration::from_micros(jitter));
        self.set_timer(TimerKind::LameDuck, NO_SESSION, next, io);
    }

    /// Says once that this core has no client left, in lame duck mode.
    pub(crate) fn check_empty(&mut self, io: &mut Io<'_, Mail>) {
        let Some(lame_duck) = self.lame_duck.as_mut() else { return };
        if self.sessions.len() > 0 || lame_duck.said_empty {
            return;
        }
        lame_duck.said_empty = true;
        if self.core.0 == 0 {
            self.core_is_empty(self.core, io);
        } else {
            io.mail(CoreId(0), Mail::Empty);
        }
    }

    /// Core 0 hears that a core has no client left.
    pub(crate) fn core_is_empty(&mut self, from: CoreId, io: &mut Io<'_, Mail>) {
        // Another core may hear of lame duck mode, and be done with it, before this one.
        if self.lame_duck.is_none() {
            self.enter_lame_duck(io);
        }
        let Some(lame_duck) = self.lame_duck.as_mut() else { return };
        lame_duck.empty_cores += 1;
        tracing::debug!("Core {} has no client left", from.0);
        let empty_cores = lame_duck.empty_cores;
        if empty_cores == self.core_count || self.is_mutated(Mutation::LameDuckEndsEarly) {
            let _ = self.notices.send(Notice::LameDuckEnded);
        }
    }

    /// Closes everything and ends the loop of this core.
    pub(crate) fn shut_down(&mut self, io: &mut Io<'_, Mail>) {
        self.stop_listening(io);
        self.is_ending = true;
        let keys: Vec<u32> = self.sessions.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.flush(key, io);
            self.end(key, ClosedReason::ServerShutdown, io);
        }
        io.stop();
    }
}
