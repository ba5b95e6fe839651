//! The buffers that a core's ring receives into.

use crate::backend::READ_BUFFER_BYTES;
use io_uring::IoUring;
use io_uring::types::BufRingEntry;
use std::io::{Error, Result};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};

/// Number of buffers of a core. Memory that was never received into is never touched.
const BUFFERS: u16 = 256;
/// Buffers that the kernel is offered at first. Few, because it takes them in turn: what one core receives
/// into should stay in its cache.
const OFFERED_MIN: u16 = 32;
/// How many more are offered after a shortage.
const OFFERED_STEP: u16 = 32;
/// One buffer fewer is offered after this many uses without a shortage.
const USES_BEFORE_SHRINK: u32 = 16 * 1024;
/// The group that receives name to take from these buffers.
pub(super) const BUFFER_GROUP: u16 = 0;

/// Memory of whole pages, zeroed, not touched before it is used.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    length: usize,
}

impl Pages {
    fn new(length: usize) -> Result<Pages> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory in use.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(Error::last_os_error());
        }
        NonNull::new(start.cast::<u8>())
            .map(|start| Pages { start, length })
            .ok_or_else(|| Error::other("a mapping at address zero"))
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `new` with this start and length, and nothing points to it: slices
        // own a share of it, and operations of the kernel have ended (see `UringSockets::drop`).
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// Bytes that the kernel received into a buffer. Goes back to the pool with [`BufferPool::recycle`].
#[derive(Debug)]
pub(crate) struct RingSlice {
    memory: Rc<Pages>,
    buffer: u16,
    length: u32,
}

impl RingSlice {
    pub(crate) fn as_slice(&self) -> &[u8] {
        let start = usize::from(self.buffer) * READ_BUFFER_BYTES;
        debug_assert!(start + self.length as usize <= self.memory.length);
        // SAFETY: `BufferPool::received` checked that the buffer is one of the pool's and the length within
        // it. The kernel wrote it and does not know the buffer any more until `recycle` takes this slice.
        unsafe { std::slice::from_raw_parts(self.memory.start.as_ptr().add(start), self.length as usize) }
    }
}

/// A core's buffers for receiving, and the ring through which the kernel is offered them.
#[derive(Debug)]
pub(super) struct BufferPool {
    memory: Rc<Pages>,
    offers: Pages,
    tail: u16,
    /// Buffers that are not offered.
    spare: Vec<u16>,
    offered_target: u16,
    uses_since_shortage: u32,
}

impl BufferPool {
    /// Makes the pool and registers it with a ring, which must be dropped before the pool is.
    pub(super) fn new(ring: &IoUring) -> Result<BufferPool> {
        let memory = Pages::new(usize::from(BUFFERS) * READ_BUFFER_BYTES)?;
        let offers = Pages::new(usize::from(BUFFERS) * size_of::<BufRingEntry>())?;
        let address = offers.start.as_ptr() as u64;
        // SAFETY: the mapping has room for this many entries, is aligned to pages, and lives until after the
        // ring is gone.
        unsafe { ring.submitter().register_buf_ring_with_flags(address, BUFFERS, BUFFER_GROUP, 0)? };
        let mut pool = BufferPool {
            memory: Rc::new(memory),
            offers,
            tail: 0,
            // From the end, so that the first buffers are offered first.
            spare: (0..BUFFERS).rev().collect(),
            offered_target: 0,
            uses_since_shortage: 0,
        };
        pool.offer_more(OFFERED_MIN);
        Ok(pool)
    }

    /// The bytes of a completed receive. `None` when the kernel names what was never offered.
    pub(super) fn received(&self, buffer: u16, length: u32) -> Option<RingSlice> {
        let plausible = buffer < BUFFERS && length as usize <= READ_BUFFER_BYTES;
        plausible.then(|| RingSlice { memory: self.memory.clone(), buffer, length })
    }

    /// Offers the buffer of a slice again.
    pub(super) fn recycle(&mut self, slice: RingSlice) {
        self.uses_since_shortage += 1;
        if self.uses_since_shortage >= USES_BEFORE_SHRINK && self.offered_target > OFFERED_MIN {
            self.uses_since_shortage = 0;
            self.offered_target -= 1;
            self.release_memory(slice.buffer);
            self.spare.push(slice.buffer);
            return;
        }
        self.offer(slice.buffer);
        self.show_offers();
    }

    /// The kernel found no buffer: more sockets have news at once than buffers were offered.
    pub(super) fn shortage(&mut self) {
        self.uses_since_shortage = 0;
        self.offer_more(OFFERED_STEP);
    }

    /// Never gives the memory back, because the kernel may still write to it.
    pub(super) fn leak(&mut self) {
        std::mem::forget(self.memory.clone());
        // The offers are pinned by the ring's registration and only read by the kernel.
    }

    fn offer_more(&mut self, count: u16) {
        for _ in 0..count {
            let Some(buffer) = self.spare.pop() else { break };
            self.offered_target += 1;
            self.offer(buffer);
        }
        self.show_offers();
    }

    fn offer(&mut self, buffer: u16) {
        let index = usize::from(self.tail & (BUFFERS - 1));
        let start = usize::from(buffer) * READ_BUFFER_BYTES;
        // SAFETY: the index is within the mapping, which is aligned and zeroed, a valid value for an entry.
        // The kernel does not read it: an entry is past the tail until `show_offers`, and at most BUFFERS
        // buffers are offered at once, each only once.
        unsafe {
            let entry = &mut *self.offers.start.as_ptr().cast::<BufRingEntry>().add(index);
            entry.set_addr(self.memory.start.as_ptr().add(start) as u64);
            entry.set_len(READ_BUFFER_BYTES as u32);
            entry.set_bid(buffer);
        }
        self.tail = self.tail.wrapping_add(1);
    }

    fn show_offers(&mut self) {
        // SAFETY: the pointer is to the first entry of the mapping, in which the kernel expects the tail; it
        // is aligned for 16 bits, and all access to it from both sides is atomic.
        let tail =
            unsafe { AtomicU16::from_ptr(BufRingEntry::tail(self.offers.start.as_ptr().cast()).cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }

    fn release_memory(&self, buffer: u16) {
        let start = usize::from(buffer) * READ_BUFFER_BYTES;
        // SAFETY: the range is one buffer of the mapping that neither the kernel nor a slice uses now; its
        // content may become zeros. A failure only keeps the memory.
        unsafe {
            let start = self.memory.start.as_ptr().add(start).cast();
            libc::madvise(start, READ_BUFFER_BYTES, libc::MADV_DONTNEED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_the_kernel_cannot_mean_is_refused() {
        let Ok(ring) = super::super::ring::build(8, 16) else { return };
        let pool = BufferPool::new(&ring).unwrap();
        assert!(pool.received(BUFFERS, 1).is_none());
        assert!(pool.received(0, READ_BUFFER_BYTES as u32 + 1).is_none());
        assert_eq!(
            pool.received(BUFFERS - 1, READ_BUFFER_BYTES as u32).unwrap().as_slice().len(),
            READ_BUFFER_BYTES
        );
        drop(ring);
    }

    #[test]
    fn offers_grow_with_shortages_and_shrink_with_peace() {
        let Ok(ring) = super::super::ring::build(8, 16) else { return };
        let mut pool = BufferPool::new(&ring).unwrap();
        assert_eq!(pool.offered_target, OFFERED_MIN);
        for _ in 0..20 {
            pool.shortage();
        }
        assert_eq!((pool.offered_target, pool.spare.len()), (BUFFERS, 0));
        for _ in 0..USES_BEFORE_SHRINK {
            let slice = pool.received(7, 1).unwrap();
            // Taken back from the offers, as the kernel would.
            pool.tail = pool.tail.wrapping_sub(1);
            pool.recycle(slice);
        }
        assert_eq!(pool.offered_target, BUFFERS - 1);
        assert_eq!(pool.spare, [7]);
        drop(ring);
    }
}
