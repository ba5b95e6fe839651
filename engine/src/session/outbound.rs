//! What waits to be written to a connection.

use std::collections::VecDeque;

/// A buffer that is this full is sent at once, or set aside while another is being written: what was encoded
/// last is then still in the core's cache when the kernel copies it.
pub(crate) const BUFFER_FULL_BYTES: usize = 64 * 1024;
/// Buffers of each kind that a core keeps for reuse.
const POOL_MAX: usize = 16;
/// Buffers of less memory are small: to fill one up means growing it several times, and copying it as often.
const GROWN_BYTES: usize = 4 * 1024;
/// Buffers that have grown beyond this go back to the allocator.
const POOLED_BYTES_MAX: usize = 4 * BUFFER_FULL_BYTES;

/// Empty buffers of a core, warm ones first.
#[derive(Default)]
pub(crate) struct BufferPool {
    grown: Vec<Vec<u8>>,
    small: Vec<Vec<u8>>,
}

impl BufferPool {
    /// An empty buffer, one that has grown where there is one.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.grown.pop().or_else(|| self.small.pop()).unwrap_or_default()
    }

    /// Takes a buffer back.
    pub(crate) fn give(&mut self, mut buffer: Vec<u8>) {
        let kind = match buffer.capacity() {
            1..GROWN_BYTES => &mut self.small,
            GROWN_BYTES..=POOLED_BYTES_MAX => &mut self.grown,
            _ => return,
        };
        if kind.len() < POOL_MAX {
            buffer.clear();
            kind.push(buffer);
        }
    }
}

/// The out-buffers of one connection. An idle connection holds none.
#[derive(Default)]
pub(crate) struct Outbound {
    /// What this turn appends to.
    pub(crate) current: Vec<u8>,
    /// Full buffers behind the one that is being written.
    queued: VecDeque<Vec<u8>>,
    /// Bytes of the buffer that the runtime is writing; 0: none is.
    in_flight_bytes: usize,
    /// Bytes of payloads that belong into `current` and still lie in the bytes they arrived in.
    pub(crate) detached_bytes: usize,
    /// Bytes in `queued`.
    queued_bytes: usize,
    /// Bytes that were handed to the kernel since the start.
    pub(crate) written_bytes: u64,
    memory: Memory,
}

/// What buffers take, whatever is in them.
#[derive(Clone, Copy, Default)]
struct Memory {
    queued_bytes: usize,
    in_flight_bytes: usize,
    /// Of the current buffer, when it was last looked at: it grows with each message.
    current_bytes: usize,
}

impl Outbound {
    /// Everything that waits, in bytes on the wire.
    #[inline]
    pub(crate) fn pending_bytes(&self) -> usize {
        self.current.len() + self.detached_bytes + self.queued_bytes + self.in_flight_bytes
    }

    /// Memory of the buffers that wait: the full ones, the one that is being written, and the current one as of the last
    /// [`Outbound::look_at_current`].
    pub(crate) fn memory_bytes(&self) -> usize {
        let Memory { queued_bytes, in_flight_bytes, current_bytes } = self.memory;
        queued_bytes + in_flight_bytes + current_bytes
    }

    /// Whether the runtime is writing a buffer.
    #[inline]
    pub(crate) fn is_writing(&self) -> bool {
        self.in_flight_bytes > 0
    }

    /// Bytes that the kernel has taken since the start, when it has `unsent` of the buffer under way left.
    pub(crate) fn taken_bytes(&self, unsent: usize) -> u64 {
        self.written_bytes + self.in_flight_bytes.saturating_sub(unsent) as u64
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.pending_bytes() == 0
    }

    /// The next buffer to send, when none is being written.
    pub(crate) fn next(&mut self) -> Option<Vec<u8>> {
        if self.is_writing() || self.detached_bytes > 0 {
            return None;
        }
        if let Some(buffer) = self.queued.pop_front() {
            self.queued_bytes -= buffer.len();
            self.memory.queued_bytes -= buffer.capacity();
            if self.queued.is_empty() {
                self.queued = VecDeque::new();
            }
            return Some(buffer);
        }
        self.memory.current_bytes = 0;
        (!self.current.is_empty()).then(|| std::mem::take(&mut self.current))
    }

    /// The current buffer has to wait: its memory counts from now on.
    pub(crate) fn look_at_current(&mut self) {
        self.memory.current_bytes = self.current.capacity();
    }

    /// The runtime keeps a buffer with this memory until these bytes are written.
    pub(crate) fn writing(&mut self, bytes: usize, memory_bytes: usize) {
        self.in_flight_bytes = bytes;
        self.memory.in_flight_bytes = memory_bytes;
    }

    /// What the runtime kept is written.
    pub(crate) fn written(&mut self) {
        self.written_bytes += self.in_flight_bytes as u64;
        self.in_flight_bytes = 0;
        self.memory.in_flight_bytes = 0;
    }

    /// Sets the current buffer aside, which cannot be sent yet.
    pub(crate) fn set_aside(&mut self, pool: &mut BufferPool) {
        let full = std::mem::replace(&mut self.current, pool.take());
        self.queued_bytes += full.len();
        self.memory.queued_bytes += full.capacity();
        self.memory.current_bytes = 0;
        self.queued.push_back(full);
    }

    /// Forgets everything that waits.
    pub(crate) fn clear(&mut self) {
        let written_bytes = self.written_bytes;
        *self = Outbound { written_bytes, ..Outbound::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_prefers_buffers_that_have_grown() {
        let mut pool = BufferPool::default();
        let mut grown = Vec::with_capacity(BUFFER_FULL_BYTES);
        grown.push(1);
        pool.give(grown);
        pool.give(Vec::with_capacity(100));
        let first = pool.take();
        assert!(first.is_empty() && first.capacity() >= BUFFER_FULL_BYTES);
        assert_eq!(pool.take().capacity(), 100);
        assert_eq!(pool.take().capacity(), 0);
    }

    #[test]
    fn memory_is_that_of_the_buffers_not_of_the_bytes_in_them() {
        let (mut pool, mut out) = (BufferPool::default(), Outbound::default());
        out.current = Vec::with_capacity(1000);
        out.current.extend_from_slice(b"full");
        assert_eq!(out.memory_bytes(), 0, "it is not known to wait");
        out.look_at_current();
        assert_eq!(out.memory_bytes(), 1000);
        out.set_aside(&mut pool);
        assert_eq!((out.memory_bytes(), out.pending_bytes()), (1000, 4));
        let buffer = out.next().unwrap();
        assert_eq!(out.memory_bytes(), 0);
        out.writing(3, buffer.capacity());
        assert_eq!((out.memory_bytes(), out.pending_bytes()), (1000, 3));
        out.written();
        assert_eq!(out.memory_bytes(), 0);
        out.writing(3, 10);
        out.clear();
        assert_eq!(out.memory_bytes(), 0);
    }

    #[test]
    fn the_pool_is_bounded() {
        let mut pool = BufferPool::default();
        for _ in 0..3 * POOL_MAX {
            pool.give(Vec::with_capacity(GROWN_BYTES));
            pool.give(Vec::with_capacity(1));
            pool.give(Vec::with_capacity(POOLED_BYTES_MAX + 1));
            pool.give(Vec::new());
        }
        let capacities: Vec<usize> = (0..3 * POOL_MAX).map(|_| pool.take().capacity()).collect();
        assert_eq!(capacities.iter().filter(|capacity| **capacity > 0).count(), 2 * POOL_MAX);
        assert!(capacities.iter().all(|capacity| *capacity <= POOLED_BYTES_MAX));
    }
}
