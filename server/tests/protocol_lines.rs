//! Protocol lines of the log (`-V`) that no test of one client shows, beside upstream's: subscriptions that end, clients of
//! the system account, and the server itself.

mod support;

use rustix::process::Signal;
use std::path::Path;
use support::upstream::programs;
use support::{Client, Server};

const CONNECT: &str = r#"{"verbose":false}"#;

struct Rig {
    server: Server,
    subscriber: Client,
    publisher: Client,
}

impl Rig {
    fn start(program: &Path) -> Rig {
        let server = Server::start_as(program, &["-a", "127.0.0.1", "-p", "-1", "-V", "-T=false"]);
        let (subscriber, publisher) = (server.client(CONNECT), server.client(CONNECT));
        Rig { server, subscriber, publisher }
    }

    /// The protocol lines, without those that keep connections alive, and without who they are of.
    fn lines(&self) -> Vec<String> {
        let of_line = |line: &str| {
            let (_, said) = line.split_once("[TRC] ")?.1.split_once(" - cid:")?.1.split_once(" - ")?;
            let is_shown = !["PING]", "PONG]", "CONNECT", "PAYLOAD"].iter().any(|word| said.contains(word));
            is_shown.then(|| said.to_owned())
        };
        self.server.log().lines().filter_map(of_line).collect()
    }
}

fn say(client: &mut Client, text: &str) {
    client.received.clear();
    client.send(&format!("{text}PING\r\n"));
    client.wait_for("PONG\r\n");
}

#[test]
fn a_subscription_that_ends_is_told_whatever_ends_it() {
    for program in programs() {
        let mut rig = Rig::start(&program);
        let (one, other) = (&mut rig.subscriber, &mut rig.publisher);
        say(one, "SUB a 1\r\nUNSUB 1\r\nUNSUB 77\r\n");
        say(one, "SUB a 2\r\nUNSUB 2 2\r\n");
        say(other, "PUB a 1\r\nx\r\nPUB a 1\r\ny\r\nPUB a 1\r\nz\r\n");
        say(one, "SUB a q 3\r\n");
        say(other, "PUB a 1\r\nx\r\n");
        say(one, "UNSUB 3 1\r\n");
        say(one, "SUB a 4\r\nUNSUB 4 1\r\nPUB a 1\r\nx\r\n");
        say(one, "SUB c 5\r\n");
        one.send("FOO\r\n");
        one.wait_for_end();
        rig.server.wait_for_log("[DELSUB 5]\n");
        rig.server.signal(Signal::TERM);
        rig.server.wait();
        rig.server.whole_log();
        let expected = [
            "<<- [SUB a 1]",
            "<<- [UNSUB 1]",
            "<-> [DELSUB 1]",
            "<<- [UNSUB 77]",
            "<<- [SUB a 2]",
            "<<- [UNSUB 2 2]",
            "<<- [PUB a 1]",
            "->> [MSG a 2 1]",
            "<<- [PUB a 1]",
            "->> [MSG a 2 1]",
            "<-> [DELSUB 2]",
            "<<- [PUB a 1]",
            "<<- [SUB a q 3]",
            "<<- [PUB a 1]",
            "->> [MSG a 3 1]",
            "<<- [UNSUB 3 1]",
            "<-> [DELSUB 3]",
            "<<- [SUB a 4]",
            "<<- [UNSUB 4 1]",
            "<<- [PUB a 1]",
            "->> [MSG a 4 1]",
            "<-> [DELSUB 4]",
            "<<- [SUB c 5]",
            "->> [-ERR Unknown Protocol Operation]",
            "<-> [DELSUB 5]",
        ];
        assert_eq!(in_order(rig.lines()), in_order(expected.map(str::to_owned).to_vec()), "{program:?}");
    }
}

/// Lines of two clients on two cores may change places; what is told of each subscription may not.
fn in_order(lines: Vec<String>) -> (Vec<String>, Vec<String>) {
    lines.into_iter().partition(|line| line.starts_with("<<- [PUB"))
}

#[test]
fn a_connect_is_told_as_it_was_written_without_what_it_proves() {
    for program in programs() {
        let server = Server::start_as(&program, &["-a", "127.0.0.1", "-p", "-1", "-V", "-T=false"]);
        for (connect, told) in [
            (
                r#"{"verbose":false,"z":1,"user":"u", "pass" : "s3cret" ,"lang":"é"}"#,
                r#"{"verbose":false,"z":1,"user":"u", "pass" : "[REDACTED]" ,"lang":"é"}"#,
            ),
            (
                r#"{"auth_token":"s3cret","pass":"s3cret"}"#,
                r#"{"auth_token":"[REDACTED]","pass":"[REDACTED]"}"#,
            ),
            (r#"{"sig":"s3cret","nkey":"UKEY"}"#, r#"{"sig":"[REDACTED]","nkey":"[REDACTED]"}"#),
        ] {
            server.client(connect);
            server.wait_for_log(&format!(" - <<- [CONNECT {told}]\n"));
        }
        assert!(!server.log().contains("s3cret"), "{program:?}: {}", server.log());
    }
}

#[test]
fn headers_that_were_not_announced_are_told() {
    for program in programs() {
        let server = Server::start_as(&program, &["-a", "127.0.0.1", "-p", "-1", "-T=false"]);
        let mut client = server.client(CONNECT);
        client.send("HPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n");
        client.wait_for_end();
        server.wait_for_log(" - message headers not supported\n");
    }
}

#[test]
fn those_that_end_with_the_server_are_not_told() {
    for program in programs() {
        let mut rig = Rig::start(&program);
        say(&mut rig.subscriber, "SUB a 1\r\nSUB b 2\r\n");
        rig.server.signal(Signal::TERM);
        assert_eq!(rig.server.wait().code(), Some(0));
        rig.server.whole_log();
        assert_eq!(rig.lines(), ["<<- [SUB a 1]", "<<- [SUB b 2]"], "{program:?}");
    }
}

#[test]
fn those_that_end_with_their_client_are_told() {
    for program in programs() {
        let mut rig = Rig::start(&program);
        say(&mut rig.subscriber, "SUB a 1\r\nSUB b 2\r\n");
        drop(std::mem::replace(&mut rig.subscriber, rig.server.client(CONNECT)));
        for sid in [1, 2] {
            rig.server.wait_for_log(&format!(" - <-> [DELSUB {sid}]\n"));
        }
    }
}

#[test]
fn clients_of_the_system_account_are_traced_and_the_server_itself_where_that_is_asked_for() {
    for program in programs() {
        for (flag, is_shown) in [("-V", false), ("-VV", true)] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("nats.conf");
            std::fs::write(&path, "accounts { $SYS { users: [ {user: s, password: s} ] } }\n").unwrap();
            let arguments = ["-a", "127.0.0.1", "-p", "-1", flag, "-T=false", "-c", path.to_str().unwrap()];
            let mut server = Server::start_as(&program, &arguments);
            let mut client = server.client(r#"{"verbose":false,"user":"s","pass":"s"}"#);
            say(&mut client, "SUB in 1\r\nPUB $SYS.REQ.SERVER.PING.IDZ in 0\r\n\r\n");
            client.wait_for("MSG in 1 ");
            server.wait_for_log("\"$SYS/user:s\" - ->> [MSG in 1 ");
            server.signal(Signal::TERM);
            server.wait();
            let log = server.whole_log();
            assert!(log.contains("\"$SYS/user:s\" - <<- [PUB $SYS.REQ.SERVER.PING.IDZ in 0]\n"), "{log}");
            for line in ["SYSTEM - <<- [SUB $SYS.REQ.SERVER.PING.IDZ  ", "SYSTEM - <<- [PUB in  "] {
                assert_eq!(log.contains(&format!("[TRC] {line}")), is_shown, "{program:?} {flag}: {log}");
            }
        }
    }
}
