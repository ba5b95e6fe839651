//! Files and folders.
//!
//! Tasks of a core ([`crate::Io::spawn`]) use them through [`Files`], which [`crate::Io::files`] gives. Every
//! operation is a future; its effect begins when the turn ends in which it was first polled. Operations that
//! are under way at the same time take effect in any order. A future that is dropped does not take its
//! operation back; the buffer is freed when the operation ends.
//!
//! # What is durable
//!
//! A write is durable after a [`File::sync`] that began when the write had ended. A name (a creation, a
//! rename, a removal) is durable after a [`Directory::sync`] that began when it had ended. Until then a power
//! cut may keep it, lose it or tear it, in any order; of a write, sectors of 512 bytes are kept or lost each
//! by itself. A sync that fails has dropped what it covered: the next one succeeds and says nothing about it.

mod aligned;
mod directory;
mod operation;
mod port;
mod threads;

pub use aligned::{AlignedBuffer, FILE_ALIGNMENT};
pub use directory::{Directory, DirectoryLock, File, Files};

#[cfg(feature = "sim")]
pub(crate) use operation::Open;
pub(crate) use operation::{Handle, Operation, Outcome};
pub(crate) use port::{FileDriver, PortDriver};
pub(crate) use threads::FileThreads;

/// What a folder holds under a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Entry {
    /// The name.
    pub name: String,
    /// Whether it is a folder.
    pub is_directory: bool,
}

/// Room on a volume.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Space {
    /// Bytes that can still be written by this process.
    pub free_bytes: u64,
    /// Bytes of the whole volume.
    pub total_bytes: u64,
}
