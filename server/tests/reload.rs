//! Reading the configuration again while the server runs.

mod support;

use rustix::process::Signal;
use std::fs;
use std::path::{Path, PathBuf};
use support::Server;

/// A server with a file that can be written anew.
struct Rig {
    folder: tempfile::TempDir,
    file: PathBuf,
    server: Server,
}

impl Rig {
    fn start(text: &str, flags: &[&str]) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("nats.conf");
        fs::write(&file, text).unwrap();
        let mut arguments = vec!["-c", file.to_str().unwrap()];
        arguments.extend(flags);
        let server = Server::start(&arguments);
        Rig { folder, file, server }
    }

    /// Writes the file and asks for a reload; returns what is logged up to its end.
    fn reload(&self, text: &str) -> String {
        fs::write(&self.file, text).unwrap();
        let before = self.server.log().len();
        self.server.signal(Signal::HUP);
        self.wait_for(before, &["Reloaded server configuration (", "Failed to reload server configuration: "])
    }

    /// Waits for one of these texts behind a place in the log.
    fn wait_for(&self, before: usize, texts: &[&str]) -> String {
        let end = std::time::Instant::now() + support::PATIENCE;
        loop {
            let log = self.server.log()[before..].to_owned();
            if texts.iter().any(|text| log.contains(text)) {
                return log;
            }
            assert!(std::time::Instant::now() < end, "none of {texts:?} in {log}");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}

#[test]
fn without_a_file_there_is_nothing_to_reload() {
    let server = Server::start(&[]);
    let mut client = server.client("{}");
    server.signal(Signal::HUP);
    server.wait_for_log("[INF] Trapped \"hangup\" signal\n");
    server.wait_for_log(
        "[ERR] Failed to reload server configuration: can only reload config when a file is provided using -c or \
         --config\n",
    );
    client.received.clear();
    client.send("PING\r\n");
    client.wait_for("PONG\r\n");
}

#[test]
fn what_is_reloaded_is_told_and_shown() {
    let rig = Rig::start("server_tags: a\nmax_payload: 1000\n", &[]);
    let before = rig.server.json("/varz");
    let log =
        rig.reload("server_tags: [b, c]\nmax_payload: 2000\nping_interval: \"30s\"\nmax_connections: 10\n");
    for line in [
        "[INF] Reloaded: max_connections = 10\n",
        "[INF] Reloaded: authorization users\n",
        "[INF] Reloaded: accounts\n",
        "[INF] Reloaded: max_payload = 2000\n",
        "[INF] Reloaded: ping_interval = 30s\n",
        "[INF] Reloaded: tags\n",
    ] {
        assert!(log.contains(line), "no {line:?} in\n{log}");
    }
    let after = rig.server.json("/varz");
    assert_eq!(after["max_payload"], 2000);
    assert_eq!(after["max_connections"], 10);
    assert_eq!(after["ping_interval"], 30_000_000_000_u64);
    assert_eq!(after["tags"], serde_json::json!(["b", "c"]));
    assert_ne!(after["config_load_time"], before["config_load_time"]);
    assert_ne!(after["config_digest"], before["config_digest"]);
    let digest = after["config_digest"].as_str().unwrap();
    assert!(log.contains(&format!("[INF] Reloaded server configuration ({digest})\n")), "{log}");
    assert!(rig.server.raw_client().received.contains("\"max_payload\":2000"));
}

#[test]
fn limits_hold_for_clients_that_are_connected_and_interest_stays() {
    let rig = Rig::start("max_payload: 10\n", &[]);
    let mut subscriber = rig.server.client("{\"verbose\":false}");
    subscriber.received.clear();
    subscriber.send("SUB a 1\r\nPING\r\n");
    subscriber.wait_for("PONG\r\n");
    let mut publisher = rig.server.client("{\"verbose\":false}");
    rig.reload("max_payload: 20\n");
    publisher.send("PUB a 15\r\nfifteen bytes..\r\n");
    subscriber.wait_for("MSG a 1 15\r\nfifteen bytes..\r\n");
    rig.reload("max_payload: 5\n");
    publisher.send("PUB a 6\r\nsix by\r\n");
    publisher.wait_for("-ERR 'Maximum Payload Violation'\r\n");
}

#[test]
fn what_cannot_be_reloaded_changes_nothing_at_all() {
    let rig = Rig::start("max_payload: 1000\n", &[]);
    let before = rig.server.json("/varz");
    for (text, reason) in [
        (
            "max_payload: 2000\nmax_subscriptions: 5\n",
            "config reload not supported for MaxSubs: old=0, new=5",
        ),
        ("max_payload: 2000\nserver_name: b\n", "config reload not supported for ServerName: old=, new=b"),
        (
            "max_payload: 2000\nlame_duck_duration: \"40s\"\n",
            "config reload not supported for LameDuckDuration: old=2m0s, new=40s",
        ),
        (
            "max_payload: 2000\nhttp_base_path: \"/x\"\n",
            "config reload not supported for HTTPBasePath: old=, new=/x",
        ),
        (
            "max_payload: 2000\npetrel { cores: 1 }\n",
            "config reload not supported for petrel.cores: old=All, new=",
        ),
        ("max_payload: 65MB\n", "max_payload (68157440) cannot be higher than max_pending (67108864)"),
    ] {
        let log = rig.reload(text);
        assert!(log.contains(&format!("[ERR] Failed to reload server configuration: {reason}")), "{log}");
    }
    let log = rig.reload("max_payload: 2000\nbogus: 1\n");
    let expected = format!("configuration: {}:2:1: unknown field \"bogus\"\n", rig.file.display());
    assert!(log.contains(&expected), "{log}");
    let after = rig.server.json("/varz");
    for field in ["max_payload", "config_load_time", "config_digest", "server_name"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert!(rig.server.raw_client().received.contains("\"max_payload\":1000"));
}

#[test]
fn flags_go_on_beating_the_file() {
    let rig = Rig::start("server_name: x\n", &["-n", "from_flag", "-D=false"]);
    let log = rig.reload("server_name: y\ndebug: true\n");
    assert!(log.contains("Reloaded server configuration (") && !log.contains("debug = "), "{log}");
    assert_eq!(rig.server.json("/varz")["server_name"], "from_flag");
}

#[test]
fn credentials_hold_for_whoever_connects_after_the_reload() {
    let rig = Rig::start("authorization { token: first }\n", &[]);
    drop(rig.server.client("{\"auth_token\":\"first\"}"));
    let log = rig.reload("authorization { token: second }\n");
    assert!(log.contains("[INF] Reloaded: authorization token\n"), "{log}");
    assert!(!log.contains("second") && !log.contains("first"), "a secret is in\n{log}");
    drop(rig.server.client("{\"auth_token\":\"second\"}"));
    let mut late = rig.server.raw_client();
    late.send("CONNECT {\"auth_token\":\"first\"}\r\nPING\r\n");
    late.wait_for("-ERR 'Authorization Violation'\r\n");
}

#[test]
fn debug_and_trace_lines_come_and_go() {
    let rig = Rig::start("server_tags: a\n", &[]);
    drop(rig.server.client("{}"));
    assert!(!rig.server.log().contains("[TRC]"));
    let log = rig.reload("trace: true\ndebug: true\n");
    assert!(
        log.contains("[INF] Reloaded: trace = true\n[") && log.contains("Reloaded: debug = true\n"),
        "{log}"
    );
    let before = rig.server.log().len();
    drop(rig.server.client("{}"));
    rig.wait_for(before, &["[TRC]"]);
    rig.wait_for(before, &["[DBG]"]);
    rig.reload("server_tags: a\n");
    let before = rig.server.log().len();
    drop(rig.server.client("{}"));
    let log = rig.server.log()[before..].to_owned();
    assert!(!log.contains("[TRC]") && !log.contains("[DBG]"), "{log}");
}

fn wait_for_file(path: &Path, text: &str) -> String {
    let end = std::time::Instant::now() + support::PATIENCE;
    loop {
        let found = fs::read_to_string(path).unwrap_or_default();
        // Whole lines.
        if found.contains(text) && found.ends_with('\n') {
            return found;
        }
        assert!(std::time::Instant::now() < end, "no {text:?} in {found}");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

#[test]
fn the_log_moves_to_another_file_and_another_form() {
    let rig = Rig::start("server_tags: a\n", &[]);
    let path = rig.folder.path().join("server.log");
    let named = format!("log_file: \"{}\"\n", path.display());
    fs::write(&rig.file, &named).unwrap();
    rig.server.signal(Signal::HUP);
    let text = wait_for_file(&path, "[INF] Reloaded server configuration (");
    assert!(text.contains(&format!("[INF] Reloaded: log_file = {}\n", path.display())), "{text}");
    assert!(!rig.server.log().contains("Reloaded server configuration"));

    fs::write(&rig.file, format!("{named}logtime: false\n")).unwrap();
    rig.server.signal(Signal::HUP);
    wait_for_file(&path, &format!("\n[{}] [INF] Reloaded server configuration (", rig.server.id()));

    fs::write(&rig.file, format!("{named}petrel {{ log_format: json }}\n")).unwrap();
    rig.server.signal(Signal::HUP);
    let text = wait_for_file(&path, "\"message\":\"Reloaded server configuration (");
    let object: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(
        (object["level"].as_str(), object["pid"].as_u64()),
        (Some("info"), Some(rig.server.id().into()))
    );

    // A log that cannot be opened is no reason to lose the one there is.
    fs::write(&rig.file, "log_file: \"/nonexistent/server.log\"\n").unwrap();
    rig.server.signal(Signal::HUP);
    wait_for_file(
        &path,
        "\"Failed to reload server configuration: error opening file: open /nonexistent/server.log: no such file or \
         directory\"",
    );
}

#[test]
fn the_pid_file_is_written_where_it_is_named() {
    let rig = Rig::start("server_tags: a\n", &[]);
    let path = rig.folder.path().join("server.pid");
    let log = rig.reload(&format!("pid_file: \"{}\"\n", path.display()));
    assert!(log.contains(&format!("[INF] Reloaded: pid_file = {}\n", path.display())), "{log}");
    assert_eq!(fs::read_to_string(&path).unwrap(), rig.server.id().to_string());
    let log = rig.reload("pid_file: \"/nonexistent/server.pid\"\n");
    let failure = "[ERR] Failed to write pidfile: open /nonexistent/server.pid: no such file or directory\n";
    assert!(log.contains(failure), "{log}");
}
