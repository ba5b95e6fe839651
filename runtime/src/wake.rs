//! Waking a core that sleeps.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering, fence};

/// How others wake one core: a flag that says whether it sleeps, and an eventfd that its backend waits on.
///
/// The protocol has two sides. The sleeper calls [`Wake::prepare_sleep`], looks once more at everything that
/// may have come in, and only then waits. Who brings something first makes it visible and then calls
/// [`Wake::notify`]. Both sides have a sequentially consistent fence between their store and their load, so
/// at least one of them sees the other.
#[derive(Debug)]
pub(crate) struct Wake {
    sleeping: AtomicBool,
    eventfd: Option<File>,
}

impl Wake {
    /// For a core with a thread of its own.
    pub(crate) fn new() -> std::io::Result<Wake> {
        // SAFETY: eventfd takes no pointers; a negative result is turned into an error below.
        let descriptor = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) };
        if descriptor < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: the call above returned this descriptor and nobody else owns it.
        let owned = unsafe { OwnedFd::from_raw_fd(descriptor) };
        Ok(Wake { sleeping: AtomicBool::new(false), eventfd: Some(File::from(owned)) })
    }

    /// For a core whose turns are driven by the simulator, which needs no waking.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn unattended() -> Wake {
        Wake { sleeping: AtomicBool::new(false), eventfd: None }
    }

    /// What the core's backend waits on while it sleeps.
    pub(crate) fn descriptor(&self) -> Option<RawFd> {
        self.eventfd.as_ref().map(AsRawFd::as_raw_fd)
    }

    /// The core is about to wait; it must look at its inputs once more after this.
    pub(crate) fn prepare_sleep(&self) {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// The core is awake.
    pub(crate) fn end_sleep(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    /// Something was made visible to the core: wake it if it sleeps.
    pub(crate) fn notify(&self) {
        fence(Ordering::SeqCst);
        // The swap makes sure that only one of several wakers pays for the system call.
        let asleep = self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::Relaxed);
        if let (true, Some(mut eventfd)) = (asleep, self.eventfd.as_ref()) {
            // The counter would have to reach 2^64 before this could block; nothing else can fail.
            let _ = eventfd.write_all(&1u64.to_ne_bytes());
        }
    }
}
