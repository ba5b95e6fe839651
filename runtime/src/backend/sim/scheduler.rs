//! Whose turn it is.

use super::agenda::{Action, Place};
use super::dice::nanos;
use super::faults::FaultKind;
use super::network::Network;
use super::node::AfterTurn;
use super::world::World;
use crate::time::{Monotonic, WallTime};

impl World {
    /// Does the next thing on the agenda, if it is due by `limit`.
    pub(super) fn step(&mut self, limit: u64) -> bool {
        let action = {
            let mut network = self.network.lock();
            if network.ground.agenda.next_at().is_none_or(|at| at > limit) {
                return false;
            }
            let Some((at, action)) = network.ground.agenda.take() else { return false };
            network.ground.now = at;
            match action {
                Action::Turn { .. } => action,
                other => {
                    network.happen(other);
                    return true;
                }
            }
        };
        if let Action::Turn { place, ticket } = action {
            self.turn(place, ticket);
        }
        true
    }

    fn turn(&mut self, place: Place, ticket: u64) {
        let orders = {
            let mut network = self.network.lock();
            let gate = network.gate_mut(place);
            if gate.ticket != ticket || !self.nodes[place.node].runs(place.core) {
                return;
            }
            gate.turn_at = None;
            let orders = std::mem::take(&mut gate.orders);
            network.allow_mail(place);
            network.step_clock(place.node);
            network.ground.record("turn", &[place.node as u64, place.core as u64]);
            let (monotonic, wall) = network.clocks(place.node);
            self.nodes[place.node].set_clock(monotonic, wall);
            orders
        };
        let after = self.nodes[place.node].turn(place.core, orders);
        let mut network = self.network.lock();
        if let Some(after) = after {
            network.end_turn(place, &after);
        }
        // Wakers of tasks may be called from any core's turn.
        for (node, any) in self.nodes.iter().enumerate() {
            for core in 0..network.hosts[node].gates.len() {
                if any.has_woken_task(core) {
                    network.wake(Place { node, core });
                }
            }
        }
    }
}

impl Network {
    /// Does something that is not a turn.
    fn happen(&mut self, action: Action) {
        match action {
            Action::Turn { .. } => unreachable!("turns are the world's"),
            Action::Arrive { sender } => self.arrive(sender),
            Action::Window { sender, bytes } => self.window(sender, bytes),
            Action::Reset { endpoint } => self.reset_arrives(endpoint),
            Action::Knock { endpoint, attempt } => self.knock(endpoint, attempt),
            Action::Answer { endpoint, accepted } => self.answer(endpoint, accepted),
            Action::AcceptAgain { node, listener } => self.accept_again(node, listener),
            Action::Mail { to, from, life } => self.mail_arrives(to, from, life),
            Action::Order { to, life } => {
                if self.hosts[to.node].life == life {
                    self.gate_mut(to).orders += 1;
                    self.wake(to);
                }
            }
            Action::File { place, ticket, life } => self.file_operation_ends(place, ticket, life),
            Action::Partition => self.partition_by_chance(),
            Action::Heal { from, to, cut } => self.mend(from, to, cut),
        }
    }

    /// What a node's clocks show now.
    pub(super) fn clocks(&self, node: usize) -> (Monotonic, WallTime) {
        let now = self.ground.now;
        let offset = self.hosts[node].clock_offset;
        let wall = self.ground.options.wall_start.0.saturating_add(now).saturating_add_signed(offset);
        (Monotonic(now), WallTime(wall))
    }

    /// Lets a node's wall clock jump, now and then.
    fn step_clock(&mut self, node: usize) {
        let rate = self.ground.options.faults.clock_step_per_million;
        if self.ground.dice.per_million(rate) {
            let longest = nanos(self.ground.options.faults.clock_step_max);
            let step = self.ground.dice.between(0, longest.saturating_mul(2)) as i64 - longest as i64;
            self.hosts[node].clock_offset = step;
            self.ground.fault(FaultKind::ClockStep, "clock-step", &[node as u64, step as u64]);
        }
    }

    /// A turn takes its time; the next one follows when something is left or due.
    fn end_turn(&mut self, place: Place, after: &AfterTurn) {
        let (low, high) = self.ground.options.turn;
        let mut length = self.ground.dice.skewed(nanos(low), nanos(high));
        let rate = self.ground.options.faults.slow_turn_per_million;
        if self.ground.dice.per_million(rate) {
            length =
                self.ground.dice.between(length, nanos(self.ground.options.faults.slow_turn_max).max(length));
            self.ground.fault(FaultKind::SlowTurn, "slow", &[place.node as u64, place.core as u64, length]);
        }
        let now = self.ground.now;
        let gate = self.gate_mut(place);
        gate.busy_until = now + length;
        if after.stopped {
            gate.ready.clear();
            self.ground.record("stop", &[place.node as u64, place.core as u64]);
            return;
        }
        let left = after.has_work || gate.mail.iter().any(|arrived| *arrived > 0) || gate.orders > 0;
        // A turn that was entered while this one ran, for a time before its end, is late by that.
        if let Some(entered) = gate.turn_at.filter(|entered| *entered < gate.busy_until) {
            let at = gate.busy_until.max(entered);
            gate.turn_at = None;
            self.turn_by(place, at);
        }
        if left {
            self.wake(place);
        }
        if let Some(Monotonic(deadline)) = after.deadline {
            let lateness = self.ground.dice.skewed(0, nanos(self.ground.options.notice_max));
            self.turn_by(place, deadline.max(now).saturating_add(lateness));
        }
    }
}
