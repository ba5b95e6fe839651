//! `petrel bench` against a small server within the test, which can be told to misbehave.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What the server does wrong.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// The n-th published message is not delivered.
    Drops(u64),
    /// The n-th published message closes its connection.
    Closes(u64),
    /// The n-th published message is delivered with a payload one byte short.
    Truncates(u64),
    /// Logins are refused.
    Refuses,
}

struct Subscription {
    pattern: String,
    sid: String,
    connection: u64,
    output: Arc<Mutex<TcpStream>>,
}

struct FakeServer {
    fault: Fault,
    subscriptions: Mutex<Vec<Subscription>>,
    published: AtomicU64,
}

impl FakeServer {
    /// Starts a server and returns its address. Its threads end with the test's process.
    fn start(fault: Fault) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let server = Arc::new(Self { fault, subscriptions: Mutex::default(), published: AtomicU64::new(0) });
        thread::spawn(move || {
            for (number, stream) in listener.incoming().flatten().enumerate() {
                let server = Arc::clone(&server);
                thread::spawn(move || server.serve(number as u64, stream));
            }
        });
        address
    }

    fn serve(&self, connection: u64, mut stream: TcpStream) -> Option<()> {
        stream
            .write_all(b"INFO {\"server_name\":\"fake\",\"version\":\"0\",\"max_payload\":1048576}\r\n")
            .ok()?;
        let output = Arc::new(Mutex::new(stream.try_clone().ok()?));
        let mut input = BufReader::new(stream);
        let mut line = String::new();
        loop {
            line.clear();
            if input.read_line(&mut line).ok()? == 0 {
                self.forget(connection, None);
                return None;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[0] {
                "CONNECT" if self.fault == Fault::Refuses => {
                    output.lock().ok()?.write_all(b"-ERR 'Authorization Violation'\r\n").ok()?;
                    return None;
                }
                "PING" => output.lock().ok()?.write_all(b"PONG\r\n").ok()?,
                "SUB" => self.subscriptions.lock().ok()?.push(Subscription {
                    pattern: words[1].to_owned(),
                    sid: words[words.len() - 1].to_owned(),
                    connection,
                    output: Arc::clone(&output),
                }),
                "UNSUB" => self.forget(connection, Some(words[1])),
                "PUB" => {
                    let mut payload = vec![0; words[words.len() - 1].parse::<usize>().ok()? + 2];
                    input.read_exact(&mut payload).ok()?;
                    let reply = if words.len() == 4 { words[2] } else { "" };
                    self.publish(words[1], reply, payload)?;
                }
                _ => {}
            }
        }
    }

    /// Delivers a message; `None` when its connection is to be closed.
    fn publish(&self, subject: &str, reply: &str, mut payload: Vec<u8>) -> Option<()> {
        let number = self.published.fetch_add(1, Ordering::Relaxed) + 1;
        let size = payload.len() - 2;
        match self.fault {
            Fault::Drops(fault) if fault == number => return Some(()),
            Fault::Closes(fault) if fault == number => return None,
            Fault::Truncates(fault) if fault == number => drop(payload.remove(0)),
            _ => {}
        }
        let separator = if reply.is_empty() { "" } else { " " };
        for subscription in self.subscriptions.lock().ok()?.iter().filter(|s| matches(&s.pattern, subject)) {
            let mut message =
                format!("MSG {subject} {}{separator}{reply} {size}\r\n", subscription.sid).into_bytes();
            message.extend_from_slice(&payload);
            subscription.output.lock().ok()?.write_all(&message).ok();
        }
        Some(())
    }

    fn forget(&self, connection: u64, sid: Option<&str>) {
        let is_meant = |s: &Subscription| s.connection == connection && sid.is_none_or(|sid| s.sid == sid);
        self.subscriptions.lock().expect("no thread panicked").retain(|subscription| !is_meant(subscription));
    }
}

fn matches(pattern: &str, subject: &str) -> bool {
    let (pattern, subject): (Vec<_>, Vec<_>) = (pattern.split('.').collect(), subject.split('.').collect());
    pattern.len() == subject.len() && pattern.iter().zip(&subject).all(|(p, s)| *p == "*" || p == s)
}

/// `petrel bench` as all tests here want it: with much patience where they do not say otherwise.
fn command(address: &str, options: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_petrel"));
    command.args(["bench", "--server", address, "--format", "json", "--warmup", "0s"]);
    if !options.contains("--patience") {
        command.args(["--patience", "60s"]);
    }
    command.args(options.split_whitespace());
    command
}

fn bench(address: &str, options: &str) -> Output {
    command(address, options).arg("--quiet").output().expect("the program starts")
}

fn report(address: &str, options: &str) -> serde_json::Value {
    let output = bench(address, options);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a report in JSON")
}

fn failure(address: &str, options: &str) -> String {
    let output = bench(address, options);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn every_message_is_counted_at_every_receiver() {
    let address = FakeServer::start(Fault::None);
    let result = report(&address, "fan --publishers 2 --subscribers 3 --size 16 --messages 20000");
    assert_eq!(result["sent"], 20_000);
    assert_eq!(result["received"], 60_000);
    assert_eq!(result["expected_total"], 60_000);
    assert_eq!(result["lost"], 0);
    assert_eq!(result["server"]["server_name"], "fake");
    assert!(result["rate"].as_f64() > Some(0.0));
}

#[test]
fn messages_larger_than_any_buffer_arrive() {
    let address = FakeServer::start(Fault::None);
    assert_eq!(report(&address, "fan --size 700K --messages 20 --threads 2")["lost"], 0);
}

#[test]
fn requests_get_their_replies() {
    let address = FakeServer::start(Fault::None);
    let result = report(&address, "request --clients 5 --messages 500");
    assert_eq!(result["latency"]["count"], 500);
    assert_eq!(result["unit"], "request");
}

#[test]
fn a_schedule_gives_delays() {
    let address = FakeServer::start(Fault::None);
    let result = report(&address, "fan --size 16 --rate 2000 --messages 1000");
    // However late some of them are, none comes before it is due.
    assert!(result["rate"].as_f64() < Some(2_100.0), "{result}");
    assert_eq!(result["lost"], 0);
    for field in ["latency", "schedule_lag"] {
        assert_eq!(result[field]["count"], 1_000, "{field}: {result}");
    }
}

#[test]
fn many_subjects_with_wildcards_and_churn_arrive_once() {
    let address = FakeServer::start(Fault::None);
    let options = "fan --subjects 300 --distribution zipf --wildcard-receivers 50 --churn 200 --duration 2s";
    let result = report(&address, options);
    assert_eq!(result["lost"], 0);
    assert!(result["churned"].as_u64() > Some(10), "{result}");
}

#[test]
fn idle_connections_are_held() {
    let address = FakeServer::start(Fault::None);
    let result = report(&address, "--idle-connections 20 --duration 100ms");
    assert_eq!(result["count"], 20);
}

#[test]
fn a_lost_message_fails_the_run() {
    let address = FakeServer::start(Fault::Drops(777));
    let text = failure(&address, "fan --size 16 --messages 5000 --patience 5s");
    assert!(text.contains("1 of") && text.contains("lost"), "{text}");
}

#[test]
fn a_closed_connection_fails_the_run() {
    let address = FakeServer::start(Fault::Closes(777));
    let text = failure(&address, "fan --size 16 --messages 5000000");
    assert!(text.contains("the server closed the connection of publisher 0"), "{text}");
}

#[test]
fn broken_framing_fails_the_run() {
    let address = FakeServer::start(Fault::Truncates(777));
    let text = failure(&address, "fan --size 16 --messages 5000");
    assert!(text.contains("broke the protocol"), "{text}");
}

#[test]
fn refusals_are_told_plainly() {
    let address = FakeServer::start(Fault::Refuses);
    assert!(failure(&address, "pub").contains("Authorization Violation"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let closed = listener.local_addr().expect("bound").to_string();
    drop(listener);
    assert!(failure(&closed, "pub").contains("Connection refused"));
}

/// A run that goes on until it is interrupted.
struct Endless {
    child: Child,
    stderr: Lines<BufReader<ChildStderr>>,
}

impl Endless {
    fn start(address: &str, options: &str) -> Self {
        let mut command = command(address, options);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
        Self { child, stderr }
    }

    /// Waits until standard error has a line with this text.
    fn wait_for(&mut self, text: &str) -> String {
        let mut lines = self.stderr.by_ref().map_while(Result::ok);
        lines.find(|line| line.contains(text)).unwrap_or_else(|| panic!("it ends without {text:?}"))
    }

    /// Presses Ctrl-C; returns the exit code and what was printed.
    fn interrupt(mut self) -> (Option<i32>, String, Vec<String>) {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).expect("it runs");
        let said = self.stderr.by_ref().map_while(Result::ok).collect();
        let output = self.child.wait_with_output().expect("it ends");
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned(), said)
    }
}

#[test]
fn a_subscriber_to_whom_nobody_publishes_says_what_it_waits_for() {
    let address = FakeServer::start(Fault::None);
    let mut run = Endless::start(&address, "sub --subject a.b --progress");
    run.wait_for("waiting for the first message on a.b; something else has to publish there (Ctrl-C ends)");
    run.wait_for("1 s  waiting for the first message on a.b");
    let (code, printed, said) = run.interrupt();
    assert_eq!((code, printed.as_str()), (Some(130), ""));
    let last = said.last().expect("it says why it ends");
    let ending = " s, waiting for the first message on a.b: nothing was measured";
    assert!(last.starts_with("petrel bench: interrupted after ") && last.ends_with(ending), "{last}");
}

#[test]
fn a_subscriber_that_hears_nothing_more_says_so_and_tells_what_it_has() {
    let address = FakeServer::start(Fault::None);
    let mut run = Endless::start(&address, "sub --size 16 --messages 1000000 --patience 1s");
    run.wait_for("waiting for the first message");
    report(&address, "pub --size 16 --messages 300");
    run.wait_for("nothing has arrived for 1 s, 300 so far; waiting on (Ctrl-C ends)");
    let (code, printed, _) = run.interrupt();
    let result: serde_json::Value = serde_json::from_str(&printed).expect("a report in JSON");
    assert_eq!((code, &result["is_interrupted"]), (Some(130), &true.into()), "{result}");
    // The measurement began with one of the first messages.
    assert!(result["received"].as_u64() < Some(300) && result["expected_total"] == 300, "{result}");
}

#[test]
fn an_interrupted_run_tells_what_it_has_measured_and_loses_nothing() {
    for length in ["--duration 10m", "--messages 900000000"] {
        let address = FakeServer::start(Fault::None);
        let mut run = Endless::start(&address, &format!("fan --size 16 --progress {length}"));
        run.wait_for(" received/s");
        let (code, printed, _) = run.interrupt();
        let result: serde_json::Value = serde_json::from_str(&printed).expect("a report in JSON");
        assert_eq!((code, &result["is_interrupted"]), (Some(130), &true.into()), "{length}: {result}");
        assert!(result["received"].as_u64() > Some(0) && result["lost"] == 0, "{length}: {result}");
    }
}
