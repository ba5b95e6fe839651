//! Comparisons with peers, profiles, and runs within a small node. The programs are `compare`, `profile` and `node`.

#![forbid(unsafe_code)]
// They panic when nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod certificates;
pub mod confinement;
pub mod flamegraph;
pub mod folded;
pub mod generator;
pub mod machine;
pub mod measurement;
pub mod off_cpu;
pub mod operate;
pub mod peers;
pub mod public_client;
pub mod results;
pub mod row;
pub mod scenario;
pub mod server;
pub mod target;
pub mod turns;
