//! SIGQUIT: the server says what its threads do and ends at once. It is what operators send to a server that hangs, so
//! nothing here waits for a core or for the thread that handles the other signals.

use crate::console;
use crate::log::Log;
use crate::monitor::internals;
use tracing::info;

/// The exit code of upstream's runtime.
const EXIT_CODE: i32 = 2;

/// Ends the process, without a core dump. Clients see their connections go, as they would if it was killed; lines that
/// were logged before are written, if that does not take long.
pub fn end_at_once(log: &Log) -> ! {
    info!("Trapped \"quit\" signal");
    log.flush();
    console::complain(&format!("SIGQUIT: quit\n\n{}", internals::stacksz()));
    std::process::exit(EXIT_CODE)
}
