//! Receivers that do not keep up: they are closed, their publishers are slowed down a little, and nobody else
//! notices.

use std::thread;
use std::time::{Duration, Instant};

use petrel_tests::{Server, Wire, is_petrel};
use serde_json::Value;

/// A message of 32 KiB to `flood`, as published.
fn large_publish() -> Vec<u8> {
    [b"PUB flood 32768\r\n".as_slice(), &[b'x'; 32768], b"\r\n"].concat()
}

/// Takes one of those as it is delivered.
fn take_large(wire: &mut Wire) {
    assert_eq!(wire.take_message().payload.len(), 32768);
}

/// As little as the system permits.
const NARROW: usize = 1;

/// Enough for a receiver that reads, and little enough that a slow one is found slow.
const MODERATE: usize = 256 * 1024;

/// How long a write may take where receivers are to be closed for what waits, and not for how long it does.
const WRITE_DEADLINE: Duration = Duration::from_secs(60);

/// A configuration with that time.
fn patient(config: &str) -> String {
    format!("{config}\nwrite_deadline: \"{}s\"", WRITE_DEADLINE.as_secs())
}

fn subscriber(server: &Server, name: &str, buffer_bytes: usize) -> Wire {
    let mut wire = Wire::open_narrow(server.address(), buffer_bytes).expect("the server accepts");
    wire.introduce(&format!(r#"{{"verbose":false,"name":"{name}"}}"#));
    wire.send("SUB flood 1\r\n");
    wire.sync();
    wire
}

/// The entry of the connection with the name in a list of connections.
fn connection<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list["connections"].as_array().expect("a list").iter().find(|entry| entry["name"] == name)
}

/// Waits until the connection is listed as closed, and returns the reason.
fn closed_reason(server: &Server, name: &str) -> String {
    let list = server.monitor_until("/connz?state=closed", |list| connection(list, name).is_some());
    connection(&list, name).expect("just found")["reason"].as_str().expect("a text").to_owned()
}

#[test]
fn too_much_pending_closes_the_receiver_without_a_word_and_nobody_else_notices() {
    const MESSAGES: usize = 800;
    let server = Server::builder().config(&patient("max_payload: 64KB\nmax_pending: 1MB")).start();
    let mut dead = subscriber(&server, "dead", NARROW);
    let mut healthy = subscriber(&server, "healthy", MODERATE);
    let mut publisher = Wire::client(server.address());
    let reading = thread::spawn(move || {
        for _ in 0..MESSAGES {
            take_large(&mut healthy);
        }
        healthy.sync();
        Instant::now()
    });
    let started = Instant::now();
    for _ in 0..MESSAGES {
        publisher.send(large_publish());
    }
    publisher.sync();
    let ended = reading.join().expect("the healthy receiver gets everything");
    println!("{MESSAGES} messages beside a dead receiver took {:?}", ended - started);
    assert!(ended - started < WRITE_DEADLINE / 2, "the healthy receiver was slowed down");
    assert_eq!(closed_reason(&server, "dead"), "Slow Consumer (Pending Bytes)");
    // What it reads now is what the kernel held: whole or cut messages, no error, the end.
    let mut received = Vec::new();
    while let Ok(message) = dead.try_take_message() {
        received.push(message);
    }
    assert!(received.len() < MESSAGES);
    assert!(!String::from_utf8_lossy(dead.leftover()).contains("-ERR"));
    let varz = server.monitor_json("/varz");
    assert_eq!(varz["slow_consumers"], 1);
    assert_eq!(varz["slow_consumer_stats"]["clients"], 1);
    server.assert_serving();
}

#[test]
fn a_write_that_takes_too_long_closes_the_receiver() {
    let server = Server::builder().config("write_deadline: \"300ms\"").start();
    let _dead = subscriber(&server, "dead", NARROW);
    let mut publisher = Wire::client(server.address());
    // More than the kernel buffers, less than the 64 MB that may be pending.
    for _ in 0..640 {
        publisher.send(large_publish());
    }
    publisher.sync();
    assert_eq!(closed_reason(&server, "dead"), "Slow Consumer (Write Deadline)");
    assert_eq!(server.monitor_json("/varz")["slow_consumer_stats"]["clients"], 1);
    server.assert_serving();
}

#[test]
fn with_retry_a_receiver_that_takes_something_stays() {
    const MESSAGES: usize = 320;
    let server = Server::builder().config("write_deadline: \"2s\"\nwrite_timeout: retry").start();
    let mut slow = subscriber(&server, "slow", NARROW);
    let mut publisher = Wire::client(server.address());
    for _ in 0..MESSAGES {
        publisher.send(large_publish());
    }
    publisher.sync();
    // It takes a little every now and then, for three deadlines.
    for _ in 0..20 {
        (0..4).for_each(|_| take_large(&mut slow));
        thread::sleep(Duration::from_millis(300));
    }
    for _ in 80..MESSAGES {
        take_large(&mut slow);
    }
    slow.sync();
}

#[test]
fn publishers_to_a_slow_receiver_wait_for_it_and_it_loses_nothing() {
    // 128 MiB to a receiver of which no more than 8 MB may be pending, and which reads all the time, slower than the
    // publisher could write, faster than one does that is stalled.
    const MESSAGES: usize = 4096;
    let server = Server::builder().config(&patient("max_pending: 8MB")).start();
    let mut slow = subscriber(&server, "slow", MODERATE);
    let mut publisher = Wire::connect(server.address(), r#"{"verbose":false,"name":"publisher"}"#);
    let writing = thread::spawn(move || {
        for _ in 0..MESSAGES {
            publisher.send(large_publish());
        }
        publisher.sync();
        publisher
    });
    for number in 0..MESSAGES {
        take_large(&mut slow);
        if number % 8 == 0 {
            thread::sleep(Duration::from_millis(5));
        }
    }
    let _publisher = writing.join().expect("the publisher ends well");
    slow.sync();
    let list = server.monitor_json("/connz");
    // The stalls are listed at the receiver that caused them, not at the publisher that waited.
    let stalls = connection(&list, "slow").expect("the receiver is connected")["stalls"].as_u64();
    let varz = server.monitor_json("/varz");
    println!("stalls {stalls:?}, stalled clients {}", varz["stalled_clients"]);
    assert!(stalls > Some(0), "a publisher was stalled");
    assert_eq!(varz["stalled_clients"].as_u64(), stalls);
    assert_eq!(varz["slow_consumers"], 0);
}

#[test]
fn without_stalls_the_messages_of_a_slow_receiver_are_dropped() {
    const MESSAGES: usize = 2048;
    let server = Server::builder().config(&patient("max_pending: 4MB\nno_fast_producer_stall: true")).start();
    let mut slow = subscriber(&server, "slow", MODERATE);
    let mut publisher = Wire::connect(server.address(), r#"{"verbose":false,"name":"publisher"}"#);
    for _ in 0..MESSAGES {
        publisher.send(large_publish());
    }
    publisher.sync();
    // Dropped, not closed: what was pending arrives, and the connection goes on.
    let mut received = 0;
    slow.send("PING\r\n");
    while slow.try_take_message().is_ok() {
        received += 1;
    }
    println!("{received} of {MESSAGES} arrived");
    assert!(received > 0 && received < MESSAGES);
    slow.sync();
    let varz = server.monitor_json("/varz");
    assert_eq!((&varz["stalled_clients"], &varz["slow_consumers"]), (&0.into(), &0.into()));
}

#[test]
fn a_dead_receiver_slows_nobody_but_those_who_publish_to_it() {
    const ROUNDS: u32 = 300;
    let server = Server::builder().config(&patient("max_pending: 8MB")).start();
    let dead: Vec<Wire> = (0..4).map(|index| subscriber(&server, &format!("dead{index}"), NARROW)).collect();
    let mut flooding = Wire::client(server.address());
    let flood = thread::spawn(move || {
        for _ in 0..640 {
            flooding.send(large_publish());
        }
        flooding.sync();
    });
    // Meanwhile others talk to each other as ever.
    let mut asking = Wire::client(server.address());
    let mut answering = Wire::client(server.address());
    answering.send("SUB talk 1\r\n");
    answering.sync();
    let mut longest = Duration::ZERO;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        asking.send("PUB talk 2\r\nhi\r\n");
        answering.expect("MSG talk 1 2\r\nhi\r\n");
        longest = longest.max(started.elapsed());
    }
    flood.join().expect("the flood ends");
    println!("longest of {ROUNDS} messages beside dead receivers: {longest:?}");
    // Whoever waited for the dead would wait until their time is up.
    assert!(longest < WRITE_DEADLINE / 6, "{longest:?}");
    for (index, _wire) in dead.iter().enumerate() {
        assert_eq!(closed_reason(&server, &format!("dead{index}")), "Slow Consumer (Pending Bytes)");
    }
    server.assert_serving();
}

/// Each of these may have 64 MB pending; the node may not.
#[test]
fn what_waits_for_receivers_keeps_to_the_memory_of_the_node() {
    const MESSAGES: usize = 1600;
    const RECEIVERS: usize = 8;
    const GROWTH_BYTES_MAX: u64 = 100 * 1024 * 1024;
    if !is_petrel() {
        return;
    }
    let server = Server::builder().config(&patient("petrel { memory: 16MB }")).start();
    let dead: Vec<Wire> =
        (0..RECEIVERS).map(|index| subscriber(&server, &format!("dead{index}"), NARROW)).collect();
    let mut publisher = Wire::client(server.address());
    let before = server.resident_bytes();
    let mut growth = 0;
    for number in 0..MESSAGES {
        publisher.send(large_publish());
        if number % 50 == 0 {
            publisher.sync();
            growth = growth.max(server.resident_bytes().saturating_sub(before));
        }
    }
    publisher.sync();
    println!("memory grew by {growth} B");
    // 400 MB were sent to them.
    assert!(growth < GROWTH_BYTES_MAX, "memory grew by {growth} B");
    let closed = server.monitor_until("/connz?state=closed", |list| list["total"].as_u64() >= Some(1));
    let mut reasons = closed["connections"].as_array().expect("a list").iter().map(|entry| &entry["reason"]);
    assert!(reasons.all(|reason| reason == "Slow Consumer (Pending Bytes)"), "{closed}");
    assert!(server.log().contains("the memory budget of"), "{}", server.log());
    server.assert_serving();
    drop(dead);
}
