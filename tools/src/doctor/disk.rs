//! The folder for data: its file system, and how fast it keeps what it is given.

use super::finding::Finding;
use super::volume::{Kind, Volume};
use nix::fcntl::OFlag;
use petrel_runtime::file::{AlignedBuffer, FILE_ALIGNMENT};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Blocks that are written and flushed, one by one.
const FLUSHES: u64 = 32;
/// No longer than this, however slow the disk is.
const PATIENCE: Duration = Duration::from_secs(5);
/// A disk that takes longer makes every acknowledged message wait that long.
const FLUSH_WISH: Duration = Duration::from_millis(20);
/// Alignments to try, smallest first.
const ALIGNMENTS: [usize; 2] = [512, FILE_ALIGNMENT];

pub fn look(folder: &Path) -> Vec<Finding> {
    let volume = match Volume::of(folder) {
        Ok(volume) => volume,
        Err(error) => {
            let found = format!("{}: {error}", folder.display());
            return vec![Finding::fail("folder", found, "name a folder that exists and can be written")];
        }
    };
    let mut findings = vec![file_system(folder, &volume)];
    let path = folder.join(format!(".petrel-doctor-{}", std::process::id()));
    findings.extend(write(&path));
    // It may never have come about.
    let _ = fs::remove_file(&path);
    findings
}

fn file_system(folder: &Path, volume: &Volume) -> Finding {
    let (free, total) = (volume.free_bytes >> 20, volume.total_bytes >> 20);
    let found = |name: &str| format!("{}: {name}, {free} of {total} MiB free", folder.display());
    let check = "file system";
    match volume.kind {
        Kind::Solid(name) => Finding::ok(check, found(name)),
        Kind::Copying(name) => {
            let advice =
                "journals on it are slower: switch copy on write off for this folder, or take ext4 or xfs";
            Finding::warn(check, found(name), advice)
        }
        Kind::Passing(name) => {
            let advice = "what is stored here is gone with the container or the machine: mount a volume";
            Finding::warn(check, found(name), advice)
        }
        Kind::Remote(name) => {
            let advice = "flushes depend on another machine or program: take a disk of this machine";
            Finding::warn(check, found(name), advice)
        }
        Kind::Unknown(magic) => {
            Finding::warn(check, found(&format!("kind {magic:#x}")), "ext4 and xfs are known to work")
        }
    }
}

/// Writes blocks directly where the file system can do that, else through the page cache.
fn write(path: &Path) -> Vec<Finding> {
    let open = |flags: OFlag| {
        OpenOptions::new().write(true).create(true).truncate(true).custom_flags(flags.bits()).open(path)
    };
    let direct = open(OFlag::O_DIRECT).ok().and_then(|file| alignment(&file).map(|bytes| (file, bytes)));
    let (file, finding) = match direct {
        Some((file, bytes)) => {
            (file, Finding::ok("direct I/O", format!("works, in blocks of {bytes} bytes")))
        }
        None => match open(OFlag::empty()) {
            Ok(file) => {
                let advice = "journals would go through the page cache: take a file system with direct I/O";
                (file, Finding::warn("direct I/O", "not to be had here", advice))
            }
            Err(error) => {
                let found = format!("{} cannot be written: {error}", path.display());
                return vec![Finding::fail("folder", found, "give the server's user leave to write there")];
            }
        },
    };
    vec![finding, flushes(&file)]
}

/// The smallest blocks that can be written directly.
fn alignment(file: &File) -> Option<usize> {
    let buffer = AlignedBuffer::zeroed(FILE_ALIGNMENT);
    ALIGNMENTS.into_iter().find(|bytes| file.write_all_at(&buffer[..*bytes], *bytes as u64).is_ok())
}

fn flushes(file: &File) -> Finding {
    let check = "flush";
    match measure(file) {
        Err(error) => Finding::fail(check, format!("a block cannot be kept: {error}"), "look at the disk"),
        Ok(times) => {
            let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
            let found = format!("{median:.2?} for a block of {FILE_ALIGNMENT} bytes, at worst {worst:.2?}");
            if median > FLUSH_WISH {
                let advice = "each acknowledged message waits that long: take a faster disk, or replicate";
                return Finding::warn(check, found, advice);
            }
            Finding::ok(check, found)
        }
    }
}

/// How long it took to write one block and flush it, sorted; at least one.
fn measure(file: &File) -> io::Result<Vec<Duration>> {
    let buffer = AlignedBuffer::zeroed(FILE_ALIGNMENT);
    let begin = Instant::now();
    let mut times = Vec::new();
    for block in 0..FLUSHES {
        let start = Instant::now();
        file.write_all_at(&buffer, block * FILE_ALIGNMENT as u64)?;
        file.sync_data()?;
        times.push(start.elapsed());
        if begin.elapsed() > PATIENCE {
            break;
        }
    }
    times.sort_unstable();
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_folder_is_measured_and_left_empty() {
        let folder = tempfile::tempdir().unwrap();
        let findings = look(folder.path());
        let names: Vec<&str> = findings.iter().map(|finding| finding.check).collect();
        assert_eq!(names, ["file system", "direct I/O", "flush"]);
        assert!(findings.iter().all(|finding| finding.state != State::Fail), "{findings:?}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_fails() {
        let findings = look(Path::new("/nonexistent"));
        assert_eq!((findings.len(), findings[0].state), (1, State::Fail));
    }

    #[test]
    fn what_passes_away_is_told() {
        let volume = |kind| Volume { kind, total_bytes: 1 << 30, free_bytes: 1 << 20 };
        for (kind, state) in [
            (Kind::Solid("ext4"), State::Ok),
            (Kind::Passing("tmpfs"), State::Warn),
            (Kind::Remote("nfs"), State::Warn),
            (Kind::Copying("zfs"), State::Warn),
            (Kind::Unknown(1), State::Warn),
        ] {
            assert_eq!(file_system(Path::new("/data"), &volume(kind)).state, state, "{kind:?}");
        }
    }
}
