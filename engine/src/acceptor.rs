//! Core 0 takes connections in, numbers them, and gives each to the core that has the fewest.

use crate::account::admission::Admissions;
use crate::mail::{Handoff, Mail};
use crate::order::Notice;
use crate::session::client::Session;
use crate::session::closed::ClosedConnections;
use crate::shard::Shard;
use crate::snapshot::ConnectionSnapshot;
use crate::transport::Ends;
use petrel_protocol::client::{ClosedReason, ProtocolError, ServerInfo};
use petrel_runtime::{CoreId, Io, ListenOptions, ListenerId, Monotonic, SocketId};
use std::time::Duration;

/// Length of the kernel's queue of connections that are not accepted yet.
const BACKLOG: u32 = 4096;
/// How often the log is told that nobody can be accepted: as often as upstream, once its pauses have grown.
const ACCEPT_ERROR_INTERVAL: Duration = Duration::from_secs(1);
/// The first connection's id; upstream's internal clients take the numbers below.
const FIRST_CID: u64 = 5;

/// What only core 0 has: one owner for ids, counts and the ring of closed connections.
pub(crate) struct Acceptor {
    pub(crate) listener: Option<ListenerId>,
    /// Connections of each core, as far as core 0 has heard.
    connections: Vec<u64>,
    next_cid: u64,
    pub(crate) closed: ClosedConnections,
    /// Who is in accounts that limit their connections.
    pub(crate) admissions: Admissions,
    /// Until when no further error of accepting is logged.
    quiet_until: Option<Monotonic>,
}

impl Acceptor {
    pub(crate) fn new(core_count: usize, closed_max: usize) -> Acceptor {
        Acceptor {
            listener: None,
            connections: vec![0; core_count],
            next_cid: FIRST_CID,
            closed: ClosedConnections::new(closed_max),
            admissions: Admissions::default(),
            quiet_until: None,
        }
    }

    /// Counts a new connection on the core with the fewest; on a tie the lowest.
    fn place(&mut self) -> (CoreId, u64) {
        let fewest = (0..self.connections.len()).min_by_key(|core| self.connections[*core]).unwrap_or(0);
        self.connections[fewest] += 1;
        let cid = self.next_cid;
        self.next_cid += 1;
        (CoreId(u16::try_from(fewest).unwrap_or(0)), cid)
    }

    /// The cores that have connections beyond the limit of all, and how many each may keep: those go first that the core
    /// with most has.
    pub(crate) fn kept(&self, limit: u64) -> Vec<(CoreId, usize)> {
        let mut left: Vec<u64> = self.connections.clone();
        for _ in limit..self.total() {
            let most = (0..left.len()).max_by_key(|core| left[*core]).unwrap_or(0);
            left[most] -= 1;
        }
        let cores = (0..).map(CoreId).zip(left.iter().zip(&self.connections));
        let fewer = cores.filter(|(_, (kept, now))| kept < now);
        fewer.map(|(core, (kept, _))| (core, usize::try_from(*kept).unwrap_or(usize::MAX))).collect()
    }

    fn total(&self) -> u64 {
        self.connections.iter().sum()
    }
}

impl Shard {
    /// Core 0 listens for the node.
    pub(crate) fn start_listening(&mut self, io: &mut Io<'_, Mail>) {
        let Some(acceptor) = self.acceptor.as_mut() else { return };
        let address = self.options.listen;
        let notice = match io.listen(&ListenOptions { address, backlog: BACKLOG }) {
            Ok((listener, bound)) => {
                acceptor.listener = Some(listener);
                Notice::Listening(bound)
            }
            Err(error) => Notice::ListenFailed(address, error),
        };
        // Whoever started the node may have given up on it.
        let _ = self.notices.send(notice);
    }

    /// A connection was accepted: it goes to its core before its first byte.
    pub(crate) fn accepted(&mut self, socket: SocketId, io: &mut Io<'_, Mail>) {
        let Some(acceptor) = self.acceptor.as_mut() else {
            io.close(socket);
            return;
        };
        // Its peer may have reset it already: then it is gone, and nothing must count it.
        let Some(detached) = io.detach(socket) else { return };
        let limit = u64::try_from(self.options.limits.connections_max).unwrap_or(0);
        let refused = acceptor.total() >= limit;
        let (core, cid) = acceptor.place();
        self.statistics.total_connections += 1;
        let handoff = Handoff { detached, cid, refused };
        if core == self.core {
            self.take_in(handoff, io);
        } else {
            io.mail(core, Mail::Connection(Box::new(handoff)));
        }
    }

    /// The listener rests and tries again by itself, ten times a second; the log hears of it less often.
    pub(crate) fn accept_failed(&mut self, error: &std::io::Error, io: &Io<'_, Mail>) {
        self.statistics.refused_connections += 1;
        let Some(acceptor) = self.acceptor.as_mut() else { return };
        let now = io.now();
        if acceptor.quiet_until.is_none_or(|until| now >= until) {
            acceptor.quiet_until = Some(now.after(ACCEPT_ERROR_INTERVAL));
            tracing::error!("Temporary Client Accept Error ({error}), trying again until it works");
        }
    }

    /// This core gets a connection.
    pub(crate) fn take_in(&mut self, handoff: Handoff, io: &mut Io<'_, Mail>) {
        let Handoff { detached, cid, refused } = handoff;
        let ends = Ends { local: detached.local, peer: detached.peer };
        let socket = io.attach(detached);
        let key = self.sessions.insert(Session::new(cid, socket, ends.peer, io.now(), io.wall_clock()));
        let slot = socket.slot as usize;
        if self.session_by_slot.len() <= slot {
            self.session_by_slot.resize(slot + 1, crate::shard::NO_SESSION);
        }
        self.session_by_slot[slot] = key;
        self.statistics.connections += 1;
        let nonce = self.draw_nonce(cid, io);
        // Before it says who it is, the server's own limit counts.
        let payload_max = self.options.limits.payload_max;
        if let Some(session) = self.sessions.get_mut(key) {
            session.nonce = nonce;
            session.payload_max = payload_max;
            tracing::debug!("{} - Client connection created", session.label());
        }
        if refused {
            if self.greets_in_clear() {
                self.greet(key, io);
            }
            self.statistics.refused_connections += 1;
            if let Some(session) = self.sessions.get(key) {
                tracing::error!("{} - maximum connections exceeded", session.label());
            }
            let error = ProtocolError::MaximumConnectionsExceeded;
            self.fail(key, Some(&error), ClosedReason::MaximumConnectionsExceeded, io);
        } else {
            self.begin(key, ends, io);
        }
        io.resume_read(socket);
    }

    /// The INFO for a connection.
    pub(crate) fn info_for(&self, key: u32) -> ServerInfo {
        let mut info = self.options.info.clone();
        if let Some(session) = self.sessions.get(key) {
            info.client_id = session.cid;
            info.client_ip = session.peer.ip().to_string();
            info.max_payload = session.payload_max;
        }
        info
    }

    /// Core 0 hears that a connection has ended.
    pub(crate) fn record_ended(&mut self, core: CoreId, record: ConnectionSnapshot) {
        if let Some(acceptor) = self.acceptor.as_mut() {
            acceptor.connections[core.index()] -= 1;
            acceptor.closed.push(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Options;
    use crate::order::Order;
    use crate::workbench::{Workbench, quick_world};
    use petrel_runtime::{Event, Program};

    #[test]
    fn what_is_beyond_the_limit_goes_where_most_are() {
        let mut acceptor = Acceptor::new(3, 10);
        acceptor.connections = vec![6, 3, 2];
        assert_eq!(acceptor.kept(8), [(CoreId(0), 3)]);
        assert_eq!(acceptor.kept(2), [(CoreId(0), 1), (CoreId(1), 1), (CoreId(2), 0)]);
        assert_eq!(acceptor.kept(11), []);
        assert_eq!(acceptor.kept(0).iter().map(|(_, kept)| kept).sum::<usize>(), 0);
    }

    /// Loses connections between their acceptance and their way to a core, as a reset does.
    struct Resetting {
        shard: Shard,
        resets: bool,
    }

    impl Program for Resetting {
        type Mail = Mail;
        type Order = Order;

        fn start(&mut self, io: &mut Io<'_, Mail>) {
            self.shard.start(io);
        }
        fn event(&mut self, event: Event<'_, Mail, Order>, io: &mut Io<'_, Mail>) {
            if let (Event::Accepted { socket, .. }, true) = (&event, self.resets) {
                io.close(*socket);
            }
            self.shard.event(event, io);
        }
        fn finish_turn(&mut self, io: &mut Io<'_, Mail>) {
            self.shard.finish_turn(io);
        }
        fn panicked(&mut self, socket: Option<SocketId>, message: &str, io: &mut Io<'_, Mail>) {
            self.shard.panicked(socket, message, io);
        }
    }

    /// They were counted for ever, until the limit of connections was used up by none.
    #[test]
    fn a_connection_that_is_gone_before_it_has_a_core_is_not_counted() {
        let resetting = |shard| Resetting { shard, resets: true };
        let mut bench = Workbench::with(quick_world(1), 2, Options::default(), resetting);
        bench.crowd(5);
        let counted = |core: &mut Resetting| core.shard.acceptor.as_ref().map(Acceptor::total);
        assert_eq!(bench.core(0, counted), Some(0));
        bench.core(0, |core| core.resets = false);
        bench.client();
        assert_eq!(bench.core(0, counted), Some(1));
    }
}
