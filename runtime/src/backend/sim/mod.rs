//! A world of nodes on one thread, from a seed.
//!
//! A [`World`] holds nodes; each has an address and cores; each core runs a [`crate::Program`]. Time is
//! virtual: it jumps from one thing that happens to the next. All that is left open by what TCP, threads and
//! clocks promise is decided by chance, from the seed: how bytes are split, when a core gets to run and how
//! long a turn takes, how much mail it sees at once, in which order sockets become ready. Faults come on top
//! ([`FaultOptions`]); each that takes effect is counted ([`World::fault_counts`]). Everything that takes
//! effect goes into a [`Trace`], so that a test can run a seed twice and compare.
//!
//! Clients of a test are programs as well, on nodes of their own.
//!
//! ```
//! use petrel_runtime::sim::{SimOptions, World};
//! use petrel_runtime::{Event, Io, Program, SocketId, TimerToken};
//! use std::time::Duration;
//!
//! struct Clockwork { ticks: u32 }
//! impl Program for Clockwork {
//!     type Mail = ();
//!     type Order = ();
//!     fn start(&mut self, io: &mut Io<'_, ()>) {
//!         io.set_timer(io.now().after(Duration::from_secs(1)), TimerToken(0));
//!     }
//!     fn event(&mut self, _: Event<'_, (), ()>, io: &mut Io<'_, ()>) {
//!         self.ticks += 1;
//!         io.set_timer(io.now().after(Duration::from_secs(1)), TimerToken(0));
//!     }
//!     fn finish_turn(&mut self, _: &mut Io<'_, ()>) {}
//!     fn panicked(&mut self, _: Option<SocketId>, message: &str, _: &mut Io<'_, ()>) { panic!("{message}") }
//! }
//!
//! let mut world = World::new(SimOptions::new(7));
//! let node = world.add_node(1, "10.0.0.1".parse().unwrap(), |_, _| Clockwork { ticks: 0 });
//! world.run_for(Duration::from_secs(10));
//! assert!(world.with_program(node, 0, |clockwork| clockwork.ticks) >= 9);
//! ```

mod agenda;
mod connection;
mod content;
mod dice;
mod disk;
mod disk_options;
mod faults;
mod files;
mod ground;
mod mail;
mod names;
mod network;
mod node;
mod options;
mod scheduler;
mod sockets;
mod stream;
mod trace;
mod world;

pub use disk_options::DiskOptions;
pub use faults::{FaultCounts, FaultKind, FaultOptions};
pub use files::SimDisk;
pub use options::SimOptions;
pub use trace::Trace;
pub use world::{Crash, NodeHandle, World};

pub(crate) use files::{SimFile, SimFiles};
pub(crate) use mail::SimMailPort;
pub(crate) use sockets::{SimDetached, SimSockets};
