//! A crowd that tries wrong passwords keeps nobody out for long: what limits it is the work that a check costs.
//!
//! Checks of bcrypt are done one after the other, and who waits takes turns by address, then by hash. Somebody who is not
//! one of the crowd waits for the check that is in hand, for one of the crowd's, and for his own. That is told by the checks
//! of the crowd's that are done meanwhile, so that it holds on a machine of any speed, however busy it is.

mod support;

use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{PATIENCE, Server};

const CROWD: usize = 200;
/// Work of a check: some tens of milliseconds, so that what else a login takes is little beside a few of them.
const COST: u32 = 10;
/// How many of the crowd's checks may be done during a login: two, and some more on a busy machine, where those who hear of
/// theirs do so late. Who had to wait behind the crowd would see all of them.
const CHECKS_MAX: usize = CROWD / 4;
/// How many of the crowd's checks are waited for before the first login.
const CHECKS_AWAITED: usize = 3;
/// Right passwords of each kind. What was right once is known from then on, so each has a hash of its own.
const SAMPLES: usize = 3;

/// A hash of `s3cret` that no other number has.
fn hash(number: u8) -> String {
    bcrypt::hash_with_salt("s3cret", COST, [number; 16]).unwrap().to_string()
}

/// Connects from an address of the loopback, and reads INFO.
fn connect(from: Ipv4Addr, port: u16) -> std::io::Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((from, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let mut byte = [0];
    while byte[0] != b'\n' {
        stream.read_exact(&mut byte)?;
    }
    Ok(stream)
}

/// Logs in; all that came until it was decided.
fn log_in(from: Ipv4Addr, port: u16, user: &str, password: &str) -> std::io::Result<String> {
    let mut stream = connect(from, port)?;
    let connect =
        format!("CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\nPING\r\n");
    stream.write_all(connect.as_bytes())?;
    let mut received = Vec::new();
    let mut buffer = [0; 512];
    while !received.ends_with(b"PONG\r\n") {
        match stream.read(&mut buffer)? {
            0 => break,
            count => received.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&received).into_owned())
}

/// Logs in with a right password.
fn right(from: Ipv4Addr, port: u16, user: &str, password: &str) {
    assert_eq!(log_in(from, port, user, password).unwrap(), "PONG\r\n", "{user}");
}

#[test]
fn wrong_passwords_delay_those_who_try_them() {
    const HERE: Ipv4Addr = Ipv4Addr::LOCALHOST;
    const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    let mut users = vec!["{ user: plain, password: plain }".to_owned()];
    let mut user =
        |name: &str, number: u8| users.push(format!("{{ user: {name}, password: \"{}\" }}", hash(number)));
    user("target", 2);
    user("known", 3);
    (0..SAMPLES as u8).for_each(|number| user(&format!("other{number}"), 10 + number));
    std::fs::write(&file, format!("authorization {{ timeout: 60, users: [ {} ] }}\n", users.join("\n")))
        .unwrap();
    let server = Server::start(&["-c", file.to_str().unwrap()]);
    let port = server.port;
    right(HERE, port, "known", "s3cret");

    let is_over = Arc::new(AtomicBool::new(false));
    let (tried, refused) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let (is_over, tried, refused) = (is_over.clone(), tried.clone(), refused.clone());
            std::thread::spawn(move || {
                while !is_over.load(Ordering::Relaxed) {
                    let guess = format!("guess {}", tried.fetch_add(1, Ordering::Relaxed));
                    let said = log_in(HERE, port, "target", &guess).unwrap_or_default();
                    assert!(!said.contains("PONG"), "{said}");
                    if said.contains("Authorization Violation") {
                        refused.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();
    // All of them wait, and checks are done.
    let end = Instant::now() + PATIENCE;
    let count = |number: &AtomicUsize| number.load(Ordering::Relaxed);
    while count(&tried) < CROWD + CHECKS_AWAITED || count(&refused) < CHECKS_AWAITED {
        assert!(Instant::now() < end, "{} tried and {} refused", count(&tried), count(&refused));
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut done = Vec::new();
    let mut login = |who, from, user: &str, password| {
        let before = count(&refused);
        right(from, port, user, password);
        done.push((who, count(&refused) - before));
    };
    for number in 0..SAMPLES {
        login("plain", HERE, "plain", "plain");
        login("known", HERE, "known", "s3cret");
        login("another user", HERE, &format!("other{number}"), "s3cret");
    }
    // The user whom the crowd is after, at another address; from then on he is known everywhere.
    login("the same user elsewhere", ELSEWHERE, "target", "s3cret");
    login("the same user", HERE, "target", "s3cret");
    is_over.store(true, Ordering::Relaxed);
    let log = server.log();
    // Who still waits is let go by that.
    drop(server);
    for thread in crowd {
        thread.join().unwrap();
    }
    println!("{} guesses; {done:?}", count(&tried));
    for (who, checks) in done {
        assert!(checks <= CHECKS_MAX, "{who} waited for {checks} checks");
    }
    assert!(!log.contains("defect"), "{log}");
}
