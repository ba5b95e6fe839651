//! The thread that writes the log.

use super::format::{Level, Line, Stamp};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Lines that may wait for the writer; further ones are dropped and counted.
pub const LINES_MAX: usize = 8192;

/// Bytes that are gathered before they are written, when more lines wait.
const BATCH_BYTES: usize = 64 * 1024;

/// How long a flush or a fatal line waits for the writer: a terminal that is stopped must not keep the
/// process from ending.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(1);

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

enum Message {
    Line(Line),
    Reopen,
    Flush(Sender<()>),
}

/// A handle to the log. Clones share the writer, which ends when the last one is gone.
#[derive(Clone)]
pub struct Log {
    messages: Sender<Message>,
    dropped: Arc<AtomicU64>,
}

impl Log {
    /// Opens the sink and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be opened or the thread cannot be started.
    pub fn start(sink: Sink, stamp: Stamp) -> io::Result<Log> {
        let output = Output::open(sink)?;
        let (messages, inbox) = bounded(LINES_MAX);
        let dropped = Arc::new(AtomicU64::new(0));
        let mut writer = Writer { inbox, dropped: dropped.clone(), output, stamp, batch: Vec::new() };
        std::thread::Builder::new().name("petrel-log".into()).spawn(move || writer.run())?;
        Ok(Log { messages, dropped })
    }

    /// Hands a line to the writer; never waits.
    pub fn write(&self, line: Line) {
        match self.messages.try_send(Message::Line(line)) {
            Ok(()) => {}
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Writes why the server cannot go on, and waits until it is written.
    pub fn fatal(&self, text: impl Into<String>) {
        let line = Message::Line(Line::now(Level::Fatal, text.into()));
        // A full channel drains within the wait unless the sink is stuck; then nothing helps.
        let _ = self.messages.send_timeout(line, FLUSH_WAIT_MAX);
        self.flush();
    }

    /// Closes the file and opens it again by its name, so that it can be moved away (SIGUSR1).
    pub fn reopen(&self) {
        let _ = self.messages.send_timeout(Message::Reopen, FLUSH_WAIT_MAX);
    }

    /// Waits until all lines up to now are written, but not for long.
    pub fn flush(&self) {
        let (done, written) = bounded(1);
        if self.messages.send_timeout(Message::Flush(done), FLUSH_WAIT_MAX).is_ok() {
            let _ = written.recv_timeout(FLUSH_WAIT_MAX);
        }
    }
}

/// The open sink.
enum Output {
    Stderr,
    File(PathBuf, File),
}

impl Output {
    fn open(sink: Sink) -> io::Result<Output> {
        match sink {
            Sink::Stderr => Ok(Output::Stderr),
            Sink::File(path) => open_append(&path).map(|file| Output::File(path, file)),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Output::Stderr => io::stderr().lock().write_all(bytes),
            Output::File(_, file) => file.write_all(bytes),
        }
    }
}

fn open_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

struct Writer {
    inbox: Receiver<Message>,
    dropped: Arc<AtomicU64>,
    output: Output,
    stamp: Stamp,
    batch: Vec<u8>,
}

impl Writer {
    fn run(&mut self) {
        while let Ok(message) = self.inbox.recv() {
            self.handle(message);
            while self.batch.len() < BATCH_BYTES {
                match self.inbox.try_recv() {
                    Ok(message) => self.handle(message),
                    Err(_) => break,
                }
            }
            self.write_batch();
        }
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Line(line) => self.stamp.append(&line, &mut self.batch),
            Message::Reopen => self.reopen(),
            Message::Flush(done) => {
                self.write_batch();
                let _ = done.send(());
            }
        }
    }

    /// Writes what is gathered, and behind it how many lines had to be dropped meanwhile.
    fn write_batch(&mut self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            let text =
                format!("{dropped} log lines were dropped because the log could not be written fast enough");
            self.stamp.append(&Line::now(Level::Warning, text), &mut self.batch);
        }
        // There is nowhere to report that the log itself cannot be written; the server goes on.
        let _ = self.output.write_all(&self.batch);
        self.batch.clear();
    }

    fn reopen(&mut self) {
        self.write_batch();
        let Output::File(path, file) = &mut self.output else {
            let text = "File log re-open ignored, not a file logger".to_owned();
            self.stamp.append(&Line::now(Level::Information, text), &mut self.batch);
            return;
        };
        let line = match open_append(path) {
            Ok(opened) => {
                *file = opened;
                Line::now(Level::Information, "File log re-opened".to_owned())
            }
            // The old file stays open: lines are better there than nowhere.
            Err(error) => {
                Line::now(Level::Error, format!("Cannot reopen the log file {}: {error}", path.display()))
            }
        };
        self.stamp.append(&line, &mut self.batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_file_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let log = Log::start(Sink::File(path.clone()), Stamp::new(false, true)).unwrap();
        log.write(Line::now(Level::Information, "first".into()));
        log.flush();
        let moved = folder.path().join("server.log.1");
        std::fs::rename(&path, &moved).unwrap();
        log.reopen();
        log.write(Line::now(Level::Error, "second".into()));
        log.flush();
        assert!(std::fs::read_to_string(moved).unwrap().ends_with("[INF] first\n"));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("[INF] File log re-opened\n") && text.ends_with("[ERR] second\n"), "{text}");
    }

    #[test]
    fn dropped_lines_are_counted_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let (messages, inbox) = bounded(2);
        let dropped = Arc::new(AtomicU64::new(0));
        let log = Log { messages, dropped: dropped.clone() };
        for number in 0..5 {
            log.write(Line::now(Level::Information, format!("line {number}")));
        }
        assert_eq!(dropped.load(Ordering::Relaxed), 3);
        let output = Output::open(Sink::File(path.clone())).unwrap();
        let stamp = Stamp::new(false, true);
        let mut writer = Writer { inbox, dropped, output, stamp, batch: Vec::new() };
        drop(log);
        writer.run();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("line 1\n") && !text.contains("line 2\n"), "{text}");
        assert!(text.contains("[WRN] 3 log lines were dropped"), "{text}");
    }

    #[test]
    fn a_folder_is_no_log_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Log::start(Sink::File(folder.path().to_owned()), Stamp::new(true, false)).is_err());
    }
}
