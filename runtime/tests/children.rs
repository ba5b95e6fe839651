//! A process that is tied to this one ends with it, however this one ends.

use petrel_runtime::end_with_this_thread;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Set for the process in the middle: this program called again.
const PARENT: &str = "PETREL_TEST_IS_PARENT";

/// The process in the middle: it starts another, says its id, and lives on.
#[test]
#[ignore = "the other test runs it"]
fn parent() {
    if std::env::var_os(PARENT).is_none() {
        return;
    }
    let mut command = Command::new("sleep");
    command.arg("60").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    end_with_this_thread(&mut command);
    let mut child = command.spawn().unwrap();
    println!("\nchild {}", child.id());
    let _ = child.wait();
}

/// A process that has ended may still be listed until somebody asks for its code.
fn runs(id: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[test]
fn a_child_ends_with_a_parent_that_is_killed() {
    let mut parent = Command::new(std::env::current_exe().unwrap())
        .args(["parent", "--exact", "--ignored", "--nocapture"])
        .env(PARENT, "1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(parent.stdout.take().unwrap()).lines().map_while(Result::ok);
    let id = lines.find_map(|line| line.strip_prefix("child ").map(str::to_owned)).unwrap();
    assert!(runs(&id));
    parent.kill().unwrap();
    parent.wait().unwrap();
    let end = Instant::now() + Duration::from_secs(30);
    while runs(&id) {
        assert!(Instant::now() < end, "the child goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}
