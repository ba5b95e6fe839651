//! Requests to monitoring: parameters, errors, headers.

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};
use support::Server;

#[test]
fn headers_are_upstreams() {
    let server = Server::start(&[]);
    for path in ["/varz", "/connz", "/healthz"] {
        for method in ["GET", "POST", "DELETE"] {
            let answer = server.request(method, path);
            assert_eq!(answer.status, 200, "{method} {path}");
            assert!(answer.head.contains("\r\nContent-Type: application/json"), "{}", answer.head);
            assert!(answer.head.contains("\r\nAccess-Control-Allow-Origin: *"), "{}", answer.head);
            assert!(!answer.head.contains("\r\nServer:"), "{}", answer.head);
        }
    }
    assert!(server.request("HEAD", "/varz").body.is_empty());
    assert!(server.get("/").head.contains("\r\nContent-Type: text/html; charset=utf-8"));
}

#[test]
fn what_is_not_there_is_404() {
    let server = Server::start(&[]);
    for path in ["/nope", "/varz/", "/jsz/", "/debug", "/varz/x"] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (404, "404 page not found\n"), "{path}");
        assert!(answer.head.contains("\r\nContent-Type: text/plain; charset=utf-8"), "{}", answer.head);
        assert!(answer.head.contains("\r\nX-Content-Type-Options: nosniff"), "{}", answer.head);
    }
    let answer = server.get("//varz?x=1");
    assert_eq!(answer.status, 307);
    assert!(answer.head.contains("\r\nLocation: /varz?x=1"), "{}", answer.head);
}

#[test]
fn bad_parameters_are_400() {
    let server = Server::start(&[]);
    for (path, text) in [
        ("/connz?sort=foo", "invalid sorting option: foo"),
        ("/connz?limit=x", "Error decoding int for 'limit': strconv.Atoi: parsing \"x\": invalid syntax"),
        (
            "/connz?offset=1.5",
            "Error decoding int for 'offset': strconv.Atoi: parsing \"1.5\": invalid syntax",
        ),
        (
            "/connz?subs=x",
            "Error decoding boolean for 'subs': strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        (
            "/connz?auth=x",
            "Error decoding boolean for 'auth': strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        (
            "/connz?cid=-1",
            "Error decoding uint64 for 'cid': strconv.ParseUint: parsing \"-1\": invalid syntax",
        ),
        ("/connz?state=x", "Error decoding state for x"),
        ("/connz?sort=stop", "sort by stop only valid on closed connections"),
        ("/connz?sort=reason&state=all", "sort by reason only valid on closed connections"),
        (
            "/healthz?js-server-only=x",
            "Error decoding boolean for 'js-server-only': strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
        (
            "/healthz?details=2",
            "Error decoding boolean for 'details': strconv.ParseBool: parsing \"2\": invalid syntax",
        ),
    ] {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (400, text), "{path}");
        assert!(answer.head.contains("\r\nContent-Type: text/plain"), "{}", answer.head);
    }
}

#[test]
fn health_is_told_to_probes() {
    let server = Server::start(&[]);
    for path in ["/healthz", "/healthz?details=1", "/healthz?js-enabled-only=1", "/healthz?js-meta-only=true"]
    {
        let answer = server.get(path);
        assert_eq!((answer.status, answer.body.as_str()), (200, "{\"status\":\"ok\"}"), "{path}");
    }
    let answer = server.get("/healthz?stream=x");
    let text =
        "{\"status\":\"error\",\"error\":\"\\\"account\\\" must not be empty when checking stream health\"}";
    assert_eq!((answer.status, answer.body.as_str()), (400, text));
    let answer = server.get("/healthz?consumer=x&details=1");
    assert_eq!(answer.status, 400);
    assert!(
        answer.body.contains("\"errors\":[{\"type\":\"BAD_REQUEST\",\"error\":\"\\\"stream\\\" must not")
    );
}

#[test]
fn connections_are_sorted_paged_and_filtered() {
    let server = Server::start(&[]);
    let mut clients: Vec<_> = (0..4)
        .map(|number| server.client(&format!("{{\"verbose\":false,\"name\":\"c{number}\"}}")))
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        client.received.clear();
        for sid in 0..=number {
            client.send(&format!("SUB s{number}.{sid} {sid}\r\n"));
        }
        for _ in 0..=(3 - number) {
            client.send("PUB nobody 3\r\nabc\r\n");
        }
        client.send("PING\r\n");
        client.wait_for("PONG\r\n");
    }
    let names = |query: &str| -> Vec<String> {
        let connz = server.json(&format!("/connz?{query}"));
        let connections = connz["connections"].as_array().unwrap();
        assert_eq!(connz["num_connections"], connections.len());
        connections.iter().map(|connection| connection["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(""), ["c0", "c1", "c2", "c3"]);
    assert_eq!(names("sort=subs"), ["c3", "c2", "c1", "c0"]);
    assert_eq!(names("sort=msgs_from"), ["c0", "c1", "c2", "c3"]);
    assert_eq!(names("sort=bytes_from&limit=2&offset=1"), ["c1", "c2"]);
    assert_eq!(names("sort=start"), ["c0", "c1", "c2", "c3"]);
    assert_eq!(names("sort=uptime"), ["c3", "c2", "c1", "c0"]);
    assert_eq!(names("limit=-1&offset=-1").len(), 4);
    assert_eq!(names("mqtt_client=x").len(), 0);
    assert_eq!(names("state=closed").len(), 0);

    let second = &server.json("/connz?offset=1&limit=1");
    assert_eq!(
        (second["total"].as_u64(), second["offset"].as_u64(), second["limit"].as_u64()),
        (Some(4), Some(1), Some(1))
    );
    let cid = second["connections"][0]["cid"].as_u64().unwrap();
    let one = server.json(&format!("/connz?cid={cid}&subs=detail"));
    assert_eq!((one["total"].as_u64(), one["limit"].as_u64()), (Some(4), Some(1)));
    let details = one["connections"][0]["subscriptions_list_detail"].as_array().unwrap();
    assert_eq!(details.len(), 2);
    assert_eq!(details[0]["cid"], cid);

    drop(clients.remove(1));
    let end = Instant::now() + support::PATIENCE;
    while names("state=closed") != ["c1"] {
        assert!(Instant::now() < end);
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(names("state=all"), ["c0", "c1", "c2", "c3"]);
    assert_eq!(names(&format!("state=any&cid={cid}")), ["c1"]);
    assert_eq!(names(&format!("cid={cid}")).len(), 0);
}

#[test]
fn an_unknown_account_is_almost_empty() {
    let server = Server::start(&[]);
    let connz = server.json("/connz?acc=NOPE");
    assert_eq!(connz["server_id"], "");
    assert!(connz["connections"].is_null());
    let connz = server.json("/connz?acc=%24SYS");
    assert_eq!(connz["connections"], serde_json::json!([]));
}

#[test]
fn a_base_path_stands_before_all() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("nats.conf");
    fs::write(&config, "http_base_path: \"/nats/\"").unwrap();
    let server = Server::start(&["-c", config.to_str().unwrap()]);
    assert_eq!(server.get("/varz").status, 404);
    assert_eq!(server.get("/").status, 404);
    assert!(server.get("/nats").body.contains("href=\"./nats/varz\""));
    let varz = server.json("/nats/varz");
    assert_eq!(varz["http_base_path"], "/nats/");
    assert_eq!(varz["http_req_stats"]["/varz"], 1);
}

#[test]
fn strings_are_escaped_for_pages() {
    let server = Server::start(&[]);
    let _client = server.client("{\"name\":\"<a>&b\"}");
    assert!(server.get("/connz").body.contains("\"name\": \"\\u003ca\\u003e\\u0026b\""));
}

#[test]
fn metrics_have_the_exporters_names_and_petrels_own() {
    let server = Server::start(&[]);
    let mut client = server.client("{\"verbose\":false}");
    client.send("SUB a 1\r\nPUB a 3\r\nabc\r\n");
    client.wait_for("abc\r\n");
    let answer = server.get("/metrics");
    assert_eq!(answer.status, 200);
    assert!(answer.head.contains("\r\nContent-Type: text/plain; version=0.0.4"), "{}", answer.head);
    let id = server.json("/varz")["server_id"].as_str().unwrap().to_owned();
    for line in [
        format!("gnatsd_varz_connections{{server_id=\"{id}\"}} 1"),
        format!("gnatsd_varz_in_bytes{{server_id=\"{id}\"}} 3"),
        format!("gnatsd_varz_version{{server_id=\"{id}\",value=\"2.15.2\"}} 1"),
        "petrel_core_up{core=\"0\"} 1".to_owned(),
    ] {
        assert!(answer.body.lines().any(|found| found == line), "no {line} in\n{}", answer.body);
    }
    let received: u64 = answer
        .body
        .lines()
        .filter(|line| line.starts_with("petrel_in_msgs_total{core="))
        .map(|line| line.rsplit_once(' ').unwrap().1.parse::<u64>().unwrap())
        .sum();
    assert_eq!(received, 1);
    assert!(answer.body.contains("# TYPE petrel_in_msgs_total counter\n"));
    // Every number at the top of /varz is there, and no other.
    let varz = server.json("/varz");
    for (field, value) in varz.as_object().unwrap() {
        let shown = answer.body.contains(&format!("\ngnatsd_varz_{field}{{"));
        let words = ["server_id", "server_name", "version", "start", "config_load_time"];
        let expected = value.is_number() || words.contains(&field.as_str());
        assert_eq!(shown, expected, "{field}");
    }
}

#[test]
fn a_head_that_does_not_come_is_not_waited_for() {
    let server = Server::start(&[]);
    let begin = Instant::now();
    let mut slow = TcpStream::connect(("127.0.0.1", server.http_port)).unwrap();
    slow.set_read_timeout(Some(support::PATIENCE)).unwrap();
    slow.write_all(b"GET /varz HTTP/1.1\r\nHost:").unwrap();
    let mut bytes = Vec::new();
    slow.read_to_end(&mut bytes).unwrap();
    // It was waited for; that this ended at all shows that it was given up.
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_secs(4), "{waited:?}");
    // Others were served meanwhile and are now.
    assert_eq!(server.get("/healthz").status, 200);
}
