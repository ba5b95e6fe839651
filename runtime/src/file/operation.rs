//! What is done to files, and how it ended.

use super::{AlignedBuffer, Entry, Space};
use std::io::Result;
use std::path::PathBuf;
use std::sync::Arc;

/// An open file or folder of the kernel.
#[derive(Debug)]
pub(crate) struct RealFile {
    pub(crate) file: std::fs::File,
    pub(crate) path: PathBuf,
    /// Opened for direct I/O.
    pub(crate) is_direct: bool,
}

/// An open file or folder. It stays open as long as an operation needs it.
#[derive(Clone, Debug)]
pub(crate) enum Handle {
    Real(Arc<RealFile>),
    #[cfg(feature = "sim")]
    Sim(Arc<crate::backend::sim::SimFile>),
}

impl Handle {
    /// Whether reads and writes go past the kernel's cache.
    pub(crate) fn is_direct(&self) -> bool {
        match self {
            Handle::Real(file) => file.is_direct,
            #[cfg(feature = "sim")]
            Handle::Sim(_) => true,
        }
    }
}

/// How a folder's child is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Open {
    /// A file that is there.
    File,
    /// A file that is not there yet.
    NewFile,
    /// A folder that is there.
    Directory,
    /// A folder that is not there yet.
    NewDirectory,
}

/// Something to be done. It owns what it needs.
#[derive(Debug)]
pub(crate) enum Operation {
    OpenRoot(PathBuf),
    OpenChild { directory: Handle, name: String, how: Open },
    Rename { directory: Handle, from: String, to: String },
    Remove { directory: Handle, name: String },
    List { directory: Handle },
    SyncNames { directory: Handle },
    Space { directory: Handle },
    Lock { directory: Handle },
    BootId,
    Read { file: Handle, buffer: AlignedBuffer, offset: u64 },
    Write { file: Handle, buffer: AlignedBuffer, offset: u64 },
    Sync { file: Handle },
    Length { file: Handle },
}

/// How an operation ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Opened(Result<Handle>),
    Done(Result<()>),
    Moved(Result<usize>, AlignedBuffer),
    Listed(Result<Vec<Entry>>),
    Room(Result<Space>),
    Length(Result<u64>),
    Text(Result<String>),
}
