//! Reads, writes and flushes of files in the ring.

use super::UringSockets;
use super::ring::{Operation as RingOperation, Outcome as RingOutcome};
use crate::file::{Handle, Operation, Outcome};
use io_uring::{opcode, types};
use std::collections::VecDeque;
use std::io::Error;
use std::os::fd::AsRawFd;

/// The file operations that the kernel works on. Each stays in its slot, with its buffer and its open file,
/// until its outcome was taken.
#[derive(Default)]
pub(super) struct RingFiles {
    slots: Vec<Option<(u64, Operation)>>,
    free: Vec<u32>,
    /// Outcomes for the tasks.
    ended: VecDeque<(u64, Outcome)>,
}

impl RingFiles {
    /// Number of operations that the kernel works on.
    pub(super) fn under_way(&self) -> usize {
        self.slots.len() - self.free.len()
    }
}

impl UringSockets {
    /// See [`crate::backend::Sockets::begin_file_operation`].
    pub(crate) fn begin_file_operation(&mut self, ticket: u64, operation: Operation) -> Option<Operation> {
        if !matches!(operation, Operation::Read { .. } | Operation::Write { .. } | Operation::Sync { .. }) {
            return Some(operation);
        }
        let files = &mut self.files;
        let slot = files.free.pop().unwrap_or_else(|| {
            files.slots.push(None);
            u32::try_from(files.slots.len() - 1).expect("fewer than 2^32 operations")
        });
        let place = files.slots[slot as usize].insert((ticket, operation));
        let entry = match &mut place.1 {
            Operation::Read { file, buffer, offset } => {
                // The kernel counts in 32 bits; a read may be short.
                let length = u32::try_from(buffer.len()).unwrap_or(1 << 30);
                opcode::Read::new(descriptor(file), buffer.as_mut_ptr(), length).offset(*offset).build()
            }
            Operation::Write { file, buffer, offset } => {
                let length = u32::try_from(buffer.len()).unwrap_or(1 << 30);
                opcode::Write::new(descriptor(file), buffer.as_ptr(), length).offset(*offset).build()
            }
            Operation::Sync { file } => {
                opcode::Fsync::new(descriptor(file)).flags(types::FsyncFlags::DATASYNC).build()
            }
            _ => unreachable!("given back above"),
        };
        // SAFETY: the buffer's memory is owned by the operation in its slot, which is emptied only when the
        // outcome was taken; moving the slot does not move the memory.
        unsafe { self.ring.push(entry.user_data(RingOperation::File.token(slot))) };
        None
    }

    /// Works on the outcome of a file operation.
    pub(super) fn file_ended(&mut self, outcome: RingOutcome) {
        let place = self.files.slots.get_mut(outcome.number as usize).and_then(Option::take);
        let Some((ticket, operation)) = place else { return };
        self.files.free.push(outcome.number);
        let result = if outcome.result < 0 {
            Err(Error::from_raw_os_error(-outcome.result))
        } else {
            Ok(outcome.result as usize)
        };
        let outcome = match operation {
            Operation::Read { buffer, .. } | Operation::Write { buffer, .. } => {
                Outcome::Moved(result, buffer)
            }
            _ => Outcome::Done(result.map(|_| ())),
        };
        self.files.ended.push_back((ticket, outcome));
    }

    /// See [`crate::backend::Sockets::next_file_outcome`].
    pub(crate) fn next_file_outcome(&mut self) -> Option<(u64, Outcome)> {
        self.files.ended.pop_front()
    }
}

fn descriptor(handle: &Handle) -> types::Fd {
    match handle {
        Handle::Real(file) => types::Fd(file.file.as_raw_fd()),
        #[cfg(feature = "sim")]
        Handle::Sim(_) => unreachable!("a simulated file on a real core"),
    }
}
