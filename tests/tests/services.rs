//! Services of other accounts: requests arrive there with who asks, answers find back, and what that took is told.

use petrel_tests::{Message, Server, Wire};

/// The account EXP offers services, IMP and THIRD use them.
const ACCOUNTS: &str = r#"
accounts {
  EXP: {
    users: [ { user: e, password: e } ]
    exports: [
      { service: "one" }, { service: "shared" }, { service: "many", response_type: stream }, { service: "parts.*.*", response_type: chunked }
      { service: "short", threshold: "4s", latency: { sampling: 100%, subject: "latency" } }
      { service: "mapped.*" }, { service: "plain" }
    ]
    mappings: { "mapped.*": "made.$1" }
  }
  IMP: {
    users: [ { user: i, password: i } ]
    imports: [
      { service: { account: EXP, subject: "one" } }
      { service: { account: EXP, subject: "shared" }, to: "mine.shared", share: true }
      { service: { account: EXP, subject: "many" } }
      { service: { account: EXP, subject: "parts.*.*" }, to: "swapped.$2.$1" }
      { service: { account: EXP, subject: "short" } }
      { service: { account: EXP, subject: "mapped.x" } }
      { service: { account: EXP, subject: "plain" } }
    ]
    exports: [
      { service: "one" }, { service: "short", latency: { sampling: 100%, subject: "latency" } }
      { service: "plain", latency: { sampling: 100%, subject: "latency" } }
    ]
  }
  THIRD: { users: [ { user: t, password: t } ], imports: [ { service: { account: IMP, subject: "one" }, to: "chained" }
    { service: { account: IMP, subject: "short" }, to: "chained.short", share: true }
    { service: { account: IMP, subject: "plain" }, to: "chained.plain" } ] }
}
"#;

fn start() -> Server {
    Server::builder().config(ACCOUNTS).start()
}

fn connect(server: &Server, user: &str) -> Wire {
    let options = format!(
        r#"{{"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"user":"{user}","pass":"{user}","name":"{user}"}}"#
    );
    Wire::connect(server.address(), &options)
}

/// Several of them, so that they are spread over all cores.
fn crowd(server: &Server, user: &str) -> Vec<Wire> {
    (0..4).map(|_| connect(server, user)).collect()
}

fn subscribe(wire: &mut Wire, subject: &str) {
    wire.send(format!("SUB {subject} 1\r\n"));
    wire.sync();
}

fn publish(wire: &mut Wire, subject: &str, reply: &str, text: &str) {
    let size = text.len();
    wire.send(format!("PUB {subject} {reply} {size}\r\n{text}\r\n"));
}

/// Who asks, as the responder is told.
#[track_caller]
fn asker(request: &Message) -> serde_json::Value {
    let header = String::from_utf8(request.header.clone()).expect("headers of text");
    let (_, info) = header.split_once("Nats-Request-Info: ").expect("a request says who asks");
    serde_json::from_str(info.lines().next().expect("a line")).expect("JSON")
}

/// The reply subject of a request that came over an import.
#[track_caller]
fn way_back(request: &Message) -> String {
    let reply = request.reply.clone().expect("a request has a reply");
    assert!(reply.starts_with("_R_.") && reply.len() >= "_R_.aaaaaa.bbbbbb".len(), "{reply}");
    reply
}

#[test]
fn a_request_is_answered_once_wherever_the_two_are() {
    let server = start();
    for mut responder in crowd(&server, "e") {
        subscribe(&mut responder, "one");
        for (number, mut requester) in crowd(&server, "i").into_iter().enumerate() {
            requester.send("SUB inbox.* 1\r\n");
            let inbox = format!("inbox.{number}");
            publish(&mut requester, "one", &inbox, "question");
            let request = responder.take_message();
            assert_eq!((request.subject.as_str(), request.text()), ("one", "question"));
            let who = asker(&request);
            assert_eq!(who["acc"], "IMP");
            assert!(who.get("name").is_none(), "nothing is shared: {who}");
            let back = way_back(&request);
            // The second answer is one too many.
            publish(&mut responder, &back, "", "answer");
            publish(&mut responder, &back, "", "again");
            responder.sync();
            requester.expect(format!("MSG {inbox} 1 6\r\nanswer\r\n"));
            requester.sync();
        }
    }
}

#[test]
fn headers_pass_and_a_forged_asker_does_not() {
    let server = start();
    let (mut responder, mut requester) = (connect(&server, "e"), connect(&server, "i"));
    subscribe(&mut responder, "shared");
    subscribe(&mut requester, "inbox");
    let header = "NATS/1.0\r\nX: y\r\nNats-Request-Info: forged\r\n\r\n";
    let (bytes, all) = (header.len(), header.len() + 1);
    requester.send(format!("HPUB mine.shared inbox {bytes} {all}\r\n{header}q\r\n"));
    let request = responder.take_message();
    let text = String::from_utf8(request.header.clone()).expect("headers of text");
    assert!(text.starts_with("NATS/1.0\r\nX: y\r\nNats-Request-Info: {"), "{text}");
    assert_eq!(text.matches("Nats-Request-Info").count(), 1, "{text}");
    let who = asker(&request);
    assert_eq!((&who["acc"], &who["user"], &who["name"]), (&"IMP".into(), &"i".into(), &"i".into()));
    for field in ["start", "host", "id", "server", "kind", "client_type"] {
        assert!(who.get(field).is_some(), "{field} is missing in {who}");
    }
    let answer = "NATS/1.0\r\nA: b\r\n\r\n";
    let (bytes, all) = (answer.len(), answer.len() + 2);
    responder.send(format!("HPUB {} {bytes} {all}\r\n{answer}hi\r\n", way_back(&request)));
    requester.expect(format!("HMSG inbox 1 {bytes} {all}\r\n{answer}hi\r\n"));
}

#[test]
fn several_answers_come_until_an_empty_one() {
    let server = start();
    let (mut responder, mut requester) = (connect(&server, "e"), connect(&server, "i"));
    responder.send("SUB many 1\r\nSUB parts.> 2\r\n");
    responder.sync();
    subscribe(&mut requester, "inbox");
    for (subject, there) in [("many", "many"), ("swapped.2.1", "parts.1.2")] {
        publish(&mut requester, subject, "inbox", "q");
        let request = responder.take_message();
        assert_eq!(request.subject, there);
        let back = way_back(&request);
        for answer in ["a", "b", "", "late"] {
            publish(&mut responder, &back, "", answer);
        }
        responder.sync();
        requester.expect("MSG inbox 1 1\r\na\r\nMSG inbox 1 1\r\nb\r\nMSG inbox 1 0\r\n\r\n");
        requester.sync();
    }
}

#[test]
fn nobody_there_is_told_over_accounts() {
    let server = start();
    for mut requester in crowd(&server, "i").into_iter().chain(crowd(&server, "t")) {
        subscribe(&mut requester, "inbox");
        for subject in ["one", "chained"] {
            publish(&mut requester, subject, "inbox", "q");
            let notice = requester.take_message();
            assert!(notice.is_no_responders());
            let header = String::from_utf8(notice.header).expect("headers of text");
            assert!(header.contains(&format!("Nats-Subject: {subject}\r\n")), "{header}");
        }
    }
    let mut responder = connect(&server, "e");
    subscribe(&mut responder, "one");
    for mut requester in crowd(&server, "i") {
        subscribe(&mut requester, "inbox");
        publish(&mut requester, "one", "inbox", "q");
        requester.sync();
        assert_eq!(responder.take_message().text(), "q");
    }
}

#[test]
fn services_lead_to_services_and_mappings_apply_there() {
    let server = start();
    let (mut responder, mut requester) = (connect(&server, "e"), connect(&server, "t"));
    responder.send("SUB one 1\r\nSUB made.* 2\r\n");
    responder.sync();
    subscribe(&mut requester, "inbox");
    publish(&mut requester, "chained", "inbox", "q");
    let request = responder.take_message();
    let who = asker(&request);
    assert_eq!((&who["acc"], &who["svc"]), (&"THIRD".into(), &"IMP".into()));
    publish(&mut responder, &way_back(&request), "", "a");
    requester.expect("MSG inbox 1 1\r\na\r\n");
    let mut requester = connect(&server, "i");
    subscribe(&mut requester, "inbox");
    publish(&mut requester, "mapped.x", "inbox", "q");
    let request = responder.take_message();
    assert_eq!(request.subject, "made.x");
    publish(&mut responder, &way_back(&request), "", "a");
    requester.expect("MSG inbox 1 1\r\na\r\n");
}

#[test]
fn an_answer_may_ask_back() {
    let server = start();
    let (mut responder, mut requester) = (connect(&server, "e"), connect(&server, "i"));
    responder.send("SUB one 1\r\nSUB back 2\r\n");
    responder.sync();
    subscribe(&mut requester, "inbox");
    publish(&mut requester, "one", "inbox", "q");
    let back = way_back(&responder.take_message());
    publish(&mut responder, &back, "back", "and you?");
    let answer = requester.take_message();
    assert_eq!((answer.subject.as_str(), answer.text()), ("inbox", "and you?"));
    publish(&mut requester, &way_back(&answer), "", "me too");
    responder.expect("MSG back 2 6\r\nme too\r\n");
}

#[test]
fn only_the_exporter_can_answer() {
    let server = start();
    let (mut responder, mut requester) = (connect(&server, "e"), connect(&server, "i"));
    let mut stranger = connect(&server, "t");
    subscribe(&mut responder, "one");
    subscribe(&mut requester, "inbox");
    publish(&mut requester, "one", "inbox", "q");
    let back = way_back(&responder.take_message());
    for wire in [&mut stranger, &mut requester] {
        publish(wire, &back, "", "forged");
        wire.sync();
    }
    publish(&mut responder, &back, "", "a");
    requester.expect("MSG inbox 1 1\r\na\r\n");
}

#[test]
fn nobody_listens_to_the_answer_any_more() {
    let server = start();
    for mut requester in crowd(&server, "i") {
        let mut responder = connect(&server, "e");
        responder.send("SUB many 1\r\nSUB one 2\r\n");
        responder.sync();
        for (subject, pattern) in [("many", "in.box"), ("many", "in.*"), ("one", "in.box"), ("one", "in.>")] {
            subscribe(&mut requester, pattern);
            publish(&mut requester, subject, "in.box", "q");
            let back = way_back(&responder.take_message());
            requester.send("UNSUB 1\r\n");
            requester.sync();
            // Whoever listens afterwards comes too late.
            subscribe(&mut requester, "in.box");
            publish(&mut responder, &back, "", "a");
            responder.sync();
            requester.sync();
            requester.send("UNSUB 1\r\n");
            requester.sync();
        }
        // One that nobody listened to from the beginning is answered when somebody does.
        publish(&mut requester, "one", "in.box", "q");
        let back = way_back(&responder.take_message());
        subscribe(&mut requester, "in.box");
        publish(&mut responder, &back, "", "a");
        requester.expect("MSG in.box 1 1\r\na\r\n");
    }
}

/// The next event about a measured request.
fn told(listener: &mut Wire) -> serde_json::Value {
    // Upstream leaves a gap where the reply would stand.
    let line = listener.take_line();
    let size: usize = line.rsplit(' ').next().expect("a size").parse().expect("a size");
    let body = listener.take_bytes(size + 2);
    serde_json::from_slice(&body[..size]).expect("JSON")
}

/// What a service takes is told in each account on the way, about the client that asked and the one that answered.
#[test]
fn services_on_the_way_are_measured_as_well() {
    let server = start();
    let mut listeners = [connect(&server, "e"), connect(&server, "i")];
    for listener in &mut listeners {
        subscribe(listener, "latency");
    }
    for mut responder in crowd(&server, "e") {
        subscribe(&mut responder, "short");
        let mut requester = connect(&server, "t");
        subscribe(&mut requester, "inbox");
        publish(&mut requester, "chained.short", "inbox", "q");
        let back = way_back(&responder.take_message());
        publish(&mut responder, &back, "", "a");
        requester.expect("MSG inbox 1 1\r\na\r\n");
        // Only the import nearest to the requester shares who that is.
        for (listener, name) in listeners.iter_mut().zip([None, Some("t")]) {
            let event = told(listener);
            assert_eq!(event["status"], 200, "{event}");
            assert_eq!(
                (&event["requestor"]["acc"], event["requestor"]["name"].as_str()),
                (&"THIRD".into(), name)
            );
            assert_eq!(
                (&event["responder"]["acc"], &event["responder"]["name"]),
                (&"EXP".into(), &"e".into())
            );
            assert!(event["requestor"].get("svc").is_none(), "{event}");
        }
        responder.send("UNSUB 1\r\n");
        responder.sync();
    }
}

/// The service that is measured leads to one that is not: who answers that is told all the same, wherever it is.
#[test]
fn who_answers_behind_a_measured_service_is_told() {
    let server = start();
    let mut listener = connect(&server, "i");
    subscribe(&mut listener, "latency");
    for mut responder in crowd(&server, "e") {
        subscribe(&mut responder, "plain");
        for mut requester in crowd(&server, "t") {
            subscribe(&mut requester, "inbox");
            publish(&mut requester, "chained.plain", "inbox", "q");
            let back = way_back(&responder.take_message());
            publish(&mut responder, &back, "", "a");
            requester.expect("MSG inbox 1 1\r\na\r\n");
            let event = told(&mut listener);
            assert_eq!((&event["status"], &event["requestor"]["acc"]), (&200.into(), &"THIRD".into()));
            let responder = &event["responder"];
            assert_eq!((&responder["acc"], &responder["name"]), (&"EXP".into(), &"e".into()), "{event}");
        }
        responder.send("UNSUB 1\r\n");
        responder.sync();
    }
}

#[test]
fn what_services_take_is_told() {
    let server = start();
    let (mut responder, mut requester) = (connect(&server, "e"), connect(&server, "i"));
    let mut listener = connect(&server, "e");
    subscribe(&mut listener, "latency");
    subscribe(&mut requester, "inbox");
    let status = |event: &serde_json::Value| {
        assert_eq!(event["type"], "io.nats.server.metric.v1.service_latency");
        assert_eq!(event["requestor"]["acc"], "IMP");
        for field in ["id", "timestamp", "start", "service", "system", "total"] {
            assert!(event.get(field).is_some(), "{field} is missing in {event}");
        }
        (event["status"].as_u64(), event["description"].as_str().map(str::to_owned))
    };
    publish(&mut requester, "short", "inbox", "q");
    assert!(requester.take_message().is_no_responders());
    assert_eq!(status(&told(&mut listener)), (Some(503), Some("Service Unavailable".into())));

    subscribe(&mut responder, "short");
    publish(&mut requester, "short", "", "q");
    responder.take_message();
    assert_eq!(status(&told(&mut listener)), (Some(400), Some("Bad Request".into())));

    publish(&mut requester, "short", "inbox", "q");
    let back = way_back(&responder.take_message());
    assert!(back.ends_with(".T"), "{back}");
    publish(&mut responder, &back, "", "a");
    requester.expect("MSG inbox 1 1\r\na\r\n");
    let event = told(&mut listener);
    assert_eq!(status(&event), (Some(200), None));
    assert_eq!((&event["responder"]["acc"], &event["responder"]["name"]), (&"EXP".into(), &"e".into()));
    assert!(event["total"].as_u64() >= event["service"].as_u64());

    requester.send("UNSUB 1\r\n");
    publish(&mut requester, "short", "inbox", "q");
    let back = way_back(&responder.take_message());
    publish(&mut responder, &back, "", "a");
    assert_eq!(status(&told(&mut listener)), (Some(200), None), "nobody listened from the beginning");

    subscribe(&mut requester, "inbox");
    publish(&mut requester, "short", "inbox", "q");
    let back = way_back(&responder.take_message());
    requester.send("UNSUB 1\r\n");
    requester.sync();
    assert_eq!(status(&told(&mut listener)), (Some(408), Some("Request Timeout".into())));
    publish(&mut responder, &back, "", "late");
    responder.sync();
    listener.sync();

    subscribe(&mut requester, "inbox");
    publish(&mut requester, "short", "inbox", "q");
    let back = way_back(&responder.take_message());
    assert_eq!(status(&told(&mut listener)), (Some(504), Some("Service Timeout".into())));
    publish(&mut responder, &back, "", "late");
    responder.sync();
    requester.sync();
}
