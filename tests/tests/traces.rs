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

const ACCOUNTS: &str = r#"
accounts {
  EXP: { users: [ { user: e, password: e } ], exports: [ { service: "svc", allow_trace: true } ] }
  IMP: { users: [ { user: i, password: i } ], imports: [ { service: { account: EXP, subject: "svc" }, to: "ask" } ] }
}
"#;

/// An answer is followed as far as to the account that asked, whichever core knows the requester.
#[test]
fn answers_are_followed_to_the_account_that_asked() {
    let server = Server::builder().config(ACCOUNTS).start();
    let connect = |user: &str| {
        let options =
            format!(r#"{{"verbose":false,"headers":true,"user":"{user}","pass":"{user}","name":"{user}"}}"#);
        Wire::connect(server.address(), &options)
    };
    let mut listener = connect("e");
    listener.send("SUB trace 1\r\n");
    listener.sync();
    for mut responder in (0..3).map(|_| connect("e")) {
        responder.send("SUB svc 1\r\n");
        responder.sync();
        for mut requester in (0..3).map(|_| connect("i")) {
            requester.send("SUB inbox 1\r\n");
            for is_only in [false, true] {
                requester.send("PUB ask inbox 1\r\nq\r\n");
                let back = responder.take_message().reply.expect("a request has a reply");
                let only = if is_only { "Nats-Trace-Only: true" } else { "X: y" };
                publish(&mut responder, &back, &["Nats-Trace-Dest: trace", only]);
                let (_, events) = event(&mut listener);
                assert_eq!(events.len(), 1, "{events:?}");
                let Value::Object(mut told) = events[0].clone() else { panic!("{events:?}") };
                told.remove("ts");
                let wanted = serde_json::json!({"type": "si", "acc": "IMP", "from": back, "to": "inbox"});
                assert_eq!(Value::Object(told), wanted);
                if !is_only {
                    let answer = requester.take_message();
                    let header = String::from_utf8(answer.header).expect("headers of text");
                    assert_eq!(header, "NATS/1.0\r\nX: y\r\nNats-Trace-Dest: trace disabled\r\n\r\n");
                }
                requester.sync();
                // The way back was used up.
                publish(&mut responder, &back, &["Nats-Trace-Dest: trace"]);
                assert_eq!(event(&mut listener).1, Vec::<Value>::new());
                requester.sync();
            }
        }
        responder.send("UNSUB 1\r\n");
        responder.sync();
    }
}
