//! This process as the system sees it: descriptors, memory, processor time, pid file.

use crate::files::system_text;
use rustix::process::{Resource, getrlimit, setrlimit};
use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

/// Raises the soft limit of open descriptors to the hard one. Returns the limit in force; `None`: unlimited.
///
/// # Errors
/// When the system refuses; the old limit stays.
pub fn raise_descriptor_limit() -> io::Result<Option<u64>> {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        setrlimit(Resource::Nofile, limit)?;
    }
    Ok(limit.current)
}

/// The pid file cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("Could not write pidfile: open {path}: {}", system_text(source))]
pub struct PidFileError {
    path: String,
    source: io::Error,
}

impl PidFileError {
    /// What the system said of it.
    pub fn new(path: &str, source: io::Error) -> PidFileError {
        PidFileError { path: path.to_owned(), source }
    }
}

/// Writes the process id, without a line break.
///
/// # Errors
/// When the file cannot be written.
pub fn write_pid_file(path: &Path) -> io::Result<()> {
    fs::write(path, std::process::id().to_string())
}

/// Bytes of memory that are resident now; 0 when /proc is not there.
pub fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        let resident = text.split_ascii_whitespace().nth(1)?;
        resident.parse::<u64>().ok()
    });
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// Bytes of address space that is reserved now; 0 when /proc is not there.
pub fn reserved_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").ok().and_then(|text| {
        let reserved = text.split_ascii_whitespace().next()?;
        reserved.parse::<u64>().ok()
    });
    pages.unwrap_or(0) * rustix::param::page_size() as u64
}

/// A thread of this process.
#[derive(Clone, Debug)]
pub struct Thread {
    /// As the system numbers it.
    pub id: u64,
    /// As it was called when it was made.
    pub name: String,
    /// What it does: `running`, `sleeping`.
    pub state: String,
}

/// The threads of this process, as far as /proc tells.
pub fn threads() -> Vec<Thread> {
    let Ok(entries) = fs::read_dir("/proc/self/task") else { return Vec::new() };
    let mut threads: Vec<Thread> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let id = path.file_name()?.to_str()?.parse().ok()?;
            let status = fs::read_to_string(path.join("status")).ok()?;
            let field = |name: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(name));
                line.map(|value| value.trim().to_owned()).unwrap_or_default()
            };
            let state = field("State:");
            let word = state.split_once('(').map_or(state.as_str(), |(_, word)| word.trim_end_matches(')'));
            Some(Thread { id, name: field("Name:"), state: word.to_owned() })
        })
        .collect();
    threads.sort_by_key(|thread| thread.id);
    threads
}

/// Processor time that this process has used, user and system.
fn processor_time() -> Option<Duration> {
    let text = fs::read_to_string("/proc/self/stat").ok()?;
    let ticks = processor_ticks(&text)?;
    Some(Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).ok()?)
}

/// Fields 14 and 15 of /proc/self/stat. The second field is the program's name in parentheses, which may hold
/// blanks and parentheses itself.
fn processor_ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// Measures how busy the processors were between one sample and the next.
#[derive(Debug)]
pub struct ProcessorMeter {
    at: Instant,
    used: Duration,
    percent: f64,
}

impl ProcessorMeter {
    /// Begins with what was used so far.
    pub fn start() -> ProcessorMeter {
        ProcessorMeter { at: Instant::now(), used: processor_time().unwrap_or_default(), percent: 0.0 }
    }

    /// Takes a sample. 100 percent is one processor; one digit after the point, as upstream shows it.
    pub fn sample(&mut self) {
        let (now, Some(used)) = (Instant::now(), processor_time()) else { return };
        let elapsed = now.duration_since(self.at).as_secs_f64();
        if elapsed > 0.0 {
            let share = used.saturating_sub(self.used).as_secs_f64() / elapsed;
            self.percent = (share * 1000.0).round() / 10.0;
        }
        (self.at, self.used) = (now, used);
    }

    /// What the last sample said.
    pub fn percent(&self) -> f64 {
        self.percent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use petrel_runtime::ThreadClock;

    #[test]
    fn names_with_parentheses_do_not_shift_fields() {
        let stat = "1 (a) b) S 0 1 1 0 -1 4194560 2 3 4 5 700 60 0 0 20 0 1 0";
        assert_eq!(processor_ticks(stat), Some(760));
    }

    #[test]
    fn this_process_has_a_size_and_uses_time() {
        assert!(resident_bytes() > 100_000);
        let (mut meter, begin) = (ProcessorMeter::start(), Instant::now());
        let clock = ThreadClock::of_this_thread().unwrap();
        let end = clock.used().unwrap() + Duration::from_millis(100);
        while clock.used().unwrap() < end {
            std::hint::black_box(0);
        }
        meter.sample();
        // This thread may get little of a processor that is busy, and others of this process run as well. The system
        // counts in hundredths of a second.
        let least = 0.08 / begin.elapsed().as_secs_f64() * 100.0;
        let most = std::thread::available_parallelism().unwrap().get() as f64 * 150.0;
        assert!(meter.percent() > least && meter.percent() < most, "{} of {least}", meter.percent());
    }

    #[test]
    fn the_pid_file_has_no_line_break() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        write_pid_file(&path).unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), std::process::id().to_string());
    }

    #[test]
    fn descriptors_are_raised_to_the_hard_limit() {
        let raised = raise_descriptor_limit().unwrap();
        assert_eq!(raised, getrlimit(Resource::Nofile).maximum);
    }
}
