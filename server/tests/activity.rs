//! When a client was last active, and when it is asked whether it is there: as upstream (version 2.15.2) was seen to have
//! both.

mod support;

use jiff::Timestamp;
use std::fs;
use std::time::{Duration, Instant};
use support::{Client, Server};

/// Longer than anything takes on the loopback unless it waits.
const PAUSE: Duration = Duration::from_millis(80);

/// Sends, and waits until that has taken effect.
fn say(client: &mut Client, text: &str) {
    client.received.clear();
    client.send(&format!("{text}PING\r\n"));
    client.wait_for("PONG\r\n");
}

/// Whether a client counts as active since this was last asked. Times are counted back from the time of the question, so
/// that they differ by a little.
fn is_active(server: &Server, name: &str, last: &mut Timestamp) -> bool {
    let connz = server.json("/connz");
    let connections = connz["connections"].as_array().unwrap();
    let connection = connections.iter().find(|it| it["name"] == name).unwrap();
    let found: Timestamp = connection["last_activity"].as_str().unwrap().parse().unwrap();
    let later = found.duration_since(*last);
    *last = found;
    later.as_millis() > 10
}

#[test]
fn messages_and_interest_are_activity_and_pings_are_not() {
    let server = Server::start(&[]);
    let mut receiver = server.client("{\"verbose\":false,\"name\":\"receiver\"}");
    let mut publisher = server.client("{\"verbose\":false,\"name\":\"publisher\"}");
    let mut last = [Timestamp::UNIX_EPOCH; 2];
    let mut active = |server: &Server| {
        let [of_receiver, of_publisher] = &mut last;
        (is_active(server, "receiver", of_receiver), is_active(server, "publisher", of_publisher))
    };
    active(&server);
    for (of_receiver, of_publisher, expected) in [
        ("", "", (false, false)),
        ("SUB a.* 1\r\n", "", (true, false)),
        ("PONG\r\n", "PUB a.b 2\r\nhi\r\n", (true, true)),
        ("", "PUB nobody 2\r\nhi\r\n", (false, true)),
        ("UNSUB 1 5\r\n", "PONG\r\n", (true, false)),
        ("", "", (false, false)),
    ] {
        std::thread::sleep(PAUSE);
        say(&mut publisher, of_publisher);
        say(&mut receiver, of_receiver);
        assert_eq!(active(&server), expected, "{of_receiver:?} {of_publisher:?}");
    }
}

#[test]
fn an_answer_to_a_ping_does_not_put_the_next_one_off() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    fs::write(&file, "ping_interval: \"400ms\"\n").unwrap();
    let server = Server::start(&["-c", file.to_str().unwrap()]);
    let mut client = server.client("{\"verbose\":false}");
    let begin = Instant::now();
    for _ in 0..8 {
        client.received.clear();
        client.wait_for("PING\r\n");
        client.send("PONG\r\n");
    }
    let took = begin.elapsed();
    // 3.2 s and a little; twice that when every second one is left out.
    assert!(took < Duration::from_millis(5500), "{took:?}");
}
