//! The round-trip times that `/connz` shows, as upstream (version 2.15.2) was seen to have them: estimated when a client
//! says CONNECT, measured by each PONG, `0s` before that.

mod support;

use serde_json::Value;
use std::time::Duration;
use support::bus::Bus;
use support::{Client, Server};

/// Longer than anything takes on the loopback unless it waits.
const PAUSE: Duration = Duration::from_millis(150);

/// Ids and times, in the order of the answer.
fn times(server: &Server, query: &str) -> Vec<(u64, String)> {
    let connz = server.json(&format!("/connz?{query}"));
    let of = |connection: &Value| {
        (connection["cid"].as_u64().unwrap(), connection["rtt"].as_str().unwrap_or("none").to_owned())
    };
    connz["connections"].as_array().unwrap().iter().map(of).collect()
}

/// Ids and times of the closed ones, as soon as so many are listed.
fn closed_times(server: &Server, count: usize) -> Vec<(u64, String)> {
    let end = std::time::Instant::now() + support::PATIENCE;
    loop {
        let closed = times(server, "state=closed");
        if closed.len() >= count {
            return closed;
        }
        assert!(std::time::Instant::now() < end, "the closed connections are not listed");
    }
}

/// Milliseconds of a time that is some.
fn milliseconds(time: &str) -> f64 {
    match time.strip_suffix("ms") {
        Some(number) => number.parse().unwrap(),
        None => time.strip_suffix('s').unwrap().parse::<f64>().unwrap() * 1000.0,
    }
}

#[test]
fn a_client_that_says_connect_has_a_time_at_once() {
    let server = Server::start(&[]);
    let silent = server.raw_client();
    let mut slow = server.raw_client();
    std::thread::sleep(PAUSE);
    slow.send("CONNECT {\"verbose\":false,\"lang\":\"go\"}\r\nPING\r\n");
    slow.wait_for("PONG\r\n");
    let quick = server.client("{\"verbose\":false}");
    let sorted = times(&server, "sort=rtt");
    assert_eq!(sorted.iter().map(|(cid, _)| *cid).collect::<Vec<u64>>(), [6, 7, 5], "{sorted:?}");
    assert!(milliseconds(&sorted[0].1) >= PAUSE.as_secs_f64() * 1000.0, "{sorted:?}");
    assert_eq!(sorted[2].1, "0s");
    // Upstream asks nobody: whoever said CONNECT has a time, and the others get no PING.
    assert_eq!(slow.received.matches("PING").count(), 0);
    drop((silent, quick));
    let closed = closed_times(&server, 2);
    assert_eq!((closed[0].0, closed[0].1.as_str()), (5, "0s"));
    assert_ne!(closed[1].1, "0s");
}

#[test]
fn the_first_pong_measures() {
    let server = Server::start(&[]);
    let mut client = server.raw_client();
    std::thread::sleep(Duration::from_millis(500));
    client.send("CONNECT {\"verbose\":false}\r\n");
    // The first PING comes some two seconds after CONNECT.
    client.wait_for("PING\r\n");
    assert!(milliseconds(&times(&server, "")[0].1) >= 500.0);
    client.send("PONG\r\nPING\r\n");
    client.wait_for("PONG\r\n");
    let measured = times(&server, "").remove(0).1;
    let is_short = measured.ends_with("µs") || milliseconds(&measured) < 500.0;
    assert!(is_short, "{measured}");
}

#[test]
fn a_refused_client_has_a_time_too() {
    let server = Server::start(&["--user", "a", "--pass", "b"]);
    let mut refused = Client::connect(server.port);
    refused.send("CONNECT {\"user\":\"a\",\"pass\":\"wrong\"}\r\n");
    refused.wait_for_end();
    let bus = Bus::connect(&server, Some(("a", "b")), "right");
    assert!(!bus.ended);
    let closed = closed_times(&server, 1);
    assert!(closed.len() == 1 && closed[0].1 != "0s" && closed[0].1 != "none", "{closed:?}");
}
