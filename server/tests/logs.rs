//! Where the log goes, and what a log that cannot be written does to the server.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use support::{run, stderr};

/// A server that logs elsewhere than to standard error.
struct Quiet(Child);

impl Quiet {
    fn start(arguments: &[&str]) -> Quiet {
        let mut command = Command::new(support::binary());
        command.args(["-a", "127.0.0.1", "-p", "-1"]).args(arguments);
        Quiet(command.spawn().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(i32::try_from(self.0.id()).unwrap()).unwrap(), signal).unwrap();
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + support::PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_file_is_set_aside_when_it_has_grown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.log");
    let server = Quiet::start(&["-l", path.to_str().unwrap(), "-T=false", "--log_size_limit", "300"]);
    let texts = || {
        let mut files: Vec<_> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort_unstable();
        // The current file has the shortest name and the newest lines.
        if !files.is_empty() {
            files.rotate_left(1);
        }
        files.iter().map(|file| fs::read_to_string(file).unwrap_or_default()).collect::<Vec<String>>()
    };
    wait_until("the server is not ready", || texts().concat().contains("Server is ready"));
    let texts = texts();
    assert!(texts.len() > 1, "{texts:?}");
    for text in &texts[1..] {
        assert!(
            text.starts_with(&format!("[{}] [INF] Rotated log, backup saved as \"", server.0.id())),
            "{text}"
        );
    }
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o137, 0, "others may read it, or somebody may run it: {mode:o}");
}

#[test]
fn a_remote_system_log_gets_every_line() {
    let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
    receiver.set_read_timeout(Some(support::PATIENCE)).unwrap();
    let address = format!("udp://{}", receiver.local_addr().unwrap());
    let server = Quiet::start(&["-r", &address]);
    let next = || {
        let mut bytes = [0; 2048];
        let count = receiver.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..count]).into_owned()
    };
    let first = next();
    assert!(first.starts_with("<5>20"), "{first}");
    assert!(first.ends_with(&format!(" nats-server[{}]: Starting nats-server\n", server.0.id())), "{first}");
    while !next().ends_with(": Server is ready\n") {}
    server.signal(Signal::USR1);
    while !next().ends_with(": File log re-open ignored, not a file logger\n") {}
    server.signal(Signal::HUP);
    loop {
        let line = next();
        if line.contains("Failed to reload server configuration") {
            assert!(line.starts_with("<3>"), "{line}");
            break;
        }
    }
}

#[test]
fn a_log_that_is_not_there_ends_the_start() {
    for (arguments, message) in [
        (
            &["-l", "/nonexistent/x.log"][..],
            "nats-server: error opening file: open /nonexistent/x.log: no such file or directory\n",
        ),
        (&["-r", "foo"], "nats-server: error invalid network type: \"\"\n"),
        (
            &["-r", "tcp://127.0.0.1:1"],
            "nats-server: error connecting to syslog: \"dial tcp 127.0.0.1:1: connect: connection refused\"\n",
        ),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), message);
    }
}

#[test]
fn a_blocked_pipe_holds_nobody_up_and_losses_are_told() {
    let mut child = Command::new(support::binary())
        .args(["-a", "127.0.0.1", "-p", "-1", "-DV"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut port = 0;
    let mut line = String::new();
    while !line.contains("Server is ready") {
        line.clear();
        log.read_line(&mut line).unwrap();
        if let Some((_, address)) = line.trim_end().split_once("Listening for client connections on ") {
            port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        }
    }
    let server = Quiet(child);
    // Nobody reads the log now: the pipe fills, then the queue.
    let mut client = support::Client::connect(port);
    client.send("CONNECT {\"verbose\":false}\r\n");
    for _ in 0..40 {
        client.received.clear();
        client.send(&"PUB a 1\r\nx\r\n".repeat(1000));
        client.send("PING\r\n");
        client.wait_for("PONG\r\n");
    }
    // What was lost is told as soon as somebody reads.
    let mut lines = log.lines().map_while(Result::ok);
    let told = " log lines were dropped because the log could not be written fast enough";
    assert!(lines.any(|line| line.ends_with(told)));
    let reader = std::thread::spawn(move || lines.any(|line| line.ends_with("[INF] Server Exiting..")));
    client.received.clear();
    client.send("PING\r\n");
    client.wait_for("PONG\r\n");
    server.signal(Signal::TERM);
    assert!(reader.join().unwrap());
}

/// What a server logs of a client that says a bit of everything, as `<<- [...]` and `->> [...]`.
fn traced(config: &str, flags: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    fs::write(&file, config).unwrap();
    let mut arguments = vec!["-c", file.to_str().unwrap(), "-T=false"];
    arguments.extend(flags);
    let server = support::Server::start(&arguments);
    let mut client = server.raw_client();
    client.send(
        "CONNECT {\"verbose\":false,\"headers\":true,\"user\":\"x\",\"pass\":\"hunter2\"}\r\nPING\r\nSUB a.* q 1\r\n\
         SUB b 2\r\nUNSUB 2 5\r\nPUB a.b r 11\r\nhello\x01world\r\nHPUB b 18 20\r\nNATS/1.0\r\nX: y\r\n\r\nok\r\nUNSUB 1\r\n\
         FOO\r\n",
    );
    client.wait_for("-ERR");
    server.wait_for_log("[DELSUB 2]");
    let log = server.log();
    assert!(!log.contains("hunter2"), "{log}");
    let is_of_client = |line: &&str| line.contains("[TRC]") && !line.contains("[TRC] SYSTEM - ");
    let lines = log.lines().filter(is_of_client).filter(|line| !line.contains("[CONNECT "));
    lines
        .map(|line| match ["<<-", "->>", "<->"].iter().find_map(|arrow| line.find(arrow)) {
            Some(place) => line[place..].to_owned() + "\n",
            None => panic!("{line}\n{log}"),
        })
        .collect()
}

#[test]
fn protocol_lines_read_as_upstreams() {
    let expected = r#"<<- [PING]
->> [PONG]
<<- [SUB a.* q 1]
<<- [SUB b 2]
<<- [UNSUB 2 5]
<<- [PUB a.b r 11]
<<- MSG_PAYLOAD: ["hello\x01world"]
->> [MSG a.b 1 r 11]
->> MSG_PAYLOAD: ["hello\x01world"]
<<- [HPUB b 18 20]
<<- MSG_PAYLOAD: ["NATS/1.0\r\nX: y\r\n\r\nok"]
->> [HMSG b 2 18 20]
->> MSG_PAYLOAD: ["NATS/1.0\r\nX: y\r\n\r\nok"]
<<- [UNSUB 1]
<-> [DELSUB 1]
->> [-ERR Unknown Protocol Operation]
<-> [DELSUB 2]
"#;
    assert_eq!(traced("server_tags: a", &["-V"]), expected);
    assert_eq!(traced("trace: true", &["-DV=true"]), expected);
    let short = expected
        .replace("\"hello\\x01world\"", "\"hello...\"")
        .replace("\"NATS/1.0\\r\\nX: y\\r\\n\\r\\nok\"", "\"NATS/...\"");
    assert_eq!(traced("max_traced_msg_len: 5", &["-VV"]), short);
    let without_payloads: String = expected
        .replace("\\r\\n\\r\\nok\"", "\"")
        .split_inclusive('\n')
        .filter(|line| !line.contains("hello"))
        .collect();
    assert_eq!(traced("trace_headers: true", &[]), without_payloads);
}

/// The lines that could not be written, as `/metrics` counts them.
fn lines_not_written(monitoring: &str) -> f64 {
    let mut stream = TcpStream::connect(monitoring).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let name = "petrel_lost_log_lines_total{reason=\"not_written\"} ";
    text.lines().find_map(|line| line.strip_prefix(name)).unwrap().parse().unwrap()
}

#[test]
fn lines_that_a_full_disk_does_not_take_are_counted_and_told_when_it_does_again() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("server.log"), folder.path().join("full.log"));
    // A limit of a file's size is as good as a full disk, and its signal must end nobody.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 8 && exec \"$0\" \"$@\"", support::binary()]);
    command.args(["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-V", "-T=false", "-l"]).arg(&path);
    let server = Quiet(command.arg("--ports_file_dir").arg(folder.path()).spawn().unwrap());
    let ports = folder.path().join(format!("petrel-server_{}.ports", server.0.id()));
    wait_until("there is no ports file", || ports.exists());
    let ports: serde_json::Value = serde_json::from_slice(&fs::read(ports).unwrap()).unwrap();
    let address = |kind: &str| ports[kind][0].as_str().unwrap().split_once("://").unwrap().1.to_owned();
    let port = address("nats").rsplit_once(':').unwrap().1.parse().unwrap();
    let mut client = support::Client::connect(port);
    for _ in 0..200 {
        client.received.clear();
        client.send("PING\r\n");
        client.wait_for("PONG\r\n");
    }
    let monitoring = address("monitoring");
    wait_until("nothing was lost", || lines_not_written(&monitoring) > 100.0);
    fs::rename(&path, &moved).unwrap();
    server.signal(Signal::USR1);
    let text = || fs::read_to_string(&path).unwrap_or_default();
    wait_until("it was not told", || text().contains("] [INF] File log re-opened\n"));
    let told = text().lines().find_map(|line| {
        let (_, line) = line.split_once("] [WRN] ")?;
        let lines =
            line.strip_suffix(" log lines were lost because the log could not be written: file too large")?;
        lines.parse().ok()
    });
    assert_eq!(told, Some(lines_not_written(&monitoring)), "{}", text());
    let full = fs::read_to_string(&moved).unwrap();
    assert!(full.contains("[INF] Server is ready\n") && full.len() <= 8 * 1024, "{full}");
}
