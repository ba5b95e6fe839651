//! Memory that direct I/O takes.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// Alignment of buffers in memory, and of offsets and lengths in files, that direct I/O is given: right for
/// every disk in use.
pub const FILE_ALIGNMENT: usize = 4096;

/// Owned bytes at an address that is a multiple of [`FILE_ALIGNMENT`]; so is their number.
pub struct AlignedBuffer {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the buffer owns its memory, as a `Box<[u8]>` does.
unsafe impl Send for AlignedBuffer {}
// SAFETY: shared access only reads.
unsafe impl Sync for AlignedBuffer {}

impl AlignedBuffer {
    /// Zeros.
    ///
    /// # Panics
    /// When `length` is 0 or no multiple of [`FILE_ALIGNMENT`].
    pub fn zeroed(length: usize) -> AlignedBuffer {
        assert!(length > 0 && length.is_multiple_of(FILE_ALIGNMENT), "{length} bytes are not whole blocks");
        let layout = AlignedBuffer::layout(length);
        // SAFETY: the layout's size is not zero.
        let memory = unsafe { alloc_zeroed(layout) };
        let Some(start) = NonNull::new(memory) else { handle_alloc_error(layout) };
        AlignedBuffer { start, length }
    }

    /// A copy of bytes, filled up with zeros to whole blocks; at least one block.
    pub fn padded(bytes: &[u8]) -> AlignedBuffer {
        let length = bytes.len().max(1).next_multiple_of(FILE_ALIGNMENT);
        let mut buffer = AlignedBuffer::zeroed(length);
        buffer[..bytes.len()].copy_from_slice(bytes);
        buffer
    }

    fn layout(length: usize) -> Layout {
        Layout::from_size_align(length, FILE_ALIGNMENT)
            .expect("no buffer is as long as half the address space")
    }
}

impl Drop for AlignedBuffer {
    fn drop(&mut self) {
        // SAFETY: allocated by `zeroed` with the same layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), AlignedBuffer::layout(self.length)) };
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the memory is owned, of this length, and initialised: it began as zeros.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and `self` is borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl fmt::Debug for AlignedBuffer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "AlignedBuffer({} bytes)", self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_zeroed_and_padded() {
        let mut buffer = AlignedBuffer::zeroed(3 * FILE_ALIGNMENT);
        assert_eq!(buffer.as_ptr() as usize % FILE_ALIGNMENT, 0);
        assert!(buffer.iter().all(|byte| *byte == 0));
        buffer.fill(7);
        assert_eq!(buffer.len(), 3 * FILE_ALIGNMENT);
        let padded = AlignedBuffer::padded(&[9; FILE_ALIGNMENT + 1]);
        assert_eq!(padded.len(), 2 * FILE_ALIGNMENT);
        assert_eq!((padded[FILE_ALIGNMENT], padded[FILE_ALIGNMENT + 1]), (9, 0));
        assert_eq!(AlignedBuffer::padded(&[]).len(), FILE_ALIGNMENT);
    }

    #[test]
    #[should_panic(expected = "whole blocks")]
    fn odd_lengths_are_refused() {
        AlignedBuffer::zeroed(1000);
    }
}
