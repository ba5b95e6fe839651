//! `/ipqueuesz`, `/stacksz`, `/debug/vars`: what goes on inside. Upstream shows the insides of a Go program there;
//! here stand those of this one, in the same shapes.

use super::query::{BadParameter, Query};
use super::state::Monitor;
use crate::process;
use crate::system::Body;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The queue of requests to the system account, by the name it has upstream.
const SYSTEM_QUEUE: &str = "System recvQ";

/// Command-line flags whose values are secrets.
const SECRET_FLAGS: [&str; 2] = ["pass", "auth"];

/// A queue.
#[derive(Serialize)]
pub struct Queue {
    pending: usize,
}

/// Which queues.
#[derive(Clone, Debug, Default)]
pub struct QueueRequest {
    all: bool,
    /// Part of a queue's name; empty: every queue.
    filter: String,
}

impl QueueRequest {
    /// Reads the parameters of a request over HTTP.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn from_query(query: &Query) -> Result<QueueRequest, BadParameter> {
        Ok(QueueRequest { all: query.boolean("all")?, filter: query.text("queues").to_owned() })
    }

    /// Reads the options of a request to the system account.
    pub fn from_body(body: &mut Body) -> QueueRequest {
        QueueRequest { all: body.boolean("all"), filter: body.text("filter") }
    }
}

/// Queues that hold something, or all of them.
pub fn ipqueuesz(monitor: &Monitor, request: &QueueRequest) -> BTreeMap<&'static str, Queue> {
    let pending = monitor.system_requests();
    let is_shown = (request.all || pending > 0) && SYSTEM_QUEUE.contains(&request.filter);
    is_shown.then_some((SYSTEM_QUEUE, Queue { pending })).into_iter().collect()
}

/// The threads of this process, one paragraph each.
pub fn stacksz() -> String {
    let mut text = String::new();
    for thread in process::threads() {
        let _ = writeln!(text, "thread {} [{}]:\n{}\n", thread.id, thread.state, thread.name);
    }
    text
}

/// `/debug/vars`.
#[derive(Serialize)]
pub struct Variables {
    cmdline: Vec<String>,
    memstats: Memory,
}

/// Sizes under the names of Go's `runtime.MemStats`, as far as they exist here.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Memory {
    alloc: u64,
    sys: u64,
    heap_alloc: u64,
    heap_sys: u64,
    heap_inuse: u64,
    #[serde(rename = "NumGC")]
    num_gc: u64,
}

/// The command line, and the memory.
pub fn variables() -> Variables {
    let arguments = std::env::args_os().map(|argument| argument.to_string_lossy().into_owned());
    let (resident, reserved) = (process::resident_bytes(), process::reserved_bytes());
    let memstats = Memory {
        alloc: resident,
        sys: reserved,
        heap_alloc: resident,
        heap_sys: reserved,
        heap_inuse: resident,
        num_gc: 0,
    };
    Variables { cmdline: without_secrets(arguments), memstats }
}

/// Leaves out the values of flags that are secrets.
fn without_secrets(arguments: impl Iterator<Item = String>) -> Vec<String> {
    let mut is_secret = false;
    arguments
        .map(|argument| {
            if std::mem::take(&mut is_secret) {
                return "[REDACTED]".to_owned();
            }
            let name = argument.trim_start_matches('-');
            match name.split_once('=') {
                Some((name, _)) if SECRET_FLAGS.contains(&name) => format!("-{name}=[REDACTED]"),
                _ => {
                    is_secret = argument.starts_with('-') && SECRET_FLAGS.contains(&name);
                    argument
                }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_of_the_command_line_are_not_shown() {
        let arguments =
            ["server", "--pass", "s1", "-auth=s2", "--user", "u", "-auth", "s3", "-p", "1"].map(String::from);
        let shown = without_secrets(arguments.into_iter());
        let expected = [
            "server",
            "--pass",
            "[REDACTED]",
            "-auth=[REDACTED]",
            "--user",
            "u",
            "-auth",
            "[REDACTED]",
            "-p",
            "1",
        ];
        assert_eq!(shown, expected);
    }

    #[test]
    fn this_thread_is_listed() {
        assert!(stacksz().starts_with("thread "));
        let Memory { alloc, sys, .. } = variables().memstats;
        assert!(alloc > 0 && sys >= alloc);
    }
}
