//! Processes that this one starts.

use std::io::{Error, ErrorKind};
use std::os::unix::process::{CommandExt, parent_id};
use std::process::Command;

/// Lets the process that `command` starts get SIGTERM when the thread that starts it ends, in whatever way: also when
/// this process is killed and cannot clean up behind itself. To be started on a thread that lives as long as the process
/// shall, such as the main thread: a helper that starts it and returns, or a thread of a pool, ends it soon after.
pub fn end_with_this_thread(command: &mut Command) {
    let parent = std::process::id();
    let tie = move || {
        // SAFETY: with these arguments the call touches no memory.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM) } != 0 {
            return Err(Error::last_os_error());
        }
        // It may have ended before the kernel knew of the wish.
        if parent_id() == parent { Ok(()) } else { Err(ErrorKind::NotFound.into()) }
    };
    // SAFETY: between fork and exec only two system calls are made: nothing is allocated and no lock is taken.
    unsafe { command.pre_exec(tie) };
}
