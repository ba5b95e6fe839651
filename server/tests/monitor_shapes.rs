//! The shapes of `/varz` and `/connz`, field by field, as upstream's (version 2.15.2) were recorded with a
//! client connected, another gone, tags and metadata configured. Each line of `golden/` is a path and its type.

mod support;

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use support::{Client, Server};

/// Numbers that may have a fraction.
const FLOATS: &[&str] = &["cpu", "auth_timeout", "tls_timeout"];

struct Recorded {
    server: Server,
    /// Stays connected.
    _client: Client,
    _folder: tempfile::TempDir,
}

fn recorded() -> Recorded {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    let text = "server_tags: [\"x\"]\nserver_metadata { a: \"<b>\" }\n\
                authorization { users: [ {user: alice, pass: a}, {user: bob, pass: b} ], timeout: 60.5 }\n";
    fs::write(&path, text).unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    let common = "\"verbose\":false,\"lang\":\"go\",\"version\":\"1.2.3\"";
    let mut client =
        server.client(&format!("{{\"user\":\"alice\",\"pass\":\"a\",\"name\":\"cli\",{common}}}"));
    let gone = server.client(&format!("{{\"user\":\"bob\",\"pass\":\"b\",\"name\":\"gone\",{common}}}"));
    drop(gone);
    client.send("SUB foo.* 1\r\nSUB bar q 2\r\nUNSUB 2 5\r\nPUB foo.x 5\r\nhello\r\nPUB bar 2\r\nhi\r\n");
    client.wait_for("\r\nhello\r\n");
    client.wait_for("\r\nhi\r\n");
    let end = std::time::Instant::now() + support::PATIENCE;
    while server.json("/connz?state=closed")["total"] != 1 {
        assert!(std::time::Instant::now() < end, "the closed connection is not listed");
    }
    server.json("/varz");
    Recorded { server, _client: client, _folder: folder }
}

fn flatten(value: &Value, path: &str, shape: &mut BTreeMap<String, &'static str>) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Number(_) if FLOATS.contains(&path) => "number",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    if !path.is_empty() {
        shape.insert(path.to_owned(), kind);
    }
    match value {
        Value::Array(elements) => {
            elements.iter().for_each(|element| flatten(element, &format!("{path}[]"), shape))
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(field, &inner, shape);
            }
        }
        _ => {}
    }
}

fn golden(text: &str) -> BTreeMap<String, &str> {
    text.lines().filter_map(|line| line.split_once(' ')).map(|(path, kind)| (path.to_owned(), kind)).collect()
}

fn compare(server: &Server, path: &str, recorded: &str) {
    let mut shape = BTreeMap::new();
    flatten(&server.json(path), "", &mut shape);
    // Petrel's own, and endpoints that were asked here and not when upstream was recorded.
    shape.retain(|path, _| !path.starts_with("petrel") && !path.starts_with("http_req_stats."));
    let mut expected = golden(recorded);
    expected.retain(|path, _| !path.starts_with("http_req_stats."));
    let expected: BTreeMap<String, &str> = expected;
    for (path, kind) in &expected {
        assert_eq!(shape.get(path), Some(kind), "{path}");
    }
    for path in shape.keys() {
        assert!(expected.contains_key(path), "upstream does not show {path}");
    }
}

#[test]
fn fields_and_types_are_upstreams() {
    let recorded = recorded();
    compare(&recorded.server, "/varz", include_str!("golden/varz.txt"));
    compare(&recorded.server, "/connz?auth=1&subs=1", include_str!("golden/connz-open.txt"));
    compare(&recorded.server, "/connz?auth=1&subs=detail", include_str!("golden/connz-detail.txt"));
    compare(&recorded.server, "/connz?auth=1&state=closed", include_str!("golden/connz-closed.txt"));
}

#[test]
fn fields_stand_in_upstreams_order() {
    let server = Server::start(&[]);
    let body = server.get("/varz").body;
    let names: Vec<&str> = body
        .lines()
        .filter_map(|line| line.strip_prefix("  \"")?.split_once('"'))
        .map(|(name, _)| name)
        .collect();
    let recorded: Vec<&str> = include_str!("golden/varz.txt")
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(path, _)| path)
        .filter(|path| names.contains(path))
        .collect();
    let shown: Vec<&str> = names.into_iter().filter(|name| recorded.contains(name)).collect();
    assert_eq!(shown, recorded);
}

#[test]
fn values_are_those_of_the_clients() {
    let recorded = recorded();
    let server = &recorded.server;
    let varz = server.json("/varz");
    for (field, value) in [
        ("connections", 1),
        ("total_connections", 2),
        ("in_msgs", 2),
        ("in_client_bytes", 7),
        ("out_msgs", 2),
        ("out_client_bytes", 7),
        ("max_payload", 1_048_576),
    ] {
        assert_eq!(varz[field], value, "{field}");
    }
    assert_eq!(varz["auth_timeout"], 60.5);
    assert_eq!(varz["tags"][0], "x");
    assert!(varz["mem"].as_u64().unwrap() > 1_000_000);
    assert!(varz["http_req_stats"]["/varz"].as_u64().unwrap() >= 2);

    let connz = server.json("/connz?subs=1&auth=1");
    let connection = &connz["connections"][0];
    assert_eq!(connection["name"], "cli");
    assert_eq!(connection["authorized_user"], "alice");
    assert_eq!(connection["subscriptions_list"], serde_json::json!(["bar", "foo.*"]));
    assert_eq!((connection["in_msgs"].as_u64(), connection["out_bytes"].as_u64()), (Some(2), Some(7)));
    let closed = server.json("/connz?state=closed");
    assert_eq!(closed["connections"][0]["reason"], "Client Closed");
    assert_eq!(closed["connections"][0]["name"], "gone");
}
