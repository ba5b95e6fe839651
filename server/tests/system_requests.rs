//! Requests to the system account: shapes as upstream's (version 2.15.2) were recorded, filters, errors, and what the
//! tools `nats` and `nats-top` ask.

mod support;

use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::time::Instant;
use support::Server;
use support::bus::Bus;
use support::recorded::rig;
use support::shapes::{CONFIGURATION, compare, sections, shape};

#[test]
fn fields_and_types_are_upstreams() {
    let mut rig = rig();
    for (name, recorded) in sections(include_str!("golden/system_requests.txt")) {
        let (subject, body) = name.split_once(' ').unwrap_or((&name, ""));
        let answer = rig.system.request(&subject.replace("{id}", &rig.id), body);
        assert_eq!(answer.headers, "", "{name}");
        if recorded.is_empty() {
            // A number, which has no fields.
            assert!(answer.json().is_u64(), "{name}");
            continue;
        }
        compare(&name, &shape(&answer.json()), &recorded);
    }
}

#[test]
fn errors_are_upstreams() {
    let mut rig = rig();
    let error = |code: u16, description: &str| json!({"code": code, "description": description});
    let field = "Go struct field ConnzEventOptions.ConnzOptions";
    for (subject, body, expected) in [
        (
            "SERVER.PING.CONNZ",
            "{bad",
            error(400, "invalid character 'b' looking for beginning of object key string"),
        ),
        ("SERVER.PING.VARZ", "{", error(400, "unexpected end of JSON input")),
        (
            "SERVER.PING.CONNZ",
            "{\"limit\":\"x\"}",
            error(400, &format!("json: cannot unmarshal string into {field}.limit of type int")),
        ),
        (
            "SERVER.PING.HEALTHZ",
            "{\"tags\":1}",
            error(
                400,
                "json: cannot unmarshal number into Go struct field \
                 HealthzEventOptions.EventFilterOptions.tags of type []string",
            ),
        ),
        ("SERVER.PING.CONNZ", "{\"sort\":\"x\"}", error(500, "invalid sorting option: x")),
        (
            "SERVER.PING.CONNZ",
            "{\"filter_subject\":\"a\"}",
            error(500, "filter by subject only valid with account filtering"),
        ),
        (
            "SERVER.PING.SUBSZ",
            "{\"test\":\"a.*\"}",
            error(500, "invalid test subject, must be valid publish subject: a.*"),
        ),
        ("ACCOUNT.A.JSZ", "", error(500, "jetstream not enabled")),
        ("ACCOUNT.X.INFO", "", error(500, "Account X does not exist")),
        ("ACCOUNT.PING.STATZ", "{\"accounts", error(400, "unexpected end of JSON input")),
        ("SERVER.{id}.KICK", "{\"cid\":99999}", error(500, "no such client or leafnode id")),
        ("SERVER.{id}.LDM", "{\"cid\":99999}", error(500, "no such client id")),
        (
            "SERVER.{id}.LDM",
            "{\"cid\":99999,\"tags\":5}",
            error(
                400,
                "json: cannot unmarshal number into Go struct field EventFilterOptions.tags of type []string",
            ),
        ),
        ("SERVER.{id}.RELOAD", "bad", error(400, "invalid character 'b' looking for beginning of value")),
        (
            "SERVER.{id}.RELOAD",
            "[]",
            error(400, "json: cannot unmarshal array into Go value of type server.EventFilterOptions"),
        ),
    ] {
        let subject = format!("$SYS.REQ.{subject}").replace("{id}", &rig.id);
        let answer = rig.system.request(&subject, body).json();
        assert_eq!(answer["error"], expected, "{subject} {body}");
        let is_endpoint = expected["code"] == 500 && !subject.ends_with("KICK") && !subject.ends_with("LDM");
        assert_eq!(answer.as_object().unwrap().contains_key("data"), is_endpoint, "{subject} {body}");
    }
    for (subject, body) in [
        ("$SYS.REQ.SERVER.PING.HEALTHZ", "{\"server_name\":\"zzz\"}"),
        ("$SYS.REQ.SERVER.PING.HEALTHZ", "{\"tags\":[\"x\",\"z\"]}"),
        ("$SYS.REQ.SERVER.PING.HEALTHZ", "{\"host\":\"127\",\"exact_match\":true}"),
        ("$SYS.REQ.SERVER.PING.HEALTHZ", "{\"cluster\":\"c\"}"),
        ("$SYS.REQ.SERVER.PING.HEALTHZ", "{\"domain\":\"d\"}"),
        ("$SYS.REQ.ACCOUNT.NOPE.STATZ", ""),
        ("$SYS.REQ.ACCOUNT.B.CONNS", ""),
        ("$SYS.REQ.SERVER.PING.JSZ", "{\"leader_only\":true}"),
        ("$SYS.REQ.ACCOUNT.PING.STATZ", "{\"accounts\":[\"NOPE\"]}"),
        ("$SYS.REQ.SERVER.{id}.RELOAD", "{\"server_name\":\"zzz\"}"),
        ("$SYS.REQ.SERVER.{id}.KICK", "{\"server_name\":\"zzz\",\"cid\":99999}"),
        ("$SYS.REQ.SERVER.{id}.KICK", "{\"cid\":\"x\"}"),
    ] {
        let subject = &subject.replace("{id}", &rig.id);
        assert!(rig.system.is_silent(subject, body), "{subject} {body}");
    }
    for body in ["{\"host\":\"127\"}", "{\"tags\":[\"X\"]}", "{\"server_name\":\"N\"}", "null"] {
        let answer = rig.system.request("$SYS.REQ.SERVER.PING.HEALTHZ", body).json();
        assert_eq!(answer["data"], json!({"status": "ok", "status_code": 200}), "{body}");
    }
    let answer = rig.system.request("$SYS.REQ.ACCOUNT.NOPE.STATZ", "{\"include_unused\":true}").json();
    assert_eq!(answer["data"]["account_statz"], json!([]));
    rig.server.wait_for_log(
        "[ERR] SYSTEM - Error unmarshalling kick client request: json: cannot unmarshal string into Go struct field \
         KickClientReq.cid of type uint64\n",
    );
    // Nobody is there for what is not known, and for clients of other accounts.
    for subject in ["$SYS.REQ.SERVER.PING.NOPE", "$SYS.REQ.ACCOUNT.A.NOPE"] {
        assert!(rig.system.request(subject, "").headers.starts_with("NATS/1.0 503"), "{subject}");
    }
    for subject in ["$SYS.REQ.SERVER.PING", "$SYS.REQ.ACCOUNT.A.CONNZ", "$SYS.REQ.SERVER.PING.IDZ"] {
        assert!(rig.client.request(subject, "").headers.starts_with("NATS/1.0 503"), "{subject}");
    }
}

#[test]
fn answers_are_compressed_on_request() {
    let mut rig = rig();
    let subject = "$SYS.REQ.SERVER.PING.VARZ";
    let mut read = |asked: &str, named: &str| -> Vec<u8> {
        let answer = rig.system.request_with(subject, &format!("Accept-Encoding: {asked}"), "").unwrap();
        assert_eq!(answer.headers, format!("NATS/1.0\r\nContent-Encoding: {named}\r\n\r\n"));
        answer.body
    };
    let mut texts = vec![read("br", "identity"), Vec::new(), Vec::new()];
    flate2::read::GzDecoder::new(&read("gzip", "gzip")[..]).read_to_end(&mut texts[1]).unwrap();
    snap::read::FrameDecoder::new(&read("s2", "snappy")[..]).read_to_end(&mut texts[2]).unwrap();
    for text in texts {
        let varz: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(varz["data"]["version"], "2.15.2");
    }
}

#[test]
fn clients_are_told_to_go_and_are_sent_away() {
    let mut rig = rig();
    let cid = rig.client.info["client_id"].as_u64().unwrap();
    let body = format!("{{\"cid\":{cid}}}");
    let warned = rig.system.request(&format!("$SYS.REQ.SERVER.{}.LDM", rig.id), &body).json();
    assert!(warned["error"].is_null() && warned["server"]["id"] == rig.id.as_str());
    rig.client.flush();
    assert_eq!(rig.client.info["ldm"], true);
    let kicked = rig.system.request(&format!("$SYS.REQ.SERVER.{}.KICK", rig.id), &body).json();
    assert!(kicked["error"].is_null());
    rig.client.wait_for_end();
    let end = Instant::now() + support::PATIENCE;
    while rig.server.json(&format!("/connz?state=closed&cid={cid}"))["connections"][0]["reason"] != "Kicked" {
        assert!(Instant::now() < end, "the closed connection is not listed");
    }
    // What cannot be read is not answered.
    let kick = format!("$SYS.REQ.SERVER.{}.KICK", rig.id);
    for body in ["{", "", "{\"cid\":\"x\"}"] {
        assert!(rig.system.is_silent(&kick, body), "{body}");
    }
}

#[test]
fn the_tools_get_what_they_ask() {
    let mut rig = rig();
    // `nats server ls`, `nats server ping`.
    let ping = rig.system.request("$SYS.REQ.SERVER.PING", "").json();
    assert_eq!((&ping["statsz"]["connections"], &ping["statsz"]["active_accounts"]), (&json!(2), &json!(2)));
    assert!(ping["statsz"]["start"].is_string() && ping["server"]["ver"] == "2.15.2");
    // `nats server info`: by name.
    let varz =
        rig.system.request("$SYS.REQ.SERVER.PING.VARZ", &format!("{{\"server_name\":\"{}\"}}", rig.id));
    assert_eq!(varz.json()["data"]["connections"], 2);
    // `nats server report connections`.
    let body = "{\"sort\":\"subs\",\"auth\":true,\"offset\":0,\"limit\":2048,\"state\":0}";
    let connz = rig.system.request("$SYS.REQ.SERVER.PING.CONNZ", body).json();
    let connections = connz["data"]["connections"].as_array().unwrap();
    let client = connections.iter().find(|connection| connection["name"] == "ca").unwrap();
    assert_eq!((&client["account"], &client["authorized_user"]), (&json!("A"), &json!("a")));
    // `nats server report accounts`, `nats account info`.
    let statz = rig.system.request("$SYS.REQ.ACCOUNT.PING.STATZ", "{\"accounts\":[\"A\",\"X\"]}").json();
    assert_eq!(statz["data"]["account_statz"].as_array().unwrap().len(), 1);
    let user = rig.system.request("$SYS.REQ.USER.INFO", "").json();
    assert_eq!(user["data"], json!({"user": "s", "account": "SYS", "account_name": "SYS"}));
    // `nats server request subscriptions`: two of its own, four that stand for services of the system account.
    let subsz = rig.system.request("$SYS.REQ.ACCOUNT.A.SUBSZ", "{\"limit\":1}").json();
    assert_eq!((&subsz["data"]["total"], &subsz["data"]["limit"]), (&json!(6), &json!(1)));
    // `nats-top` asks over HTTP; `nats rtt` pings.
    let top = rig.server.json("/connz?limit=1024&sort=cid&subs=1");
    assert_eq!(top["num_connections"], 2);
    rig.client.flush();
}

#[test]
fn clients_of_other_accounts_hear_of_their_own_only() {
    let mut rig = rig();
    for subject in ["$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.SERVER.PING.CONNZ"] {
        let connz = rig.client.request(subject, "{\"acc\":\"SYS\"}").json();
        assert_eq!(
            (&connz["data"]["total"], &connz["data"]["connections"][0]["name"]),
            (&json!(1), &json!("ca"))
        );
    }
    let statz = rig.client.request("$SYS.REQ.ACCOUNT.PING.STATZ", "{\"accounts\":[\"SYS\"]}").json();
    assert_eq!(statz["data"]["account_statz"][0]["acc"], "A");
    let user = rig.client.request("$SYS.REQ.USER.INFO", "").json();
    assert_eq!(user["data"], json!({"user": "a", "account": "A", "account_name": "A"}));
    // Clients on every core get their answers.
    for number in 0..4 {
        let mut other = Bus::connect(&rig.server, Some(("b", "b")), &format!("b{number}"));
        let connz = other.request("$SYS.REQ.SERVER.PING.CONNZ", "").json();
        assert!(connz["data"]["connections"].as_array().unwrap().iter().all(|one| one["name"] != "ca"));
        assert_eq!(other.request("$SYS.REQ.USER.INFO", "").json()["data"]["account"], "B");
    }
}

#[test]
fn what_a_user_may_is_told_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    let text = "accounts { A { users: [ {user: a, pass: a, permissions: {publish: {allow: [\"x.>\", \"$SYS.REQ.>\"], \
                deny: \"y\"}, subscribe: [\"z\", \"_INBOX.>\"], allow_responses: {max: 3, expires: \"1m\"}}} ] } }\n";
    fs::write(&path, text).unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    let mut client = Bus::connect(&server, Some(("a", "a")), "ca");
    let expected = json!({
        "publish": {"allow": ["x.>", "$SYS.REQ.>"], "deny": ["y"]},
        "subscribe": {"allow": ["z", "_INBOX.>"]},
        "responses": {"max": 3, "ttl": 60_000_000_000_u64},
    });
    assert_eq!(client.request("$SYS.REQ.USER.INFO", "").json()["data"]["permissions"], expected);
}

#[test]
fn a_reload_can_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, format!("{CONFIGURATION}\nmax_payload: 2000\n")).unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    let mut system = Bus::connect(&server, Some(("s", "s")), "sys");
    let reload = format!("$SYS.REQ.SERVER.{}.RELOAD", system.info["server_id"].as_str().unwrap());
    fs::write(&path, format!("{CONFIGURATION}\nmax_payload: 3000\n")).unwrap();
    let answer = system.request(&reload, "").json();
    assert!(answer["error"].is_null(), "{answer}");
    assert_eq!(server.json("/varz")["max_payload"], 3000);
    fs::write(&path, format!("{CONFIGURATION}\nserver_name: other\n")).unwrap();
    let answer = system.request(&reload, "").json();
    assert_eq!(answer["error"]["code"], 500);
    assert!(
        answer["error"]["description"].as_str().unwrap().contains("server_name")
            || answer["error"]["description"].as_str().unwrap().contains("ServerName"),
        "{answer}"
    );
    assert_eq!(server.json("/varz")["max_payload"], 3000);
}

#[test]
fn subscribers_are_counted() {
    let mut rig = rig();
    rig.system.send("SUB count.* 1\r\nSUB count.a q 2\r\nSUB count.> q 3\r\n");
    rig.system.flush();
    for (body, count) in
        [("count.a", "3"), ("count.b", "2"), ("count.a q", "2"), ("count.*", "3"), ("nobody", "0"), ("", "0")]
    {
        assert_eq!(rig.system.request("$SYS.DEBUG.SUBSCRIBERS", body).text(), count, "{body}");
    }
}

#[test]
fn without_a_system_account_nobody_answers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, "no_system_account: true\n").unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    assert!(server.json("/varz").get("system_account").is_none());
    assert_eq!(server.json("/subsz")["num_subscriptions"], 0);
}

#[test]
fn requests_by_the_thousand_are_all_answered() {
    let mut rig = rig();
    rig.system.subscribe("answers", "a");
    for _ in 0..3000 {
        rig.system.send("PUB $SYS.REQ.SERVER.PING.IDZ answers 0\r\n\r\n");
    }
    for number in 0..3000 {
        let answer = rig.system.wait_for(|message| message.subject == "answers", support::PATIENCE);
        assert!(answer.is_some(), "only {number} answers");
    }
    // An answer that goes to a service is not a request: nothing goes round and round.
    rig.system.send("PUB $SYS.REQ.SERVER.PING.IDZ $SYS.REQ.SERVER.PING.IDZ 0\r\n\r\n");
    assert!(rig.system.is_silent("$SYS.REQ.SERVER.PING.HEALTHZ", "{\"server_name\":\"zzz\"}"));
    let subsz = rig.server.json("/subsz?acc=SYS&subs=1&test=$SYS.REQ.SERVER.PING.IDZ");
    assert!(subsz["subscriptions_list"][0]["msgs"].as_u64().unwrap() < 3010);
    assert!(!rig.server.get("/metrics").body.contains("petrel_dropped_system_notices_total{core=\"0\"} 1"));
}
