//! The thread that writes the log.

use super::format::{Format, Level, Line};
use super::lost::{Batch, Gap, LostLines};
use super::output::{Destination, Output, OutputError};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use jiff::Zoned;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Lines that may wait for the writer; further ones are dropped and counted.
pub const LINES_MAX: usize = 8192;

/// Bytes of lines that may wait for the writer: traced payloads can be long.
pub const WAITING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes that are gathered before they are written, when more lines wait.
const BATCH_BYTES: usize = 64 * 1024;

/// How long a flush or a fatal line waits for the writer: a terminal that is stopped must not keep the
/// process from ending.
const FLUSH_WAIT_MAX: Duration = Duration::from_secs(1);

/// How often a log that could not be written is tried again while nobody logs.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

enum Message {
    Line(Line),
    Reopen,
    Redirect(Box<Opened>),
    Flush(Sender<()>),
}

/// A destination that was opened and can be gone over to.
pub struct Opened {
    output: Output,
    format: Format,
}

impl Opened {
    /// Opens the sink.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn open(destination: Destination) -> Result<Opened, OutputError> {
        Ok(Opened { output: Output::open(&destination.sink)?, format: destination.format })
    }
}

/// What the writer and those who log share.
#[derive(Default)]
struct Queue {
    waiting_bytes: AtomicUsize,
    lost: Arc<LostLines>,
}

/// A handle to the log. Clones share the writer, which ends when the last one is gone.
#[derive(Clone)]
pub struct Log {
    messages: Sender<Message>,
    queue: Arc<Queue>,
}

impl Log {
    /// Opens the sink and starts the writer.
    ///
    /// # Errors
    /// When the sink cannot be opened or the thread cannot be started.
    pub fn start(destination: Destination) -> Result<Log, OutputError> {
        let target = Opened::open(destination)?;
        let (messages, inbox) = bounded(LINES_MAX);
        let queue = Arc::<Queue>::default();
        let mut writer = Writer::new(inbox, queue.clone(), target);
        std::thread::Builder::new()
            .name("petrel-log".into())
            .spawn(move || writer.run())
            .map_err(OutputError::Thread)?;
        Ok(Log { messages, queue })
    }

    /// Hands a line to the writer; never waits.
    pub fn write(&self, line: Line) {
        let size = line.text.len();
        let waiting = self.queue.waiting_bytes.fetch_add(size, Ordering::Relaxed);
        if waiting + size > WAITING_BYTES_MAX || self.messages.try_send(Message::Line(line)).is_err() {
            self.queue.waiting_bytes.fetch_sub(size, Ordering::Relaxed);
            self.queue.lost.queue_full.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The lines that never came into the log.
    pub fn lost_lines(&self) -> Arc<LostLines> {
        self.queue.lost.clone()
    }

    /// Writes why the server cannot go on, and waits until it is written.
    pub fn fatal(&self, text: impl Into<String>) {
        let line = Line::now(Level::Fatal, text.into());
        self.queue.waiting_bytes.fetch_add(line.text.len(), Ordering::Relaxed);
        // A full channel drains within the wait unless the sink is stuck; then nothing helps.
        let _ = self.messages.send_timeout(Message::Line(line), FLUSH_WAIT_MAX);
        self.flush();
    }

    /// Closes the file and opens it again by its name, so that it can be moved away (SIGUSR1).
    pub fn reopen(&self) {
        let _ = self.messages.send_timeout(Message::Reopen, FLUSH_WAIT_MAX);
    }

    /// Lets all later lines go elsewhere, or look otherwise.
    pub fn redirect(&self, opened: Opened) {
        let _ = self.messages.send_timeout(Message::Redirect(Box::new(opened)), FLUSH_WAIT_MAX);
    }

    /// Waits until all lines up to now are written, but not for long.
    pub fn flush(&self) {
        let (done, written) = bounded(1);
        if self.messages.send_timeout(Message::Flush(done), FLUSH_WAIT_MAX).is_ok() {
            let _ = written.recv_timeout(FLUSH_WAIT_MAX);
        }
    }
}

struct Writer {
    inbox: Receiver<Message>,
    queue: Arc<Queue>,
    target: Opened,
    batch: Batch,
    gap: Gap,
    /// Lines of [`LostLines::queue_full`] that were told.
    told_dropped: u64,
}

impl Writer {
    fn new(inbox: Receiver<Message>, queue: Arc<Queue>, target: Opened) -> Writer {
        Writer { inbox, queue, target, batch: Batch::default(), gap: Gap::default(), told_dropped: 0 }
    }

    fn run(&mut self) {
        loop {
            let wait = if self.gap.is_open() { RETRY_INTERVAL } else { Duration::MAX };
            match self.inbox.recv_timeout(wait) {
                Ok(message) => self.handle(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
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
            Message::Line(line) => {
                self.queue.waiting_bytes.fetch_sub(line.text.len(), Ordering::Relaxed);
                self.line(&line);
                self.rotate_when_full();
            }
            Message::Reopen => self.reopen(),
            Message::Redirect(opened) => {
                self.write_batch();
                self.target = *opened;
            }
            Message::Flush(done) => {
                self.write_batch();
                let _ = done.send(());
            }
        }
    }

    fn line(&mut self, line: &Line) {
        match &mut self.target.output {
            Output::Syslog(syslog) => {
                let is_sent = syslog.send(line);
                self.count_lost(u64::from(!is_sent));
            }
            Output::Stderr | Output::File(_) => self.batch.push(line, &self.target.format),
        }
    }

    fn count_lost(&self, lines: u64) {
        self.queue.lost.not_written.fetch_add(lines, Ordering::Relaxed);
    }

    /// Writes what is gathered, and behind it how many lines had to be dropped meanwhile. What cannot be written is
    /// counted, and told once it can; the server goes on.
    fn write_batch(&mut self) {
        let dropped = self.queue.lost.queue_full.load(Ordering::Relaxed);
        if dropped > self.told_dropped {
            let lines = dropped - self.told_dropped;
            let text =
                format!("{lines} log lines were dropped because the log could not be written fast enough");
            self.told_dropped = dropped;
            self.line(&Line::now(Level::Warning, text));
        }
        let Opened { output, format } = &mut self.target;
        if !matches!(output, Output::Syslog(_)) {
            let lost = self.gap.write(&mut self.batch, format, |bytes| output.write_all(bytes));
            self.count_lost(lost);
        } else if let Some(line) = self.gap.close() {
            // Lines go there one by one, by now; the gap is that of another destination.
            self.line(&line);
        }
    }

    fn rotate_when_full(&mut self) {
        let waiting = self.batch.len();
        if !matches!(&self.target.output, Output::File(file) if file.is_full_with(waiting)) {
            return;
        }
        self.write_batch();
        if let Output::File(file) = &mut self.target.output {
            for said in file.rotate(&Zoned::now()) {
                self.line(&said);
            }
        }
    }

    fn reopen(&mut self) {
        self.write_batch();
        let line = match &mut self.target.output {
            Output::File(file) => match file.reopen() {
                Ok(()) => Line::now(Level::Information, "File log re-opened".to_owned()),
                // The old file stays open: lines are better there than nowhere.
                Err(error) => {
                    let shown = file.path().display();
                    Line::now(Level::Error, format!("Cannot reopen the log file {shown}: {error}"))
                }
            },
            Output::Stderr | Output::Syslog(_) => {
                Line::now(Level::Information, "File log re-open ignored, not a file logger".to_owned())
            }
        };
        self.line(&line);
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Stamp;
    use super::super::output::Sink;
    use super::*;
    use std::path::Path;

    fn destination(path: &Path, size_limit: u64) -> Destination {
        let sink = Sink::File { path: path.to_owned(), size_limit, files_max: 0 };
        Destination { sink, format: Format::Text(Stamp::new(false, true)) }
    }

    #[test]
    fn a_moved_file_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let log = Log::start(destination(&path, 0)).unwrap();
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
    fn lines_go_elsewhere_from_a_redirection_on() {
        let folder = tempfile::tempdir().unwrap();
        let (first, second) = (folder.path().join("a"), folder.path().join("b"));
        let log = Log::start(destination(&first, 0)).unwrap();
        log.write(Line::now(Level::Information, "here".into()));
        let mut json = destination(&second, 0);
        json.format = Format::Json;
        log.redirect(Opened::open(json).unwrap());
        log.write(Line::now(Level::Information, "there".into()));
        log.flush();
        assert!(std::fs::read_to_string(first).unwrap().ends_with("[INF] here\n"));
        let text = std::fs::read_to_string(second).unwrap();
        assert!(text.starts_with('{') && text.ends_with("\"message\":\"there\"}\n"), "{text}");
    }

    #[test]
    fn a_full_file_is_set_aside_between_lines() {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::start(destination(&folder.path().join("log"), 200)).unwrap();
        for number in 0..40 {
            log.write(Line::now(Level::Information, format!("line {number}")));
        }
        log.flush();
        let mut all = Vec::new();
        let mut files: Vec<_> =
            std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        // The current file has the shortest name; the others are ordered by their times.
        files.sort_unstable();
        files.rotate_left(1);
        assert!(files.len() > 3, "{files:?}");
        for file in &files {
            let text = std::fs::read_to_string(file).unwrap();
            assert!(text.len() < 300 && text.ends_with('\n'), "{text}");
            all.extend(text.lines().filter(|line| line.contains("] line ")).map(str::to_owned));
        }
        let expected: Vec<String> =
            (0..40).map(|number| format!("[{}] [INF] line {number}", std::process::id())).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn dropped_lines_are_counted_and_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.log");
        let (messages, inbox) = bounded(2);
        let queue = Arc::<Queue>::default();
        let log = Log { messages, queue: queue.clone() };
        // Too long to wait at all.
        log.write(Line::now(Level::Trace, "x".repeat(WAITING_BYTES_MAX + 1)));
        for number in 0..5 {
            log.write(Line::now(Level::Information, format!("line {number}")));
        }
        assert_eq!(queue.lost.by_reason(), [("queue_full", 4), ("not_written", 0)]);
        let target = Opened::open(destination(&path, 0)).unwrap();
        let mut writer = Writer::new(inbox, queue.clone(), target);
        drop(log);
        writer.run();
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains("line 1\n") && !text.contains("line 2\n"), "{text}");
        assert!(text.contains("[WRN] 4 log lines were dropped"), "{text}");
        assert_eq!(queue.waiting_bytes.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_folder_is_no_log_file() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Log::start(destination(folder.path(), 0)).is_err());
    }
}
