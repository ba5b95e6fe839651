//! Protocol lines in the log about what the server answers, as upstream (version 2.15.2) was seen to write them.

mod support;

use std::fs;
use std::time::{Duration, Instant};
use support::{PATIENCE, Server};

/// A server with this configuration and these flags.
fn start(config: &str, flags: &[&str]) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    fs::write(&file, config).unwrap();
    let mut arguments = vec!["-c", file.to_str().unwrap(), "-T=false"];
    arguments.extend(flags);
    (Server::start(&arguments), folder)
}

/// The protocol lines behind their label, once one of them is this.
fn lines(server: &Server, label: &str, last: &str) -> Vec<String> {
    let end = Instant::now() + PATIENCE;
    loop {
        let log = server.log();
        let traced = log.lines().filter_map(|line| line.split_once("[TRC] "));
        let of_label = traced.filter(|(_, line)| line.starts_with(label));
        let lines: Vec<String> = of_label
            .filter_map(|(_, line)| {
                line.find("<<-").or(line.find("->>")).map(|place| line[place..].to_owned())
            })
            .filter(|line| !line.contains("[CONNECT "))
            .collect();
        if lines.iter().any(|line| line == last) {
            return lines;
        }
        assert!(Instant::now() < end, "no {last} in {lines:#?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn answers_are_among_them() {
    let config = "ping_interval: \"1s\"\nping_max: 100\nauthorization { users: [ {user: a, password: a, permissions: { publish: \"x\" }} ] }";
    let (server, _folder) = start(config, &["-V"]);
    let mut client = server.raw_client();
    client.send("CONNECT {\"user\":\"a\",\"pass\":\"a\",\"pedantic\":true}\r\nPUB x 1\r\n1\r\nSUB a..b 1\r\nPUB y 1\r\n1\r\nSUB a _sys_ 2\r\n");
    client.wait_for("using queue");
    client.wait_for("PING\r\n");
    let expected = [
        "->> [OK]",
        "<<- [PUB x 1]",
        "<<- MSG_PAYLOAD: [\"1\"]",
        "->> [OK]",
        "<<- [SUB a..b 1]",
        "->> [-ERR Invalid Subject]",
        "<<- [PUB y 1]",
        "<<- MSG_PAYLOAD: [\"1\"]",
        "->> [-ERR Permissions Violation for Publish to \"y\"]",
        "<<- [SUB a _sys_ 2]",
        "->> [-ERR Permissions Violation for Subscription to \"a\" using queue \"_sys_\"]",
    ];
    // The PING comes at a time of the server's choice.
    let (pings, others): (Vec<_>, _) =
        lines(&server, "127.0.0.1:", "->> [PING]").into_iter().partition(|line| line == "->> [PING]");
    assert!(!pings.is_empty());
    assert_eq!(others, expected);
}
