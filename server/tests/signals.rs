//! Signals and the end of the server.

mod support;

use rustix::process::Signal;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::Server;
use support::upstream::programs;

#[test]
fn interrupt_and_terminate_end_well() {
    for (signal, name) in [(Signal::INT, "interrupt"), (Signal::TERM, "terminated")] {
        let mut server = Server::start(&[]);
        let mut client = server.client("{}");
        server.signal(signal);
        client.wait_for_end();
        assert_eq!(server.wait().code(), Some(0));
        server.wait_for_log("[INF] Server Exiting..\n");
        let log = server.log();
        assert!(log.contains(&format!("[INF] Trapped \"{name}\" signal\n")), "{log}");
        assert!(log.contains("[INF] Initiating Shutdown...\n"), "{log}");
    }
}

#[test]
fn signals_that_mean_nothing_end_nobody() {
    let mut server = Server::start(&[]);
    let mut client = server.client("{}");
    for signal in [
        Signal::ALARM,
        Signal::VTALARM,
        Signal::PROF,
        Signal::IO,
        Signal::POWER,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::PIPE,
    ] {
        server.signal(signal);
    }
    // Real-time signals have no names.
    let all: Vec<String> = (34..=64).map(|number| format!("kill -{number} {}", server.id())).collect();
    assert!(Command::new("sh").args(["-c", &all.join(" && ")]).status().unwrap().success());
    client.received.clear();
    client.send("PING\r\n");
    client.wait_for("PONG\r\n");
    server.signal(Signal::TERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.whole_log();
    assert_eq!(log.matches("[INF] Trapped \"").count(), 1, "{log}");
}

#[test]
fn quit_tells_what_the_threads_do_and_ends_without_a_core_dump() {
    for program in programs() {
        let mut server = Server::start_as(&program, &["-a", "127.0.0.1", "-p", "-1"]);
        let mut client = server.client("{}");
        server.signal(Signal::QUIT);
        client.wait_for_end();
        // The code says as well that no signal ended it, and so that nothing was dumped.
        assert_eq!(server.wait().code(), Some(2), "{program:?}");
        server.wait_for_log("\nSIGQUIT: quit\n");
        assert!(!server.log().contains("Server Exiting"), "{program:?}");
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.log");
    let arguments = ["-a", "127.0.0.1", "-p", "-1", "-l", path.to_str().unwrap()];
    let child = Command::new(support::binary()).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + support::PATIENCE;
    while !fs::read_to_string(&path).unwrap_or_default().contains("Server is ready") {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(10));
    }
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, Signal::QUIT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = support::stderr(&output);
    assert!(said.starts_with("SIGQUIT: quit\n\nthread ") && said.contains("petrel-signals\n"), "{said}");
    let log = fs::read_to_string(&path).unwrap();
    assert!(log.ends_with("[INF] Trapped \"quit\" signal\n"), "{log}");
}

#[test]
fn a_log_file_is_reopened_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("server.log"), folder.path().join("server.log.1"));
    let mut child = Command::new(support::binary())
        .args(["-a", "127.0.0.1", "-p", "-1", "-l", path.to_str().unwrap()])
        .spawn()
        .unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    let end = Instant::now() + support::PATIENCE;
    let wait_for = |file: &std::path::Path, text: &str| {
        while !fs::read_to_string(file).unwrap_or_default().contains(text) {
            assert!(Instant::now() < end, "no {text:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait_for(&path, "Server is ready");
    fs::rename(&path, &moved).unwrap();
    rustix::process::kill_process(id, Signal::USR1).unwrap();
    wait_for(&path, "[INF] File log re-opened\n");
    rustix::process::kill_process(id, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    wait_for(&path, "Server Exiting..");
    assert!(!fs::read_to_string(&moved).unwrap().contains("Server Exiting.."));
}

#[test]
fn lame_duck_without_clients_ends_at_once() {
    let mut server = Server::start(&[]);
    let begin = Instant::now();
    server.signal(Signal::USR2);
    assert_eq!(server.wait().code(), Some(0));
    // Less than the grace period, to say nothing of the whole time.
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    server.wait_for_log("[INF] Entering lame duck mode, stop accepting new clients\n");
}

#[test]
fn lame_duck_lets_clients_go_and_tells_probes() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("nats.conf");
    fs::write(&config, "lame_duck_duration: \"30s\"\nlame_duck_grace_period: \"5s\"\n").unwrap();
    let mut server = Server::start(&["-c", config.to_str().unwrap()]);
    let mut client = server.client("{\"protocol\":1}");
    server.signal(Signal::USR2);
    client.wait_for("\"ldm\":true");
    let answer = server.get("/healthz");
    assert_eq!(answer.status, 500);
    let text = "failed to be ready for connections after 1ms: server";
    assert_eq!(answer.body, format!("{{\"status\":\"error\",\"error\":\"{text}\"}}"));
    server.wait_for_log(&format!("[WRN] Healthcheck failed: \"{text}\"\n"));
    let details = server.get("/healthz?details=1").body;
    let expected =
        format!("{{\"status\":\"error\",\"errors\":[{{\"type\":\"CONNECTION\",\"error\":\"{text}\"}}]}}");
    assert_eq!(details, expected);
    assert!(std::net::TcpStream::connect(("127.0.0.1", server.port)).is_err());
    // The end is under way: another request to end changes nothing.
    server.signal(Signal::TERM);
    client.wait_for_end();
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_signal_can_be_sent_by_the_program_itself() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("server.pid");
    let mut server = Server::start(&["-P", file.to_str().unwrap()]);
    for (expression, line) in [
        (format!("reopen={}", server.id()), "[INF] Trapped \"user defined signal 1\" signal\n"),
        (format!("reload={}", file.display()), "[INF] Trapped \"hangup\" signal\n"),
    ] {
        let output = support::run(&["--signal", &expression]);
        assert_eq!(
            (output.status.code(), support::stderr(&output)),
            (Some(0), String::new()),
            "{expression}"
        );
        server.wait_for_log(line);
    }
    let output = support::run(&[&format!("-sl=quit={}", server.id())]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(server.wait().code(), Some(0));
    for (expression, message) in [
        ("quit=nofile", "nats-server: invalid pid: nofile\n"),
        ("foo=1", "nats-server: unknown signal \"foo\"\n"),
        ("quit=1=2", "nats-server: invalid signal parameters: [2]\n"),
        ("quit=2147483647", "nats-server: \nsignal \"quit\" 2147483647: no such process\n"),
    ] {
        let output = support::run(&["-sl", expression]);
        assert_eq!((output.status.code(), support::stderr(&output)), (Some(1), message.to_owned()));
    }
}
