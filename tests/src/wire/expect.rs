//! What a test expects of a connection.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{Fill, Mismatch, Wire};
use crate::pattern::{Match, readable};
use crate::{PATIENCE, Pattern};

impl Wire {
    /// Waits until `pattern` has arrived, and takes it.
    ///
    /// # Panics
    ///
    /// When something else arrives, nothing arrives in time, or the server closes.
    #[track_caller]
    pub fn expect(&mut self, pattern: impl Into<Pattern>) {
        if let Err(mismatch) = self.try_expect(&pattern.into()) {
            panic!("{mismatch}");
        }
    }

    /// As [`Wire::expect`], with the failure as a value.
    ///
    /// # Errors
    ///
    /// When something else arrives, nothing arrives in time, or the server closes.
    pub fn try_expect(&mut self, pattern: &Pattern) -> Result<(), Mismatch> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if !pattern.wants_ping() {
                self.answer_pings();
            }
            self.skip_repeated();
            match pattern.compare(self.rest()) {
                Match::Taken(length) => {
                    self.take(length);
                    self.repeated.clear();
                    return Ok(());
                }
                Match::Never if self.answer_ping_inside(pattern) => continue,
                Match::Never if self.begins_like_repeated() => {}
                Match::Never => return Err(self.mismatch(pattern, "and something else arrived")),
                Match::Undecided => {}
            }
            match self.fill(deadline.saturating_duration_since(Instant::now())) {
                Fill::Bytes => {}
                Fill::Nothing => return Err(self.mismatch(pattern, "and it did not arrive in time")),
                Fill::Closed => return Err(self.mismatch(pattern, "and the server closed the connection")),
            }
        }
    }

    /// Waits until `bytes` have arrived, and takes them. Further copies of them are skipped until something else comes.
    ///
    /// # Errors
    ///
    /// As those of [`Wire::try_expect`].
    pub fn try_expect_repeated(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.try_expect(&bytes.into())?;
        self.repeated = bytes.to_vec();
        Ok(())
    }

    /// Waits until all of `patterns` have arrived, in whatever order, and takes them.
    ///
    /// # Errors
    ///
    /// When something else arrives, one does not arrive in time, or the server closes.
    pub fn try_expect_unordered(&mut self, patterns: &[Pattern]) -> Result<(), Mismatch> {
        let mut missing: Vec<&Pattern> = patterns.iter().collect();
        let deadline = Instant::now() + PATIENCE;
        self.repeated.clear();
        while !missing.is_empty() {
            self.answer_pings();
            let taken =
                missing.iter().enumerate().find_map(|(index, pattern)| match pattern.compare(self.rest()) {
                    Match::Taken(length) => Some((index, length)),
                    Match::Undecided | Match::Never => None,
                });
            if let Some((index, length)) = taken {
                missing.remove(index);
                self.take(length);
                continue;
            }
            if missing.iter().all(|pattern| matches!(pattern.compare(self.rest()), Match::Never)) {
                return Err(self.mismatch(missing[0], "among others, and something else arrived"));
            }
            match self.fill(deadline.saturating_duration_since(Instant::now())) {
                Fill::Bytes => {}
                Fill::Nothing => return Err(self.mismatch(missing[0], "among others, in time")),
                Fill::Closed => return Err(self.mismatch(missing[0], "among others, and the server closed")),
            }
        }
        Ok(())
    }

    /// Waits until the server closes, having sent nothing more than what was taken.
    ///
    /// # Panics
    ///
    /// When further bytes arrive or the server does not close in time.
    #[track_caller]
    pub fn expect_closed(&mut self) {
        if let Err(mismatch) = self.try_expect_closed() {
            panic!("{mismatch}");
        }
    }

    /// As [`Wire::expect_closed`], with the failure as a value.
    ///
    /// # Errors
    ///
    /// When further bytes arrive or the server does not close in time.
    pub fn try_expect_closed(&mut self) -> Result<(), Mismatch> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.answer_pings();
            self.skip_repeated();
            if !self.rest().is_empty() && !self.begins_like_repeated() {
                return Err(Mismatch(format!("expected the end, got {}", readable(self.rest()))));
            }
            match self.fill(deadline.saturating_duration_since(Instant::now())) {
                Fill::Closed if self.rest().is_empty() => return Ok(()),
                Fill::Closed => {
                    return Err(Mismatch(format!("the end came behind {}", readable(self.rest()))));
                }
                Fill::Nothing => return Err(Mismatch("expected the end, the connection is open".to_owned())),
                Fill::Bytes => {}
            }
        }
    }

    /// Reads and drops everything until the server closes.
    ///
    /// # Panics
    ///
    /// When it does not close before `patience` has passed.
    #[track_caller]
    pub fn drain_until_closed(&mut self, patience: Duration) {
        let deadline = Instant::now() + patience;
        while self.fill(deadline.saturating_duration_since(Instant::now())) != Fill::Closed {
            self.take(self.rest().len());
            assert!(Instant::now() < deadline, "the connection is still open after {patience:?}");
        }
        self.take(self.rest().len());
    }

    /// Checks that nothing arrives for `quiet_ms` milliseconds and that the connection stays open.
    ///
    /// # Panics
    ///
    /// When something arrives or the server closes.
    #[track_caller]
    pub fn expect_nothing(&mut self, quiet_ms: u64) {
        if let Err(mismatch) = self.try_expect_nothing(quiet_ms) {
            panic!("{mismatch}");
        }
    }

    /// As [`Wire::expect_nothing`], with the failure as a value.
    ///
    /// # Errors
    ///
    /// When something arrives or the server closes.
    pub fn try_expect_nothing(&mut self, quiet_ms: u64) -> Result<(), Mismatch> {
        let deadline = Instant::now() + Duration::from_millis(quiet_ms);
        loop {
            self.answer_pings();
            self.skip_repeated();
            if !self.rest().is_empty() {
                return Err(Mismatch(format!("expected nothing, got {}", readable(self.rest()))));
            }
            match self.fill(deadline.saturating_duration_since(Instant::now())) {
                Fill::Bytes => {}
                Fill::Nothing => return Ok(()),
                Fill::Closed => return Err(Mismatch("expected nothing, the server closed".to_owned())),
            }
        }
    }

    /// True when the server says nothing for `quiet_ms` milliseconds, and has said nothing before that was not taken.
    pub fn is_silent(&mut self, quiet_ms: u64) -> bool {
        self.try_expect_nothing(quiet_ms).is_ok()
    }

    /// Takes the INFO line that the server speaks first and returns its JSON text.
    ///
    /// # Panics
    ///
    /// When something else arrives.
    #[track_caller]
    pub fn take_info(&mut self) -> String {
        let line = self.take_line();
        let json = line.strip_prefix("INFO ").and_then(|rest| rest.strip_suffix(" "));
        json.unwrap_or_else(|| panic!("expected INFO, got {line:?}")).to_owned()
    }

    /// Takes one line, whatever it is but a PING that is answered and skipped, without its CRLF.
    ///
    /// # Panics
    ///
    /// When no line in UTF-8 arrives in time.
    #[track_caller]
    pub fn take_line(&mut self) -> String {
        match self.try_take_line() {
            Ok(line) => line,
            Err(mismatch) => panic!("{mismatch}"),
        }
    }

    /// As [`Wire::take_line`], with the failure as a value.
    ///
    /// # Errors
    ///
    /// When no line in UTF-8 arrives in time.
    pub fn try_take_line(&mut self) -> Result<String, Mismatch> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.answer_pings();
            if let Some(end) = self.rest().iter().position(|byte| *byte == b'\n') {
                let line = self.rest()[..=end].to_vec();
                self.take(line.len());
                let text = line.strip_suffix(b"\r\n").unwrap_or(&line);
                return String::from_utf8(text.to_vec())
                    .map_err(|_| Mismatch(format!("expected a line of text, got {}", readable(&line))));
            }
            if self.fill(deadline.saturating_duration_since(Instant::now())) != Fill::Bytes {
                return Err(Mismatch(format!("expected a line, got only {}", readable(self.rest()))));
            }
        }
    }

    /// Takes exactly `count` bytes.
    ///
    /// # Panics
    ///
    /// When they do not arrive in time.
    #[track_caller]
    pub fn take_bytes(&mut self, count: usize) -> Vec<u8> {
        self.try_take_bytes(count).unwrap_or_else(|Mismatch(text)| panic!("{text}"))
    }

    /// As [`Wire::take_bytes`], with the failure as a value.
    ///
    /// # Errors
    ///
    /// When they do not arrive in time.
    pub fn try_take_bytes(&mut self, count: usize) -> Result<Vec<u8>, Mismatch> {
        let deadline = Instant::now() + PATIENCE;
        while self.rest().len() < count {
            let fill = self.fill(deadline.saturating_duration_since(Instant::now()));
            if fill != Fill::Bytes {
                let (got, shown) = (self.rest().len(), readable(&self.rest()[..self.rest().len().min(100)]));
                return Err(Mismatch(format!("expected {count} bytes, got {got}: {shown}")));
            }
        }
        let bytes = self.rest()[..count].to_vec();
        self.take(count);
        Ok(bytes)
    }

    /// Sends PING and expects its PONG to be the next thing that arrives: everything sent before has taken effect,
    /// and nothing else was on its way to this connection.
    ///
    /// # Panics
    ///
    /// When something else comes first.
    #[track_caller]
    pub fn sync(&mut self) {
        self.send("PING\r\n");
        self.expect("PONG\r\n");
    }

    /// Sends PING and takes all lines up to its PONG.
    ///
    /// # Panics
    ///
    /// When no PONG arrives in time.
    #[track_caller]
    pub fn lines_until_pong(&mut self) -> Vec<String> {
        self.send("PING\r\n");
        let mut lines = Vec::new();
        loop {
            let line = self.take_line();
            if line == "PONG" {
                return lines;
            }
            lines.push(line);
        }
    }

    /// What has arrived and was not expected by anybody so far, PINGs of the server left out.
    pub fn leftover(&mut self) -> &[u8] {
        self.fill(Duration::from_millis(1));
        self.answer_pings();
        self.skip_repeated();
        if self.begins_like_repeated() { &[] } else { self.rest() }
    }

    fn mismatch(&self, pattern: &Pattern, what: &str) -> Mismatch {
        Mismatch(format!("expected {pattern} {what}; arrived: {}", readable(self.rest())))
    }

    /// Takes PINGs off the front and answers them.
    fn answer_pings(&mut self) {
        const PING: &[u8] = b"PING\r\n";
        while !self.pings_shown && self.rest().starts_with(PING) {
            self.take(PING.len());
            // Not `try_send`: the answer must not be cut into the pieces of a conversation.
            let _ = self.stream.write_all(b"PONG\r\n");
        }
    }

    /// Takes further copies of what may come several times off the front.
    fn skip_repeated(&mut self) {
        while !self.repeated.is_empty() && self.rest().starts_with(&self.repeated) {
            self.take(self.repeated.len());
        }
    }

    /// Whether what is here may be the beginning of a further copy.
    fn begins_like_repeated(&self) -> bool {
        !self.rest().is_empty()
            && self.rest().len() < self.repeated.len()
            && self.repeated.starts_with(self.rest())
    }

    /// Answers and removes a PING that came between the lines of `pattern`; false when there is none.
    fn answer_ping_inside(&mut self, pattern: &Pattern) -> bool {
        const PING: &[u8] = b"PING\r\n";
        let Pattern::Bytes(bytes) = pattern else { return false };
        let equal =
            self.rest().iter().zip(bytes).take_while(|(arrived, expected)| arrived == expected).count();
        let line_start =
            self.rest()[..equal].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        if self.pings_shown || !self.rest()[line_start..].starts_with(PING) {
            return false;
        }
        let start = self.taken + line_start;
        self.arrived.drain(start..start + PING.len());
        let _ = self.stream.write_all(b"PONG\r\n");
        true
    }
}
