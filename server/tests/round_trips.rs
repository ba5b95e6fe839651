//! The round-trip times that `/connz` shows, as upstream (version 2.15.2) was seen to have them: estimated when a client
//! says CONNECT, measured by each PONG, `0s` before that.

mod support;

use serde_json::Value;
use std::cmp::Reverse;
use std::time::{Duration, Instant};
use support::bus::Bus;
use support::{Client, Server};

/// How long one is silent before it says CONNECT.
const PAUSE: Duration = Duration::from_millis(150);
/// The first PING does not come sooner behind CONNECT.
const FIRST_PING_MIN: Duration = Duration::from_millis(1900);

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

/// A time as it is shown.
fn read(time: &str) -> Duration {
    let units = [("ns", 1e-9), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, unit) =
        units.iter().find_map(|(name, unit)| Some((time.strip_suffix(name)?, unit))).unwrap();
    Duration::from_secs_f64(number.parse::<f64>().unwrap() * unit)
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
    let of = |wanted: u64| read(&sorted.iter().find(|(cid, _)| *cid == wanted).unwrap().1);
    assert!(sorted.is_sorted_by_key(|(_, time)| Reverse(read(time))) && sorted.len() == 3, "{sorted:?}");
    assert!(of(6) >= PAUSE && of(7) > Duration::ZERO, "{sorted:?}");
    assert_eq!(sorted[2], (5, "0s".to_owned()));
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
    let begin = Instant::now();
    client.send("CONNECT {\"verbose\":false}\r\n");
    // The first PING comes some two seconds after CONNECT.
    client.wait_for("PING\r\n");
    let estimated = times(&server, "").remove(0).1;
    assert!(read(&estimated) >= Duration::from_millis(500), "{estimated}");
    client.send("PONG\r\nPING\r\n");
    client.wait_for("PONG\r\n");
    let longest = begin.elapsed() - FIRST_PING_MIN;
    let measured = times(&server, "").remove(0).1;
    assert!(measured != estimated && read(&measured) <= longest, "{estimated}, {measured}; {longest:?}");
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
