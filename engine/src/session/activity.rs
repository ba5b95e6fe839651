//! When a client last took part.

use super::client::Session;
use crate::shard::Shard;
use petrel_runtime::Monotonic;

/// Times of a connection, and what they were taken at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Activity {
    /// The last message, in either direction, or change of interest: what monitoring shows. PING and PONG say nothing of
    /// use, as upstream has it.
    pub(crate) shown: Monotonic,
    /// The last message, change of interest or PING of the client: it need not be asked whether it is there. An answer to
    /// such a question does not count, so that one who says nothing else is asked at each interval.
    pub(crate) heard: Monotonic,
    in_msgs: u64,
    out_msgs: u64,
}

impl Activity {
    /// Of a connection that begins.
    pub(crate) fn new(now: Monotonic) -> Activity {
        Activity { shown: now, heard: now, in_msgs: 0, out_msgs: 0 }
    }
}

impl Session {
    /// Notes whether it published since this was last looked at.
    #[inline]
    pub(crate) fn note_publishing(&mut self, now: Monotonic) {
        if self.in_msgs != self.activity.in_msgs {
            self.activity.in_msgs = self.in_msgs;
            self.note_interest(now);
        }
    }

    /// Notes a change of interest.
    pub(crate) fn note_interest(&mut self, now: Monotonic) {
        self.activity.shown = now;
        self.activity.heard = now;
    }

    /// Notes whether it got messages since this was last looked at.
    #[inline]
    pub(crate) fn note_deliveries(&mut self, now: Monotonic) {
        if self.out_msgs != self.activity.out_msgs {
            self.activity.out_msgs = self.out_msgs;
            self.activity.shown = now;
        }
    }
}

impl Shard {
    /// A client changed its interest.
    pub(super) fn note_interest_of(&mut self, key: u32, now: Monotonic) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.note_interest(now);
        }
    }

    /// A client asked whether the server is there.
    pub(super) fn note_ping_of(&mut self, key: u32, now: Monotonic) {
        if let Some(session) = self.sessions.get_mut(key) {
            session.activity.heard = now;
        }
    }
}
