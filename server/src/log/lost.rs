//! Lines that never came into the log: how many, and what is said of them once lines can be written again.

use super::format::{Format, Level, Line};
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Lines that were lost since the start, by why. `/metrics` shows them.
#[derive(Debug, Default)]
pub struct LostLines {
    /// Too many waited for the writer.
    pub queue_full: AtomicU64,
    /// What they were to be written to did not take them: a full disk, a system log that is gone.
    pub not_written: AtomicU64,
}

/// A write that did not get to its end.
#[derive(Debug)]
pub struct Unwritten {
    /// Bytes that were written.
    pub written: usize,
    /// What the system said.
    pub source: io::Error,
}

/// Writes, and knows how far it got.
///
/// # Errors
/// What the system said, with the bytes that were written before.
pub fn write_counted(sink: &mut impl Write, bytes: &[u8]) -> Result<(), Unwritten> {
    let mut written = 0;
    while written < bytes.len() {
        match sink.write(&bytes[written..]) {
            Ok(0) => return Err(Unwritten { written, source: ErrorKind::WriteZero.into() }),
            Ok(count) => written += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(source) => return Err(Unwritten { written, source }),
        }
    }
    Ok(())
}

/// Lines that are rendered and not yet written.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each line ends.
    ends: Vec<usize>,
}

impl Batch {
    /// Appends a line.
    pub fn push(&mut self, line: &Line, format: &Format) {
        format.append(line, &mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Bytes of all lines.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Lines that do not lie within the first so many bytes.
    fn lines_behind(&self, written: usize) -> u64 {
        (self.ends.len() - self.ends.partition_point(|end| *end <= written)) as u64
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// The lines that could not be written since the last one that could. They are told ahead of the next.
#[derive(Default)]
pub struct Gap {
    lines: u64,
    why: String,
    /// Whether the last line that was begun has no end.
    is_torn: bool,
}

impl Gap {
    /// Whether lines were lost that nobody was told of.
    pub fn is_open(&self) -> bool {
        self.lines > 0
    }

    /// Writes a batch, ahead of it what is to be told, and empties it. Returns how many of its lines were lost.
    pub fn write(
        &mut self,
        batch: &mut Batch,
        format: &Format,
        write: impl FnOnce(&[u8]) -> Result<(), Unwritten>,
    ) -> u64 {
        let mut head = self.told(format);
        let head_bytes = head.len();
        let result = if head_bytes == 0 {
            write(&batch.bytes)
        } else {
            head.extend_from_slice(&batch.bytes);
            write(&head)
        };
        let lost = match result {
            Ok(()) => {
                *self = Gap::default();
                0
            }
            Err(Unwritten { written, source }) => {
                let lost = batch.lines_behind(written.saturating_sub(head_bytes));
                let is_told = written >= head_bytes;
                self.lines = lost + if is_told { 0 } else { self.lines };
                let last = written
                    .checked_sub(1)
                    .map(|last| if head_bytes == 0 { batch.bytes[last] } else { head[last] });
                self.is_torn = last.map_or(self.is_torn, |last| last != b'\n');
                self.why = crate::files::system_text(&source);
                lost
            }
        };
        batch.clear();
        lost
    }

    /// What is to be told, if anything; it is told then.
    pub fn close(&mut self) -> Option<Line> {
        let line = self.line();
        *self = Gap::default();
        line
    }

    fn line(&self) -> Option<Line> {
        let (lines, why) = (self.lines, &self.why);
        let text = format!("{lines} log lines were lost because the log could not be written: {why}");
        self.is_open().then(|| Line::now(Level::Warning, text))
    }

    /// What goes ahead of the next lines.
    fn told(&self, format: &Format) -> Vec<u8> {
        let mut head = Vec::new();
        if let Some(line) = self.line() {
            if self.is_torn {
                head.push(b'\n');
            }
            format.append(&line, &mut head);
        }
        head
    }
}

impl LostLines {
    /// Lines lost so far, and why: a word for each reason.
    pub fn by_reason(&self) -> [(&'static str, u64); 2] {
        [
            ("queue_full", self.queue_full.load(Ordering::Relaxed)),
            ("not_written", self.not_written.load(Ordering::Relaxed)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::super::format::Stamp;
    use super::*;

    /// A disk with so many bytes left.
    struct Disk {
        left: usize,
        text: Vec<u8>,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.left);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.left -= count;
            self.text.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Rig {
        disk: Disk,
        gap: Gap,
        format: Format,
        mark: String,
    }

    impl Rig {
        fn new(left: usize) -> Rig {
            let format = Format::Text(Stamp::new(false, true));
            let mark = format!("[{}] ", std::process::id());
            Rig { disk: Disk { left, text: Vec::new() }, gap: Gap::default(), format, mark }
        }

        fn write(&mut self, texts: &[&str]) -> u64 {
            let mut batch = Batch::default();
            for text in texts {
                batch.push(&Line::now(Level::Information, (*text).to_owned()), &self.format);
            }
            let disk = &mut self.disk;
            self.gap.write(&mut batch, &self.format, |bytes| write_counted(disk, bytes))
        }

        fn text(&self) -> String {
            String::from_utf8(self.disk.text.clone()).unwrap().replace(&self.mark, "")
        }
    }

    #[test]
    fn a_gap_is_told_once_ahead_of_the_next_line() {
        let mut rig = Rig::new(1 << 20);
        assert_eq!(rig.write(&["a", "b"]), 0);
        rig.disk.left = 0;
        assert_eq!(rig.write(&["c", "d"]), 2);
        assert_eq!(rig.write(&["e"]), 1);
        assert!(rig.gap.is_open());
        rig.disk.left = 1 << 20;
        assert_eq!(rig.write(&["f"]), 0);
        assert_eq!(rig.write(&["g"]), 0);
        let told = "[WRN] 3 log lines were lost because the log could not be written: no storage space\n";
        assert_eq!(rig.text(), format!("[INF] a\n[INF] b\n{told}[INF] f\n[INF] g\n"));
    }

    #[test]
    fn a_line_that_was_cut_off_is_lost_and_ends_before_the_next() {
        let mut rig = Rig::new(0);
        let line_bytes = rig.mark.len() + "[INF] a\n".len();
        rig.disk.left = line_bytes + line_bytes - 2;
        assert_eq!(rig.write(&["a", "b", "c"]), 2);
        rig.disk.left = 1 << 20;
        assert_eq!(rig.write(&[]), 0);
        let told = "[WRN] 2 log lines were lost because the log could not be written: no storage space\n";
        assert_eq!(rig.text(), format!("[INF] a\n[INF] \n{told}"));
    }

    #[test]
    fn what_was_told_while_the_rest_was_lost_is_not_told_again() {
        let mut rig = Rig::new(0);
        assert_eq!(rig.write(&["a"]), 1);
        let told = "[WRN] 1 log lines were lost because the log could not be written: no storage space\n";
        rig.disk.left = rig.mark.len() + told.len();
        assert_eq!(rig.write(&["b", "c"]), 2);
        rig.disk.left = 1 << 20;
        assert_eq!(rig.write(&["d"]), 0);
        let again = told.replace("1 log", "2 log");
        assert_eq!(rig.text(), format!("{told}{again}[INF] d\n"));
    }

    #[test]
    fn a_gap_that_is_told_in_part_stays_open() {
        let mut rig = Rig::new(0);
        assert_eq!(rig.write(&["a"]), 1);
        rig.disk.left = 5;
        assert_eq!(rig.write(&["b"]), 1);
        rig.disk.left = 1 << 20;
        assert_eq!(rig.write(&["c"]), 0);
        let told = "[WRN] 2 log lines were lost because the log could not be written: no storage space\n";
        assert!(rig.text().ends_with(&format!("\n{told}[INF] c\n")), "{}", rig.text());
    }
}
