//! A crowd that begins TLS and does not go on, as large as the limit of descriptors allows: the others talk and come and
//! go as before, the crowd costs little memory and gives it back, and it is closed when its time is up.

mod support;

use rustix::process::{Resource, getrlimit, setrlimit};
use rustls::ClientConfig;
use rustls::version::{TLS12, TLS13};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::authority::{Authority, TlsClient};
use support::{PATIENCE, Server};

/// The crowd is not smaller than this, on a machine however slow.
const CROWD_MIN: usize = 600;
/// Nor larger: the loopback has about 28,000 ports to connect from.
const CROWD_MAX: usize = 18_000;
/// Descriptors that are left to everything else.
const OTHERS: u64 = 1500;
/// How long a handshake may take, at least; the crowd gathers in half of it. On a slow machine it is more.
const TIMEOUT_MIN: Duration = Duration::from_secs(16);
/// So many of the crowd are tried to see how long it takes to gather.
const TRIED: usize = 200;
/// What the smallest crowd needs is this much less than the time there is to gather it: a machine may get slower.
const RESERVE: u32 = 16;
/// How often is looked who was closed.
const LOOK: Duration = Duration::from_millis(100);
/// What one of the crowd may cost.
const HELD_BYTES_MAX: u64 = 4 * 1024;
/// By what a second crowd may outdo the first.
const GROWTH_BYTES_MAX: u64 = 1024;
/// Threads that connect the crowd.
const HANDS: usize = 4;

/// One of the crowd: since when it is there at the earliest, and at the latest.
struct Idle {
    stream: TcpStream,
    earliest: Instant,
    since: Instant,
}

/// What follows from how long a handshake may take.
#[derive(Clone, Copy)]
struct Times {
    timeout: Duration,
}

impl Times {
    /// Those for a machine on which gathering so many took so long.
    fn measured(count: usize, took: Duration) -> Times {
        let least = took * u32::try_from(CROWD_MIN / count).unwrap() * RESERVE * 2;
        Times { timeout: TIMEOUT_MIN.max(Duration::from_secs(least.as_secs() + 1)) }
    }

    /// How long the crowd gathers.
    fn gathering(self) -> Duration {
        self.timeout / 2
    }

    /// How late somebody may be closed.
    fn late_max(self) -> Duration {
        self.timeout / 2
    }

    /// How long a whole handshake with its login usually takes beside the crowd, at most, and a message to somebody else.
    /// Whoever is held up waits as long as the crowd does.
    fn usual_max(self) -> Duration {
        self.timeout / 4
    }
}

/// Lets this process have as many descriptors as it may, and says how large a crowd goes with that.
fn crowd_size() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    usize::try_from(hard.saturating_sub(OTHERS)).unwrap_or(usize::MAX).min(CROWD_MAX)
}

fn resident_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The first record of a client.
fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let mut connection = rustls::ClientConnection::new(config.clone(), name).unwrap();
    let mut hello = Vec::new();
    connection.write_tls(&mut hello).unwrap();
    hello
}

/// Connects so many, if there is time for them. Some say nothing, some a few bytes, most half of what they should, a few
/// all of it, and then nothing.
fn gather(port: u16, count: usize, hello: &[u8], time: Duration) -> Vec<Idle> {
    let begin = Instant::now();
    let one = |number: usize| {
        let earliest = Instant::now();
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut info = [0; 1024];
        let count = stream.read(&mut info).unwrap();
        assert!(count > 0, "number {number} was closed at once");
        let since = Instant::now();
        let bytes = match number % 16 {
            0..4 => 0,
            4..6 => 1,
            6..8 => 7,
            8 => hello.len(),
            9..12 => hello.len().saturating_sub(1),
            _ => hello.len() / 2,
        };
        stream.write_all(&hello[..bytes.min(hello.len())]).unwrap();
        Idle { stream, earliest, since }
    };
    std::thread::scope(|scope| {
        let hand = |hand: usize| {
            let numbers = (hand..count).step_by(HANDS);
            numbers.take_while(|_| begin.elapsed() < time).map(one).collect::<Vec<_>>()
        };
        let hands: Vec<_> = (0..HANDS).map(|number| scope.spawn(move || hand(number))).collect();
        hands.into_iter().flat_map(|hand| hand.join().unwrap()).collect()
    })
}

/// Whether the server has closed it. What it says before that is read.
fn is_closed(idle: &mut Idle) -> bool {
    let mut buffer = [0; 4096];
    idle.stream.set_nonblocking(true).unwrap();
    loop {
        match idle.stream.read(&mut buffer) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

/// Says that it is over when it is dropped.
struct Over<'o>(&'o AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Who talks beside the crowd.
struct Talk<'s> {
    server: &'s Server,
    config: Arc<ClientConfig>,
    client: TlsClient,
    logins: Vec<Duration>,
    messages: Vec<Duration>,
}

impl Talk<'_> {
    fn new<'s>(server: &'s Server, config: &Arc<ClientConfig>) -> Talk<'s> {
        let mut client = TlsClient::connect(server.port, config);
        client.log_in(r#"{"verbose":false}"#);
        client.send("SUB a 1\r\n");
        Talk { server, config: config.clone(), client, logins: Vec::new(), messages: Vec::new() }
    }

    /// A client comes, says something and goes; one that is there hears it.
    fn go_on(&mut self) {
        let begin = Instant::now();
        let mut other = TlsClient::connect(self.server.port, &self.config);
        other.log_in(r#"{"verbose":false}"#);
        self.logins.push(begin.elapsed());
        let begin = Instant::now();
        self.client.received.clear();
        other.send("PUB a 2\r\nhi\r\n");
        self.client.wait_for("MSG a 1 2\r\nhi\r\n");
        self.messages.push(begin.elapsed());
    }

    fn check(mut self, limits: Times) {
        for (what, times) in [("logins", &mut self.logins), ("messages", &mut self.messages)] {
            times.sort_unstable();
            let (usual, longest) = (times[times.len() / 2], times[times.len() - 1]);
            println!("{} {what}, {usual:?} usually, {longest:?} at most", times.len());
            // No single one waits for as long as the crowd does, however busy the machine is elsewhere.
            let is_soon = usual < limits.usual_max() && longest < limits.timeout;
            assert!(is_soon, "{what}: {usual:?}, {longest:?}");
        }
    }
}

/// A crowd comes, waits and is closed. Returns its size, and the server's memory while it was there.
fn pass(server: &Server, count: usize, hello: &[u8], times: Times) -> (u64, u64) {
    let begin = Instant::now();
    let mut crowd = gather(server.port, count, hello, times.gathering());
    let gathered = begin.elapsed();
    assert!(crowd.len() >= CROWD_MIN, "{} in {gathered:?}: too slow to tell", crowd.len());
    println!("{} in {gathered:?}", crowd.len());
    let size = crowd.len() as u64;
    std::thread::sleep((times.timeout * 3 / 4).saturating_sub(begin.elapsed()));
    let held = resident_bytes(server);
    let there = server.json("/varz")["connections"].as_u64().unwrap();
    // Whoever has been there for less than the time has to be there still.
    let (mut early, mut staying) = (0, 0);
    for idle in &mut crowd {
        let is_closed = is_closed(idle);
        let is_in_time = idle.earliest.elapsed() < times.timeout;
        staying += u64::from(is_in_time);
        early += usize::from(is_closed && is_in_time);
    }
    assert!(early == 0, "{early} were closed early");
    assert!(there > staying, "{there} are there, and {staying} have to be");
    let mut latest = Duration::ZERO;
    while !crowd.is_empty() {
        std::thread::sleep(LOOK);
        let now = Instant::now();
        crowd.retain_mut(|idle| {
            if !is_closed(idle) {
                return true;
            }
            // It ended at some time since the last look.
            latest = latest.max(now - idle.since);
            false
        });
        let latest_max = times.timeout + times.late_max();
        let is_late = begin.elapsed() > latest_max + gathered;
        assert!(latest < latest_max && !is_late, "closed after {latest:?}; {} are left", crowd.len());
    }
    println!("the last was closed after {latest:?}");
    (size, held)
}

#[test]
fn half_handshakes_hold_nobody_up_and_end_on_time() {
    let count = crowd_size();
    assert!(count >= CROWD_MIN, "the limit of descriptors leaves room for {count} alone");
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let start = |timeout: Duration| {
        let (files, seconds) = (authority.files("server"), timeout.as_secs());
        // Who talks here answers no PING, and on a slow machine is there for minutes.
        let text = format!(
            "max_closed_clients: 1000\nping_interval: \"1h\"\ntls {{\n{files}timeout: {seconds}\n}}\n"
        );
        Server::start(&["-c", &authority.configure(&text)])
    };
    let config = authority.client(None, &[&TLS13, &TLS12]);
    let hello = hello(&config);
    let begin = Instant::now();
    assert_eq!(gather(start(PATIENCE).port, TRIED, &hello, PATIENCE).len(), TRIED);
    let times = Times::measured(TRIED, begin.elapsed());
    let server = start(times.timeout);
    let mut talk = Talk::new(&server, &config);
    talk.go_on();
    let before = resident_bytes(&server);
    let is_over = AtomicBool::new(false);
    let ((size, first), (next_size, second)) = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                talk.go_on();
            }
        });
        // Also when a pass fails.
        let over = Over(&is_over);
        let passes = (pass(&server, count, &hello, times), pass(&server, count, &hello, times));
        drop(over);
        passes
    });
    talk.check(times);
    let held = first.saturating_sub(before) / count as u64;
    // Who has gone leaves room for the next. On a machine that got quicker there are more of those.
    let allowed = next_size.saturating_sub(size) * HELD_BYTES_MAX;
    let growth = second.saturating_sub(first + allowed) / count as u64;
    let behind = resident_bytes(&server) / 1024;
    println!("{held} B each, {growth} B more; {} KiB before and {behind} KiB behind", before / 1024);
    assert!(held < HELD_BYTES_MAX, "{held} B each");
    assert!(growth < GROWTH_BYTES_MAX, "{growth} B each more than before");
    let reasons = server.json("/connz?state=closed&limit=20000");
    let reasons = reasons["connections"].as_array().unwrap().iter();
    let timed_out = reasons.filter(|it| it["reason"] == "TLS Handshake Failure").count();
    assert!(timed_out > 0, "none is told as failed");
    assert!(!server.log().contains("defect") && !server.log().contains("panic"), "{}", server.log());
}

#[test]
fn a_byte_at_a_time_occupies_nobody() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let text = format!("tls {{\n{}timeout: 60\n}}\n", authority.files("server"));
    let server = Server::start(&["-c", &authority.configure(&text)]);
    let config = authority.client(None, &[&TLS13, &TLS12]);
    let hello = hello(&config);
    let mut slow = gather(server.port, 64, &[], PATIENCE);
    for byte in &hello[..3] {
        for idle in &mut slow {
            idle.stream.write_all(&[*byte]).unwrap();
        }
        TlsClient::connect(server.port, &config).log_in("{}");
    }
}
