//! What `petrel config check` says of files.

use petrel_tools::config_check::{Line, Report, check};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Command;

/// A folder with a `nats.conf`, and certificates that it may name.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Folder {
        let folder = Folder(tempfile::tempdir().unwrap());
        for name in ["cert", "other"] {
            let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
            folder.write(&format!("{name}.pem"), &made.cert.pem());
            folder.write(&format!("{name}.key"), &made.signing_key.serialize_pem());
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// What is said of a file with this text; `DIR/` in it is the folder.
    fn report(&self, text: &str) -> Report {
        let prefix = format!("{}/", self.0.path().display());
        self.write("nats.conf", &text.replace("DIR/", &prefix));
        check(self.path("nats.conf").to_str().unwrap())
    }

    /// A text about a file of the folder as it would be about one of this folder.
    fn bare(&self, text: &str) -> String {
        text.replace(&format!("{}/", self.0.path().display()), "")
    }
}

fn report(text: &str) -> Report {
    Folder::new().report(text)
}

fn texts(lines: &[Line]) -> Vec<String> {
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    lines.iter().map(|line| format!("{} {}", said(&line.key), said(&line.text)).trim().to_owned()).collect()
}

#[test]
fn a_file_that_works_is_told_key_by_key() {
    let folder = Folder::new();
    let report = folder.report(
        "listen: 127.0.0.1:4333\nhttps_port: 8443\nprof_port: 1\nzone: eu\nserver_tags: [$zone]\n\
         tls { cert_file: DIR/cert.pem, key_file: DIR/cert.key, ca_file: DIR/cert.pem, verify: true, handshake_first: auto }\n\
         accounts {\n A { users: [ {user: a, pass: s3cret}, {user: b, pass: \"$2a$11$s3cret\"} ] }\n\
         B { exports: [ {stream: \"x.>\"} ], jetstream: false } }\nno_auth_user: a\n",
    );
    assert!(report.starts, "{report:?}");
    assert!(report.errors.is_empty() && report.not_yet.is_empty());
    assert_eq!(texts(&report.warnings), ["Plaintext passwords detected, use nkeys or bcrypt"]);
    let ignored = ["prof_port there are no Go profiles to serve", "zone a variable, no option"];
    assert_eq!(texts(&report.ignored), ignored);
    let passwords =
        report.works.iter().find(|line| line.key.as_deref() == Some("accounts.<name>.users.pass"));
    assert_eq!(passwords.map(|line| (line.line, line.count)), Some((Some(8), Some(2))));
    let text = folder.bare(&report.to_text());
    for sentence in [
        "nats.conf: the server would start\n",
        "  line 3  prof_port: there are no Go profiles to serve\n",
        "  line 8  accounts.<name>.users.pass (2 times)\n",
        "  listen for clients on 127.0.0.1:4333\n  listen for monitoring with TLS on 127.0.0.1:8443\n",
        "  encrypt with 1 certificate, from TLS 1.2, before INFO if within 50ms, clients must present a certificate\n",
        "  know 2 accounts beside the global one, system account $SYS\n",
        "  know 2 users: 1 with plain passwords, 1 with bcrypt, 0 with nkeys, 0 without a secret; 0 with permissions",
        "  take clients without credentials for \"a\"\n",
        "  take 65536 connections, unlimited subscriptions each, messages of 1048576 bytes",
    ] {
        assert!(text.contains(sentence), "{sentence}\n{text}");
    }
    let json = report.to_json();
    let read: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(read["starts"], true);
    assert_eq!(read["server"]["accounts"]["users_bcrypt"], 1);
    assert!(
        !text.contains("s3cret") && !json.contains("s3cret") && !format!("{report:?}").contains("s3cret")
    );
}

#[test]
fn what_is_not_there_yet_is_named_with_its_line_and_what_is_missing() {
    let report = report(
        "port: 4222\ncluster {\n name: x\n zz: 1\n}\njetstream {\n limits { batch { timeout: \"1s\" } }\n}\n",
    );
    assert!(!report.starts);
    assert_eq!(texts(&report.errors), ["unknown field \"zz\""]);
    assert_eq!(report.errors[0].line, Some(4));
    let found: Vec<(&str, usize)> =
        report.not_yet.iter().map(|line| (line.key.as_deref().unwrap(), line.line.unwrap())).collect();
    let expected = [
        ("cluster", 2),
        ("cluster.name", 3),
        ("jetstream", 6),
        ("jetstream.limits", 7),
        ("jetstream.limits.batch", 7),
        ("jetstream.limits.batch.timeout", 7),
    ];
    assert_eq!(found, expected);
    assert_eq!(report.not_yet[0].text.as_deref(), Some("the server would stand alone"));
    let text = report.to_text();
    assert!(text.contains("  line 2  cluster: the server would stand alone\n"), "{text}");
    assert!(!text.contains("cluster.name") && !text.contains("jetstream.limits"), "{text}");
}

#[test]
fn a_block_that_is_switched_off_is_no_hindrance() {
    let report = report("jetstream { enabled: false, store_dir: /data }");
    assert!(report.starts && report.not_yet.is_empty(), "{report:?}");
    assert_eq!(texts(&report.works), ["jetstream"]);
    let ignored =
        ["jetstream.enabled its block is switched off", "jetstream.store_dir its block is switched off"];
    assert_eq!(texts(&report.ignored), ignored);
}

#[test]
fn what_only_all_options_together_show_stops_the_start() {
    for (text, error) in [
        ("no_auth_user: a", "no_auth_user: \"a\" present, but users/nkeys are not defined"),
        ("https: 8443", "TLS cert and key required for HTTPS"),
        (
            "accounts { A { imports: [ {stream: {account: B, subject: x}} ] }, B { } }",
            "Error adding stream import \"x\": stream import not authorized",
        ),
        ("port: {", "Parse error on line 1: 'Unexpected EOF processing map.'"),
        ("port: s3cret", "interface conversion: interface {} is string, not int64"),
    ] {
        let report = report(text);
        assert!(!report.starts, "{text}");
        assert_eq!(texts(&report.errors), [error], "{text}");
    }
}

#[test]
fn what_a_start_here_would_say_is_said_with_its_line() {
    let folder = Folder::new();
    folder.write("text.pem", "no PEM at all\n");
    std::fs::create_dir(folder.path("folder")).unwrap();
    let pair = "error parsing X509 certificate/key pair: ";
    for (text, line, error) in [
        (
            "listen: 127.0.0.1:70000",
            Some(1),
            "Error listening on port: 127.0.0.1:70000, \"listen tcp: address 70000: invalid port\"",
        ),
        (
            "port: -7",
            Some(1),
            "Error listening on port: 0.0.0.0:-7, \"listen tcp: address -7: invalid port\"",
        ),
        (
            "http: 70000",
            Some(1),
            "Can't start monitoring: can't listen to the monitor port: listen tcp: address 70000: invalid port",
        ),
        (
            "http: \"127.0.0.1:65536\"",
            Some(1),
            "Can't start monitoring: can't listen to the monitor port: listen tcp: address 65536: invalid port",
        ),
        (
            "listen: 127.0.0.1:4333\nhttp: 4333",
            Some(2),
            "Error listening on port: 127.0.0.1:4333, \"listen tcp 127.0.0.1:4333: bind: address already in use\"",
        ),
        (
            "listen: \"256.0.0.1:4222\"",
            Some(1),
            "Error listening on port: 256.0.0.1:4222, \"listen tcp: lookup 256.0.0.1: ",
        ),
        (
            "\npetrel { cores: 4096 }",
            Some(2),
            "petrel.cores asks for 4096 cores, but this process may use only ",
        ),
        (
            "petrel { cores: \"4095\" }",
            Some(1),
            "petrel.cores names CPU 4095, which this process may not use; it may use [",
        ),
        (
            "client_advertise: \"a:70000\"",
            Some(1),
            "Error setting server INFO with ClientAdvertise value of a:70000, err=",
        ),
        (
            "log_file: DIR/not/there.log",
            Some(1),
            "error opening file: open DIR/not/there.log: no such file or directory",
        ),
        ("log_file: DIR/folder", Some(1), "error opening file: open DIR/folder: is a directory"),
        ("remote_syslog: foo", Some(1), "error invalid network type: \"\""),
        (
            "pid_file: DIR/not/there.pid",
            Some(1),
            "Could not write pidfile: open DIR/not/there.pid: no such file or directory",
        ),
        (
            "pid_file: DIR/text.pem/pid",
            Some(1),
            "Could not write pidfile: open DIR/text.pem/pid: not a directory",
        ),
        (
            "\ntls { cert_file: DIR/nope.pem, key_file: DIR/cert.key }",
            Some(2),
            "PAIRopen DIR/nope.pem: no such file or directory",
        ),
        (
            "tls { cert_file: DIR/cert.pem, key_file: DIR/nope.key }",
            Some(1),
            "PAIRopen DIR/nope.key: no such file or directory",
        ),
        (
            "tls { cert_file: DIR/cert.pem, key_file: DIR/folder }",
            Some(1),
            "PAIRread DIR/folder: is a directory",
        ),
        (
            "tls { cert_file: DIR/cert.pem, key_file: DIR/cert.pem }",
            Some(1),
            "PAIRtls: found a certificate rather than a key in the PEM for the private key",
        ),
        (
            "tls { cert_file: DIR/cert.key, key_file: DIR/cert.key }",
            Some(1),
            "PAIRtls: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched",
        ),
        (
            "tls { cert_file: DIR/cert.pem, key_file: DIR/other.key }",
            Some(1),
            "PAIRtls: private key does not match public key",
        ),
        (
            "tls { cert_file: DIR/text.pem, key_file: DIR/cert.key }",
            Some(1),
            "PAIRtls: failed to find any PEM data in certificate input",
        ),
        (
            "tls { cert_file: DIR/cert.pem, key_file: DIR/cert.key, ca_file: DIR/nope.pem, verify: true }",
            Some(1),
            "open DIR/nope.pem: no such file or directory",
        ),
        (
            "tls { cert_file: DIR/cert.pem, key_file: DIR/cert.key, ca_file: DIR/text.pem, verify: true }",
            Some(1),
            "failed to parse root ca certificate",
        ),
    ] {
        let report = folder.report(text);
        assert!(!report.starts, "{text}");
        let found = folder.bare(&texts(&report.errors).join("|"));
        let expected = error.replace("DIR/", "").replace("PAIR", pair);
        assert!(found.starts_with(&expected) && !found.contains('|'), "{text}: {found}");
        assert_eq!(report.errors[0].line, line, "{text}");
    }
    let left = |name: &str| folder.path(name).exists();
    let report = folder.report("log_file: DIR/new.log\npid_file: DIR/new.pid\nport: -1\nhttp: -1\n");
    assert!(report.starts && !left("new.log") && !left("new.pid"), "{report:?}");
}

#[test]
fn several_things_that_are_wrong_are_told_at_once_in_the_order_of_the_start() {
    let folder = Folder::new();
    let report =
        folder.report("port: -7\nlog_file: DIR/not/there.log\nsystem_account: X\npetrel { cores: 4096 }\n");
    let found = texts(&report.errors);
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(found[3].starts_with("petrel.cores asks for"), "{found:?}");
    assert!(found[0].starts_with("error resolving system account"), "{found:?}");
    assert!(
        found[1].starts_with("error opening file") && found[2].starts_with("Error listening"),
        "{found:?}"
    );
}

#[test]
fn one_error_does_not_hide_another() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder")).unwrap();
    let report = folder.report(
        "cluster { name: x }\njetstream: true\nzz: 1\nmax_payload: 100MB\nlame_duck_grace_period: \"200s\"\n\
         tls { cert_file: DIR/cert.pem, key_file: DIR/other.key\nca_file: DIR/nope.pem }\naccounts {\n\
         A { imports: [ {stream: {account: B, subject: x}}, {service: {account: C, subject: y}} ] }\n\
         B { exports: [ {stream: x, accounts: [NOBODY]} ], users: [ {user: b, password: b} ] }\n}\n\
         no_auth_user: q\npid_file: DIR/not/there.pid\nports_file_dir: DIR/nope\nlog_file: DIR/folder\n",
    );
    assert!(!report.starts);
    let told = |lines: &[Line]| -> Vec<(usize, String)> {
        let text = |line: &Line| folder.bare(line.text.as_deref().unwrap_or_default());
        lines.iter().map(|line| (line.line.unwrap_or(0), text(line))).collect()
    };
    let expected = [
        (3, "unknown field \"zz\""),
        (10, "\"NOBODY\" account not defined for stream export"),
        (9, "\"C\" account not defined for service import"),
        (5, "lame duck grace period (3m20s) should be strictly lower than lame duck duration (2m0s)"),
        (4, "max_payload (104857600) cannot be higher than max_pending (67108864)"),
        (
            12,
            "no_auth_user: \"q\" not present as user or nkey in authorization block or account configuration",
        ),
        (6, "error parsing X509 certificate/key pair: tls: private key does not match public key"),
        (7, "open nope.pem: no such file or directory"),
        (15, "error opening file: open folder: is a directory"),
        (13, "Could not write pidfile: open not/there.pid: no such file or directory"),
    ];
    assert_eq!(told(&report.errors), expected.map(|(line, text)| (line, text.to_owned())));
    let not_yet: Vec<_> = report.not_yet.iter().map(|line| (line.line, line.key.as_deref())).collect();
    let expected =
        [(Some(1), Some("cluster")), (Some(1), Some("cluster.name")), (Some(2), Some("jetstream"))];
    assert_eq!(not_yet, expected);
    let ports = "Error writing ports file (nope/nats-server_PID.ports): open nope/nats-server_PID.ports: \
                 no such file or directory";
    assert_eq!(told(&report.warnings)[0], (14, ports.to_owned()));
    assert!(report.unchecked.is_empty() && report.errors[0].file.is_some());
}

#[test]
fn what_rests_on_something_that_cannot_be_read_is_not_guessed() {
    let folder = Folder::new();
    let report = folder.report(
        "accounts {\nA { users: 5 }\nB { imports: [ {stream: {account: Z, subject: x}} ] }\n}\n\
         no_auth_user: a\nport: x\nhttp: 4222\npid_file: DIR/not/there.pid\n",
    );
    let lines: Vec<Option<usize>> = report.errors.iter().map(|line| line.line).collect();
    assert_eq!(lines, [Some(6), Some(2), Some(8)], "{:?}", report.errors);
    assert_eq!(report.unchecked, ["accounts", "port"]);
    let text = "\nNot looked at before these are right: what rests on accounts, port\n";
    assert!(report.to_text().contains(text), "{}", report.to_text());
}

#[test]
fn a_folder_for_the_ports_file_that_is_not_there_is_no_hindrance() {
    let folder = Folder::new();
    let report = folder.report("\nports_file_dir: DIR/nope\nport: -1\n");
    assert!(report.starts, "{report:?}");
    assert_eq!(report.warnings.len(), 1);
    assert_eq!(report.warnings[0].line, Some(2));
    std::fs::create_dir(folder.path("there")).unwrap();
    let report = folder.report("ports_file_dir: DIR/there\n");
    assert!(report.starts && report.warnings.is_empty(), "{report:?}");
    assert_eq!(std::fs::read_dir(folder.path("there")).unwrap().count(), 0);
}

#[test]
fn a_port_that_somebody_has_is_no_matter_of_the_file() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let report = report(&format!("listen: \"{}\"", taken.local_addr().unwrap()));
    assert!(report.starts, "{report:?}");
}

#[test]
fn the_program_ends_as_the_start_would() {
    let folder = Folder::new();
    for (text, code) in [("port: -1", 0), ("port: 70000", 1)] {
        folder.write("nats.conf", text);
        let mut command = Command::new(env!("CARGO_BIN_EXE_petrel"));
        let output = command.args(["config", "check"]).arg(folder.path("nats.conf")).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{text}: {output:?}");
    }
}
