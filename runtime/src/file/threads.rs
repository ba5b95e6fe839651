//! Threads that carry out file operations that would block a core.

use super::operation::{Handle, Open, Operation, Outcome, RealFile};
use super::{Entry, Space};
use crate::wake::Wake;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Result};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// Threads of a core. Two, so that a write can go on while another one's flush is waited for.
const THREADS: usize = 2;
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// What has ended, for the core to pick up.
struct Ended {
    /// Length of `list`, readable without the lock.
    count: AtomicUsize,
    list: Mutex<Vec<(u64, Outcome)>>,
    core: Arc<Wake>,
}

/// One core's threads for files. They start with the first operation.
pub(crate) struct FileThreads {
    ended: Arc<Ended>,
    queue: Option<Sender<(u64, Operation)>>,
    threads: Vec<JoinHandle<()>>,
}

impl FileThreads {
    /// `core` is woken when something has ended.
    pub(crate) fn new(core: Arc<Wake>) -> FileThreads {
        let ended = Ended { count: AtomicUsize::new(0), list: Mutex::default(), core };
        FileThreads { ended: Arc::new(ended), queue: None, threads: Vec::new() }
    }

    /// Begins an operation. Its outcome comes back at once when there is no thread to be had.
    pub(super) fn begin(&mut self, ticket: u64, operation: Operation) -> Option<Outcome> {
        if self.threads.is_empty()
            && let Err(error) = self.start()
        {
            return Some(refuse(operation, error));
        }
        let queue = self.queue.as_ref().expect("there are threads");
        queue.send((ticket, operation)).err().map(|back| refuse(back.0.1, ErrorKind::BrokenPipe.into()))
    }

    fn start(&mut self) -> Result<()> {
        let (sender, receiver) = unbounded();
        for number in 0..THREADS {
            let (receiver, ended) = (receiver.clone(), self.ended.clone());
            let name = format!("petrel-files-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || work(&receiver, &ended));
            match thread {
                Ok(thread) => self.threads.push(thread),
                // One is enough to go on.
                Err(error) if self.threads.is_empty() => return Err(error),
                Err(_) => break,
            }
        }
        self.queue = Some(sender);
        Ok(())
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.count.load(Ordering::Acquire) > 0
    }

    pub(super) fn take_ended(&mut self) -> Vec<(u64, Outcome)> {
        if !self.has_ended() {
            return Vec::new();
        }
        let mut list = self.ended.list.lock().unwrap_or_else(PoisonError::into_inner);
        self.ended.count.store(0, Ordering::Release);
        std::mem::take(&mut *list)
    }
}

impl Drop for FileThreads {
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            // A panic in it was told on its own stderr; there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

fn work(queue: &Receiver<(u64, Operation)>, ended: &Ended) {
    while let Ok((ticket, operation)) = queue.recv() {
        let outcome = perform(operation);
        {
            let mut list = ended.list.lock().unwrap_or_else(PoisonError::into_inner);
            list.push((ticket, outcome));
            ended.count.store(list.len(), Ordering::Release);
        }
        ended.core.notify();
    }
}

/// The outcome of an operation that cannot begin.
fn refuse(operation: Operation, error: Error) -> Outcome {
    match operation {
        Operation::OpenRoot(_) | Operation::OpenChild { .. } | Operation::Lock { .. } => {
            Outcome::Opened(Err(error))
        }
        Operation::Read { buffer, .. } | Operation::Write { buffer, .. } => {
            Outcome::Moved(Err(error), buffer)
        }
        Operation::List { .. } => Outcome::Listed(Err(error)),
        Operation::Space { .. } => Outcome::Room(Err(error)),
        Operation::Length { .. } => Outcome::Length(Err(error)),
        Operation::BootId => Outcome::Text(Err(error)),
        Operation::Rename { .. }
        | Operation::Remove { .. }
        | Operation::SyncNames { .. }
        | Operation::Sync { .. } => Outcome::Done(Err(error)),
    }
}

/// Carries out an operation, blocking.
fn perform(operation: Operation) -> Outcome {
    match operation {
        Operation::OpenRoot(path) => Outcome::Opened(open_directory(&path)),
        Operation::OpenChild { directory, name, how } => {
            let path = real(&directory).path.join(name);
            Outcome::Opened(match how {
                Open::File => open_file(&path, false),
                Open::NewFile => open_file(&path, true),
                Open::Directory => open_directory(&path),
                Open::NewDirectory => std::fs::create_dir(&path).and_then(|()| open_directory(&path)),
            })
        }
        Operation::Rename { directory, from, to } => {
            let path = &real(&directory).path;
            Outcome::Done(std::fs::rename(path.join(from), path.join(to)))
        }
        Operation::Remove { directory, name } => Outcome::Done(remove(&real(&directory).path.join(name))),
        Operation::List { directory } => Outcome::Listed(list(&real(&directory).path)),
        Operation::SyncNames { directory } => Outcome::Done(real(&directory).file.sync_all()),
        Operation::Space { directory } => Outcome::Room(space(&real(&directory).file)),
        Operation::Lock { directory } => Outcome::Opened(lock(&real(&directory).path)),
        Operation::BootId => {
            Outcome::Text(std::fs::read_to_string(BOOT_ID).map(|text| text.trim().to_owned()))
        }
        Operation::Read { file, mut buffer, offset } => {
            let result = real(&file).file.read_at(&mut buffer, offset);
            Outcome::Moved(result, buffer)
        }
        Operation::Write { file, buffer, offset } => {
            let result = real(&file).file.write_at(&buffer, offset);
            Outcome::Moved(result, buffer)
        }
        Operation::Sync { file } => Outcome::Done(real(&file).file.sync_data()),
        Operation::Length { file } => {
            Outcome::Length(real(&file).file.metadata().map(|metadata| metadata.len()))
        }
    }
}

fn real(handle: &Handle) -> &RealFile {
    match handle {
        Handle::Real(file) => file,
        #[cfg(feature = "sim")]
        Handle::Sim(_) => unreachable!("a simulated file on a real core"),
    }
}

fn handle(file: std::fs::File, path: &Path, is_direct: bool) -> Handle {
    Handle::Real(Arc::new(RealFile { file, path: path.to_owned(), is_direct }))
}

fn open_directory(path: &Path) -> Result<Handle> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)?;
    Ok(handle(file, path, false))
}

fn open_file(path: &Path, new: bool) -> Result<Handle> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(new);
    match options.clone().custom_flags(libc::O_DIRECT).open(path) {
        Ok(file) => Ok(handle(file, path, true)),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            // The file system has no direct I/O. Some make the file before they say so.
            let file = match options.open(path) {
                Err(error) if new && error.kind() == ErrorKind::AlreadyExists => {
                    options.create_new(false).open(path)
                }
                result => result,
            };
            file.map(|file| handle(file, path, false))
        }
        Err(error) => Err(error),
    }
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path)?.is_dir() {
        true => std::fs::remove_dir(path),
        false => std::fs::remove_file(path),
    }
}

fn list(path: &Path) -> Result<Vec<Entry>> {
    let entries: Result<Vec<Entry>> = std::fs::read_dir(path)?
        .map(|entry| {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            Ok(Entry { name, is_directory: entry.file_type()?.is_dir() })
        })
        .collect();
    let mut entries = entries?;
    entries.sort();
    Ok(entries)
}

fn space(file: &std::fs::File) -> Result<Space> {
    let mut statistics = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the descriptor is open while `file` is borrowed; the pointer is to memory of the right type.
    let result = unsafe { libc::fstatvfs(file.as_raw_fd(), statistics.as_mut_ptr()) };
    if result != 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it has filled the structure.
    let statistics = unsafe { statistics.assume_init() };
    let block = statistics.f_frsize;
    Ok(Space {
        free_bytes: statistics.f_bavail.saturating_mul(block),
        total_bytes: statistics.f_blocks.saturating_mul(block),
    })
}

/// Locks a descriptor of its own, so that the lock ends with it and not with the folder's.
fn lock(path: &Path) -> Result<Handle> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)?;
    file.try_lock()?;
    Ok(handle(file, path, false))
}
