//! Files and folders.

use super::actor::{Behaviour, Reporter, name_of};
use super::outgoing::{check_pattern, pattern};
use super::rig::{Backend, Rig};
use crate::file::{AlignedBuffer, Directory, FILE_ALIGNMENT, File, Files};
use crate::io::Io;
use crate::program::{CoreId, Event};
use std::future::Future;
use std::io::{ErrorKind, Result};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::task::Poll;

const BLOCK: usize = FILE_ALIGNMENT;

/// Runs on a core as a task; an error breaks the scenario.
type Job = fn(Files, PathBuf) -> Pin<Box<dyn Future<Output = Result<()>>>>;

struct RunJob {
    job: Job,
    directory: PathBuf,
    /// Stop the core while the job runs.
    stop: bool,
}

struct Worker;

impl Behaviour for Worker {
    type Mail = ();
    type Order = RunJob;

    fn event(&mut self, event: Event<'_, (), RunJob>, io: &mut Io<'_, ()>, report: &Reporter) {
        match event {
            Event::Order(RunJob { job, directory, stop }) => {
                let (files, report) = (io.files(), report.clone());
                io.spawn(async move {
                    match job(files, directory).await {
                        Ok(()) => report.note("job done", 1),
                        Err(error) => report.broken(format!("a file operation failed: {error}")),
                    }
                });
                if stop {
                    // Once the job's first operations are under way.
                    io.set_timer(io.now().after(std::time::Duration::from_micros(500)), crate::TimerToken(0));
                }
            }
            Event::Timer(_) => io.stop(),
            other => panic!("unexpected: {}", name_of(&other)),
        }
    }
}

fn run(backend: Backend, jobs: &[Job]) {
    let mut rig = Rig::start(backend, 2, |_: CoreId| Worker);
    let directory = rig.directory();
    for (number, job) in jobs.iter().enumerate() {
        rig.order(number % 2, RunJob { job: *job, directory: directory.clone(), stop: false });
        rig.expect("job done");
    }
    rig.finish();
}

/// Writes all of a buffer, however short single writes are.
async fn write_all(file: &File, bytes: &[u8], offset: u64) -> Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        let (result, _) =
            file.write_at(AlignedBuffer::padded(&bytes[written..]), offset + written as u64).await;
        let count = result?;
        assert!(count > 0 && count.is_multiple_of(BLOCK), "a write of {count} bytes");
        written += count;
    }
    Ok(())
}

/// Runs futures at the same time until all have ended; the outputs in the order in which they did.
async fn all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut open: Vec<_> = futures.into_iter().map(|future| Some(Box::pin(future))).collect();
    let mut outputs = Vec::new();
    std::future::poll_fn(|context| {
        for place in &mut open {
            if let Some(future) = place
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                outputs.push(output);
                *place = None;
            }
        }
        if open.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs
}

fn write_and_read(files: Files, path: PathBuf) -> Pin<Box<dyn Future<Output = Result<()>>>> {
    Box::pin(async move {
        let folder = files.open_directory(path).await?;
        let file = folder.create("bytes").await?;
        assert_eq!(file.len().await?, 0);
        // Blocks in any order and at the same time, the even ones first.
        const BLOCKS: usize = 40;
        for parity in [0, 1] {
            let writes = (0..BLOCKS).rev().filter(|block| block % 2 == parity).map(|block| {
                let file = &file;
                async move { write_all(file, &pattern(block * BLOCK, BLOCK), (block * BLOCK) as u64).await }
            });
            for result in all(writes.collect()).await {
                result?;
            }
        }
        assert_eq!(file.len().await?, (BLOCKS * BLOCK) as u64);
        file.sync().await?;
        // Another handle, and pieces of other sizes, a few at the same time.
        let again = folder.open("bytes").await?;
        assert_eq!(again.is_direct(), file.is_direct());
        let reads = [(0, 40), (1, 7), (33, 7), (39, 1)].map(|(block, blocks)| {
            let again = &again;
            async move {
                let buffer = AlignedBuffer::zeroed(blocks * BLOCK);
                let (result, buffer) = again.read_at(buffer, (block * BLOCK) as u64).await;
                result.map(|count| {
                    assert_eq!(count, blocks * BLOCK);
                    check_pattern(block * BLOCK, &buffer);
                })
            }
        });
        for result in all(reads.into()).await {
            result?;
        }
        // Over the end, and behind it.
        let (result, buffer) = again.read_at(AlignedBuffer::zeroed(4 * BLOCK), 38 * BLOCK as u64).await;
        assert_eq!(result?, 2 * BLOCK);
        check_pattern(38 * BLOCK, &buffer[..2 * BLOCK]);
        assert_eq!(again.read_at(buffer, 40 * BLOCK as u64).await.0?, 0);
        // A hole reads as zeros.
        write_all(&file, &[5; BLOCK], 100 * BLOCK as u64).await?;
        let (result, buffer) = file.read_at(AlignedBuffer::zeroed(BLOCK), 60 * BLOCK as u64).await;
        assert_eq!((result?, buffer.iter().all(|byte| *byte == 0)), (BLOCK, true));
        Ok(())
    })
}

pub(super) fn what_is_written_is_read(backend: Backend) {
    run(backend, &[write_and_read]);
}

async fn names(folder: &Directory) -> Result<Vec<String>> {
    let entries = folder.list().await?;
    Ok(entries.into_iter().map(|entry| entry.name + if entry.is_directory { "/" } else { "" }).collect())
}

fn kind<T>(result: Result<T>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

fn change_names(files: Files, path: PathBuf) -> Pin<Box<dyn Future<Output = Result<()>>>> {
    Box::pin(async move {
        assert_eq!(kind(files.open_directory(path.join("absent")).await), Some(ErrorKind::NotFound));
        let top = files.open_directory(&path).await?;
        let folder = top.create_directory("folder").await?;
        assert_eq!(kind(top.create_directory("folder").await), Some(ErrorKind::AlreadyExists));
        top.sync().await?;
        for name in ["b", "a", "c"] {
            let file = folder.create(name).await?;
            write_all(&file, &[name.as_bytes()[0]; BLOCK], 0).await?;
        }
        assert_eq!(names(&folder).await?, ["a", "b", "c"]);
        assert_eq!(kind(folder.create("a").await), Some(ErrorKind::AlreadyExists));
        assert_eq!(kind(folder.open("d").await), Some(ErrorKind::NotFound));
        assert_eq!(kind(folder.rename("d", "e").await), Some(ErrorKind::NotFound));
        assert_eq!(kind(folder.remove("d").await), Some(ErrorKind::NotFound));
        for bad in ["", ".", "..", "a/b", "/a"] {
            assert_eq!(kind(folder.create(bad).await), Some(ErrorKind::InvalidInput), "{bad:?}");
            assert_eq!(kind(folder.rename("a", bad).await), Some(ErrorKind::InvalidInput), "{bad:?}");
        }
        // A rename replaces, and what was open stays what it was.
        let replaced = folder.open("a").await?;
        folder.rename("b", "a").await?;
        folder.remove("c").await?;
        folder.sync().await?;
        assert_eq!(names(&folder).await?, ["a"]);
        let first_byte = async |file: &File| {
            let (result, buffer) = file.read_at(AlignedBuffer::zeroed(BLOCK), 0).await;
            result.map(|_| buffer[0])
        };
        assert_eq!(first_byte(&folder.open("a").await?).await?, b'b');
        assert_eq!(first_byte(&replaced).await?, b'a');
        // Folders in folders go only when they are empty.
        let inner = folder.create_directory("inner").await?;
        inner.create("x").await?;
        assert_eq!(names(&folder).await?, ["a", "inner/"]);
        assert_eq!(kind(folder.remove("inner").await), Some(ErrorKind::DirectoryNotEmpty));
        folder.open_directory("inner").await?.remove("x").await?;
        folder.remove("inner").await?;
        assert_eq!(kind(folder.open_directory("inner").await), Some(ErrorKind::NotFound));
        assert!(folder.open_directory("a").await.is_err());
        Ok(())
    })
}

pub(super) fn names_are_made_changed_and_removed(backend: Backend) {
    run(backend, &[change_names]);
}

fn lock_once(files: Files, path: PathBuf) -> Pin<Box<dyn Future<Output = Result<()>>>> {
    Box::pin(async move {
        let folder = files.open_directory(&path).await?;
        let other = files.open_directory(&path).await?;
        let lock = folder.lock().await?;
        assert_eq!(kind(other.lock().await), Some(ErrorKind::WouldBlock));
        drop(folder);
        assert_eq!(kind(other.lock().await), Some(ErrorKind::WouldBlock), "the lock is not the folder's");
        drop(lock);
        drop(other.lock().await?);
        Ok(())
    })
}

fn look_around(files: Files, path: PathBuf) -> Pin<Box<dyn Future<Output = Result<()>>>> {
    Box::pin(async move {
        let boot = files.boot_id().await?;
        assert!(!boot.is_empty());
        assert_eq!(boot, files.boot_id().await?);
        let space = files.open_directory(&path).await?.free_space().await?;
        assert!(space.free_bytes > 0 && space.free_bytes <= space.total_bytes, "{space:?}");
        Ok(())
    })
}

pub(super) fn a_folder_is_locked_once(backend: Backend) {
    // Each core in turn: a lock ends with its holder.
    run(backend, &[lock_once, lock_once, lock_once, look_around]);
}

fn abandon(files: Files, path: PathBuf) -> Pin<Box<dyn Future<Output = Result<()>>>> {
    Box::pin(async move {
        let folder = files.open_directory(&path).await?;
        let file = folder.create("abandoned").await?;
        write_all(&file, &[1; BLOCK], 0).await?;
        for round in 0..50u64 {
            {
                // Polled once and dropped: the kernel may still be reading from the buffer.
                let write = file.write_at(AlignedBuffer::padded(&[2; 8 * BLOCK]), (1 + round) * BLOCK as u64);
                let read = file.read_at(AlignedBuffer::zeroed(8 * BLOCK), 0);
                let (mut write, mut read) = (pin!(write), pin!(read));
                std::future::poll_fn(|context| {
                    let _ = write.as_mut().poll(context);
                    let _ = read.as_mut().poll(context);
                    Poll::Ready(())
                })
                .await;
            }
            let (result, buffer) = file.read_at(AlignedBuffer::zeroed(BLOCK), 0).await;
            assert_eq!((result?, buffer[0]), (BLOCK, 1));
        }
        Ok(())
    })
}

pub(super) fn futures_can_be_dropped(backend: Backend) {
    run(backend, &[abandon]);
}

fn write_for_ever(files: Files, path: PathBuf) -> Pin<Box<dyn Future<Output = Result<()>>>> {
    Box::pin(async move {
        let folder = files.open_directory(&path).await?;
        let file = folder.create("endless").await?;
        loop {
            let writes: Vec<_> =
                (0..8).map(|block| write_all(&file, &[3; 4 * BLOCK], block * 4 * BLOCK as u64)).collect();
            all(writes).await;
            file.sync().await?;
        }
    })
}

pub(super) fn a_core_stops_with_files_in_use(backend: Backend) {
    for _ in 0..backend.scale(10, 2) {
        let mut rig = Rig::start(backend, 1, |_: CoreId| Worker);
        let directory = rig.directory();
        rig.order(0, RunJob { job: write_for_ever, directory, stop: true });
        rig.finish();
    }
}
