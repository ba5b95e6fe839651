//! What monitoring says of accounts that ask each other for services, beside upstream's: service imports count as
//! subscriptions, and requests that wait for an answer are listed with the account that has to give it.

mod support;

use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use support::upstream::programs;
use support::{Client, PATIENCE, Server};

const CONFIGURATION: &str = r#"
accounts {
  S {
    users: [ {user: s, password: s} ]
    exports: [
      {service: "svc.>"}
      {service: "multi", response: stream}
      {service: "slow.*", latency: {sampling: "100%", subject: "took"}}
      {service: "asked", latency: {sampling: "headers", subject: "took"}}
      {stream: "ev.>"}
    ]
  }
  C {
    users: [ {user: c, password: c} ]
    imports: [
      {service: {account: S, subject: "svc.>"}}
      {service: {account: S, subject: "multi"}, to: "m"}
      {service: {account: S, subject: "slow.*"}, share: true}
      {service: {account: S, subject: "asked"}}
      {stream: {account: S, subject: "ev.>"}}
    ]
  }
}
"#;

struct Rig {
    server: Server,
    is_petrel: bool,
}

impl Rig {
    fn start(program: &Path, folder: &Path) -> Rig {
        let file = folder.join("nats.conf");
        std::fs::write(&file, CONFIGURATION).unwrap();
        let arguments = ["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-c", file.to_str().unwrap()];
        let server = Server::start_as(program, &arguments);
        Rig { server, is_petrel: program == Path::new(support::binary()) }
    }

    fn client(&self, name: &str) -> Client {
        self.server.client(&format!(
            "{{\"verbose\":false,\"headers\":true,\"user\":\"{name}\",\"pass\":\"{name}\"}}"
        ))
    }

    fn account(&self, name: &str) -> Value {
        self.server.json(&format!("/accountz?acc={name}"))["account_detail"].clone()
    }

    /// Subscriptions of `$G`, S and C, which all endpoints agree on.
    fn subscriptions(&self) -> [u64; 3] {
        let statistics = self.server.json("/accstatz?unused=1");
        ["$G", "S", "C"].map(|name| {
            let detail = self.account(name);
            let count = detail["subscriptions"].as_u64().unwrap();
            let listed = self.server.json(&format!("/subsz?subs=1&acc={name}"));
            let accounts = statistics["account_statz"].as_array().unwrap();
            let counted = accounts.iter().find(|account| account["acc"] == name).unwrap();
            assert_eq!(detail["sublist_stats"]["num_subscriptions"], count, "{name}");
            assert_eq!(listed["num_subscriptions"], count, "{name}");
            assert_eq!(counted["num_subscriptions"], count, "{name}");
            if name != "C" {
                // Upstream lists subscriptions to imported streams in both accounts.
                assert_eq!(listed["total"], count, "{name}");
            }
            count
        })
    }

    /// All subscriptions of the server: the system account's beside those.
    fn total(&self) -> [u64; 3] {
        let system = self.account("$SYS")["subscriptions"].as_u64().unwrap();
        let sum = system + self.subscriptions().iter().sum::<u64>();
        let varz = self.server.json("/varz")["subscriptions"].as_u64().unwrap();
        let subsz = self.server.json("/subsz")["num_subscriptions"].as_u64().unwrap();
        [sum, varz, subsz]
    }

    /// What waits for an answer of S, without where S answers, by where the answer goes.
    fn waiting(&self) -> Vec<Value> {
        let detail = self.account("S");
        let Some(responses) = detail["responses"].as_object() else { return Vec::new() };
        let mut waiting: Vec<Value> = responses
            .iter()
            .map(|(subject, response)| {
                let mut response = response.clone();
                assert!(subject.starts_with("_R_."), "{subject}");
                for name in ["to", "local_subject"] {
                    let answer = response.as_object_mut().unwrap().remove(name);
                    assert_eq!(answer, Some(json!(subject)), "{name}");
                }
                response
            })
            .collect();
        waiting.sort_by_key(|response| response["subject"].to_string());
        waiting
    }
}

fn say(client: &mut Client, text: &str) {
    client.received.clear();
    client.send(&format!("{text}PING\r\n"));
    client.wait_for("PONG\r\n");
}

/// Waits for subscriptions that go with their client.
fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn service_imports_count_as_subscriptions() {
    for program in programs() {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::start(&program, folder.path());
        let is_whole = |rig: &Rig| {
            let [sum, varz, subsz] = rig.total();
            assert_eq!((varz, subsz), (sum, sum), "{program:?}");
        };
        // Four of the system account's services for each.
        assert_eq!(rig.subscriptions(), [4, 4, 8], "{program:?}");
        is_whole(&rig);
        let mut responder = rig.client("s");
        say(&mut responder, "SUB svc.> 1\r\nSUB multi 2\r\nSUB x 3\r\n");
        assert_eq!(rig.subscriptions(), [4, 7, 8], "{program:?}");
        let mut requester = rig.client("c");
        say(&mut requester, "SUB in.* 1\r\nSUB ev.x 2\r\nSUB ev.> q 3\r\n");
        assert_eq!(rig.subscriptions(), [4, 9, 11], "{program:?}");
        is_whole(&rig);
        let listed = rig.server.json("/subsz?subs=1&acc=C&test=m")["subscriptions_list"].clone();
        assert_eq!(listed.as_array().unwrap().len(), 1);
        assert_eq!((&listed[0]["account"], &listed[0]["subject"]), (&json!("C"), &json!("m")));
        // They are nobody's: clients are not shown with them.
        let shown = rig.server.json("/connz?acc=C&subs=1")["connections"].clone();
        assert_eq!(shown[0]["subscriptions"], 3, "{program:?}");
        assert!(!shown[0]["subscriptions_list"].as_array().unwrap().contains(&json!("m")), "{program:?}");
        say(&mut requester, "PUB svc.a in.1 0\r\n\r\n");
        responder.wait_for("MSG svc.a 1 _R_.");
        drop(requester);
        // Upstream keeps the one subscription by which it hears the answers of S; petrel needs none.
        let way_back = u64::from(!rig.is_petrel);
        let is_left = |name: &str, count: u64| rig.account(name)["subscriptions"] == count;
        wait_until("subscriptions go", || is_left("S", 7 + way_back) && is_left("C", 8));
        assert_eq!(rig.subscriptions(), [4, 7 + way_back, 8], "{program:?}");
        is_whole(&rig);
    }
}

#[test]
fn requests_that_wait_are_listed_with_who_has_to_answer() {
    for program in programs() {
        let folder = tempfile::tempdir().unwrap();
        let rig = Rig::start(&program, folder.path());
        let mut responder = rig.client("s");
        say(&mut responder, "SUB svc.> 1\r\nSUB multi 2\r\nSUB slow.* 3\r\nSUB asked 4\r\n");
        let mut requester = rig.client("c");
        say(&mut requester, "SUB in.* 1\r\n");
        assert_eq!(rig.account("S").get("responses"), None, "{program:?}");
        let headers = "NATS/1.0\r\nUber-Trace-Id: a:b:c:1\r\n\r\n";
        let length = headers.len();
        say(
            &mut requester,
            &format!(
                "PUB svc.a in.1 0\r\n\r\nPUB m in.2 0\r\n\r\nPUB slow.a in.3 0\r\n\r\nPUB asked in.4 0\r\n\r\n\
                 HPUB asked in.5 {length} {length}\r\n{headers}\r\nPUB svc.b in.6 0\r\n\r\n"
            ),
        );
        let plain = |subject: &str| {
            json!({
                "subject": subject, "account": "C", "type": 2, "invalid": false, "share": false,
                "tracking": false,
            })
        };
        let measured = |subject: &str, share: bool, sampling: Value, header: Option<Value>| {
            let mut response = plain(subject);
            response["share"] = json!(share);
            response["tracking"] = json!(true);
            response["latency"] = json!({"sampling": sampling, "results": "took"});
            if let Some(header) = header {
                response["tracking_header"] = header;
            }
            response
        };
        let expected = [
            plain("in.1"),
            plain("in.2"),
            measured("in.3", true, json!(100), None),
            plain("in.4"),
            measured("in.5", false, json!("headers"), Some(json!({"Uber-Trace-Id": ["a:b:c:1"]}))),
            plain("in.6"),
        ];
        assert_eq!(rig.waiting(), expected, "{program:?}");
        assert_eq!(rig.account("C").get("responses"), None, "{program:?}");
        // Exports and imports show the sampling alike.
        let detail = rig.account("S");
        let exports = detail["exports"].as_array().unwrap();
        let asked = exports.iter().find(|export| export["subject"] == "asked").unwrap();
        assert_eq!(asked["service_latency"], json!({"sampling": "headers", "results": "took"}));
        // One answer is all there is to most of them.
        responder.wait_for("MSG svc.b 1 ");
        let (_, behind) = responder.received.split_once("MSG svc.a 1 ").unwrap();
        let reply = behind.split(' ').next().unwrap().to_owned();
        say(&mut responder, &format!("PUB {reply} 2\r\nok\r\n"));
        requester.wait_for("MSG in.1 1 2\r\nok\r\n");
        assert_eq!(rig.waiting(), expected[1..], "{program:?}");
        drop(requester);
        wait_until("requests of who has gone are forgotten", || rig.waiting().is_empty());
    }
}
