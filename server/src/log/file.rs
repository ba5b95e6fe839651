//! A log file that is set aside when it has grown, as upstream does it (reference: config.md, section 5).

use super::format::{Level, Line};
use super::lost::{Unwritten, write_counted};
use jiff::Zoned;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Upstream's: the owner writes, the group reads.
const MODE: u32 = 0o640;

/// An open log file.
pub struct LogFile {
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    size: u64,
    /// Bytes after which it is set aside; 0: never. Doubles when that failed, so that it is not tried at each line.
    size_limit: u64,
    /// Files kept, the current one included; 0: all.
    files_max: usize,
}

impl LogFile {
    /// Opens the file to append to it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, size_limit: u64, files_max: usize) -> io::Result<LogFile> {
        let (file, size) = open_append(path)?;
        Ok(LogFile { path: path.to_owned(), file, size, size_limit, files_max })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes whole lines.
    ///
    /// # Errors
    /// What the system said, and how far it got.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        let result = write_counted(&mut self.file, bytes);
        self.size += result.as_ref().map_or_else(|failed| failed.written, |()| bytes.len()) as u64;
        result
    }

    /// Whether it is to be set aside once `waiting_bytes` more are written.
    pub fn is_full_with(&self, waiting_bytes: usize) -> bool {
        self.size_limit > 0 && self.size + waiting_bytes as u64 > self.size_limit
    }

    /// Closes the file and opens it again by its name, which may have been moved away.
    ///
    /// # Errors
    /// When it cannot be opened; the old one stays open.
    pub fn reopen(&mut self) -> io::Result<()> {
        (self.file, self.size) = open_append(&self.path)?;
        Ok(())
    }

    /// Renames the file by the time, begins a new one and removes the oldest that are too many. Returns what is to
    /// be said of it. When the file cannot be renamed or a new one not opened, the old one goes on.
    pub fn rotate(&mut self, now: &Zoned) -> Vec<Line> {
        let backup = backup_path(&self.path, now);
        let rotated = fs::rename(&self.path, &backup).and_then(|()| {
            // Without the new file, lines go on into the renamed one.
            open_append(&self.path)
        });
        match rotated {
            Ok((file, size)) => (self.file, self.size) = (file, size),
            Err(error) => {
                self.size_limit = self.size_limit.saturating_mul(2);
                let text = format!(
                    "Unable to rotate the logfile ({error}), will attempt next rotation at size {}",
                    self.size_limit
                );
                return vec![Line::now(Level::Error, text)];
            }
        }
        let mut said = vec![Line::now(
            Level::Information,
            format!("Rotated log, backup saved as {:?}", backup.display().to_string()),
        )];
        if self.files_max > 0 {
            said.extend(self.purge());
        }
        said
    }

    /// Removes the oldest backups until `files_max` files are left, the current one included.
    fn purge(&self) -> Vec<Line> {
        let backups = match backups(&self.path) {
            Ok(backups) => backups,
            Err(error) => {
                let text =
                    format!("Unable to read directory for log purge ({error}), will attempt next rotation");
                return vec![Line::now(Level::Error, text)];
            }
        };
        let excess = (backups.len() + 1).saturating_sub(self.files_max);
        let removed = backups[..excess.min(backups.len())].iter().map(|backup| {
            let shown = backup.display().to_string();
            match fs::remove_file(backup) {
                Ok(()) => Line::now(Level::Information, format!("Purged log file {shown:?}")),
                Err(error) => {
                    Line::now(Level::Error, format!("Unable to remove backup log file {shown:?}: {error}"))
                }
            }
        });
        removed.collect()
    }
}

fn open_append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(MODE).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn backup_path(path: &Path, now: &Zoned) -> PathBuf {
    let suffix = format!(
        ".{:04}.{:02}.{:02}.{:02}.{:02}.{:02}.{:09}",
        now.year(),
        now.month(),
        now.day(),
        now.hour(),
        now.minute(),
        now.second(),
        now.subsec_nanosecond()
    );
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The files that were set aside, oldest first: their names order them.
fn backups(path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let file_name = entry?.file_name();
        let suffix = file_name.to_string_lossy().strip_prefix(&name).map(str::to_owned);
        if suffix.is_some_and(|suffix| is_backup_suffix(&suffix)) {
            // As the log file is written, so that lines name it alike.
            found.push(path.with_file_name(file_name));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Whether it is `.YYYY.MM.DD.hh.mm.ss.nnnnnnnnn`: other files beside the log are not ours to remove.
fn is_backup_suffix(suffix: &str) -> bool {
    let widths = [4, 2, 2, 2, 2, 2, 9];
    let mut parts = suffix.split('.');
    parts.next() == Some("")
        && widths.iter().all(|width| {
            parts
                .next()
                .is_some_and(|part| part.len() == *width && part.bytes().all(|byte| byte.is_ascii_digit()))
        })
        && parts.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use jiff::tz::TimeZone;

    fn moment(nanosecond: i32) -> Zoned {
        Timestamp::new(1_789_000_000, nanosecond).unwrap().to_zoned(TimeZone::UTC)
    }

    #[test]
    fn a_backup_is_named_by_the_time_to_the_nanosecond() {
        let path = backup_path(Path::new("logs/nats.log"), &moment(42));
        assert_eq!(path.to_str(), Some("logs/nats.log.2026.09.10.00.26.40.000000042"));
        assert!(is_backup_suffix(".2026.09.10.00.26.40.000000042"));
        for other in ["", ".1", ".2026.09.10.00.26.40.000000042.gz", ".2026.9.10.00.26.40.000000042"] {
            assert!(!is_backup_suffix(other), "{other}");
        }
    }

    #[test]
    fn the_oldest_backups_go_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats.log");
        let other = folder.path().join("nats.log.keep");
        fs::write(&other, "mine").unwrap();
        let mut log = LogFile::open(&path, 10, 3).unwrap();
        let mut said = Vec::new();
        for number in 1..=4 {
            log.write_all(format!("line {number} is long\n").as_bytes()).unwrap();
            assert!(log.is_full_with(0));
            said.extend(log.rotate(&moment(number)).into_iter().map(|line| line.text));
        }
        assert!(!log.is_full_with(0) && log.is_full_with(11));
        let kept: Vec<String> =
            backups(&path).unwrap().iter().map(|backup| fs::read_to_string(backup).unwrap()).collect();
        assert_eq!(kept, ["line 3 is long\n", "line 4 is long\n"]);
        assert_eq!(said.iter().filter(|text| text.starts_with("Purged log file ")).count(), 2);
        assert_eq!(said.iter().filter(|text| text.starts_with("Rotated log, backup saved as \"")).count(), 4);
        assert!(other.exists());
    }

    #[test]
    fn a_file_that_cannot_be_renamed_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats.log");
        let mut log = LogFile::open(&path, 4, 0).unwrap();
        fs::remove_file(&path).unwrap();
        let said = log.rotate(&moment(0));
        assert!(said[0].text.starts_with("Unable to rotate the logfile"), "{}", said[0].text);
        assert!(!log.is_full_with(8) && log.is_full_with(9));
    }

    #[test]
    fn an_old_file_is_continued_and_its_size_counts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats.log");
        fs::write(&path, "0123456789").unwrap();
        assert!(LogFile::open(&path, 9, 0).unwrap().is_full_with(0));
        assert!(!LogFile::open(&path, 0, 0).unwrap().is_full_with(1 << 40));
    }
}
