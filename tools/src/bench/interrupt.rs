//! Ctrl-C during a run: the first one ends the measurement, and what was measured is told; the next ends the program.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::libc::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::error::BenchError;

/// What a shell shows for a program that a signal has ended, less the signal's number.
const CODE_BASE: i32 = 128;

/// The exit code of a run that Ctrl-C has ended early.
pub const EXIT_CODE: u8 = (CODE_BASE + SIGINT) as u8;

/// Whether the run is to end early.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes over SIGINT and SIGTERM.
    ///
    /// # Errors
    /// [`BenchError::System`] when the system refuses.
    pub fn listen() -> Result<Interrupt, BenchError> {
        let raised = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // In this order: the first signal finds the flag down.
            flag::register_conditional_shutdown(signal, CODE_BASE + signal, Arc::clone(&raised))
                .and_then(|_| flag::register(signal, Arc::clone(&raised)))
                .map_err(|error| BenchError::system("a signal", error))?;
        }
        Ok(Interrupt(raised))
    }

    /// Whether a signal has come.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
