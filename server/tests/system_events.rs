//! Events of the system account: shapes as upstream's (version 2.15.2) were recorded, contents, and order.

mod support;

use serde_json::json;
use std::fs;
use std::time::Duration;
use support::bus::Bus;
use support::shapes::{CONFIGURATION, compare, sections, shape};
use support::upstream::programs;
use support::{PATIENCE, Server};

fn start(text: &str) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, text).unwrap();
    (Server::start(&["-c", path.to_str().unwrap()]), folder)
}

#[test]
fn fields_and_types_are_upstreams() {
    let (server, _folder) = start(CONFIGURATION);
    let mut system = Bus::connect(&server, Some(("s", "s")), "sys");
    let id = system.info["server_id"].as_str().unwrap().to_owned();
    system.subscribe("$SYS.SERVER.>", "1");
    system.subscribe("$SYS.ACCOUNT.>", "2");
    system.flush();
    let mut client = Bus::connect(&server, Some(("a", "a")), "ev");
    client.send("PUB foo.y 2\r\nhi\r\n");
    client.flush();
    drop(client);
    let refused = Bus::connect(&server, Some(("a", "bad")), "wrong");
    assert!(refused.ended);
    for (name, recorded) in sections(include_str!("golden/system_events.txt")) {
        let event = system.event(&name.replace("{id}", &id));
        compare(&name, &shape(&event), &recorded);
    }
}

#[test]
fn the_global_account_may_be_the_system_account() {
    for program in programs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("nats.conf");
        fs::write(&path, "system_account: \"$G\"\n").unwrap();
        let arguments = ["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-c", path.to_str().unwrap()];
        let server = Server::start_as(&program, &arguments);
        let mut somebody = Bus::connect(&server, None, "somebody");
        somebody.subscribe("$SYS.ACCOUNT.>", "1");
        somebody.flush();
        assert_eq!(
            (&somebody.info["acc_is_sys"], &somebody.info["remote_account"]),
            (&json!(true), &json!("$G"))
        );
        let other = Bus::connect(&server, None, "other");
        let cid = other.info["client_id"].clone();
        // Events are told behind what they tell of: the client that listens may hear of its own arrival first.
        let of_the_other = |event: &serde_json::Value| event["client"]["id"] == cid;
        somebody.event_where("$SYS.ACCOUNT.$G.CONNECT", of_the_other);
        drop(other);
        somebody.event_where("$SYS.ACCOUNT.$G.DISCONNECT", of_the_other);
        let answer = somebody.request("$SYS.REQ.SERVER.PING.VARZ", "").json();
        assert_eq!(answer["data"]["system_account"], "$G");
        let user = somebody.request("$SYS.REQ.USER.INFO", "").json();
        assert_eq!(user["data"]["account"], "$G");
        assert_eq!(server.json("/accountz")["accounts"], json!(["$G"]), "{program:?}");
        assert_eq!(server.json("/accountz?acc=$G")["account_detail"]["is_system"], true);
        assert_eq!(server.get("/accountz?acc=$SYS").status, 400);
    }
}

#[test]
fn clients_are_told_when_they_come_and_go() {
    let (server, _folder) = start(CONFIGURATION);
    let mut system = Bus::connect(&server, Some(("s", "s")), "sys");
    system.subscribe("$SYS.ACCOUNT.A.>", "1");
    system.flush();
    let mut client = Bus::connect(&server, Some(("a", "a")), "ev");
    let cid = client.info["client_id"].clone();
    let counted = system.event("$SYS.ACCOUNT.A.SERVER.CONNS");
    assert_eq!((&counted["acc"], &counted["conns"]), (&json!("A"), &json!(1)));
    let connected = system.event("$SYS.ACCOUNT.A.CONNECT");
    assert_eq!(connected["type"], "io.nats.server.advisory.v1.client_connect");
    assert_eq!((&connected["client"]["id"], &connected["client"]["user"]), (&cid, &json!("a")));
    client.send("SUB x 1\r\nPUB x 3\r\nabc\r\nPUB y 1\r\nz\r\n");
    client.flush();
    drop(client);
    assert_eq!(system.event("$SYS.ACCOUNT.A.SERVER.CONNS")["conns"], 0);
    let gone = system.event("$SYS.ACCOUNT.A.DISCONNECT");
    assert_eq!(
        (&gone["sent"], &gone["received"]),
        (&json!({"msgs": 2, "bytes": 4}), &json!({"msgs": 1, "bytes": 3}))
    );
    assert_eq!((&gone["reason"], &gone["client"]["id"]), (&json!("Client Closed"), &cid));
    assert_ne!(gone["id"], connected["id"]);
}

#[test]
fn refused_logins_are_told_to_the_account_as_well() {
    let (server, _folder) = start(
        "authorization { users: [ {user: g, pass: g} ], timeout: 3 }\n\
         accounts { SYS { users: [ {user: s, pass: s} ] } }\nsystem_account: SYS\n",
    );
    let mut system = Bus::connect(&server, Some(("s", "s")), "sys");
    let id = system.info["server_id"].as_str().unwrap().to_owned();
    system.subscribe("$SYS.>", "1");
    system.flush();
    let mut own = Bus::connect(&server, Some(("g", "g")), "own");
    own.subscribe("$SYS.ACCOUNT.CLIENT.AUTH.ERR", "1");
    own.flush();
    // The number of connections of the global account is never told.
    assert_eq!(system.event("$SYS.ACCOUNT.$G.CONNECT")["client"]["name"], "own");
    assert!(
        system
            .wait_for(|told| told.subject.contains("CONNS") && told.subject.contains("$G"), Duration::ZERO)
            .is_none()
    );
    assert!(Bus::connect(&server, Some(("g", "wrong")), "bad").ended);
    let refused = own.event("$SYS.ACCOUNT.CLIENT.AUTH.ERR");
    assert_eq!(
        (&refused["reason"], &refused["client"]["acc"]),
        (&json!("Authentication Failure"), &json!("$G"))
    );
    assert_eq!(
        system.event(&format!("$SYS.SERVER.{id}.CLIENT.AUTH.ERR"))["reason"],
        "Authentication Failure"
    );
    assert_eq!(system.event("$SYS.ACCOUNT.$G.DISCONNECT")["reason"], "Authentication Failure");
    let silent = server.raw_client();
    assert_eq!(system.event("$SYS.ACCOUNT.$G.DISCONNECT")["reason"], "Authentication Timeout");
    drop(silent);
}

#[test]
fn the_end_is_announced() {
    let (mut server, _folder) =
        start(&format!("{CONFIGURATION}\nlame_duck_grace_period: 1s\nlame_duck_duration: 30s\n"));
    let mut system = Bus::connect(&server, Some(("s", "s")), "sys");
    let id = system.info["server_id"].as_str().unwrap().to_owned();
    system.subscribe(&format!("$SYS.SERVER.{id}.>"), "1");
    system.flush();
    server.signal(rustix::process::Signal::USR2);
    let told = system.event(&format!("$SYS.SERVER.{id}.LAMEDUCK"));
    assert_eq!((&told["id"], &told["jetstream"]), (&json!(id), &json!(false)));
    let (shutdown, other) = (format!("$SYS.SERVER.{id}.SHUTDOWN"), start(CONFIGURATION));
    let seen = system.wait_for(|message| message.subject == shutdown, PATIENCE);
    assert!(seen.is_some() || system.ended);
    drop(other);
    server.wait();
}

#[test]
fn a_shutdown_is_announced_before_the_clients_go() {
    let (mut server, _folder) = start(CONFIGURATION);
    let mut system = Bus::connect(&server, Some(("s", "s")), "sys");
    // One on each core.
    let mut second = Bus::connect(&server, Some(("s", "s")), "sys2");
    let id = system.info["server_id"].as_str().unwrap().to_owned();
    for bus in [&mut system, &mut second] {
        bus.subscribe(&format!("$SYS.SERVER.{id}.SHUTDOWN"), "1");
        bus.flush();
    }
    server.signal(rustix::process::Signal::TERM);
    for bus in [&mut system, &mut second] {
        assert_eq!(bus.event(&format!("$SYS.SERVER.{id}.SHUTDOWN"))["ver"], "2.15.2");
    }
    server.wait();
}

#[test]
fn statistics_are_told_as_long_as_somebody_listens() {
    let (server, _folder) = start(CONFIGURATION);
    let mut system = Bus::connect(&server, Some(("s", "s")), "sys");
    let subject = format!("$SYS.SERVER.{}.STATSZ", system.info["server_id"].as_str().unwrap());
    system.subscribe(&subject, "1");
    let first = system.event(&subject);
    assert_eq!(first["statsz"]["connections"], 1);
    assert!(system.event(&subject)["server"]["seq"].as_u64() > first["server"]["seq"].as_u64());
}
