//! What leads from account to account and from subject to subject changes while clients are connected.

use petrel_tests::{Server, Wire};

const USERS_ONLY: &str = r#"
accounts {
  EXP: { users: [ { user: e, password: e } ], exports: [ { stream: "st.>" }, { service: "svc" } ] }
  IMP: { users: [ { user: i, password: i } ] }
}
"#;

const WITH_EDGES: &str = r#"
accounts {
  EXP: { users: [ { user: e, password: e } ], exports: [ { stream: "st.>" }, { service: "svc" } ], mappings: { "old": "st.new" } }
  IMP: { users: [ { user: i, password: i } ], imports: [
    { stream: { account: EXP, subject: "st.>" }, prefix: "p" }, { service: { account: EXP, subject: "svc" }, to: "ask" } ] }
}
"#;

fn connect(server: &Server, user: &str) -> Wire {
    let options = format!(
        r#"{{"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"user":"{user}","pass":"{user}"}}"#
    );
    Wire::connect(server.address(), &options)
}

/// Clients of the importer with subscriptions to what it may import one day, spread over the cores.
fn importers(server: &Server) -> Vec<Wire> {
    let mut importers: Vec<Wire> = (0..4).map(|_| connect(server, "i")).collect();
    for (number, importer) in importers.iter_mut().enumerate() {
        let pattern = if number % 2 == 0 { "p.st.new" } else { "p.>" };
        importer.send(format!("SUB {pattern} 1\r\nSUB inbox.{number} 2\r\n"));
        importer.sync();
    }
    importers
}

fn expect_connected(exporter: &mut Wire, importers: &mut [Wire]) {
    exporter.send("PUB old 2\r\nhi\r\n");
    exporter.sync();
    for (number, importer) in importers.iter_mut().enumerate() {
        importer.expect("MSG p.st.new 1 2\r\nhi\r\n");
        importer.send(format!("PUB ask inbox.{number} 1\r\nq\r\n"));
        importer.sync();
        let request = exporter.take_message();
        assert_eq!(request.subject, "svc");
        let back = request.reply.expect("a request has a reply");
        exporter.send(format!("PUB {back} 1\r\na\r\n"));
        importer.expect(format!("MSG inbox.{number} 2 1\r\na\r\n"));
    }
}

fn expect_apart(exporter: &mut Wire, importers: &mut [Wire]) {
    exporter.send("PUB old 2\r\nhi\r\nPUB st.new 2\r\nhi\r\n");
    exporter.sync();
    for (number, importer) in importers.iter_mut().enumerate() {
        importer.send(format!("PUB ask inbox.{number} 1\r\nq\r\n"));
        assert!(importer.take_message().is_no_responders());
        importer.sync();
    }
    exporter.sync();
}

#[test]
fn subscriptions_get_and_lose_what_their_account_imports() {
    let mut server = Server::builder().config(USERS_ONLY).start();
    let mut exporter = connect(&server, "e");
    exporter.send("SUB svc 7\r\n");
    exporter.sync();
    let mut importers = importers(&server);
    expect_apart(&mut exporter, &mut importers);
    for _ in 0..2 {
        server.reload(WITH_EDGES);
        expect_connected(&mut exporter, &mut importers);
        server.reload(WITH_EDGES);
        expect_connected(&mut exporter, &mut importers);
        server.reload(USERS_ONLY);
        expect_apart(&mut exporter, &mut importers);
    }
}

/// As upstream: what waits for an answer outlives the edge that it came over.
#[test]
fn requests_under_way_are_answered_when_their_import_is_gone() {
    let mut server = Server::builder().config(WITH_EDGES).start();
    let mut exporter = connect(&server, "e");
    exporter.send("SUB svc 7\r\n");
    exporter.sync();
    let mut importers = importers(&server);
    let mut ways_back = Vec::new();
    for (number, importer) in importers.iter_mut().enumerate() {
        importer.send(format!("PUB ask inbox.{number} 1\r\nq\r\n"));
        ways_back.push(exporter.take_message().reply.expect("a request has a reply"));
    }
    server.reload(USERS_ONLY);
    expect_apart(&mut exporter, &mut importers);
    for (number, (importer, back)) in importers.iter_mut().zip(ways_back).enumerate() {
        exporter.send(format!("PUB {back} 1\r\na\r\n"));
        exporter.send(format!("PUB {back} 5\r\nagain\r\n"));
        exporter.sync();
        importer.expect(format!("MSG inbox.{number} 2 1\r\na\r\n"));
        importer.sync();
    }
}
