//! Listening, connecting and accepting.

use super::agenda::{Action, Place};
use super::dice::nanos;
use super::faults::FaultKind;
use super::network::{Endpoint, EndpointId, Listener, Network, Ready, Stage};
use crate::backend::ACCEPT_PAUSE;
use crate::net::SocketId;
use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Ports below this are never given out for port 0 or for a connecting side.
const EPHEMERAL_PORT_MIN: u16 = 32_768;
/// After how long an unanswered connection request is repeated first; the pause doubles.
const KNOCK_AGAIN: u64 = 1_000_000_000;
/// Accept queues are at least this long, as a backlog of 0 still holds a connection on Linux.
const ACCEPT_QUEUE_MIN: usize = 1;

/// What an accept gave.
#[derive(Debug)]
pub(super) enum Accept {
    /// A connection; it has no owner yet.
    Connection { endpoint: EndpointId, peer: SocketAddr, local: SocketAddr },
    /// Descriptors ran out; the listener rests.
    Failed,
    /// Nobody waits.
    Empty,
}

impl Network {
    /// Starts to listen. The listener's number is unique in the world.
    pub(super) fn listen(
        &mut self,
        place: Place,
        address: SocketAddr,
        backlog: u32,
    ) -> Result<(u64, SocketAddr), Error> {
        let ip = address.ip();
        let host = &self.hosts[place.node];
        if !(ip.is_unspecified() || ip.is_loopback() || ip == host.ip) {
            return Err(Error::from(ErrorKind::AddrNotAvailable));
        }
        let port = match address.port() {
            0 => self.free_port(place.node),
            port => port,
        };
        // An unspecified host takes both families, so it collides with every listener on that port.
        let clash = self.hosts[place.node].listeners.values().any(|other| {
            let theirs = other.address.ip();
            other.address.port() == port && (theirs == ip || theirs.is_unspecified() || ip.is_unspecified())
        });
        if clash {
            return Err(Error::from(ErrorKind::AddrInUse));
        }
        self.listeners_made += 1;
        let number = self.listeners_made;
        let bound_ip = if ip.is_unspecified() { IpAddr::V6(Ipv6Addr::UNSPECIFIED) } else { ip };
        let bound = SocketAddr::new(bound_ip, port);
        let listener = Listener {
            core: place.core,
            address: bound,
            backlog: (backlog as usize).max(ACCEPT_QUEUE_MIN),
            queue: VecDeque::new(),
            resting: false,
            listed: false,
        };
        self.hosts[place.node].listeners.insert(number, listener);
        self.ground.record("listen", &[place.node as u64, place.core as u64, u64::from(port)]);
        Ok((number, bound))
    }

    /// Stops listening; those who were not accepted are reset.
    pub(super) fn close_listener(&mut self, node: usize, number: u64) {
        let Some(listener) = self.hosts[node].listeners.remove(&number) else { return };
        self.ground.record("unlisten", &[node as u64, u64::from(listener.address.port())]);
        for endpoint in listener.queue {
            self.abort(endpoint);
        }
    }

    /// Starts a connection of a core's program. [`Network::own`] follows.
    pub(super) fn connect(&mut self, place: Place, address: SocketAddr) -> EndpointId {
        let target = self.host_of(place.node, address.ip());
        let host_ip = self.hosts[place.node].ip;
        let local_ip = match address.ip() {
            IpAddr::V4(ip) if ip.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_loopback() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            _ => host_ip,
        };
        let local = SocketAddr::new(local_ip, self.free_port(place.node));
        let id = self.add_endpoint(place, local, address, target.unwrap_or(place.node), Stage::Connecting);
        self.ground.record("connect", &[place.node as u64, id.0, u64::from(address.port())]);
        match target {
            Some(to) => {
                let latency = self.latency(place.node, to);
                self.ground.later(latency, Action::Knock { endpoint: id, attempt: 0 });
            }
            None => self.fail(id, ErrorKind::HostUnreachable),
        }
        id
    }

    /// A connection request reaches its target, or does not.
    pub(super) fn knock(&mut self, id: EndpointId, attempt: u32) {
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        if endpoint.stage != Stage::Connecting {
            return;
        }
        let (from, to, address) = (endpoint.place.node, endpoint.remote_node, endpoint.peer);
        if !self.passes(from, to) {
            self.count_held(from, to);
            return self.knock_again(id, attempt);
        }
        let listener = self.hosts[to].listeners.iter().find_map(|(number, listener)| {
            let ip = listener.address.ip();
            let same = ip == address.ip() || ip.is_unspecified();
            (listener.address.port() == address.port() && same).then_some((*number, listener))
        });
        let (number, full) = match listener {
            Some((number, listener)) => (number, listener.queue.len() >= listener.backlog),
            None => return self.answer_later(id, false, to, from),
        };
        if full {
            // As Linux does: the request is dropped and the other side asks again.
            self.ground.record("backlog-full", &[to as u64, id.0]);
            return self.knock_again(id, attempt);
        }
        let refuse = self.ground.options.faults.refuse_per_million;
        if self.ground.dice.per_million(refuse) {
            self.ground.fault(FaultKind::Refused, "refuse", &[to as u64, id.0]);
            return self.answer_later(id, false, to, from);
        }
        self.admit(id, number, to);
    }

    /// Makes the accepting end and puts it into the listener's queue.
    fn admit(&mut self, id: EndpointId, number: u64, to: usize) {
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        let (from, local, peer) = (endpoint.place.node, endpoint.peer, endpoint.local);
        let core = self.hosts[to].listeners[&number].core;
        let place = Place { node: to, core };
        let accepted = self.add_endpoint(place, local, peer, from, Stage::Open);
        self.ground.record("admit", &[to as u64, id.0, accepted.0]);
        let answer_at = self.answer_later_at(to, from);
        let other = self.endpoints.get_mut(&accepted).expect("just added");
        other.remote = Some(id);
        // Its first byte cannot overtake the answer that opens the connection.
        other.last_arrival = answer_at;
        self.endpoints.get_mut(&id).expect("looked up above").remote = Some(accepted);
        self.ground.at(answer_at, Action::Answer { endpoint: id, accepted: true });
        self.share_windows(id, accepted);
        self.hosts[to].listeners.get_mut(&number).expect("looked up above").queue.push_back(accepted);
        self.list_listener(to, number);
    }

    fn answer_later_at(&mut self, from: usize, to: usize) -> u64 {
        self.ground.now + self.latency(from, to)
    }

    fn answer_later(&mut self, id: EndpointId, accepted: bool, from: usize, to: usize) {
        let at = self.answer_later_at(from, to);
        self.ground.at(at, Action::Answer { endpoint: id, accepted });
    }

    fn knock_again(&mut self, id: EndpointId, attempt: u32) {
        let give_up = nanos(self.ground.options.connect_give_up);
        let Some(endpoint) = self.endpoints.get(&id) else { return };
        let pause = KNOCK_AGAIN << attempt.min(6);
        let deadline = endpoint.began_at.saturating_add(give_up);
        if self.ground.now >= deadline {
            self.ground.fault(FaultKind::GivenUp, "connect-gives-up", &[id.0]);
            self.fail(id, ErrorKind::TimedOut);
            return;
        }
        let at = self.ground.now.saturating_add(pause).min(deadline);
        self.ground.at(at, Action::Knock { endpoint: id, attempt: attempt + 1 });
    }

    /// The answer to a connection request reaches the one who asked, or does not.
    pub(super) fn answer(&mut self, id: EndpointId, accepted: bool) {
        let Some(endpoint) = self.endpoints.get(&id) else {
            // It gave up meanwhile: the accepting end finds out by a reset, at the latest when it sends.
            return;
        };
        if endpoint.stage != Stage::Connecting {
            return;
        }
        let (here, there) = (endpoint.place.node, endpoint.remote_node);
        let give_up = nanos(self.ground.options.connect_give_up);
        let deadline = endpoint.began_at.saturating_add(give_up);
        if !self.passes(there, here) {
            self.count_held(there, here);
            if self.ground.now >= deadline {
                self.ground.fault(FaultKind::GivenUp, "connect-gives-up", &[id.0]);
                return self.fail(id, ErrorKind::TimedOut);
            }
            return self.ground.later(KNOCK_AGAIN, Action::Answer { endpoint: id, accepted });
        }
        self.ground.record("answer", &[id.0, u64::from(accepted)]);
        if !accepted {
            return self.fail(id, ErrorKind::ConnectionRefused);
        }
        let endpoint = self.endpoints.get_mut(&id).expect("looked up above");
        endpoint.stage = Stage::Open;
        endpoint.connect_result = Some(Ok(()));
        self.list(id);
    }

    /// Takes a connection out of a listener's queue.
    pub(super) fn accept(&mut self, node: usize, number: u64) -> Accept {
        let Some(listener) = self.hosts[node].listeners.get_mut(&number) else { return Accept::Empty };
        listener.listed = false;
        if listener.resting || listener.queue.is_empty() {
            return Accept::Empty;
        }
        let rate = self.ground.options.faults.accept_failure_per_million;
        if self.ground.dice.per_million(rate) {
            listener.resting = true;
            self.ground.fault(FaultKind::AcceptFailed, "accept-fails", &[node as u64, number]);
            self.ground.later(nanos(ACCEPT_PAUSE), Action::AcceptAgain { node, listener: number });
            return Accept::Failed;
        }
        let endpoint = listener.queue.pop_front().expect("checked above");
        self.list_listener(node, number);
        let Some(end) = self.endpoints.get(&endpoint) else { return Accept::Empty };
        let (peer, local) = (end.peer, end.local);
        self.ground.record("accept", &[node as u64, endpoint.0]);
        Accept::Connection { endpoint, peer, local }
    }

    /// A listener that rested goes on.
    pub(super) fn accept_again(&mut self, node: usize, number: u64) {
        if let Some(listener) = self.hosts[node].listeners.get_mut(&number) {
            listener.resting = false;
            self.list_listener(node, number);
        }
    }

    fn list_listener(&mut self, node: usize, number: u64) {
        let Some(listener) = self.hosts[node].listeners.get_mut(&number) else { return };
        if listener.listed || listener.resting || listener.queue.is_empty() {
            return;
        }
        listener.listed = true;
        let core = listener.core;
        let place = Place { node, core };
        self.gate_mut(place).ready.push(Ready::Listener(number));
        self.wake(place);
    }

    /// A core's program knows an endpoint by this name from now on. Nothing is read yet.
    pub(super) fn own(&mut self, id: EndpointId, place: Place, owner: SocketId) {
        if let Some(endpoint) = self.endpoints.get_mut(&id) {
            endpoint.place = place;
            endpoint.owner = Some(owner);
            endpoint.reading = false;
            self.list(id);
        }
    }

    /// Takes an endpoint from its core; the addresses of the other side and of ours. A connection that is
    /// gone (its node lost power) has none.
    pub(super) fn disown(&mut self, id: EndpointId) -> Option<(SocketAddr, SocketAddr)> {
        let endpoint = self.endpoints.get_mut(&id)?;
        let place = endpoint.place;
        endpoint.owner = None;
        endpoint.reading = false;
        endpoint.listed = false;
        let addresses = (endpoint.peer, endpoint.local);
        self.gate_mut(place).ready.retain(|ready| *ready != Ready::Endpoint(id));
        self.ground.record("detach", &[id.0]);
        Some(addresses)
    }

    fn add_endpoint(
        &mut self,
        place: Place,
        local: SocketAddr,
        peer: SocketAddr,
        remote_node: usize,
        stage: Stage,
    ) -> EndpointId {
        let (low, high) = self.ground.options.socket_buffer_bytes;
        let outbox_bytes_max = self.ground.dice.skewed(low as u64, high as u64) as usize;
        self.endpoints_made += 1;
        let id = EndpointId(self.endpoints_made);
        let endpoint = Endpoint {
            place,
            owner: None,
            local,
            peer,
            remote_node,
            remote: None,
            stage,
            closed: false,
            listed: false,
            began_at: self.ground.now,
            outbox: VecDeque::new(),
            outbox_bytes_max: outbox_bytes_max.max(1),
            in_flight: VecDeque::new(),
            arrival_entered: false,
            last_arrival: 0,
            window: 0,
            fin_wanted: false,
            fin_sent: false,
            held_since: None,
            held_times: 0,
            pending: None,
            inbox: VecDeque::new(),
            unreported_room: 0,
            reading: false,
            ended: None,
            ended_told: false,
            connect_result: None,
            send_result: None,
        };
        self.endpoints.insert(id, endpoint);
        id
    }

    /// Each end learns how much the other takes before it reads.
    fn share_windows(&mut self, one: EndpointId, other: EndpointId) {
        let (low, high) = self.ground.options.socket_buffer_bytes;
        for id in [one, other] {
            let window = self.ground.dice.skewed(low as u64, high as u64) as usize;
            self.endpoints.get_mut(&id).expect("both ends are there").window = window.max(1);
        }
    }

    /// A port of a node that neither a listener nor a connection of it uses.
    fn free_port(&mut self, node: usize) -> u16 {
        for _ in 0..=u16::MAX - EPHEMERAL_PORT_MIN {
            let port = self.hosts[node].next_port;
            self.hosts[node].next_port = port.checked_add(1).unwrap_or(EPHEMERAL_PORT_MIN);
            let listened =
                self.hosts[node].listeners.values().any(|listener| listener.address.port() == port);
            if !listened {
                return port;
            }
        }
        unreachable!("fewer listeners than ports")
    }
}
