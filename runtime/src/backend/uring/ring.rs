//! One core's io_uring: a queue of operations that never refuses, and their completions.

use io_uring::squeue::Entry;
use io_uring::types::{SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue};
use std::collections::VecDeque;
use std::io::Result;
use std::time::Duration;

const SUBMISSION_ENTRIES: u32 = 512;
const COMPLETION_ENTRIES: u32 = 4096;

/// What an operation is about: stands in its user data beside a number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Operation {
    /// Of no interest, such as cancelling.
    Ignored = 0,
    /// The core's eventfd.
    Wake = 1,
    /// Accepting on the listener of this number.
    Accept = 2,
    /// Receiving on the socket in this slot.
    Receive = 3,
    /// Sending on the socket in this slot.
    Send = 4,
    /// Connecting the socket in this slot.
    Connect = 5,
    /// Closing the socket in this slot.
    Close = 6,
    /// Reading, writing or flushing a file, in the slot of that operation.
    File = 7,
}

impl Operation {
    /// The user data of an operation.
    pub(super) fn token(self, number: u32) -> u64 {
        u64::from(self as u8) << 32 | u64::from(number)
    }

    fn of_token(token: u64) -> Operation {
        match token >> 32 {
            1 => Operation::Wake,
            2 => Operation::Accept,
            3 => Operation::Receive,
            4 => Operation::Send,
            5 => Operation::Connect,
            6 => Operation::Close,
            7 => Operation::File,
            _ => Operation::Ignored,
        }
    }
}

/// The end of an operation, or one result of several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    pub(super) operation: Operation,
    pub(super) number: u32,
    /// What the call would have returned; an error is its negative number.
    pub(super) result: i32,
    flags: u32,
}

impl Outcome {
    /// Whether the operation goes on and more outcomes follow.
    pub(super) fn continues(&self) -> bool {
        cqueue::more(self.flags)
    }

    /// The buffer that was received into.
    pub(super) fn buffer(&self) -> Option<u16> {
        cqueue::buffer_select(self.flags)
    }
}

/// A ring with what this backend relies on. Only the thread that makes it may use it.
pub(super) fn build(submissions: u32, completions: u32) -> Result<IoUring> {
    IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(completions)
        .dontfork()
        .build(submissions)
}

/// One core's ring.
pub(super) struct Ring {
    uring: IoUring,
    /// Operations for which the submission queue had no room, in order.
    backlog: VecDeque<Entry>,
}

impl Ring {
    pub(super) fn new() -> Result<Ring> {
        Ok(Ring { uring: build(SUBMISSION_ENTRIES, COMPLETION_ENTRIES)?, backlog: VecDeque::new() })
    }

    pub(super) fn uring(&self) -> &IoUring {
        &self.uring
    }

    /// Queues an operation. The kernel sees it, after all earlier ones, at the next call of
    /// [`Ring::enter_if_needed`] or [`Ring::wait`].
    ///
    /// # Safety
    /// Memory that the entry points to must stay valid until the operation's last outcome was taken.
    pub(super) unsafe fn push(&mut self, entry: Entry) {
        if self.backlog.is_empty() {
            // SAFETY: as promised by the caller.
            if unsafe { self.uring.submission().push(&entry) }.is_ok() {
                return;
            }
        }
        self.backlog.push_back(entry);
    }

    /// Moves waiting operations into the submission queue as far as it has room.
    fn fill_queue(&mut self) {
        if self.backlog.is_empty() {
            return;
        }
        let mut queue = self.uring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: the promise made to `push` still holds: the operation has not begun.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.backlog.pop_front();
        }
    }

    /// Enters the kernel without waiting, if there is anything to hand over or to pick up.
    pub(super) fn enter_if_needed(&mut self) {
        loop {
            self.fill_queue();
            let queue = self.uring.submission();
            let needed = !queue.is_empty() || queue.taskrun() || queue.cq_overflow();
            drop(queue);
            if !needed {
                return;
            }
            let before = self.backlog.len();
            if let Err(error) = self.uring.submit() {
                log_unexpected(&error);
                return;
            }
            if before == 0 {
                return;
            }
        }
    }

    /// Hands over what is queued and waits for at least one completion, at most for `timeout`.
    pub(super) fn wait(&mut self, timeout: Option<Duration>) {
        if !self.backlog.is_empty() {
            self.enter_if_needed();
        }
        let submitter = self.uring.submitter();
        let result = match timeout {
            None => submitter.submit_and_wait(1),
            Some(timeout) => {
                let timespec = Timespec::from(timeout);
                submitter.submit_with_args(1, &SubmitArgs::new().timespec(&timespec))
            }
        };
        if let Err(error) = result {
            log_unexpected(&error);
        }
    }

    /// Takes the outcomes that are there.
    pub(super) fn collect(&mut self, outcomes: &mut VecDeque<Outcome>) {
        outcomes.extend(self.uring.completion().map(|entry| Outcome {
            operation: Operation::of_token(entry.user_data()),
            number: entry.user_data() as u32,
            result: entry.result(),
            flags: entry.flags(),
        }));
    }
}

/// Logs what `io_uring_enter` should not have said. A timeout, a signal, and a completion queue that must be
/// emptied first are part of its normal life; the next turn tries again.
fn log_unexpected(error: &std::io::Error) {
    if !matches!(error.raw_os_error(), Some(libc::ETIME | libc::EINTR | libc::EBUSY | libc::EAGAIN)) {
        tracing::error!(%error, "io_uring_enter failed; the core tries again");
        // Without a pause an error that stays would fill the log and a CPU.
        std::thread::sleep(Duration::from_millis(10));
    }
}
