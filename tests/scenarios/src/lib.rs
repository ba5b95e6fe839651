//! The shipped shard on the simulator, fed with bytes by simulated clients and judged by an oracle.
//!
//! A [`scenario::Scenario`] is run for a seed, which decides everything: cores, delays, buffers, what clients do
//! and when. Clients ([`client::Client`]) speak the real protocol over the simulated network; the oracle
//! ([`ledger::Ledger`]) sees what they write and read and nothing of the server's inside. A run that breaks a
//! rule is repeated with `petrel-sim <scenario> --seed N`.

pub mod boundary;
pub mod campaign;
pub mod client;
pub mod effects;
pub mod handshakes;
pub mod ledger;
#[cfg(feature = "mutations")]
pub mod mutants;
pub mod plan;
pub mod run;
pub mod scenario;
pub mod script;
pub mod stand_in;
pub mod subject;
pub mod traffic;
pub mod wire;

pub use petrel_random as random;
