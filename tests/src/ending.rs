//! Telling threads that the test is over, also when it fails.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets a flag when it is dropped: threads that run until the flag is set end although the thread that would have set
/// it has panicked.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
