//! The parts of the `petrel` program, as a library so that the comparison in `perf/` drives the same load generator.

#![forbid(unsafe_code)]

pub mod bench;
pub mod config_check;
pub mod doctor;
mod output;
