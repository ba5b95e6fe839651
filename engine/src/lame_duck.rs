//! Going away in order: lame duck mode, and the plain end.

use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::order::Notice;
use crate::session::client::{Phase, Session};
use crate::session::keepalive::TimerKind;
use crate::shard::{NO_SESSION, Shard};
use petrel_protocol::client::ClosedReason;
use petrel_runtime::{CoreId, Io, Monotonic};
use std::time::Duration;

/// Connections are never closed further apart than this. Upstream's figure.
const SPACING_MAX: Duration = Duration::from_secs(1);
/// Nor are there more steps than this: where clients would have to go faster, several go in each.
const STEP_MIN: Duration = Duration::from_millis(5);
/// Clients that are closed in one step, also when they will not all be gone in time by that.
const CLOSED_A_STEP_MAX: usize = 256;

/// A core in lame duck mode.
pub(crate) struct LameDuck {
    /// When the last client is to be gone.
    deadline: Monotonic,
    /// The grace period is over.
    is_closing: bool,
    /// Sessions that are still to be closed, as far as they have not gone by themselves.
    staying: Vec<u32>,
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
            staying: Vec::new(),
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

    /// Closes the next client, or several where there are many, and sets the time for those after it, so that the last goes
    /// at the deadline.
    pub(crate) fn lame_duck_step(&mut self, io: &mut Io<'_, Mail>) {
        let now = io.now();
        let Some(mut lame_duck) = self.lame_duck.take() else { return };
        if !lame_duck.is_closing {
            lame_duck.is_closing = true;
            if self.core.0 == 0 {
                tracing::info!("Closing existing clients");
            }
        }
        let left = lame_duck.deadline.since(now);
        let steps = usize::try_from(left.as_micros() / STEP_MIN.as_micros()).unwrap_or(usize::MAX);
        let (mut closing, mut count) = (Vec::new(), 0);
        while closing.is_empty() {
            if lame_duck.staying.is_empty() {
                // Once for all of them, and in the end for those who were on their way to this core.
                lame_duck.staying = self.open_sessions();
            }
            count = lame_duck.staying.len();
            if count == 0 {
                break;
            }
            while closing.len() < count.div_ceil(steps.max(1)).min(CLOSED_A_STEP_MAX)
                && !lame_duck.staying.is_empty()
            {
                let key = lame_duck.staying.swap_remove(self.pick(lame_duck.staying.len()));
                closing.extend(Some(key).filter(|key| self.sessions.get(*key).is_some_and(is_open)));
            }
        }
        self.lame_duck = Some(lame_duck);
        if closing.is_empty() {
            return;
        }
        // First of all, so that it goes on whatever happens to this turn.
        let share = u32::try_from(count.div_ceil(closing.len())).unwrap_or(u32::MAX);
        let spacing = (left / share).min(SPACING_MAX);
        // Random, but the mean is the spacing that empties this core in time.
        let jitter = self.pick(usize::try_from(spacing.as_micros()).unwrap_or(0) + 1) as u64;
        let next = now.after(spacing / 2 + Duration::from_micros(jitter));
        self.set_timer(TimerKind::LameDuck, NO_SESSION, next, io);
        for key in closing {
            self.fail(key, None, ClosedReason::ServerShutdown, io);
        }
    }

    fn open_sessions(&self) -> Vec<u32> {
        self.sessions.iter().filter(|(_, session)| is_open(session)).map(|(key, _)| key).collect()
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

/// Whether nobody has begun to close a connection.
fn is_open(session: &Session) -> bool {
    !matches!(session.phase, Phase::Closing(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::order::Order;
    use crate::workbench::{Workbench, quick_world};

    /// Clients went one by one, however many there were.
    #[test]
    fn many_clients_are_gone_at_the_deadline() {
        const CLIENTS: usize = 3000;
        let second = Duration::from_secs(1);
        let options = Options {
            lame_duck_duration: second,
            lame_duck_grace_period: Duration::from_millis(100),
            ..Options::default()
        };
        let mut bench = Workbench::new(quick_world(1), 2, options);
        let crowd = bench.crowd(CLIENTS);
        bench.say_and_wait(crowd, "CONNECT {\"verbose\":false}\r\n");
        bench.world.run_for(second);
        let sessions: usize = (0..2).map(|core| bench.core(core, |shard| shard.sessions.len())).sum();
        assert_eq!(sessions, CLIENTS);
        for core in 0..2 {
            bench.world.order(bench.server, core, Order::LameDuck);
        }
        bench.world.run_for(second / 2);
        let half = bench.ended(crowd);
        assert!((CLIENTS / 4..CLIENTS / 4 * 3).contains(&half), "{half} of {CLIENTS} at half time");
        // Each has a last moment.
        bench.world.run_for(second / 2 + Duration::from_millis(150));
        assert_eq!(bench.ended(crowd), CLIENTS);
    }
}
