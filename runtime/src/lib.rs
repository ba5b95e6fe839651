//! One core's world: time, timers, randomness, sockets, and mailboxes between cores.
//!
//! Everything above this crate is a [`Program`]: a state machine that is fed [`Event`]s and acts on the world
//! through [`Io`]. The crate is the only one that names glommio or io_uring, and the only one with `unsafe`.
//! Three backends drive the same program and cannot be told apart from above:
//!
//! * `uring`: a glommio executor per core with one private ring for sockets;
//! * `epoll`: where io_uring is denied;
//! * `sim` (feature `sim`): many nodes with many cores on one thread, from a seed.
//!
//! # The turn
//!
//! A *turn* is one pass of a core's loop: completions, mailboxes, orders and due timers are handed to the
//! program as events, then [`Program::finish_turn`] runs once, then the core parks until something happens.
//! There is no timer in a turn: latency never waits for a batch to fill.
//!
//! # Example
//!
//! A node of one core that sends back what it receives, asked once and stopped:
//!
//! ```
//! use petrel_runtime::{Event, Io, LaunchOptions, ListenOptions, Program, SocketId, launch};
//! use std::io::{Read, Write};
//! use std::net::{SocketAddr, TcpStream};
//! use std::sync::mpsc::Sender;
//!
//! struct Echo(Sender<SocketAddr>);
//!
//! impl Program for Echo {
//!     type Mail = ();
//!     type Order = ();
//!
//!     fn start(&mut self, io: &mut Io<'_, ()>) {
//!         let options = ListenOptions { address: "127.0.0.1:0".parse().unwrap(), backlog: 128 };
//!         self.0.send(io.listen(&options).unwrap().1).unwrap();
//!     }
//!
//!     fn event(&mut self, event: Event<'_, (), ()>, io: &mut Io<'_, ()>) {
//!         match event {
//!             Event::Accepted { socket, .. } => io.resume_read(socket),
//!             Event::Received { socket, data } => drop(io.send(socket, data.to_vec())),
//!             Event::Ended { socket, .. } => {
//!                 io.close(socket);
//!                 io.stop();
//!             }
//!             _ => {}
//!         }
//!     }
//!
//!     fn finish_turn(&mut self, _io: &mut Io<'_, ()>) {}
//!
//!     fn panicked(&mut self, socket: Option<SocketId>, message: &str, io: &mut Io<'_, ()>) {
//!         eprintln!("{message}");
//!         socket.into_iter().for_each(|socket| io.close(socket));
//!     }
//! }
//!
//! let (report, address) = std::sync::mpsc::channel();
//! let options = LaunchOptions { cpus: petrel_runtime::online_cpus()[..1].to_vec(), ..Default::default() };
//! let node = launch(&options, move |_core, _core_count| Echo(report.clone()))?;
//! let mut client = TcpStream::connect(address.recv()?)?;
//! client.write_all(b"hello")?;
//! let mut answer = [0; 5];
//! client.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"hello");
//! drop(client);
//! node.join()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod backend;
#[cfg(feature = "benchmarks")]
pub mod benchmarks;
mod child;
#[cfg(feature = "conformance")]
pub mod conformance;
mod control;
mod core;
mod cpu;
pub mod file;
mod histogram;
mod io;
mod launch;
mod mailbox;
mod net;
mod node;
mod program;
mod random;
mod tasks;
pub mod time;
mod wake;

pub use crate::core::panic_message;
#[cfg(feature = "sim")]
pub use backend::sim;
pub use child::end_with_this_thread;
pub use control::OrderSender;
pub use cpu::{ThreadClock, online_cpus};
pub use histogram::{BOUNDS_NS, Histogram};
pub use io::Io;
pub use launch::{
    BackendChoice, BackendKind, LaunchError, LaunchOptions, RunningNode, launch, probe_io_uring,
};
pub use net::{Detached, End, ListenOptions, ListenerId, SendOutcome, SocketId};
pub use program::{CoreId, Event, Program};
pub use random::RandomStream;
pub use time::{Monotonic, TimerId, TimerToken, WallTime};
