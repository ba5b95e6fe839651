//! The parts of the `petrel` program, as a library so that the comparison in `perf/` drives the same load generator.

#![forbid(unsafe_code)]
// They panic when nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod bench;
pub mod config_check;
pub mod doctor;
pub mod output;
