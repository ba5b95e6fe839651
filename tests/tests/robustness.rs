//! Clients that misbehave, by the hundred. Whatever they do, others are served, and the server's memory stays within
//! bounds.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use petrel_tests::{PATIENCE, Random, Server, Split, Wire};

const MEBIBYTE: u64 = 1024 * 1024;

/// Checks what must hold after anything: a fresh client is served, and the process has not grown by more than
/// `growth_mib` since `before_bytes`.
#[track_caller]
fn assert_unharmed(server: &Server, before_bytes: u64, growth_mib: u64) {
    server.assert_serving();
    let growth = server.resident_bytes().saturating_sub(before_bytes) / MEBIBYTE;
    println!("memory grew by {growth} MiB, {growth_mib} are permitted");
    assert!(growth <= growth_mib, "memory grew by {growth} MiB, more than {growth_mib}");
}

/// Waits until only `count` connections are left.
fn wait_for_connections(server: &Server, count: u64) {
    server.monitor_until("/connz?limit=1", |body| body["total"].as_u64() <= Some(count));
}

/// Opens a connection without taking what the server says.
fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address()).expect("the server accepts");
    stream.set_nodelay(true).expect("the option can be set");
    stream
}

#[test]
fn clients_that_speak_very_slowly_hold_up_nobody() {
    const DRIPPING: usize = 300;
    let server = Server::start();
    let before = server.resident_bytes();
    let mut dripping: Vec<TcpStream> = (0..DRIPPING).map(|_| connect(&server)).collect();
    let text = b"CONNECT {\"verbose\":false}\r\nSUB drip 1\r\nPUB drip 100000\r\n";
    let mut longest = Duration::ZERO;
    let mut asking = Wire::client(server.address());
    for byte in text {
        for stream in &mut dripping {
            stream.write_all(&[*byte]).expect("the server keeps the connection");
        }
        let started = Instant::now();
        asking.sync();
        longest = longest.max(started.elapsed());
    }
    println!("longest PING beside {DRIPPING} dripping clients: {longest:?}");
    // Whoever had to wait for them would wait until this test ends them.
    assert!(longest < PATIENCE / 4, "{longest:?}");
    // All of them were heard, and their payloads are still open.
    let sizes = server.monitor_json("/connz?limit=1");
    assert_eq!(sizes["total"], DRIPPING + 1);
    assert_unharmed(&server, before, 64);
}

#[test]
fn peers_that_have_gone_without_a_word_are_found_and_forgotten() {
    // A connection that is never read or answered is what the server sees of a machine that lost its power.
    const GONE: usize = 200;
    let server = Server::builder().config("ping_interval: \"1s\"\nping_max: 2").start();
    let before = server.resident_bytes();
    let mut gone = Vec::new();
    for _ in 0..GONE {
        let mut stream = connect(&server);
        stream.write_all(b"CONNECT {\"verbose\":false}\r\nSUB lost q 1\r\nSUB lost 2\r\n").expect("sent");
        gone.push(stream);
    }
    // On a slow machine the first ones are forgotten when the last ones come.
    server.monitor_until("/varz", |body| body["total_connections"] == GONE);
    wait_for_connections(&server, 0);
    // Nothing goes to them any more.
    let mut wire = Wire::client(server.address());
    wire.send("SUB inbox 1\r\nPUB lost inbox 0\r\n\r\n");
    wire.expect("HMSG inbox 1 36 36\r\nNATS/1.0 503\r\nNats-Subject: lost\r\n\r\n\r\n");
    assert_unharmed(&server, before, 64);
    drop(gone);
}

#[test]
fn half_closed_clients_get_what_they_asked_for_and_are_forgotten() {
    const CLIENTS: usize = 500;
    let server = Server::start();
    let before = server.resident_bytes();
    for number in 0..CLIENTS {
        let mut wire = Wire::open(server.address()).expect("the server accepts");
        wire.take_info();
        wire.send(format!(
            "CONNECT {{\"verbose\":false}}\r\nSUB half.{number} 1\r\nPUB half.{number} 2\r\nhi\r\nPING\r\n"
        ));
        wire.half_close();
        wire.expect(format!("MSG half.{number} 1 2\r\nhi\r\nPONG\r\n"));
        wire.expect_closed();
    }
    wait_for_connections(&server, 0);
    assert_unharmed(&server, before, 64);
}

#[test]
fn thousands_of_resets_at_any_moment_leave_nothing_behind() {
    const THREADS: u64 = 4;
    const RESETS_EACH: usize = 1_000;
    let server = Server::start();
    let before = server.resident_bytes();
    // Something to be sent to those that are reset while they receive.
    let mut publisher = Wire::client(server.address());
    thread::scope(|scope| {
        let resetting: Vec<_> = (0..THREADS)
            .map(|index| {
                let server = &server;
                scope.spawn(move || {
                    let mut random = Random::from_environment(index + 1);
                    for _ in 0..RESETS_EACH {
                        reset_somewhere(server, &mut random);
                    }
                })
            })
            .collect();
        while !resetting.iter().all(|thread| thread.is_finished()) {
            publisher.send(format!("PUB reset.x 1000\r\n{}\r\n", "x".repeat(1000)).repeat(20));
            publisher.sync();
        }
    });
    wait_for_connections(&server, 1);
    publisher.send("SUB inbox 1\r\nPUB reset.x inbox 0\r\n\r\n");
    publisher.expect("HMSG inbox 1 39 39\r\nNATS/1.0 503\r\nNats-Subject: reset.x\r\n\r\n\r\n");
    assert_unharmed(&server, before, 128);
}

/// Connects, gets as far as chance wants, and resets the connection.
fn reset_somewhere(server: &Server, random: &mut Random) {
    let mut wire = Wire::open(server.address()).expect("the server accepts");
    let text = b"CONNECT {\"verbose\":false}\r\nSUB reset.> q 1\r\nSUB reset.* 2\r\nPUB reset.y 2000\r\n";
    match random.below(4) {
        0 => {}
        1 => wire.send(&text[..random.below(text.len())]),
        2 => wire.send([text.as_slice(), &random.bytes(1000)].concat()),
        _ => {
            wire.send("CONNECT {\"verbose\":false}\r\nSUB reset.> 1\r\n");
            wire.take_info();
            wire.take_bytes(100);
        }
    }
    wire.reset();
}

#[test]
fn a_client_that_never_reads_is_closed_while_others_are_served() {
    let server = Server::builder().config("max_pending: 16MB\nwrite_deadline: \"60s\"").start();
    let before = server.resident_bytes();
    let mut dead = Wire::open_narrow(server.address(), 1).expect("the server accepts");
    dead.introduce(r#"{"verbose":false,"name":"dead"}"#);
    dead.send("SUB > 1\r\n");
    dead.sync();
    let mut subscriber = Wire::client(server.address());
    subscriber.send("SUB news 1\r\n");
    subscriber.sync();
    let mut publisher = Wire::client(server.address());
    let message = format!("PUB news 65536\r\n{}\r\n", "x".repeat(65536));
    for _ in 0..800 {
        publisher.send(&message);
        assert_eq!(subscriber.take_message().payload.len(), 65536);
    }
    let list = server.monitor_until("/connz?state=closed", |body| body["total"] == 1);
    assert_eq!(list["connections"][0]["reason"], "Slow Consumer (Pending Bytes)");
    assert_unharmed(&server, before, 128);
}

#[test]
fn without_descriptors_it_accepts_later_and_serves_those_it_has() {
    const LIMIT: u32 = 256;
    const EXTRA: usize = 300;
    let server = Server::builder().descriptors_max(LIMIT).start();
    let before = server.resident_bytes();
    let mut publisher = Wire::client(server.address());
    let mut subscriber = Wire::client(server.address());
    subscriber.send("SUB here 1\r\n");
    subscriber.sync();
    // The kernel completes these connections; the server cannot take all of them.
    let mut extra: Vec<Wire> =
        (0..EXTRA).map(|_| Wire::open(server.address()).expect("the backlog is long enough")).collect();
    let silent = extra.iter_mut().rev().take(10).filter_map(|wire| wire.is_silent(100).then_some(())).count();
    assert!(silent > 0, "the limit of {LIMIT} descriptors was not reached");
    // Those it has are served, and it does not burn its time on trying.
    let time_before = server.processor_time();
    let started = Instant::now();
    for _ in 0..50 {
        publisher.send("PUB here 2\r\nhi\r\n");
        subscriber.expect("MSG here 1 2\r\nhi\r\n");
        thread::sleep(Duration::from_millis(20));
    }
    let used = server.processor_time() - time_before;
    println!("used {used:?} in {:?} without descriptors", started.elapsed());
    assert!(used < started.elapsed() / 2, "{used:?} of processor time for nothing");
    assert!(server.log().lines().count() < 1_000, "a log without end");
    // Some leave, others come in.
    extra.drain(..EXTRA / 2);
    for wire in &mut extra {
        wire.take_info();
        wire.sync();
    }
    assert_unharmed(&server, before, 64);
}

#[test]
fn five_thousand_clients_at_once() {
    const CLIENTS: usize = 5_000;
    const THREADS: usize = 8;
    raise_descriptor_limit(CLIENTS as u64 + 1_000);
    let server = Server::start();
    let before = server.resident_bytes();
    let started = Instant::now();
    let mut clients: Vec<Wire> = thread::scope(|scope| {
        let connecting: Vec<_> = (0..THREADS)
            .map(|_| {
                let address = server.address();
                scope.spawn(move || {
                    (0..CLIENTS / THREADS)
                        .map(|_| {
                            let mut wire = Wire::client(address);
                            wire.send("SUB everybody 1\r\n");
                            wire.sync();
                            wire
                        })
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        connecting.into_iter().flat_map(|thread| thread.join().expect("all connect")).collect()
    });
    println!("{} clients after {:?}", clients.len(), started.elapsed());
    assert_eq!(server.monitor_json("/connz?limit=1")["total"], CLIENTS);
    let mut publisher = Wire::client(server.address());
    for _ in 0..3 {
        publisher.send("PUB everybody 5\r\nhello\r\n");
        publisher.sync();
        for wire in &mut clients {
            wire.send("PING\r\n");
            wire.expect("MSG everybody 1 5\r\nhello\r\nPONG\r\n");
        }
    }
    assert_unharmed(&server, before, 400);
    drop(clients);
    wait_for_connections(&server, 1);
    publisher.send("SUB inbox 1\r\nPUB everybody inbox 0\r\n\r\n");
    publisher.expect("HMSG inbox 1 41 41\r\nNATS/1.0 503\r\nNats-Subject: everybody\r\n\r\n\r\n");
    assert_unharmed(&server, before, 400);
}

/// Lets this process hold so many descriptors.
fn raise_descriptor_limit(count: u64) {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < count) {
        let raised = Rlimit { current: limit.maximum.map(|maximum| maximum.min(count)), ..limit };
        setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised up to the hard one");
    }
}

#[test]
fn lines_without_end_are_not_collected() {
    const CLIENTS: usize = 50;
    let server = Server::start();
    let before = server.resident_bytes();
    for _ in 0..CLIENTS {
        let mut wire = Wire::open(server.address()).expect("the server accepts");
        wire.take_info();
        // The server closes early; the rest goes nowhere.
        wire.send([b"SUB ".as_slice(), &vec![b'x'; 4 * 1024 * 1024]].concat());
        wire.drain_until_closed(PATIENCE);
    }
    assert_unharmed(&server, before, 64);
}

#[test]
fn announced_payloads_take_no_memory_before_they_come() {
    const CLIENTS: usize = 400;
    let server = Server::start();
    let before = server.resident_bytes();
    let mut waiting = Vec::new();
    for _ in 0..CLIENTS {
        let mut wire = Wire::client(server.address());
        wire.send("PUB large 1000000\r\nonly this");
        waiting.push(wire);
    }
    server.assert_serving();
    // 400 MB were announced.
    assert_unharmed(&server, before, 100);
    for wire in waiting {
        wire.reset();
    }
    wait_for_connections(&server, 0);
}

#[test]
fn wrong_counts_and_sizes_close_only_their_own_connection() {
    let server = Server::start();
    let before = server.resident_bytes();
    let mut witness = Wire::client(server.address());
    let lines = [
        "PUB\r\n",
        "PUB a\r\n",
        "PUB a b c d\r\n",
        "PUB a -1\r\n",
        "PUB a 1234567890\r\n",
        "PUB a 99999999\r\n",
        "PUB a 0x10\r\n",
        "PUB a 5\r\nhello!\r\n",
        "HPUB a 5\r\n",
        "HPUB a 9 5\r\n",
        "HPUB a x 5\r\n",
        "HPUB a 5 999999999\r\n",
        "SUB\r\n",
        "SUB a\r\n",
        "SUB a b c d\r\n",
        "UNSUB\r\n",
        "UNSUB 1 2 3\r\n",
        "CONNECT\r\n",
        "CONNECT {\r\n",
        "CONNECT [1]\r\n",
        "MSG a 1 1\r\nx\r\n",
        "\r\n",
        "-ERR 'x'\r\n",
        "RS+ a b\r\n",
        "FOO\r\n",
        "\0\r\n",
    ];
    for line in lines {
        for split in [Split::Whole, Split::Bytes] {
            let mut wire = Wire::client(server.address());
            wire.set_split(split);
            wire.send(line);
            wire.drain_until_closed(PATIENCE);
        }
        witness.sync();
    }
    assert_unharmed(&server, before, 64);
}

#[test]
fn rubbish_of_any_kind_harms_only_its_own_connection() {
    const CONNECTIONS: usize = 600;
    let server = Server::builder().config("max_payload: 4096").start();
    let before = server.resident_bytes();
    let mut random = Random::from_environment(20);
    let mut witness = Wire::client(server.address());
    witness.send("SUB witness 1\r\n");
    for number in 0..CONNECTIONS {
        let rubbish = rubbish(&mut random);
        let mut wire = Wire::open(server.address()).expect("the server accepts");
        wire.take_info();
        if number % 2 == 0 {
            wire.send("CONNECT {\"verbose\":true,\"headers\":true}\r\n");
        }
        wire.set_split(if number % 3 == 0 { Split::Chunks(random.clone()) } else { Split::Whole });
        wire.send(&rubbish);
        if number % 5 == 0 {
            wire.reset();
        } else {
            wire.half_close();
            wire.drain_until_closed(PATIENCE);
        }
        witness.send("PUB witness 2\r\nok\r\n");
        loop {
            // Rubbish may hit upon the witness's subject.
            if witness.take_message().text() == "ok" {
                break;
            }
        }
    }
    wait_for_connections(&server, 1);
    assert_unharmed(&server, before, 64);
}

/// Random bytes, or lines of the protocol with random changes.
fn rubbish(random: &mut Random) -> Vec<u8> {
    const LINES: [&str; 10] = [
        "PUB a.b 5\r\nhello\r\n",
        "HPUB a.b 12 17\r\nNATS/1.0\r\n\r\nhello\r\n",
        "SUB a.* 1\r\n",
        "SUB > q 2\r\n",
        "UNSUB 1 3\r\n",
        "PING\r\n",
        "PONG\r\n",
        "CONNECT {\"verbose\":false}\r\n",
        "+OK\r\n",
        "PUB a reply 0\r\n\r\n",
    ];
    if random.below(3) == 0 {
        let count = random.below(2_000);
        return random.bytes(count);
    }
    let mut bytes = Vec::new();
    for _ in 0..random.below(40) {
        bytes.extend_from_slice(LINES[random.below(LINES.len())].as_bytes());
    }
    for _ in 0..random.below(6) {
        if bytes.is_empty() {
            break;
        }
        let position = random.below(bytes.len());
        match random.below(3) {
            0 => bytes[position] = random.bytes(1)[0],
            1 => {
                bytes.remove(position);
            }
            _ => bytes.insert(position, random.bytes(1)[0]),
        }
    }
    bytes
}
