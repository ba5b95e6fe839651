//! What a server says on its error output.

use std::io::{BufRead, BufReader};
use std::process::ChildStderr;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// The pipe of a process that has ended closes at once; waiting longer than this means that somebody else holds it.
const COMPLETE_PATIENCE: Duration = Duration::from_secs(60);

/// The error output of a process, collected while it runs.
#[derive(Default)]
pub(super) struct Log {
    state: Mutex<LogState>,
    grown: Condvar,
}

#[derive(Default)]
struct LogState {
    text: String,
    complete: bool,
}

impl Log {
    pub(super) fn collect(&self, output: ChildStderr) {
        let mut reader = BufReader::new(output);
        let mut line = Vec::new();
        while matches!(reader.read_until(b'\n', &mut line), Ok(count) if count > 0) {
            self.state.lock().expect("no holder panics").text.push_str(&String::from_utf8_lossy(&line));
            self.grown.notify_all();
            line.clear();
        }
        self.state.lock().expect("no holder panics").complete = true;
        self.grown.notify_all();
    }

    pub(super) fn text(&self) -> String {
        self.state.lock().expect("no holder panics").text.clone()
    }

    /// The last lines, enough to see what happened.
    pub(super) fn tail(&self) -> String {
        const LINES_MAX: usize = 60;
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(LINES_MAX)..].join("\n")
    }

    pub(super) fn wait_for(&self, words: &str, patience: Duration) -> bool {
        let state = self.state.lock().expect("no holder panics");
        let (state, _) = self
            .grown
            .wait_timeout_while(state, patience, |state| !state.text.contains(words) && !state.complete)
            .expect("no holder panics");
        state.text.contains(words)
    }

    /// Waits until the pipe is closed, which follows the end of the process at once.
    pub(super) fn wait_until_complete(&self) {
        let state = self.state.lock().expect("no holder panics");
        let _ = self
            .grown
            .wait_timeout_while(state, COMPLETE_PATIENCE, |state| !state.complete)
            .expect("no holder panics");
    }
}
