//! What tasks use.

use super::operation::{Handle, Open, Operation, Outcome};
use super::port::{FilePort, Under};
use super::{AlignedBuffer, Entry, FILE_ALIGNMENT, Space};
use std::cell::RefCell;
use std::io::Result;
use std::path::Path;
use std::rc::Rc;

/// The files that a core's tasks can reach.
#[derive(Clone)]
pub struct Files {
    pub(crate) port: Rc<RefCell<FilePort>>,
}

impl Files {
    /// Opens a folder that is there.
    ///
    /// # Errors
    /// What the system said.
    pub async fn open_directory(&self, path: impl AsRef<Path>) -> Result<Directory> {
        let operation = Operation::OpenRoot(path.as_ref().to_owned());
        opened(Under::new(&self.port, operation).await)
            .map(|handle| Directory { files: self.clone(), handle })
    }

    /// What tells one run of the kernel from another: while it stays the same, what a dead process had written
    /// is still there; when it changed, the machine went down in between.
    ///
    /// # Errors
    /// What the system said.
    pub async fn boot_id(&self) -> Result<String> {
        match Under::new(&self.port, Operation::BootId).await {
            Outcome::Text(result) => result,
            other => unreachable!("{other:?}"),
        }
    }
}

/// An open folder.
pub struct Directory {
    files: Files,
    handle: Handle,
}

impl Directory {
    /// Makes a file for reading and writing. Names have no slashes.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system said.
    pub async fn create(&self, name: &str) -> Result<File> {
        self.open_child(name, Open::NewFile).await.map(|handle| File { files: self.files.clone(), handle })
    }

    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// `NotFound`, or what the system said.
    pub async fn open(&self, name: &str) -> Result<File> {
        self.open_child(name, Open::File).await.map(|handle| File { files: self.files.clone(), handle })
    }

    /// Makes a folder in this one.
    ///
    /// # Errors
    /// `AlreadyExists`, or what the system said.
    pub async fn create_directory(&self, name: &str) -> Result<Directory> {
        let handle = self.open_child(name, Open::NewDirectory).await?;
        Ok(Directory { files: self.files.clone(), handle })
    }

    /// Opens a folder in this one.
    ///
    /// # Errors
    /// `NotFound`, or what the system said.
    pub async fn open_directory(&self, name: &str) -> Result<Directory> {
        let handle = self.open_child(name, Open::Directory).await?;
        Ok(Directory { files: self.files.clone(), handle })
    }

    /// Gives a file of this folder another name in it, replacing a file of that name.
    ///
    /// # Errors
    /// `NotFound`, or what the system said.
    pub async fn rename(&self, from: &str, to: &str) -> Result<()> {
        let directory = self.handle.clone();
        let operation = Operation::Rename { directory, from: named(from)?, to: named(to)? };
        done(Under::new(&self.files.port, operation).await)
    }

    /// Removes a file, or an empty folder. A file that is open stays readable until it is let go.
    ///
    /// # Errors
    /// `NotFound`, `DirectoryNotEmpty`, or what the system said.
    pub async fn remove(&self, name: &str) -> Result<()> {
        let operation = Operation::Remove { directory: self.handle.clone(), name: named(name)? };
        done(Under::new(&self.files.port, operation).await)
    }

    /// What is in this folder, sorted by name. Names that are no UTF-8 are shown with replacement characters.
    ///
    /// # Errors
    /// What the system said.
    pub async fn list(&self) -> Result<Vec<Entry>> {
        let operation = Operation::List { directory: self.handle.clone() };
        match Under::new(&self.files.port, operation).await {
            Outcome::Listed(result) => result,
            other => unreachable!("{other:?}"),
        }
    }

    /// Makes durable which names this folder has.
    ///
    /// # Errors
    /// What the system said. The changes that were to be made durable may be lost then, and the next call does
    /// not tell.
    pub async fn sync(&self) -> Result<()> {
        done(Under::new(&self.files.port, Operation::SyncNames { directory: self.handle.clone() }).await)
    }

    /// Room on this folder's volume.
    ///
    /// # Errors
    /// What the system said.
    pub async fn free_space(&self) -> Result<Space> {
        let operation = Operation::Space { directory: self.handle.clone() };
        match Under::new(&self.files.port, operation).await {
            Outcome::Room(result) => result,
            other => unreachable!("{other:?}"),
        }
    }

    /// Locks this folder against other users of this call, in this process and in others, until the lock is
    /// dropped or the process ends.
    ///
    /// # Errors
    /// `WouldBlock` when somebody else holds the lock.
    pub async fn lock(&self) -> Result<DirectoryLock> {
        let operation = Operation::Lock { directory: self.handle.clone() };
        opened(Under::new(&self.files.port, operation).await).map(|handle| DirectoryLock { _handle: handle })
    }

    async fn open_child(&self, name: &str, how: Open) -> Result<Handle> {
        let operation = Operation::OpenChild { directory: self.handle.clone(), name: named(name)?, how };
        opened(Under::new(&self.files.port, operation).await)
    }
}

/// A locked folder.
pub struct DirectoryLock {
    _handle: Handle,
}

/// An open file.
pub struct File {
    files: Files,
    handle: Handle,
}

impl File {
    /// Writes a buffer; the file grows as needed. Gives back how many bytes were written, which may be fewer,
    /// and the buffer.
    ///
    /// # Panics
    /// When `offset` is no multiple of [`FILE_ALIGNMENT`].
    pub async fn write_at(&self, buffer: AlignedBuffer, offset: u64) -> (Result<usize>, AlignedBuffer) {
        check_offset(offset);
        moved(
            Under::new(&self.files.port, Operation::Write { file: self.handle.clone(), buffer, offset })
                .await,
        )
    }

    /// Reads into a buffer. Gives back how many bytes were read, fewer at the end of the file and 0 behind it,
    /// and the buffer.
    ///
    /// # Panics
    /// When `offset` is no multiple of [`FILE_ALIGNMENT`].
    pub async fn read_at(&self, buffer: AlignedBuffer, offset: u64) -> (Result<usize>, AlignedBuffer) {
        check_offset(offset);
        moved(
            Under::new(&self.files.port, Operation::Read { file: self.handle.clone(), buffer, offset }).await,
        )
    }

    /// Makes durable what was written, and the file's length (`fdatasync`).
    ///
    /// # Errors
    /// What the system said. What was to be made durable may be lost then, and the next call does not tell.
    pub async fn sync(&self) -> Result<()> {
        done(Under::new(&self.files.port, Operation::Sync { file: self.handle.clone() }).await)
    }

    /// The file's length in bytes.
    ///
    /// # Errors
    /// What the system said.
    #[allow(clippy::len_without_is_empty, reason = "an operation, not a property at hand")]
    pub async fn len(&self) -> Result<u64> {
        match Under::new(&self.files.port, Operation::Length { file: self.handle.clone() }).await {
            Outcome::Length(result) => result,
            other => unreachable!("{other:?}"),
        }
    }

    /// Whether reads and writes go past the kernel's cache. Where a file system refuses that, the same calls
    /// go through it.
    pub fn is_direct(&self) -> bool {
        self.handle.is_direct()
    }
}

fn check_offset(offset: u64) {
    assert!(offset.is_multiple_of(FILE_ALIGNMENT as u64), "offset {offset} is not at a block");
}

/// A name that stays in its folder.
fn named(name: &str) -> Result<String> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    Ok(name.to_owned())
}

fn opened(outcome: Outcome) -> Result<Handle> {
    match outcome {
        Outcome::Opened(result) => result,
        other => unreachable!("{other:?}"),
    }
}

fn done(outcome: Outcome) -> Result<()> {
    match outcome {
        Outcome::Done(result) => result,
        other => unreachable!("{other:?}"),
    }
}

fn moved(outcome: Outcome) -> (Result<usize>, AlignedBuffer) {
    match outcome {
        Outcome::Moved(result, buffer) => (result, buffer),
        other => unreachable!("{other:?}"),
    }
}
