//! What can be seen of a running server from outside: its monitoring port and its process.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Server;
use crate::{PATIENCE, Wire, http};

impl Server {
    /// The resident memory of the process in bytes.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    #[track_caller]
    pub fn resident_bytes(&self) -> u64 {
        let status =
            fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("a running process");
        let line =
            status.lines().find(|line| line.starts_with("VmRSS:")).expect("a line of the resident memory");
        let kibibytes: u64 =
            line.split_whitespace().nth(1).and_then(|word| word.parse().ok()).expect("a number");
        kibibytes * 1024
    }

    /// The processor time that the process has used so far, in user and kernel.
    ///
    /// # Panics
    ///
    /// When the process is gone.
    #[track_caller]
    pub fn processor_time(&self) -> Duration {
        let stat =
            fs::read_to_string(format!("/proc/{}/stat", self.process.id())).expect("a running process");
        // The name in parentheses may hold blanks; the times are the 12th and 13th word behind it.
        let (_, rest) = stat.rsplit_once(')').expect("a name in parentheses");
        let ticks: u64 =
            rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
        let ticks_per_second = rustix::param::clock_ticks_per_second();
        Duration::from_millis(ticks * 1000 / ticks_per_second)
    }

    /// Asks the monitoring port for `path` and returns the body.
    ///
    /// # Panics
    ///
    /// When the answer is not 200.
    #[track_caller]
    pub fn monitor(&self, path: &str) -> String {
        let answer =
            http::get(self.monitor_address(), path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// As [`Server::monitor`], with the body read as JSON.
    ///
    /// # Panics
    ///
    /// When the answer is not 200 or not JSON.
    #[track_caller]
    pub fn monitor_json(&self, path: &str) -> Value {
        let body = self.monitor(path);
        serde_json::from_str(&body).unwrap_or_else(|error| panic!("{path}: {error}: {body}"))
    }

    /// Asks the monitoring port for `path` until the JSON body fits, and returns it.
    ///
    /// # Panics
    ///
    /// When no answer fits in time.
    #[track_caller]
    pub fn monitor_until(&self, path: &str, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let body = self.monitor_json(path);
            if fits(&body) {
                return body;
            }
            assert!(Instant::now() < deadline, "{path} never answered as expected; last: {body:#}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Checks that the server serves as one that nothing happened to: a fresh client is heard and answered, and the
    /// monitoring port calls the server well.
    ///
    /// # Panics
    ///
    /// When it does not.
    #[track_caller]
    pub fn assert_serving(&self) {
        let mut wire = Wire::client(self.address());
        wire.send("SUB serving.check 1\r\nPUB serving.check 2\r\nhi\r\n");
        wire.expect("MSG serving.check 1 2\r\nhi\r\n");
        wire.sync();
        assert_eq!(self.monitor("/healthz"), r#"{"status":"ok"}"#);
    }
}
