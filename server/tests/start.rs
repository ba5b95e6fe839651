//! What a start binds, writes and says.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Server, run, stderr};

#[test]
fn a_start_says_what_runs() {
    let server = Server::start(&["-n", "first"]);
    let log = server.log();
    for text in [
        "[INF] Starting nats-server\n",
        "[INF]   Version:  2.15.2 (petrel ",
        "[INF]   Name:     first\n",
        "[INF]   ID:       N",
        "[INF] Starting http monitor on 127.0.0.1:",
        "[INF] Running ",
        "[INF] Listening for client connections on 127.0.0.1:",
        "[INF] Server is ready\n",
    ] {
        assert!(log.contains(text), "no {text:?} in:\n{log}");
    }
    for line in log.lines() {
        let (process, rest) = line.split_once("] ").unwrap();
        assert_eq!(process, format!("[{}", server.id()));
        let stamp: String = rest.chars().take(26).collect();
        let shape: String =
            stamp.chars().map(|next| if next.is_ascii_digit() { '0' } else { next }).collect();
        assert_eq!(shape, "0000/00/00 00:00:00.000000", "{line}");
    }
}

#[test]
fn info_names_the_server_and_where_it_listens() {
    let server = Server::start(&["-n", "first"]);
    let client = server.raw_client();
    let json = client.received.strip_prefix("INFO ").unwrap().trim_end();
    let info: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(info["server_name"], "first");
    assert_eq!(info["version"], "2.15.2");
    assert_eq!(info["host"], "127.0.0.1");
    assert_eq!(info["port"], server.port);
    assert_eq!(info["max_payload"], 1_048_576);
    assert_eq!(info["petrel"], env!("CARGO_PKG_VERSION"));
    assert!(info.get("auth_required").is_none());
}

#[test]
fn an_advertised_address_is_shown_instead() {
    let server = Server::start(&["--client_advertise", "example.com:99"]);
    assert!(server.raw_client().received.contains("\"host\":\"example.com\",\"port\":99,"));
    assert_eq!(server.json("/varz")["port"], 99);
}

#[test]
fn flags_beat_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, "server_name: from_file\nport: 1\nmax_payload: 1KB\ndebug: true\n").unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap(), "-n", "from_flag", "-D=false"]);
    let varz = server.json("/varz");
    assert_eq!(varz["server_name"], "from_flag");
    assert_eq!(varz["max_payload"], 1024);
    let digest = varz["config_digest"].as_str().unwrap();
    assert!(digest.starts_with("sha256:"));
    let line = format!("Using configuration file: {} ({digest})\n", path.display());
    assert!(server.log().contains(&line), "{}", server.log());
    drop(server.client("{}"));
    assert!(!server.log().contains("[DBG]"));
}

#[test]
fn warnings_and_notices_do_not_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, "ping_interval: 5\nprof_port: 6060\nmax_payload: 9MB\n").unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    let log = server.log();
    assert!(log.contains("ping_interval should be converted to a duration\n"), "{log}");
    assert!(log.contains("[WRN]") && log.contains("\"prof_port\" is ignored"), "{log}");
    assert!(log.contains("Maximum payloads over 8.00 MB are generally discouraged"), "{log}");
    assert_eq!(server.json("/varz")["ping_interval"], 5_000_000_000_u64);
}

#[test]
fn a_port_in_use_is_fatal() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = run(&["-a", "127.0.0.1", "-p", &port]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "[FTL] Error listening on port: 127.0.0.1:{port}, \"listen tcp 127.0.0.1:{port}: bind: address already in \
         use\"\n"
    );
    assert!(stderr(&output).ends_with(&expected), "{}", stderr(&output));

    let output = run(&["-a", "127.0.0.1", "-p", "-1", "-m", &port]);
    assert_eq!(output.status.code(), Some(1));
    let expected = format!(
        "[FTL] Can't start monitoring: can't listen to the monitor port: listen tcp 127.0.0.1:{port}: bind: address \
         already in use\n"
    );
    assert!(stderr(&output).ends_with(&expected), "{}", stderr(&output));
}

#[test]
fn the_pid_file_is_written_and_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pid");
    let server = Server::start(&["-P", path.to_str().unwrap()]);
    let id = server.id().to_string();
    drop(server);
    assert_eq!(fs::read_to_string(&path).unwrap(), id);

    let output = run(&["-a", "127.0.0.1", "-p", "-1", "-P", "/nonexistent/pid"]);
    assert_eq!(output.status.code(), Some(1));
    let expected = "[FTL] Could not write pidfile: open /nonexistent/pid: no such file or directory\n";
    assert!(stderr(&output).ends_with(expected), "{}", stderr(&output));
}

#[test]
fn authorization_by_flags() {
    let server = Server::start(&["--user", "alice", "--pass", "s3cret"]);
    assert!(server.raw_client().received.contains("\"auth_required\":true"));
    drop(server.client("{\"user\":\"alice\",\"pass\":\"s3cret\"}"));
    let mut wrong = server.raw_client();
    wrong.send("CONNECT {\"user\":\"alice\",\"pass\":\"guess\"}\r\nPING\r\n");
    wrong.wait_for("-ERR 'Authorization Violation'\r\n");
    assert_eq!(server.json("/varz")["auth_required"], true);

    let server = Server::start(&["--auth", "t0ken"]);
    drop(server.client("{\"auth_token\":\"t0ken\"}"));
    let mut wrong = server.raw_client();
    wrong.send("CONNECT {\"auth_token\":\"guess\"}\r\nPING\r\n");
    wrong.wait_for("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn authorization_by_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, "authorization { users: [ {user: a, pass: b}, {user: c, pass: d} ] }").unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    drop(server.client("{\"user\":\"a\",\"pass\":\"b\"}"));
    drop(server.client("{\"user\":\"c\",\"pass\":\"d\"}"));
    let mut wrong = server.raw_client();
    wrong.send("CONNECT {\"user\":\"a\",\"pass\":\"d\"}\r\n");
    wrong.wait_for("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn nobody_may_connect_with_a_limit_of_zero() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, "max_connections: 0").unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    let mut client = server.raw_client();
    client.wait_for_end();
    assert!(client.received.contains("maximum connections exceeded"), "{}", client.received);
    server.wait_for_log(" - maximum connections exceeded\n");
    assert_eq!(server.json("/varz")["max_connections"], -1);
}

#[test]
fn levels_are_switched_by_flags() {
    let server = Server::start(&["-DV"]);
    drop(server.client("{\"name\":\"traced\"}"));
    server.wait_for_log("[TRC]");
    server.wait_for_log("[DBG]");
    let server = Server::start(&["-V"]);
    drop(server.client("{}"));
    server.wait_for_log("[TRC]");
    assert!(!server.log().contains("[DBG]"));
}

#[test]
fn lines_without_time() {
    let server = Server::start(&["-T=false"]);
    assert!(server.log().starts_with(&format!("[{}] [INF] Starting nats-server\n", server.id())));
}

#[test]
fn the_backend_and_cores_are_chosen_by_the_petrel_block() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, "petrel { cores: 1, backend: epoll, memory: 64MB }").unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    let varz = server.json("/varz");
    assert_eq!(varz["gomaxprocs"], 1);
    assert_eq!(varz["petrel"]["backend"], "epoll");
    assert!(server.log().contains("[INF] Running 1 core on CPU "), "{}", server.log());
    let mut client = server.client("{\"verbose\":false}");
    client.send("SUB a 1\r\nPUB a 2\r\nhi\r\n");
    client.wait_for("MSG a 1 2\r\nhi\r\n");

    fs::write(&path, "petrel { cores: 4096 }").unwrap();
    let output = run(&["-a", "127.0.0.1", "-p", "-1", "-c", path.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("[FTL] petrel.cores asks for 4096 cores"), "{}", stderr(&output));
}

#[test]
fn called_as_nats_server_it_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats-server");
    std::os::unix::fs::symlink(support::binary(), &path).unwrap();
    let server = Server::start_as(Path::new(&path), &["-a", "127.0.0.1", "-p", "-1"]);
    drop(server.client("{}"));
    assert_eq!(server.http_port, 0);
}

#[test]
fn an_unspecified_host_listens_on_both_families() {
    let server = Server::start_as(Path::new(support::binary()), &["-p", "-1", "-m", "-1"]);
    assert!(server.log().contains("Listening for client connections on 0.0.0.0:"), "{}", server.log());
    TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    if TcpListener::bind("[::1]:0").is_ok() {
        TcpStream::connect(("::1", server.port)).unwrap();
        TcpStream::connect(("::1", server.http_port)).unwrap();
    }
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() {
    // The log is not read, so the ports file says where the server is. A port that was merely free a moment ago may
    // have gone to the server of another test.
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(support::binary())
        .args(["-a", "127.0.0.1", "-p", "-1", "-DV", "--ports_file_dir", folder.path().to_str().unwrap()])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let end = Instant::now() + support::PATIENCE;
    let ports = loop {
        let mut files = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path());
        if let Some(path) = files.find(|path| path.extension().is_some_and(|end| end == "ports")) {
            break std::fs::read(path).unwrap();
        }
        assert!(Instant::now() < end, "there is no ports file");
        std::thread::sleep(Duration::from_millis(10));
    };
    let ports: serde_json::Value = serde_json::from_slice(&ports).unwrap();
    let address = ports["nats"][0].as_str().unwrap().strip_prefix("nats://").unwrap().to_owned();
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(support::PATIENCE)).unwrap();
    stream.write_all(b"CONNECT {\"verbose\":false}\r\n").unwrap();
    // Far more lines than the log and the pipe behind it hold.
    stream.write_all("PUB a 1\r\nx\r\n".repeat(30_000).as_bytes()).unwrap();
    stream.write_all(b"PING\r\n").unwrap();
    let mut received = String::new();
    let mut buffer = [0; 4096];
    while !received.contains("PONG\r\n") {
        let count = stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "{received}");
        received.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    // Now it is read: what was dropped is told.
    let reader = BufReader::new(child.stderr.take().unwrap());
    let told = reader.lines().map_while(Result::ok).any(|line| line.contains(" log lines were dropped"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told);
}

#[test]
fn the_ports_file_says_where_it_listens_and_goes_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(&["--ports_file_dir", folder.path().to_str().unwrap()]);
    let path = folder.path().join(format!("petrel-server_{}.ports", server.id()));
    let ports: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    let expected = serde_json::json!({
        "nats": [format!("nats://127.0.0.1:{}", server.port)],
        "monitoring": [format!("http://127.0.0.1:{}", server.http_port)],
    });
    assert_eq!(ports, expected);
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn the_ports_file_has_every_address_and_the_name_it_was_started_by() {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("nats-server");
    std::os::unix::fs::symlink(support::binary(), &program).unwrap();
    let server =
        Server::start_as(&program, &["-p", "-1", "--ports_file_dir", folder.path().to_str().unwrap()]);
    let path = folder.path().join(format!("nats-server_{}.ports", server.id()));
    let ports: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(ports["nats"][0], format!("nats://127.0.0.1:{}", server.port));
    assert!(ports.get("monitoring").is_none());
}

#[test]
fn a_ports_file_that_cannot_be_written_is_told() {
    let server = Server::start(&["--ports_file_dir", "/nonexistent"]);
    let path = format!("/nonexistent/petrel-server_{}.ports", server.id());
    let text = format!("[ERR] Error writing ports file ({path}): open {path}: no such file or directory\n");
    assert!(server.log().contains(&text), "{}", server.log());
}
