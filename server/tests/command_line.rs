//! Flags, the check of the configuration, texts and exit codes.

mod support;

use std::fs;
use support::{run, stderr};

#[test]
fn the_version_is_the_upstream_level() {
    for flag in ["-v", "--version", "-version=true", "version"] {
        let output = run(&[flag]);
        assert_eq!(output.status.code(), Some(0), "{flag}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "nats-server: v2.15.2\n", "{flag}");
    }
}

#[test]
fn help_names_the_flags() {
    for flag in ["-h", "--help", "help"] {
        let output = run(&[flag]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0));
        assert!(
            text.contains("Usage: nats-server [options]") && text.contains("--client_advertise"),
            "{text}"
        );
    }
}

#[test]
fn help_on_tls_names_what_lists_may_have() {
    let output = run(&["--help_tls"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0));
    for name in ["cert_file", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "X25519MLKEM768"] {
        assert!(text.contains(name), "{text}");
    }
    assert!(!text.contains("_CBC_"), "{text}");
}

#[test]
fn an_unknown_flag_prints_the_usage_and_ends_well() {
    for (arguments, message) in [
        (&["--nope"][..], "flag provided but not defined: -nope\n"),
        (&["-p"], "flag needs an argument: -p\n"),
        (&["-p", "x"], "invalid value \"x\" for flag -p: parse error\n"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(stderr(&output), message);
        assert!(String::from_utf8_lossy(&output.stdout).contains("Usage:"));
    }
}

#[test]
fn other_mistakes_end_badly() {
    for (arguments, message) in [
        (&["foo"][..], "nats-server: unrecognized command: \"foo\"\n"),
        (&["-t"], "nats-server: must specify [-c, --config] option to check configuration file syntax\n"),
        (&["-c", "/nonexistent.conf"], "nats-server: open /nonexistent.conf: no such file or directory\n"),
        (
            &["-js"],
            "nats-server: the flag -js is not supported by petrel yet; remove it to start without it\n",
        ),
        (&["--tls"], "nats-server: TLS Server certificate must be present and valid\n"),
        (
            &["--tlsverify", "--tlscert", "x"],
            "nats-server: TLS Server private key must be present and valid\n",
        ),
        (&["-n", "a b"], "nats-server: server name cannot contain spaces\n"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        assert_eq!(stderr(&output), message);
    }
}

#[test]
fn a_file_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    let name = path.to_str().unwrap();
    let check = |text: &str| {
        fs::write(&path, text).unwrap();
        let output = run(&["-t", "-c", name]);
        (output.status.code(), stderr(&output))
    };

    // Both digests are what upstream prints for these files.
    let digest = "sha256:797533ebd0dfba7d34a0f9337ecf147e442871f48ddfd07ed751575a5737267e";
    let valid = format!("nats-server: configuration file {name} is valid ({digest})\n");
    assert_eq!(check("port: 4222"), (Some(0), valid.clone()));
    assert_eq!(check("port = 4222 # the default\n"), (Some(0), valid));

    let unknown = format!("nats-server: {name}:2:1: unknown field \"x\"\n\n");
    assert_eq!(check("port: 4222\nx: 1"), (Some(1), unknown));
    // A warning fails the check, though not the start.
    let warning = format!(
        "nats-server: {name}:1:0: invalid use of field \"ping_interval\": ping_interval should be converted to a \
         duration\n\n"
    );
    assert_eq!(check("ping_interval: 5"), (Some(1), warning));
    let empty = format!("nats-server: {name}: config has no values or is empty\n\n");
    assert_eq!(check(""), (Some(1), empty));
    // What concerns several options is not checked, as upstream does not.
    assert_eq!(check("max_payload: 65MB").0, Some(0));
    // A key that is ignored without harm does not fail it.
    let (code, text) = check("prof_port: 0");
    assert!(code == Some(0) && text.contains("\"prof_port\" is ignored"), "{text}");
    let (code, text) = check("cluster { port: 6222 }");
    assert!(code == Some(1) && text.contains(":1:0: \"cluster\" is not supported by petrel yet"), "{text}");
}

#[test]
fn options_that_do_not_go_together_stop_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    for (text, message) in [
        ("max_payload: 65MB", "max_payload (68157440) cannot be higher than max_pending (67108864)"),
        (
            "lame_duck_grace_period: \"200s\"",
            "lame duck grace period (3m20s) should be strictly lower than lame duck duration (2m0s)",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let output = run(&["-c", path.to_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output), format!("nats-server: {message}\n"));
    }
}

/// The texts are upstream's, its name in front apart.
#[test]
fn a_check_finds_what_is_wrong_between_accounts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    for (text, message) in [
        (
            "accounts { A { imports: [ {stream: {account: B, subject: x}} ] }, B { exports: [ {stream: \"s.>\"} ] } }",
            ":1:0: Error adding stream import \"x\": stream import not authorized",
        ),
        (
            "port: 4222\naccounts { A { imports: [ {service: {account: B, subject: \"q.*\"}, to: z} ] }\n\
             B { exports: [ {service: \"q.>\"} ] } }",
            ":2:1: Error adding service import \"q.*\": failed to create mapping transform for service import \
             subject from \"z\" to \"q.*\": invalid mapping destination: not using all of the token wildcard(s) in z",
        ),
    ] {
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let output = run(&["-t", "-c", path]);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(stderr(&output).trim_end(), format!("nats-server: {path}{message}"));
    }
}
