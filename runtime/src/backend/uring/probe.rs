//! Whether this machine and this process may have what the backend needs.

use super::buffers::BufferPool;
use super::ring;
use io_uring::{IoUring, opcode};
use std::io::{Error, ErrorKind};

/// glommio registers this much memory for each of a core's three rings and refuses to start where the limit
/// on locked memory is below 512 KiB.
const LOCKED_MEMORY_BYTES_MIN: u64 = 512 * 1024;

/// Sets up a small ring as a core would, lets it carry one operation, and takes it down again.
pub(crate) fn probe() -> Result<(), String> {
    check_locked_memory()?;
    // Single-issuer rings belong to one thread; a thread of its own keeps the caller free of it. The caller does
    // not wait for the ring to be taken down: on a busy machine the kernel can take seconds for that.
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name("petrel-probe".to_owned()).spawn(move || try_ring(&answer));
    thread.map_err(|error| format!("a thread for probing io_uring cannot be started: {error}."))?;
    answered.recv().unwrap_or_else(|_| Err("probing io_uring panicked.".to_owned()))
}

fn try_ring(answer: &std::sync::mpsc::SyncSender<Result<(), String>>) {
    let mut ring = match ring::build(8, 16) {
        Ok(ring) => ring,
        Err(error) => return tell(answer, Err(explain(&error))),
    };
    let features = ring.params();
    if !features.is_feature_ext_arg() || !features.is_feature_nodrop() {
        return tell(answer, Err(TOO_OLD.to_owned()));
    }
    // The pool has to outlive the ring: see the end.
    let pool = match BufferPool::new(&ring) {
        Ok(pool) => pool,
        Err(error) => return tell(answer, Err(explain(&error))),
    };
    tell(answer, carry_one(&mut ring).map_err(|error| explain(&error)));
    drop(ring);
    drop(pool);
}

fn tell(answer: &std::sync::mpsc::SyncSender<Result<(), String>>, result: Result<(), String>) {
    // There is room for one answer, and whoever asked waits for it.
    let _ = answer.send(result);
}

fn carry_one(ring: &mut IoUring) -> std::io::Result<()> {
    // SAFETY: the operation does nothing and points to no memory.
    let pushed = unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(1)) };
    pushed.map_err(|_| Error::other("a new submission queue is full"))?;
    ring.submit_and_wait(1)?;
    match ring.completion().next() {
        Some(entry) if entry.user_data() == 1 && entry.result() == 0 => Ok(()),
        Some(entry) if entry.result() < 0 => Err(Error::from_raw_os_error(-entry.result())),
        _ => Err(Error::other("an operation was lost")),
    }
}

const TOO_OLD: &str = "The kernel's io_uring is too old: Linux 6.1 or newer is needed.";

/// One plain sentence for what the kernel said.
fn explain(error: &Error) -> String {
    match error.raw_os_error() {
        Some(libc::ENOSYS) => {
            "io_uring is not in this kernel or is hidden by a seccomp filter: allow io_uring_setup, \
             io_uring_enter and io_uring_register, or use Linux 6.1 or newer."
                .to_owned()
        }
        Some(libc::EPERM | libc::EACCES) if disabled_by_sysctl() => {
            "io_uring is switched off: set kernel.io_uring_disabled=0 with sysctl.".to_owned()
        }
        Some(libc::EPERM | libc::EACCES) => {
            "io_uring is denied, as container runtimes do by default: allow io_uring_setup, io_uring_enter and \
             io_uring_register in the seccomp profile."
                .to_owned()
        }
        Some(libc::EINVAL) => TOO_OLD.to_owned(),
        Some(libc::ENOMEM) => {
            "io_uring may not lock enough memory: raise the memlock limit to 8 MiB or more \
             (ulimit -l, LimitMEMLOCK=)."
                .to_owned()
        }
        Some(libc::EMFILE | libc::ENFILE) => {
            "No descriptor is left for io_uring: raise the limit on open files (ulimit -n, LimitNOFILE=).".to_owned()
        }
        _ if error.kind() == ErrorKind::Other => format!("io_uring does not work here: {error}."),
        _ => format!("io_uring cannot be set up: {error}."),
    }
}

/// `kernel.io_uring_disabled`: 2 denies it to all, 1 to processes without a capability (since Linux 6.6).
fn disabled_by_sysctl() -> bool {
    std::fs::read_to_string("/proc/sys/kernel/io_uring_disabled")
        .is_ok_and(|value| matches!(value.trim(), "1" | "2"))
}

fn check_locked_memory() -> Result<(), String> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer is to a live rlimit that the call fills.
    let answered = unsafe { libc::getrlimit(libc::RLIMIT_MEMLOCK, &mut limit) } == 0;
    if answered && limit.rlim_cur < LOCKED_MEMORY_BYTES_MIN {
        return Err(format!(
            "The limit on locked memory is {} KiB: raise it to 8 MiB or more (ulimit -l, LimitMEMLOCK=).",
            limit.rlim_cur / 1024
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_denial_names_its_remedy() {
        for (code, word) in [
            (libc::ENOSYS, "6.1"),
            (libc::EPERM, "io_uring_"),
            (libc::EINVAL, "6.1"),
            (libc::ENOMEM, "memlock"),
            (libc::EMFILE, "ulimit -n"),
            (libc::EIO, "cannot be set up"),
        ] {
            let sentence = explain(&Error::from_raw_os_error(code));
            assert!(sentence.contains(word), "{sentence}");
            assert!(sentence.ends_with('.'), "{sentence}");
        }
    }
}
