//! The nodes of a world and the programs on their cores.

use super::agenda::Place;
use super::dice::Dice;
use super::files::SimFiles;
use super::mail::connect_cores;
use super::sockets::{SharedNetwork, SimSockets};
use crate::backend::Sockets;
use crate::core::{self, CoreParts, CoreState};
use crate::file::FileDriver;
use crate::launch::BackendKind;
use crate::program::{CoreId, Program};
use crate::tasks::Tasks;
use crate::time::clock::{Clock, SimClock};
use crate::time::{Monotonic, WallTime};
use crate::wake::Wake;
use std::any::Any;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

/// What a turn leaves behind.
#[derive(Debug)]
pub(super) struct AfterTurn {
    /// The program asked for the end of its core.
    pub(super) stopped: bool,
    /// Something waits that no event will tell of.
    pub(super) has_work: bool,
    /// When the next timer is due, by the node's clock.
    pub(super) deadline: Option<Monotonic>,
}

/// A node, whatever program it runs.
pub(super) trait AnyNode {
    /// Makes the programs of another life.
    fn boot(&mut self, network: &SharedNetwork, life: u64);
    /// Ends all programs at once, without a word to them.
    fn halt(&mut self);
    /// Whether a core's program runs.
    fn runs(&self, core: usize) -> bool;
    /// Runs a turn of a core, its start before the first one. `orders` of those that wait are handed over.
    fn turn(&mut self, core: usize, orders: usize) -> Option<AfterTurn>;
    /// Whether a task of a core was woken outside of its turns.
    fn has_woken_task(&self, core: usize) -> bool;
    /// Sets the clocks of all cores.
    fn set_clock(&self, monotonic: Monotonic, wall: WallTime);
    /// For the typed calls of the world.
    fn as_any(&mut self) -> &mut dyn Any;
}

struct Core<P: Program> {
    program: P,
    state: CoreState<P::Mail>,
    started: bool,
    /// Orders that were sent, visible or not.
    orders: VecDeque<P::Order>,
    /// Orders of the present turn.
    turn_orders: VecDeque<P::Order>,
}

/// A node that runs `P` on its cores.
pub(super) struct Node<P: Program> {
    number: usize,
    slots: usize,
    seed: u64,
    make: Box<dyn FnMut(CoreId, usize) -> P>,
    clock: Rc<SimClock>,
    cores: Vec<Option<Core<P>>>,
}

impl<P: Program> Node<P> {
    pub(super) fn new(
        number: usize,
        cores: usize,
        slots: usize,
        seed: u64,
        make: impl FnMut(CoreId, usize) -> P + 'static,
    ) -> Node<P> {
        Node {
            number,
            slots,
            seed,
            make: Box::new(make),
            clock: Rc::default(),
            cores: (0..cores).map(|_| None).collect(),
        }
    }

    /// Queues an order. False when the core has stopped.
    pub(super) fn order(&mut self, core: usize, order: P::Order) -> bool {
        match &mut self.cores[core] {
            Some(core) => {
                core.orders.push_back(order);
                true
            }
            None => false,
        }
    }

    /// The program of a core that runs.
    pub(super) fn program(&mut self, core: usize) -> Option<&mut P> {
        self.cores[core].as_mut().map(|core| &mut core.program)
    }
}

impl<P: Program> AnyNode for Node<P> {
    fn boot(&mut self, network: &SharedNetwork, life: u64) {
        let count = self.cores.len();
        let ports = connect_cores(network, self.number, life, count, self.slots);
        for (number, mail) in ports.into_iter().enumerate() {
            let core = CoreId(u16::try_from(number).expect("fewer than 2^16 cores"));
            let place = Place { node: self.number, core: number };
            let purpose = (life << 16) | number as u64;
            let state = CoreState::new(CoreParts {
                core,
                backend: BackendKind::Sim,
                clock: Clock::Sim(self.clock.clone()),
                sockets: Sockets::Sim(Box::new(SimSockets::new(network.clone(), place))),
                mail,
                random_seed: Dice::new(self.seed, purpose).bits(),
                tasks: Tasks::new(Arc::new(Wake::unattended())),
                files: FileDriver::Sim(SimFiles::new(network.clone(), place, life)),
            });
            let program = (self.make)(core, count);
            self.cores[number] = Some(Core {
                program,
                state,
                started: false,
                orders: VecDeque::new(),
                turn_orders: VecDeque::new(),
            });
        }
    }

    fn halt(&mut self) {
        for core in &mut self.cores {
            *core = None;
        }
    }

    fn runs(&self, core: usize) -> bool {
        self.cores[core].is_some()
    }

    fn turn(&mut self, core: usize, orders: usize) -> Option<AfterTurn> {
        let place = &mut self.cores[core];
        let core = place.as_mut()?;
        if !core.started {
            core.started = true;
            core::start(&mut core.program, &mut core.state);
        }
        if !core.state.stopping {
            let visible = core.orders.drain(..orders.min(core.orders.len()));
            core.turn_orders.extend(visible);
            core::turn(&mut core.program, &mut core.state, &mut core.turn_orders);
        }
        let after = AfterTurn {
            stopped: core.state.stopping,
            has_work: core.state.has_work(),
            deadline: core.state.next_deadline(),
        };
        if after.stopped {
            *place = None;
        }
        Some(after)
    }

    fn has_woken_task(&self, core: usize) -> bool {
        self.cores[core].as_ref().is_some_and(|core| core.state.tasks.has_work())
    }

    fn set_clock(&self, monotonic: Monotonic, wall: WallTime) {
        self.clock.monotonic.set(monotonic);
        self.clock.wall.set(wall);
    }

    fn as_any(&mut self) -> &mut dyn Any {
        self
    }
}
