//! The nodes' network: who is where, what is cut, and the ends of all connections.
//!
//! It behaves as TCP does where programs can tell: bytes come in order, split anywhere; buffers are bounded
//! and fill; a lost segment holds up those behind it; a peer that lost power says nothing, one whose process
//! died closes. Establishing is in `connection`, bytes are in `stream`.

use super::agenda::{Action, Place};
use super::dice::nanos;
use super::disk::Disk;
use super::faults::FaultKind;
use super::ground::Ground;
use crate::net::{End, SocketId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};

/// One end of a connection. Never reused within a world.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct EndpointId(pub(super) u64);

/// The pause before the first retransmission; it doubles up to [`RETRANSMIT_PAUSE_MAX`].
const RETRANSMIT_PAUSE_MIN: u64 = 200_000_000;
/// The longest pause between retransmissions. Linux goes up to 120 s; programs have heartbeats of their own.
const RETRANSMIT_PAUSE_MAX: u64 = 5_000_000_000;

/// What a segment in flight carries.
#[derive(Debug)]
pub(super) enum Payload {
    Bytes(Vec<u8>),
    Fin,
    Reset,
}

/// A piece of a stream on its way.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) arrives_at: u64,
    pub(super) payload: Payload,
}

/// A send that found no room.
#[derive(Debug)]
pub(super) struct PendingSend {
    pub(super) buffer: Vec<u8>,
    pub(super) taken: usize,
}

/// How far a connection is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Stage {
    Connecting,
    Open,
    Failed(ErrorKind),
}

/// One end of a connection as its node's kernel sees it.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) place: Place,
    /// The program's name for it; none while it waits to be accepted or is between cores.
    pub(super) owner: Option<SocketId>,
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
    pub(super) remote_node: usize,
    pub(super) remote: Option<EndpointId>,
    pub(super) stage: Stage,
    /// The program has closed it; what it has sent still goes out.
    pub(super) closed: bool,
    /// On its core's list of things to look at.
    pub(super) listed: bool,
    pub(super) began_at: u64,

    /// Bytes taken from the program and not yet in flight.
    pub(super) outbox: VecDeque<u8>,
    pub(super) outbox_bytes_max: usize,
    pub(super) in_flight: VecDeque<Segment>,
    pub(super) arrival_entered: bool,
    pub(super) last_arrival: u64,
    /// How many more bytes the other end has room for.
    pub(super) window: usize,
    pub(super) fin_wanted: bool,
    pub(super) fin_sent: bool,
    pub(super) held_since: Option<u64>,
    pub(super) held_times: u32,
    pub(super) pending: Option<PendingSend>,

    pub(super) inbox: VecDeque<u8>,
    /// Bytes read by the program that the other end has not been told about.
    pub(super) unreported_room: usize,
    pub(super) reading: bool,
    pub(super) ended: Option<End>,
    pub(super) ended_told: bool,

    /// Results that wait for the program.
    pub(super) connect_result: Option<Result<(), ErrorKind>>,
    pub(super) send_result: Option<(Vec<u8>, Result<(), ErrorKind>)>,
}

impl Endpoint {
    /// Whether the program has something to hear.
    pub(super) fn has_news(&self) -> bool {
        self.owner.is_some()
            && (self.connect_result.is_some() || self.send_result.is_some() || self.can_read())
    }

    /// Whether a read would end at once.
    pub(super) fn can_read(&self) -> bool {
        self.reading
            && self.stage != Stage::Connecting
            && (!self.inbox.is_empty() || (self.ended.is_some() && !self.ended_told))
    }
}

/// Something a core has to look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Ready {
    Endpoint(EndpointId),
    Listener(u64),
}

/// What the network and the scheduler share about a core.
#[derive(Debug, Default)]
pub(super) struct Gate {
    pub(super) ready: Vec<Ready>,
    /// When its next turn is entered for, and the ticket of that entry.
    pub(super) turn_at: Option<u64>,
    pub(super) ticket: u64,
    /// A turn's work lasts until then.
    pub(super) busy_until: u64,
    /// Mail that has arrived, by sending core.
    pub(super) mail: Vec<usize>,
    /// How much of it the present turn takes.
    pub(super) mail_allowed: Vec<usize>,
    /// Orders that can be seen.
    pub(super) orders: usize,
}

impl Gate {
    fn new(cores: usize) -> Gate {
        Gate { mail: vec![0; cores], mail_allowed: vec![0; cores], ..Gate::default() }
    }
}

/// A port on which a core listens.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) core: usize,
    pub(super) address: SocketAddr,
    pub(super) backlog: usize,
    /// Connections not yet accepted.
    pub(super) queue: VecDeque<EndpointId>,
    /// Out of descriptors until [`Action::AcceptAgain`].
    pub(super) resting: bool,
    pub(super) listed: bool,
}

/// A node as others see it.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) ip: IpAddr,
    /// Its kernel runs: without power nothing answers.
    pub(super) powered: bool,
    /// Counts its starts.
    pub(super) life: u64,
    pub(super) listeners: BTreeMap<u64, Listener>,
    pub(super) next_port: u16,
    pub(super) gates: Vec<Gate>,
    /// What its wall clock shows beyond the virtual time.
    pub(super) clock_offset: i64,
}

/// The network of a world.
#[derive(Debug)]
pub(super) struct Network {
    pub(super) ground: Ground,
    pub(super) hosts: Vec<Host>,
    /// The disk of each host.
    pub(super) disks: Vec<Disk>,
    pub(super) endpoints: BTreeMap<EndpointId, Endpoint>,
    pub(super) endpoints_made: u64,
    pub(super) listeners_made: u64,
    /// Directions in which nothing passes, with who cut them: 0 is the test, others are the world.
    cuts: BTreeSet<(usize, usize, u64)>,
    cuts_made: u64,
    /// The next partition by chance is on the agenda.
    partition_entered: bool,
    latencies: BTreeMap<(usize, usize), u64>,
}

impl Network {
    pub(super) fn new(ground: Ground) -> Network {
        let mut network = Network {
            ground,
            hosts: Vec::new(),
            disks: Vec::new(),
            endpoints: BTreeMap::new(),
            endpoints_made: 0,
            listeners_made: 0,
            cuts: BTreeSet::new(),
            cuts_made: 0,
            partition_entered: false,
            latencies: BTreeMap::new(),
        };
        network.enter_next_partition();
        network
    }

    /// Takes in a node. Its number is the next one.
    pub(super) fn add_host(&mut self, ip: IpAddr, cores: usize) -> usize {
        let skew_max = nanos(self.ground.options.clock_skew_max);
        let skew = self.ground.dice.between(0, 2 * skew_max) as i64 - skew_max as i64;
        let gates = (0..cores).map(|_| Gate::new(cores)).collect();
        self.hosts.push(Host {
            ip,
            powered: true,
            life: 0,
            listeners: BTreeMap::new(),
            next_port: 32_768,
            gates,
            clock_offset: skew,
        });
        self.disks.push(Disk::new(cores));
        self.hosts.len() - 1
    }

    /// What is known about a core.
    pub(super) fn gate(&self, place: Place) -> &Gate {
        &self.hosts[place.node].gates[place.core]
    }

    /// What is known about a core.
    pub(super) fn gate_mut(&mut self, place: Place) -> &mut Gate {
        &mut self.hosts[place.node].gates[place.core]
    }

    /// Begins another life of a node: nothing of the last one is visible.
    pub(super) fn revive(&mut self, node: usize) {
        self.disk_loses_process(node);
        let host = &mut self.hosts[node];
        host.life += 1;
        host.powered = true;
        let cores = host.gates.len();
        for gate in &mut host.gates {
            // Tickets go on, so that a turn entered in the last life is not taken for one of this.
            let ticket = gate.ticket + 1;
            *gate = Gate { ticket, ..Gate::new(cores) };
        }
        self.ground.record("start", &[node as u64, self.hosts[node].life]);
    }

    /// A node loses its power: its connections are gone and say nothing.
    pub(super) fn lose_power(&mut self, node: usize) {
        self.hosts[node].powered = false;
        self.hosts[node].listeners.clear();
        self.endpoints.retain(|_, endpoint| endpoint.place.node != node);
    }

    /// The node that an address leads to from `node`.
    pub(super) fn host_of(&self, from: usize, ip: IpAddr) -> Option<usize> {
        if ip.is_loopback() || ip.is_unspecified() {
            return Some(from);
        }
        self.hosts.iter().position(|host| host.ip == ip)
    }

    /// The latency of one segment from one node to another.
    pub(super) fn latency(&mut self, from: usize, to: usize) -> u64 {
        let jitter_max = nanos(self.ground.options.jitter_max).max(1);
        let jitter = self.ground.dice.skewed(1, jitter_max);
        if from == to {
            return jitter;
        }
        let pair = (from.min(to), from.max(to));
        let (low, high) = self.ground.options.latency;
        let base = match self.latencies.get(&pair) {
            Some(latency) => *latency,
            None => {
                let drawn = self.ground.dice.nanos(low, high);
                self.latencies.insert(pair, drawn);
                drawn
            }
        };
        base + jitter
    }

    /// The pause before retransmission number `times`, doubling, with a little chance in it.
    pub(super) fn retransmit_pause(&mut self, times: u32) -> u64 {
        let pause = (RETRANSMIT_PAUSE_MIN << times.min(10)).min(RETRANSMIT_PAUSE_MAX);
        pause + self.ground.dice.below(pause / 4)
    }

    /// Whether a segment from one node reaches another's kernel.
    pub(super) fn passes(&self, from: usize, to: usize) -> bool {
        let cut = self.cuts.range((from, to, 0)..=(from, to, u64::MAX)).next().is_some();
        self.hosts[to].powered && !cut
    }

    /// Puts an endpoint on its core's list when the program has something to hear, and wakes the core.
    pub(super) fn list(&mut self, id: EndpointId) {
        let Some(endpoint) = self.endpoints.get_mut(&id) else { return };
        if endpoint.listed || !endpoint.has_news() {
            return;
        }
        endpoint.listed = true;
        let place = endpoint.place;
        self.gate_mut(place).ready.push(Ready::Endpoint(id));
        self.wake(place);
    }

    /// Moves what a turn looks at, in any order, from a core's list to `turn`: all of it, or a part.
    pub(super) fn pick_ready(&mut self, place: Place, turn: &mut Vec<Ready>) {
        let mut ready = std::mem::take(&mut self.gate_mut(place).ready);
        let part = self.ground.dice.below(4) == 0;
        let count = if part { self.ground.dice.index(ready.len() + 1) } else { ready.len() };
        for _ in 0..count {
            let chosen = self.ground.dice.index(ready.len());
            turn.push(ready.swap_remove(chosen));
        }
        self.gate_mut(place).ready = ready;
    }

    /// Has a core run a turn soon.
    pub(super) fn wake(&mut self, place: Place) {
        let notice = self.ground.dice.skewed(0, nanos(self.ground.options.notice_max));
        self.turn_by(place, self.ground.now.saturating_add(notice));
    }

    /// Has a core run a turn at a time, or before it.
    pub(super) fn turn_by(&mut self, place: Place, at: u64) {
        let gate = self.gate_mut(place);
        let at = at.max(gate.busy_until);
        if gate.turn_at.is_some_and(|entered| entered <= at) {
            return;
        }
        gate.ticket += 1;
        gate.turn_at = Some(at);
        let ticket = gate.ticket;
        self.ground.at(at, Action::Turn { place, ticket });
    }

    /// Holds all cores of a node still: what would be their turns comes after `length`.
    pub(super) fn stall(&mut self, node: usize, length: u64) {
        self.ground.fault(FaultKind::Stall, "stall", &[node as u64, length]);
        let end = self.ground.now.saturating_add(length);
        for core in 0..self.hosts[node].gates.len() {
            let place = Place { node, core };
            let gate = self.gate_mut(place);
            gate.busy_until = gate.busy_until.max(end);
            if gate.turn_at.take().is_some() {
                self.turn_by(place, end);
            }
        }
    }

    /// Resets all connections between two nodes.
    pub(super) fn reset_between(&mut self, one: usize, other: usize) {
        let ends = self.endpoints.iter().filter(|(_, endpoint)| {
            let ends = (endpoint.place.node, endpoint.remote_node);
            endpoint.stage == Stage::Open && (ends == (one, other) || ends == (other, one))
        });
        let ids: Vec<EndpointId> = ends.map(|(id, _)| *id).collect();
        for id in ids {
            self.ground.fault(FaultKind::Reset, "reset", &[id.0]);
            self.fail(id, ErrorKind::ConnectionReset);
        }
    }

    /// Lets nothing pass from one node to another, until `mend`. `by` 0 is the test.
    pub(super) fn cut(&mut self, from: usize, to: usize, by: u64) {
        if from != to && self.cuts.insert((from, to, by)) {
            self.ground.record("cut", &[from as u64, to as u64]);
        }
    }

    /// Takes a cut back. Those of others stay.
    pub(super) fn mend(&mut self, from: usize, to: usize, by: u64) {
        if self.cuts.remove(&(from, to, by)) {
            self.ground.record("mend", &[from as u64, to as u64]);
        }
    }

    /// Takes all cuts back, those of the world too.
    pub(super) fn mend_all(&mut self) {
        self.cuts.clear();
        self.ground.record("mend-all", &[]);
    }

    /// Enters the next partition that the world makes by itself.
    pub(super) fn enter_next_partition(&mut self) {
        let mean = nanos(self.ground.options.faults.partition_interval_mean);
        if mean > 0 && !self.partition_entered {
            self.partition_entered = true;
            let pause = self.ground.dice.between(1, mean.saturating_mul(2));
            self.ground.later(pause, Action::Partition);
        }
    }

    /// The world cuts two nodes apart, one way or both.
    pub(super) fn partition_by_chance(&mut self) {
        self.partition_entered = false;
        self.enter_next_partition();
        let count = self.hosts.len();
        if count < 2 || self.ground.options.faults.partition_interval_mean.is_zero() {
            return;
        }
        let one = self.ground.dice.index(count);
        let other = (one + 1 + self.ground.dice.index(count - 1)) % count;
        let length = self.ground.dice.skewed(1, nanos(self.ground.options.faults.partition_max).max(1));
        let both = self.ground.dice.below(3) > 0;
        self.cuts_made += 1;
        let cut = self.cuts_made;
        let ways = if both { vec![(one, other), (other, one)] } else { vec![(one, other)] };
        for (from, to) in ways {
            self.cut(from, to, cut);
            self.ground.later(length, Action::Heal { from, to, cut });
        }
    }

    /// Counts that a cut or a lack of power held something back.
    pub(super) fn count_held(&mut self, from: usize, to: usize) {
        if self.hosts[to].powered {
            self.ground.fault(FaultKind::PartitionHeld, "held", &[from as u64, to as u64]);
        } else {
            self.ground.record("no-power", &[from as u64, to as u64]);
        }
    }
}
