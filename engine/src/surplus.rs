//! Clients that have to go because a reload allows fewer: the newest first, some in each turn, so that messages are not
//! held up by ten thousand of them.

use crate::account::admission::Member;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::session::client::Phase;
use crate::session::keepalive::TimerKind;
use crate::shard::{NO_SESSION, Shard};
use crossbeam_channel::Sender;
use petrel_protocol::client::{ClosedReason, ProtocolError};
use petrel_runtime::Io;
use std::collections::{BTreeMap, VecDeque};

/// Clients that are on their way out.
#[derive(Default)]
pub(crate) struct Surplus {
    /// Those beyond the limits of their accounts, on whatever core; core 0 alone knows of them.
    members: VecDeque<Member>,
    /// Those of this core beyond the server's limit.
    newest: Option<Newest>,
    /// Who waits for the end.
    done: Vec<Sender<()>>,
}

/// The newest clients of a core, while they are looked for and closed.
struct Newest {
    /// How many of them are looked for at most.
    count: usize,
    /// How many clients may stay.
    kept: usize,
    /// The key from which on sessions have not been looked at; `None`: all have been.
    next: Option<u32>,
    /// Clients seen that stay if nobody closes them.
    staying: usize,
    /// The newest of those, by connection id.
    found: BTreeMap<u64, u32>,
}

impl Shard {
    /// Closes the newest clients of this core until no more stay than may, because the server has too many. One of the
    /// newest that leaves by itself meanwhile is one less to close.
    pub(crate) fn keep_oldest(&mut self, kept: usize, io: &mut Io<'_, Mail>) {
        let count = self.sessions.len().saturating_sub(kept);
        let found = BTreeMap::new();
        // It takes the place of what an earlier reload began.
        self.begin_surplus(io).newest = Some(Newest { count, kept, next: Some(0), staying: 0, found });
    }

    /// Closes clients because their accounts have too many; core 0 says so.
    pub(crate) fn close_members(&mut self, members: Vec<Member>, io: &mut Io<'_, Mail>) {
        if !members.is_empty() {
            self.begin_surplus(io).members.extend(members);
        }
    }

    /// Tells these when nobody of this core has to go any more.
    pub(crate) fn tell_without_surplus(&mut self, done: Vec<Sender<()>>) {
        match &mut self.surplus {
            Some(surplus) => surplus.done.extend(done),
            None => tell(done),
        }
    }

    fn begin_surplus(&mut self, io: &mut Io<'_, Mail>) -> &mut Surplus {
        if self.surplus.is_none() {
            self.set_timer(TimerKind::Surplus, NO_SESSION, io.now(), io);
        }
        self.surplus.get_or_insert_default()
    }

    /// Closes some more.
    pub(crate) fn go_on_closing(&mut self, io: &mut Io<'_, Mail>) {
        // First of all, so that it goes on whatever happens to this turn.
        let timer = self.set_timer(TimerKind::Surplus, NO_SESSION, io.now(), io);
        let has_more = (0..self.reviewed_a_turn()).all(|_| self.close_next(io));
        if has_more && !self.is_mutated(Mutation::SurplusOfOneTurn) {
            return;
        }
        io.cancel_timer(timer);
        if let Some(surplus) = self.surplus.take() {
            tell(surplus.done);
        }
    }

    /// Looks at one more client, or closes it. False: nobody has to go any more.
    fn close_next(&mut self, io: &mut Io<'_, Mail>) -> bool {
        let Some(surplus) = self.surplus.as_mut() else { return false };
        if let Some(member) = surplus.members.pop_front() {
            self.prune(member, io);
            return true;
        }
        let Some(newest) = surplus.newest.as_mut() else { return false };
        if let Some(from) = newest.next {
            let found = self.sessions.iter_from(from).next();
            newest.next = found.map(|(key, _)| key + 1);
            if let Some((key, session)) = found
                && !matches!(session.phase, Phase::Closing(_))
            {
                newest.notice(session.cid, key);
            }
            return true;
        }
        let Some((cid, key)) = newest.take() else { return false };
        self.close_as_surplus(key, cid, io);
        true
    }

    fn close_as_surplus(&mut self, key: u32, cid: u64, io: &mut Io<'_, Mail>) {
        // It may have left meanwhile, and another one may have its place.
        let Some(session) = self.sessions.get(key).filter(|session| session.cid == cid) else { return };
        tracing::error!("{} - maximum connections exceeded", session.label());
        let error = ProtocolError::MaximumConnectionsExceeded;
        self.fail(key, Some(&error), ClosedReason::MaximumConnectionsExceeded, io);
    }
}

impl Newest {
    /// Sees a client that stays if nobody closes it.
    fn notice(&mut self, cid: u64, key: u32) {
        self.staying += 1;
        self.found.insert(cid, key);
        if self.found.len() > self.count {
            self.found.pop_first();
        }
    }

    /// The next one that has to go.
    fn take(&mut self) -> Option<(u64, u32)> {
        if self.staying <= self.kept {
            return None;
        }
        self.staying -= 1;
        self.found.pop_last()
    }
}

/// Who asked may have given up: then nobody misses the answer.
fn tell(done: Vec<Sender<()>>) {
    for done in done {
        let _ = done.send(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest(count: usize, kept: usize) -> Newest {
        Newest { count, kept, next: None, staying: 0, found: BTreeMap::new() }
    }

    #[test]
    fn the_newest_go_until_as_many_stay_as_may() {
        let mut newest = newest(3, 4);
        for cid in [12, 7, 19, 5, 30, 8] {
            newest.notice(cid, u32::try_from(cid).unwrap() + 100);
        }
        assert_eq!(newest.found.len(), 3, "no more are remembered than have to go");
        // Six are seen where seven were counted: one was on its way out.
        assert_eq!(newest.take(), Some((30, 130)));
        assert_eq!(newest.take(), Some((19, 119)));
        assert_eq!(newest.take(), None);
    }
}
