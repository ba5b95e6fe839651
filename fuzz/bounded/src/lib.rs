//! Every fuzz target once more for a stable compiler: over its corpus, and over inputs that are made from the corpus
//! and its dictionary. The seed is fixed, so that a failure comes again.

#![forbid(unsafe_code)]

mod dictionary;
mod mutation;
mod run;
mod targets;

pub use run::{Failure, corpus, folder, run};
pub use targets::{TARGETS, Target};
