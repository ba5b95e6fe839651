//! The control plane gives way to messages, and still gets along where they take all of the processor.
//!
//! What that takes is told by the processor time that a busy thread beside it gets meanwhile: whatever else runs on the
//! machine takes from both alike.

mod support;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use petrel_runtime::ThreadClock;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use support::Server;

/// Of `s3cret`, at cost 12: some 0.2 s of a processor.
const HASH: &str = "$2b$12$abcdefghijklmnopqrstuuIkD3QUGeSzQARHziTZIsG4D8yrNpG.S";
/// What the busy thread gets while the password is checked, as a multiple of that work: 68 beside the nicest thread alone,
/// 3 beside the helper.
const LOGIN_MAX: u32 = 30;
/// What else it gets meanwhile, at most: until the helper begins, and while it looks.
const SLACK: Duration = Duration::from_secs(1);
/// What it gets while a long answer of monitoring is made, and while a short one is.
const ANSWER_MAX: Duration = Duration::from_secs(10);
const HEALTH_MAX: Duration = Duration::from_secs(2);

/// Keeps this thread, and what it starts, on one processor.
fn stay_on_one_processor() {
    let this_thread = Pid::from_raw(0);
    let allowed = sched_getaffinity(this_thread).unwrap();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap()).unwrap();
    let mut one = CpuSet::new();
    one.set(first).unwrap();
    sched_setaffinity(this_thread, &one).unwrap();
}

#[test]
fn where_the_processor_is_taken_logins_and_long_answers_are_helped_out() {
    stay_on_one_processor();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    let users = format!("[ {{ user: plain, password: plain }}, {{ user: hashed, password: \"{HASH}\" }} ]");
    fs::write(&file, format!("authorization {{ timeout: 60, users: {users} }}\n")).unwrap();
    let server = Server::start(&["-c", file.to_str().unwrap()]);
    let mut others = Vec::new();
    for _ in 0..50 {
        others.push(server.client("{\"verbose\":false,\"user\":\"plain\",\"pass\":\"plain\"}"));
    }
    let own = ThreadClock::of_this_thread().unwrap();
    let before = own.used().unwrap();
    assert!(bcrypt::verify("s3cret", HASH).unwrap());
    let work = own.used().unwrap() - before;
    // What stands for messages: somebody who never sleeps.
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    let (tell, told) = channel();
    let busy = std::thread::spawn(move || {
        tell.send(ThreadClock::of_this_thread().unwrap()).unwrap();
        while !ends.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    let clock = told.recv().unwrap();
    let busy_time = || clock.used().unwrap();
    let times = [
        busy_time(),
        {
            others.push(server.client("{\"verbose\":false,\"user\":\"hashed\",\"pass\":\"s3cret\"}"));
            busy_time()
        },
        {
            assert_eq!(server.json("/connz?subs=1")["num_connections"], 51);
            busy_time()
        },
        {
            assert_eq!(server.get("/healthz").status, 200);
            busy_time()
        },
    ];
    is_over.store(true, Ordering::Relaxed);
    busy.join().unwrap();
    let [login, answer, health] = [0, 1, 2].map(|at| times[at + 1] - times[at]);
    println!(
        "a check takes {work:?}; busy for {login:?} at the login, {answer:?} at /connz, {health:?} at /healthz"
    );
    assert!(login < work * LOGIN_MAX + SLACK, "{login:?}, and a check takes {work:?}");
    assert!(answer < ANSWER_MAX, "{answer:?}");
    assert!(health < HEALTH_MAX, "{health:?}");
}
