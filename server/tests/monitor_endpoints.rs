//! All endpoints beside `/varz` and `/connz`: shapes as upstream's (version 2.15.2) were recorded, parameters, numbers.

mod support;

use serde_json::json;
use std::time::{Duration, Instant};
use support::bus::Bus;
use support::recorded::rig;
use support::shapes::{compare, sections, shape};
use support::upstream::programs;
use support::{Answer, PATIENCE, Server};

#[test]
fn fields_and_types_are_upstreams() {
    let rig = rig();
    for (path, recorded) in sections(include_str!("golden/endpoints.txt")) {
        compare(&path, &shape(&rig.server.json(&path)), &recorded);
    }
}

#[test]
fn what_cannot_be_answered_is_told_as_upstream_does() {
    let rig = rig();
    let boolean = |name: &str| {
        format!("Error decoding boolean for '{name}': strconv.ParseBool: parsing \"x\": invalid syntax")
    };
    let integer =
        |name: &str| format!("Error decoding int for '{name}': strconv.Atoi: parsing \"x\": invalid syntax");
    for (path, status, text) in [
        ("/routez?subs=x", 400, boolean("subs")),
        ("/gatewayz?accs=x", 400, boolean("accs")),
        ("/gatewayz?subs=x", 400, boolean("subs")),
        ("/leafz?subs=x", 400, boolean("subs")),
        ("/subsz?subs=x", 400, boolean("subs")),
        ("/subsz?limit=x", 400, integer("limit")),
        ("/subsz?test=foo.*", 400, "invalid test subject, must be valid publish subject: foo.*".into()),
        ("/accountz?acc=X", 400, "Account X does not exist".into()),
        ("/accstatz?unused=x", 400, boolean("unused")),
        ("/jsz?accounts=x", 400, boolean("accounts")),
        ("/jsz?limit=x", 400, integer("limit")),
        ("/jsz?leader-only=1", 400, "filtered response: not leader".into()),
        ("/ipqueuesz?all=x", 400, boolean("all")),
        ("/raftz", 404, "No Raft nodes registered".into()),
        ("/expvarz", 404, "404 page not found\n".into()),
    ] {
        let Answer { status: found, head, body } = rig.server.get(path);
        assert_eq!((found, body.as_str()), (status, text.as_str()), "{path}");
        assert!(head.contains("\r\nContent-Type: text/plain; charset=utf-8"), "{head}");
    }
}

#[test]
fn insides_are_shown_without_secrets() {
    let server = Server::start(&["--user", "u", "--pass", "very-secret", "-n", "inside"]);
    let variables = server.get("/debug/vars");
    assert!(variables.head.contains("\r\nContent-Type: application/json; charset=utf-8"));
    assert!(variables.body.contains("inside") && !variables.body.contains("very-secret"));
    let stacks = server.get("/stacksz").body;
    assert!(stacks.contains("petrel-core-0"), "{stacks}");
    assert_eq!(server.get("/ipqueuesz").body, "{}");
    assert_eq!(
        server.get("/ipqueuesz?all=1").body,
        "{\n   \"System recvQ\": {\n      \"pending\": 0\n   }\n}"
    );
    assert!(server.get("/").body.contains("href=\"./accstatz\""));
}

#[test]
fn subscriptions_are_counted_tested_and_paged() {
    let mut rig = rig();
    // With two of its own, and four that stand for services of the system account.
    for number in 0..2500 {
        rig.client.send(&format!("SUB many.{number}.* m{number}\r\n"));
    }
    rig.client.flush();
    let server = &rig.server;
    let subsz = server.json("/subsz?acc=A");
    assert_eq!((&subsz["num_subscriptions"], &subsz["total"]), (&json!(2506), &json!(0)));
    assert_eq!(
        (&subsz["num_inserts"], &subsz["num_removes"], &subsz["num_matches"]),
        (&json!(2506), &json!(0), &json!(1))
    );
    let listed = server.json("/subsz?acc=A&subs=1");
    assert_eq!((&listed["total"], &listed["limit"]), (&json!(2506), &json!(1024)));
    assert_eq!(listed["subscriptions_list"].as_array().unwrap().len(), 1024);
    let mut seen: Vec<String> = Vec::new();
    for offset in (0..2600).step_by(700) {
        let page = server.json(&format!("/subsz?acc=A&subs=1&offset={offset}&limit=700"));
        let list = page["subscriptions_list"].as_array().cloned().unwrap_or_default();
        seen.extend(list.iter().map(|one| format!("{} {}", one["cid"], one["sid"].as_str().unwrap())));
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 2506);
    let tested = server.json("/subsz?acc=A&subs=1&test=many.7.x");
    assert_eq!(
        (&tested["total"], &tested["subscriptions_list"][0]["subject"]),
        (&json!(1), &json!("many.7.*"))
    );
    let connz = server.json("/connz?acc=A&subs=1");
    assert_eq!(connz["connections"][0]["subscriptions_list"].as_array().unwrap().len(), 2502);
    assert_eq!(server.json("/subscriptionsz")["limit"], 1024);
    // The server's own are there as well.
    let own = server.json("/subsz?acc=SYS&subs=1&test=$SYS.REQ.SERVER.PING.VARZ");
    assert_eq!(own["total"], 1);
}

#[test]
fn accounts_are_counted_apart() {
    let mut rig = rig();
    let mut other = Bus::connect(&rig.server, Some(("b", "b")), "cb");
    other.send("PUB foo.x 3\r\nabc\r\nPUB nobody 1\r\nx\r\n");
    other.flush();
    rig.client.flush();
    let accstatz = rig.server.json("/accstatz");
    let of = |name: &str| {
        let accounts = accstatz["account_statz"].as_array().unwrap();
        accounts.iter().find(|account| account["acc"] == name).cloned().unwrap_or_default()
    };
    let (one, two) = (of("A"), of("B"));
    assert_eq!((&one["conns"], &one["num_subscriptions"]), (&json!(1), &json!(6)));
    assert_eq!((&one["received"]["msgs"], &one["received"]["bytes"]), (&json!(1), &json!(5)));
    assert_eq!((&one["sent"]["msgs"], &one["sent"]["bytes"]), (&json!(1), &json!(5)));
    assert_eq!((&two["received"]["msgs"], &two["received"]["bytes"]), (&json!(2), &json!(4)));
    assert_eq!(two["sent"]["msgs"], 0);
    assert!(of("$G").is_null());
    let unused = rig.server.json("/accstatz?unused=1");
    assert_eq!(unused["account_statz"].as_array().unwrap().len(), 4);
    let varz = rig.server.json("/varz");
    assert_eq!((&varz["in_msgs"], &varz["out_msgs"]), (&json!(3), &json!(1)));
    assert_eq!(varz["system_account"], "SYS");
    let names = rig.server.json("/accountz")["accounts"].clone();
    assert_eq!(names.as_array().unwrap().len(), 4);
    assert_eq!(rig.server.json("/accountz?acc=SYS")["account_detail"]["is_system"], true);
    assert_eq!(rig.server.json("/accountz?acc=A")["account_detail"]["client_connections"], 1);
}

#[test]
fn what_passes_between_accounts_is_booked_where_upstream_books_it() {
    let config = "accounts {\n\
        A { users: [ {user: a, pass: a} ], exports: [ {stream: \"s.>\"}, {service: svc} ] }\n\
        B { users: [ {user: b, pass: b} ], imports: [\n\
            {stream: {account: A, subject: \"s.>\"}}, {service: {account: A, subject: svc}} ] }\n\
        C { users: [ {user: c, pass: c} ], imports: [ {stream: {account: A, subject: \"s.>\"}, prefix: p} ] }\n}\n";
    for program in programs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats.conf");
        std::fs::write(&path, config).unwrap();
        let arguments = ["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-c", path.to_str().unwrap()];
        let server = Server::start_as(&program, &arguments);
        let connect = |user: &str| Bus::connect(&server, Some((user, user)), user);
        let (mut exporter, mut hearer) = (connect("a"), connect("a"));
        // Several, so that some are on another core than the exporter.
        let mut importers = [connect("b"), connect("b"), connect("b")];
        let mut renamer = connect("c");
        hearer.subscribe("s.1", "1");
        importers.iter_mut().for_each(|importer| importer.subscribe("s.*", "1"));
        importers[0].subscribe("s.1 group", "2");
        renamer.subscribe("p.s.>", "1");
        for bus in importers.iter_mut().chain([&mut hearer, &mut renamer]) {
            bus.flush();
        }
        for _ in 0..10 {
            exporter.send("PUB s.1 5\r\nhello\r\nHPUB s.1 12 15\r\nNATS/1.0\r\n\r\nabc\r\n");
        }
        exporter.flush();
        for bus in importers.iter_mut().chain([&mut hearer, &mut renamer]) {
            bus.flush();
        }
        let found = || {
            let accstatz = server.json("/accstatz?unused=1");
            let accounts = accstatz["account_statz"].as_array().unwrap();
            let flows = ["A", "B", "C"].map(|name| {
                let found = accounts.iter().find(|account| account["acc"] == name).unwrap();
                let flow = |kind: &str| json!([found[kind]["msgs"], found[kind]["bytes"]]);
                json!([flow("sent"), flow("received")])
            });
            let varz = server.json("/varz");
            json!([flows, varz["in_msgs"], varz["out_msgs"]])
        };
        // Twenty messages, each to one of the exporter's account and to five subscriptions of importers.
        let nothing = json!([[0, 0], [0, 0]]);
        let expected = json!([[[[120, 1200], [20, 200]], nothing, nothing], 20, 120]);
        // Upstream counts what came when it is done with all that came at once, be it behind the PONG.
        let end = Instant::now() + PATIENCE;
        while found() != expected && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(found(), expected, "{program:?}");
    }
}

#[test]
fn metrics_follow_the_exporters_names() {
    let rig = rig();
    let body = rig.server.get("/metrics").body;
    let id = rig.server.json("/varz")["server_id"].as_str().unwrap().to_owned();
    for line in [
        format!("gnatsd_varz_slow_consumer_stats_clients{{server_id=\"{id}\"}} 0"),
        format!("gnatsd_connz_num_connections{{server_id=\"{id}\"}} 2"),
        format!("gnatsd_connz_in_msgs{{server_id=\"{id}\"}} 1"),
        format!("gnatsd_routez_num_routes{{server_id=\"{id}\"}} 0"),
        format!("gnatsd_leafz_leafnodes{{server_id=\"{id}\"}} 0"),
        format!("gnatsd_subsz_num_removes{{server_id=\"{id}\"}} 0"),
        format!("gnatsd_healthz_status{{server_id=\"{id}\"}} 0"),
        format!(
            "gnatsd_accstatz_current_connections{{server_id=\"{id}\",account=\"A\",account_id=\"A\",account_name=\"A\"}} 1"
        ),
        format!(
            "gnatsd_accstatz_received_bytes{{server_id=\"{id}\",account=\"A\",account_id=\"A\",account_name=\"A\"}} 5"
        ),
    ] {
        assert!(body.lines().any(|found| found == line), "no {line} in\n{body}");
    }
}
