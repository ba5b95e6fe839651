//! The same files and flags given to upstream's own program, where it is installed: what both say is compared.

mod support;

use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use support::upstream::upstream;
use support::workshop::{Plan, Workshop};

/// A server of either kind that logs to a file without times.
struct Running {
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(program: &Path, folder: &Path, arguments: &[&str]) -> Running {
        let log = folder.join("log");
        let child = Command::new(program)
            .args(arguments)
            .arg("-T=false")
            .current_dir(folder)
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Running { child, log }
    }

    /// The log without process ids.
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap().replace(&format!("[{}] ", self.child.id()), "")
    }

    /// Waits until a line with one of these is in the log behind a place, or the server has ended. What follows that line
    /// is left out: it may be there already or not.
    fn wait_for(&mut self, place: usize, texts: &[&str]) -> String {
        let end = Instant::now() + support::PATIENCE;
        loop {
            // All that it said is there when it has ended, not the other way round.
            let ended = self.child.try_wait().unwrap().is_some();
            let log = self.log();
            let found = texts.iter().filter_map(|text| log[place..].find(text)).min();
            let line_end = found.and_then(|found| Some(place + found + log[place + found..].find('\n')? + 1));
            if let Some(line_end) = line_end.or(ended.then_some(log.len())) {
                return log[place..line_end].to_owned();
            }
            assert!(Instant::now() < end, "none of {texts:?} in {log}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What is logged when a file is replaced by another and read again.
fn reload(program: &Path, before: &str, after: &str, ports: (u16, u16)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let base = format!("host: 127.0.0.1\nport: {}\nhttp_port: {}\n", ports.0, ports.1);
    let write = |text: &str| fs::write(folder.path().join("nats.conf"), format!("{base}{text}\n")).unwrap();
    write(before);
    let mut server = Running::start(program, folder.path(), &["-c", "nats.conf"]);
    server.wait_for(0, &["Server is ready"]);
    let place = server.log().len();
    write(after);
    let id = Pid::from_raw(i32::try_from(server.child.id()).unwrap()).unwrap();
    kill_process(id, Signal::HUP).unwrap();
    server.wait_for(place, &["Reloaded server configuration (", "Failed to reload server configuration: "])
}

/// Two ports on which nobody listens, below those that the system gives to whoever asks for any.
fn free_ports() -> (u16, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 9_000).unwrap() * 2;
    let is_free = |port: u16| TcpListener::bind(("0.0.0.0", port)).is_ok();
    loop {
        let first = 12_000 + begin.wrapping_add(NEXT.fetch_add(2, Ordering::Relaxed)) % 18_000;
        if is_free(first) && is_free(first + 1) {
            return (first, first + 1);
        }
    }
}

/// Lines in order; upstream's order of those behind `accounts` is that of a map.
fn sorted(log: &str) -> Vec<String> {
    let mut lines: Vec<String> = log.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn reloads_say_the_same() {
    let Some(upstream) = upstream() else {
        eprintln!("skipped: there is no nats-server 2.15.2");
        return;
    };
    let one_user = "authorization {\n users: [ {user: x, password: y} ]\n}";
    let other_user = "authorization {\n users: [ {user: z, password: y} ]\n}";
    let system = "accounts { X { } }\nsystem_account: X";
    for (before, after) in [
        ("", ""),
        ("", "host: localhost"),
        ("", "port: 4999"),
        ("", "server_name: b"),
        ("server_name: a", "server_name: b\nmax_subscriptions: 4"),
        ("", "max_subscriptions: 5"),
        ("", "max_sub_tokens: 5"),
        ("", "max_pending: 65MB"),
        ("", "write_timeout: retry"),
        ("", "no_header_support: true"),
        ("", "lame_duck_duration: \"40s\""),
        ("", "lame_duck_grace_period: \"4s\""),
        ("", "max_closed_clients: 5"),
        ("", "proxy_protocol: true"),
        ("", "http_base_path: \"/x\""),
        ("", "log_size_limit: 100000"),
        ("", "log_max_num: 4"),
        ("", "no_system_account: true"),
        ("", "allow_non_tls: true"),
        ("", "accounts { X { } }\nsystem_account: X"),
        ("", "system_account: \"$SYS\""),
        (system, "accounts { X { }\n Y { } }\nsystem_account: Y"),
        (system, "accounts { Z { } }\nsystem_account: Z"),
        (system, "accounts { X { } }\nsystem_account: Z"),
        (system, "accounts { X { } }"),
        (system, "accounts { Y { } }\nsystem_account: X"),
        (system, "no_system_account: true"),
        ("", "feature_flags { js_ack_fc_v2: true, zz: false }"),
        ("feature_flags { zz: true }", "feature_flags { yy: true }"),
        ("feature_flags { }", ""),
        ("", "server_tags: [a, b]"),
        ("server_tags: a", ""),
        ("", "server_metadata: {a: b}"),
        ("", "client_advertise: \"x:1\""),
        ("client_advertise: \"x:1\"", ""),
        ("", "max_connections: 10"),
        ("max_connections: 5", ""),
        ("", "max_control_line: 5000"),
        ("", "max_payload: 1000"),
        ("", "ping_interval: \"3s\""),
        ("ping_interval: \"3s\"", ""),
        ("ping_max: 3", ""),
        ("", "write_deadline: \"3s\""),
        ("", "no_fast_producer_stall: true"),
        ("no_fast_producer_stall: true", ""),
        ("", "debug: true\ntrace: true"),
        ("debug: true\ntrace: true", ""),
        ("", "trace_verbose: true"),
        ("", "trace_headers: true"),
        ("", "max_traced_msg_len: 5"),
        ("", "logtime_utc: true"),
        ("", "pid_file: \"x.pid\""),
        ("pid_file: \"x.pid\"", ""),
        ("", "pid_file: \"/nonexistent/x.pid\""),
        ("", "authorization { token: x }"),
        ("", "authorization { user: x, pass: y }"),
        ("authorization { user: x, pass: y }", "authorization { user: x, pass: z }"),
        ("", "authorization { timeout: 5 }"),
        ("", one_user),
        (&format!("{one_user}\nno_auth_user: x"), one_user),
        (&format!("{one_user}\nno_auth_user: x"), other_user),
        ("", "mappings: {\n a: b\n}"),
        ("", "accounts {\n A { users: [ {user: a, password: b} ] }\n}"),
        ("", "bogus: 1"),
        ("", "port: x"),
        ("", "max_payload: 65MB"),
        ("", "server_name: \"a b\""),
        ("", "include \"nofile\""),
    ] {
        let ports = free_ports();
        let theirs = reload(&upstream, before, after, ports);
        let ours = reload(Path::new(support::binary()), before, after, ports);
        assert_eq!(sorted(&ours), sorted(&theirs), "{before:?} -> {after:?}");
    }
}

#[test]
fn command_lines_end_the_same() {
    let Some(upstream) = upstream() else {
        eprintln!("skipped: there is no nats-server 2.15.2");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let said = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).current_dir(folder.path()).output().unwrap();
        // Usage and help are our own words.
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), told, output.stdout.starts_with(b"\nUsage: nats-server [options]\n"))
    };
    for arguments in [
        &["--nope"][..],
        &["-p"],
        &["-p", "x"],
        &["-D=maybe"],
        &["---p"],
        &["-h"],
        &["help"],
        &["foo"],
        &["foo", "bar"],
        &["-D", "--", "-p"],
        &["-t"],
        &["-c", "nofile.conf"],
        &["-c", "."],
        &["--signal"],
        &["-sl", "quit=nofile"],
        &["-sl", "foo=1"],
        &["-sl", "quit=1=2"],
        &["-sl", "quit=2147483646"],
        &["--tls"],
        &["--tls", "--tlscert", "c.pem"],
        &["--tlsverify"],
        &["-n", "a b"],
    ] {
        let theirs = said(&upstream, arguments);
        let ours = said(Path::new(support::binary()), arguments);
        assert_eq!(ours, theirs, "{arguments:?}");
    }
}

#[test]
fn wrong_blocks_of_tls_are_told_the_same() {
    let Some(upstream) = upstream() else {
        eprintln!("skipped: there is no nats-server 2.15.2");
        return;
    };
    let mut workshop = Workshop::new();
    workshop.self_signed("good", Plan::new("good"));
    workshop.self_signed("other", Plan::new("other"));
    workshop.join("both.pem", &["good.pem", "other.pem"]);
    for (file, text) in [
        ("empty", ""),
        ("damaged.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("damaged.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        ("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"),
        ("public.key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
    ] {
        fs::write(workshop.path(file), text).unwrap();
    }
    // The digest is that of the file, the same for both.
    let said = |program: &Path, block: &str| {
        fs::write(workshop.path("nats.conf"), format!("debug: true\ntls {{\n  {block}\n}}\n")).unwrap();
        let mut command = Command::new(program);
        let output = command.args(["-t", "-c", "nats.conf"]).current_dir(workshop.path("")).output().unwrap();
        // Upstream ends some of these with an empty line.
        (output.status.code(), String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
    };
    let pair = |cert: &str, key: &str| format!("cert_file: \"{cert}\", key_file: \"{key}\"");
    let good = pair("good.pem", "good.key");
    let one = format!("{{{good}}}");
    let mut blocks = vec![
        "cert_file: \"good.pem\"".to_owned(),
        "key_file: \"good.key\"".to_owned(),
        "cert_file: 1".to_owned(),
        format!("certs: [{one}]"),
        format!("certificates: [{one}, {{{}}}]", pair("nope.pem", "good.key")),
        format!("certs: [{one}, {{{}}}]", pair("other.pem", "good.key")),
        format!("certs: {one}"),
        format!("{good}\n  certs: [{one}]"),
        format!("certs: [{{{good}, more: 1}}]"),
    ];
    blocks.extend(
        ["x", "[x]", "[1]", "[{}]", "[{cert_file: 1}]", "[{CERT_FILE: x}]"].map(|it| format!("certs: {it}")),
    );
    for (cert, key) in [
        ("nope.pem", "good.key"),
        ("good.pem", "nope.key"),
        ("other.pem", "good.key"),
        ("good.key", "good.key"),
        ("good.pem", "good.pem"),
        ("both.pem", "good.key"),
        ("empty", "good.key"),
        ("good.pem", "empty"),
        (".", "good.key"),
        ("damaged.pem", "good.key"),
        ("good.pem", "damaged.key"),
        ("good.pem", "locked.key"),
        ("good.pem", "public.key"),
    ] {
        blocks.push(pair(cert, key));
    }
    let mut with_good = Vec::new();
    for (key, values) in [
        ("ca_file", &["\"nope\"", "\"good.key\"", "\"damaged.pem\"", "\"empty\"", "\".\"", "\"\"", "1"][..]),
        (
            "cipher_suites",
            &["[]", "\"TLS_AES_128_GCM_SHA256\"", "[1]", "[TLS_NOPE]", "[TLS_RSA_WITH_RC4_128_SHA]"],
        ),
        ("curve_preferences", &["[]", "CurveP256", "[1]", "[CurveP1]", "[curvep256]", "[X25519, X25519]"]),
        ("pinned_certs", &["[]", "abc", "[abc]", "[1]"]),
        ("timeout", &["x", "\"2\"", "\"2s\"", "2.5", "true", "[]"]),
        ("verify", &["1", "\"true\""]),
        ("verify_and_map", &["1", "\"true\""]),
        ("verify_cert_and_check_known_urls", &["1", "true"]),
        ("allow_insecure_cipher_suites", &["1", "\"yes\"", "true"]),
        ("min_version", &["\"1.0\"", "\"1.1\"", "\"1.3\"", "\"1.4\"", "1.2", "1", "\"\""]),
        ("connection_rate_limit", &["\"x\"", "-1", "1.5", "true"]),
        ("handshake_first", &["x", "1", "AUTO", "\"0s\"", "1.5", "[]", "\"yes\"", "\"300\""]),
        ("immediate", &["7"]),
        ("cert_store", &["WindowsCurrentUser", "x", "1"]),
        ("more", &["1"]),
    ] {
        with_good.extend(values.iter().map(|value| format!("{good}\n  {key}: {value}")));
    }
    with_good.push(format!("{good}\n  pinned_certs: [\"{}\", \"{}\"]", "a".repeat(64), "g".repeat(64)));
    blocks.extend(with_good);
    let differences: Vec<String> = blocks
        .iter()
        .filter_map(|block| {
            let (theirs, ours) = (said(&upstream, block), said(Path::new(support::binary()), block));
            (ours != theirs).then(|| format!("{block}: {ours:?}, upstream {theirs:?}"))
        })
        .collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn starts_that_fail_say_the_same() {
    let Some(upstream) = upstream() else {
        eprintln!("skipped: there is no nats-server 2.15.2");
        return;
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    // Time stamps, process ids and what was said before are not compared.
    let said = |program: &Path, config: Option<&str>, arguments: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        let mut all = vec!["-a", "127.0.0.1"];
        if let Some(config) = config {
            fs::write(folder.path().join("nats.conf"), config).unwrap();
            all.extend(["-c", "nats.conf"]);
        }
        all.extend(arguments);
        let mut server = Running::start(program, folder.path(), &all);
        let log = server.wait_for(0, &["Server is ready"]);
        let code = server.child.try_wait().unwrap().and_then(|status| status.code());
        let mut last: Vec<String> =
            log.lines().map(str::to_owned).filter(|line| !line.contains("[INF]")).collect();
        last.retain(|line| !line.is_empty());
        // What upstream finds while it starts, petrel may find before there is a log.
        for line in &mut last {
            for prefix in ["nats-server: ", "[FTL] ", "Can't start monitoring: "] {
                *line = line.strip_prefix(prefix).unwrap_or(line).to_owned();
            }
        }
        (code, last)
    };
    let mut differences = Vec::new();
    for (config, arguments) in [
        (None, &["-p", "70000"][..]),
        (None, &["-p", "-5"]),
        (None, &["-p", "-1", "-m", "70000"]),
        (None, &["-p", &taken]),
        (None, &["-p", "-1", "-m", &taken]),
        (None, &["-p", "-1", "-P", "/nonexistent/pid"]),
        (None, &["-p", "-1", "-ms", "8443"]),
        (None, &["-p", "-1", "-ms", "8443", "-m", "8222"]),
        (Some("max_payload: 65MB"), &["-p", "-1"]),
        (Some("lame_duck_grace_period: \"200s\""), &["-p", "-1"]),
        (Some("no_auth_user: x"), &["-p", "-1"]),
        (Some("accounts { A { users: [ {user: a, password: b} ] } }\nno_auth_user: x"), &["-p", "-1"]),
        (Some("system_account: X"), &["-p", "-1"]),
        (Some("bogus: 1"), &["-p", "-1"]),
        (Some("port: x"), &["-p", "-1"]),
        (Some("authorization { token: x, users: [ {user: a, password: b} ] }"), &["-p", "-1"]),
    ] {
        let theirs = said(&upstream, config, arguments);
        let ours = said(Path::new(support::binary()), config, arguments);
        if ours != theirs {
            differences.push(format!("{config:?} {arguments:?}: {ours:?}, upstream {theirs:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
