//! When a client was last active, and when it is asked whether it is there: as upstream (version 2.15.2) was seen to have
//! both.

mod support;

use jiff::Timestamp;
use std::fs;
use std::time::Duration;
use support::{Client, Server};

/// What lies between two rounds: twice by as much may a time be shown wrong, for it is counted back from when the question is
/// handled.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends, and waits until that has taken effect.
fn say(client: &mut Client, text: &str) {
    client.received.clear();
    client.send(&format!("{text}PING\r\n"));
    client.wait_for("PONG\r\n");
}

/// Whether a client counts as active in the round that began then, behind a pause.
fn is_active(server: &Server, name: &str, begin: Timestamp) -> bool {
    let connz = server.json("/connz");
    let connections = connz["connections"].as_array().unwrap();
    let connection = connections.iter().find(|it| it["name"] == name).unwrap();
    let found: Timestamp = connection["last_activity"].as_str().unwrap().parse().unwrap();
    found > begin - PAUSE / 2
}

#[test]
fn messages_and_interest_are_activity_and_pings_are_not() {
    let server = Server::start(&[]);
    let mut receiver = server.client("{\"verbose\":false,\"name\":\"receiver\"}");
    let mut publisher = server.client("{\"verbose\":false,\"name\":\"publisher\"}");
    for (of_receiver, of_publisher, expected) in [
        ("", "", (false, false)),
        ("SUB a.* 1\r\n", "", (true, false)),
        ("PONG\r\n", "PUB a.b 2\r\nhi\r\n", (true, true)),
        ("", "PUB nobody 2\r\nhi\r\n", (false, true)),
        ("UNSUB 1 5\r\n", "PONG\r\n", (true, false)),
        ("", "", (false, false)),
    ] {
        std::thread::sleep(PAUSE);
        let begin = Timestamp::now();
        say(&mut publisher, of_publisher);
        say(&mut receiver, of_receiver);
        let found = ["receiver", "publisher"].map(|name| is_active(&server, name, begin));
        assert_eq!((found[0], found[1]), expected, "{of_receiver:?} {of_publisher:?}");
    }
}

#[test]
fn an_answer_to_a_ping_does_not_put_the_next_one_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    fs::write(&file, "ping_interval: \"400ms\"\nping_max: 100\n").unwrap();
    let server = Server::start(&["-c", file.to_str().unwrap()]);
    // One that never answers is asked all the same.
    let mut silent = server.client("{\"verbose\":false}");
    let mut client = server.client("{\"verbose\":false}");
    let mut answered = 0;
    while answered < 8 {
        client.received.clear();
        client.wait_for("PING\r\n");
        let asked = client.received.matches("PING\r\n").count();
        client.send(&"PONG\r\n".repeat(asked));
        answered += asked;
    }
    silent.send("PING\r\n");
    while silent.received.matches("PONG\r\n").count() < 2 {
        silent.read_more();
    }
    // About as often; twice as often when every second one of the other is left out.
    let asked = silent.received.matches("PING\r\n").count();
    assert!(asked * 2 > answered && asked * 2 < answered * 3, "{asked} times and {answered} times");
}
