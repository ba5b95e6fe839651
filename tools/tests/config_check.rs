//! What `petrel config check` says of files.

use petrel_config::Source;
use petrel_tools::config_check::{Line, Report, check};

/// A file without includes; the certificates are there.
struct Text<'a>(&'a str);

impl Source for Text<'_> {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        match path {
            "nats.conf" => Ok(self.0.as_bytes().to_vec()),
            "cert.pem" | "key.pem" => Ok(Vec::new()),
            _ => Err(format!("open {path}: no such file or directory")),
        }
    }

    fn read_if_there(&mut self, _: &str) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }

    fn environment(&mut self, _: &str) -> Option<String> {
        None
    }
}

fn report(text: &str) -> Report {
    check("nats.conf", &mut Text(text))
}

fn texts(lines: &[Line]) -> Vec<String> {
    let said = |text: &Option<String>| text.clone().unwrap_or_default();
    lines.iter().map(|line| format!("{} {}", said(&line.key), said(&line.text)).trim().to_owned()).collect()
}

#[test]
fn a_file_that_works_is_told_key_by_key() {
    let report = report(
        "listen: 127.0.0.1:4333\nhttps_port: 8443\nprof_port: 1\nzone: eu\nserver_tags: [$zone]\n\
         tls { cert_file: cert.pem, key_file: key.pem, verify: true, handshake_first: auto }\n\
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
    let text = report.to_text();
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
        ("tls { cert_file: nope.pem, key_file: key.pem }", "open nope.pem: no such file or directory"),
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
