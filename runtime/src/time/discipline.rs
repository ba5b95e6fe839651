//! Whether something keeps the kernel's clock right.

use std::io::{Error, Result};
use std::time::Duration;

/// What the kernel knows of its own clock (adjtimex(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockDiscipline {
    /// A time service sets the clock.
    pub is_synchronized: bool,
    /// How wrong it may be at most; grows while nothing sets it.
    pub error_max: Duration,
}

/// Asks the kernel. Changes nothing and needs no privilege.
///
/// # Errors
/// When the call is forbidden, as some containers have it.
pub fn clock_discipline() -> Result<ClockDiscipline> {
    // SAFETY: zero bits are a valid `timex`; no bit of `modes` set means that nothing is changed.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live `timex`, which the call fills.
    let result = unsafe { libc::adjtimex(&mut state) };
    if result < 0 {
        return Err(Error::last_os_error());
    }
    let microseconds = u64::try_from(state.maxerror).unwrap_or(u64::MAX);
    Ok(ClockDiscipline {
        is_synchronized: result != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0,
        error_max: Duration::from_micros(microseconds),
    })
}
