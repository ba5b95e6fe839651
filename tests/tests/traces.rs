//! Traces of messages whose receivers are spread over all cores: one event tells of all of them.

use petrel_tests::{Server, Wire};
use serde_json::Value;

const SUBSCRIBERS: usize = 6;

fn connect(server: &Server, name: &str) -> Wire {
    let options = format!(r#"{{"verbose":false,"pedantic":false,"headers":true,"name":"{name}"}}"#);
    Wire::connect(server.address(), &options)
}

fn publish(wire: &mut Wire, subject: &str, headers: &[&str]) -> usize {
    let block = format!("NATS/1.0\r\n{}\r\n\r\n", headers.join("\r\n"));
    let (bytes, all) = (block.len(), block.len() + 2);
    wire.send(format!("HPUB {subject} {bytes} {all}\r\n{block}hi\r\n"));
    all
}

/// The event, and the egresses that it lists.
#[track_caller]
fn event(listener: &mut Wire) -> (Value, Vec<Value>) {
    let message = listener.take_message();
    let event: Value = serde_json::from_slice(&message.payload).expect("JSON");
    let events = event["events"].as_array().expect("a list").clone();
    assert_eq!(events[0]["type"], "in");
    (event, events[1..].to_vec())
}

#[test]
fn one_event_lists_the_receivers_of_all_cores() {
    let server = Server::start();
    let mut listener = connect(&server, "listener");
    listener.send("SUB trace 1\r\n");
    listener.sync();
    let mut subscribers: Vec<Wire> =
        (0..SUBSCRIBERS).map(|number| connect(&server, &format!("s{number}"))).collect();
    for subscriber in &mut subscribers {
        subscriber.send("SUB foo.* 1\r\nSUB foo.bar group 2\r\n");
        subscriber.sync();
    }
    for number in 0..4 {
        let mut publisher = connect(&server, &format!("p{number}"));
        for is_only in [false, true] {
            let only = if is_only { "Nats-Trace-Only: true" } else { "X: y" };
            let size = publish(&mut publisher, "foo.bar", &["Nats-Trace-Dest: trace", only]);
            let (event, egresses) = event(&mut listener);
            assert_eq!(event["request"]["msgsize"], size);
            let mut plain: Vec<&str> = egresses
                .iter()
                .filter(|egress| egress.get("queue").is_none())
                .map(|egress| egress["name"].as_str().expect("a name"))
                .collect();
            plain.sort_unstable();
            assert_eq!(plain, ["s0", "s1", "s2", "s3", "s4", "s5"]);
            let of_group = egresses.iter().filter(|egress| egress["queue"] == "group").count();
            assert_eq!((egresses.len(), of_group), (SUBSCRIBERS + 1, 1), "{egresses:?}");
            publisher.sync();
            let mut copies = 0;
            for subscriber in &mut subscribers {
                copies +=
                    subscriber.lines_until_pong().iter().filter(|line| line.starts_with("HMSG ")).count();
            }
            assert_eq!(copies, if is_only { 0 } else { SUBSCRIBERS + 1 });
        }
    }
}

#[test]
fn an_event_is_compressed_for_who_asks_for_that() {
    let server = Server::start();
    let mut wire = connect(&server, "p");
    wire.send("SUB trace 1\r\n");
    wire.sync();
    for (asked, encoding, begin) in [
        ("gzip", "gzip", &b"\x1f\x8b"[..]),
        ("s2", "snappy", b"\xff\x06\x00\x00sNaPpY"),
        ("br", "identity", b"{"),
    ] {
        publish(&mut wire, "none", &["Nats-Trace-Dest: trace", &format!("Accept-Encoding: {asked}")]);
        let message = wire.take_message();
        let header = String::from_utf8(message.header).expect("headers of text");
        assert_eq!(header, format!("NATS/1.0\r\nContent-Encoding: {encoding}\r\n\r\n"));
        assert!(message.payload.starts_with(begin), "{asked}");
    }
}
