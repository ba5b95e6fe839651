//! The control plane gives way to messages, and still gets along where they take all of the processor.

mod support;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::Server;

/// Of `s3cret`, at cost 12: some 0.2 s of a processor, and a quarter of a minute of the share that the nicest thread has of a busy one.
const HASH: &str = "$2b$12$abcdefghijklmnopqrstuuIkD3QUGeSzQARHziTZIsG4D8yrNpG.S";

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
    // What stands for messages: somebody who never sleeps.
    let is_over = Arc::new(AtomicBool::new(false));
    let ends = is_over.clone();
    let busy = std::thread::spawn(move || {
        while !ends.load(Ordering::Relaxed) {
            std::hint::spin_loop();
        }
    });
    let begin = Instant::now();
    let login = server.client("{\"verbose\":false,\"user\":\"hashed\",\"pass\":\"s3cret\"}");
    let login_took = begin.elapsed();
    let begin = Instant::now();
    assert_eq!(server.json("/connz?subs=1")["num_connections"], 51);
    let answer_took = begin.elapsed();
    let begin = Instant::now();
    assert_eq!(server.get("/healthz").status, 200);
    let health_took = begin.elapsed();
    is_over.store(true, Ordering::Relaxed);
    busy.join().unwrap();
    println!("login {login_took:?}, /connz {answer_took:?}, /healthz {health_took:?}");
    assert!(login_took < Duration::from_secs(15), "{login_took:?}");
    assert!(answer_took < Duration::from_secs(10), "{answer_took:?}");
    assert!(health_took < Duration::from_secs(2), "{health_took:?}");
    drop((login, others));
}
