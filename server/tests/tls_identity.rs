//! Certificates: the server's own by name and renewed, clients' checked, pinned and mapped to users.

mod support;

use rcgen::DnType;
use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, SupportedProtocolVersion};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::authority::{Authority, TlsClient};
use support::{PATIENCE, Server};

/// Time for a handshake, on a machine of any speed.
const IN_TIME: &str = "timeout: 60\n";
const BOTH: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("server", &["localhost", "127.0.0.1"]);
    authority
}

/// The `tls` block of a server that verifies its clients.
fn verifying(authority: &Authority, more: &str) -> String {
    let (files, authorities) = (authority.files("server"), authority.text("ca.pem"));
    format!("tls {{\n{files}ca_file: \"{authorities}\"\n{IN_TIME}{more}\n}}\n")
}

fn start(authority: &Authority, text: &str) -> Server {
    Server::start(&["-c", &authority.configure(text), "-D"])
}

/// What became of a client: its user, or nothing when it was not let in.
fn user(server: &Server, config: &Arc<ClientConfig>, connect: &str) -> Option<String> {
    let mut client = TlsClient::connect(server.port, config);
    if client.try_send(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).is_err() {
        return None;
    }
    client.received.clear();
    let mut buffer = [0; 4096];
    while !client.received.contains("PONG\r\n") {
        match client.read(&mut buffer) {
            Ok(count @ 1..) => client.received.push_str(&String::from_utf8_lossy(&buffer[..count])),
            _ => return None,
        }
    }
    assert!(!client.received.contains("-ERR"), "{}", client.received);
    let open = server.json("/connz?auth=1");
    Some(open["connections"][0]["authorized_user"].as_str().unwrap_or("").to_owned())
}

/// A connection once it is closed, with all that is shown of it.
fn closed(server: &Server, cid: &Value) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let listed = server.json(&format!("/connz?state=closed&auth=1&cid={cid}"));
        if let Some(connection) = listed["connections"].as_array().and_then(|list| list.first()) {
            return connection.clone();
        }
        assert!(Instant::now() < end, "connection {cid} is not closed");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn clients_have_to_show_a_certificate() {
    let authority = authority();
    authority.issue("client", &["app.example.com"]);
    let stranger = Authority::new();
    stranger.issue("client", &["app.example.com"]);
    let server = start(&authority, &verifying(&authority, "verify: true"));
    for version in BOTH {
        let known = authority.client(Some("client"), &[version]);
        let mut client = TlsClient::connect(server.port, &known);
        client.log_in(r#"{"verbose":false}"#);
        assert!(client.received.contains(r#""tls_verify":true"#));
        let open = &server.json("/connz?auth=1")["connections"][0];
        assert_eq!(open["tls_peer_certs"][0]["subject"], "CN=client");
        assert_eq!(open["tls_peer_certs"][0]["spki_sha256"].as_str().unwrap().len(), 64);
        assert_eq!(server.json("/connz")["connections"][0]["tls_peer_certs"], Value::Null);
        drop(client);
        let closed = closed(&server, &open["cid"]);
        assert_eq!(
            (&closed["tls_version"], &closed["tls_cipher_suite"]),
            (&open["tls_version"], &open["tls_cipher_suite"])
        );
        assert_eq!(closed["tls_peer_certs"], Value::Null);
        assert_eq!(user(&server, &authority.client(None, &[version]), "{}"), None);
        // Signed by somebody else; the server's certificate is not what this client minds.
        let mut foreign = authority.client_parts(&[version]);
        stranger.show(&mut foreign, "client");
        assert_eq!(user(&server, &Arc::new(foreign), "{}"), None);
    }
    server.wait_for_log("TLS handshake error: tls: client didn't provide a certificate");
    server.wait_for_log(
        "TLS handshake error: tls: failed to verify certificate: x509: certificate signed by unknown authority",
    );
}

#[test]
fn certificates_name_users() {
    let authority = authority();
    authority.issue_as(
        "client",
        &["bob@example.com", "app.example.com", "spiffe://x/y"],
        &[
            (DnType::OrganizationName, "Org"),
            (DnType::OrganizationalUnitName, "Unit"),
            (DnType::CommonName, "app"),
        ],
    );
    let config = authority.client(Some("client"), &BOTH);
    let cases = [
        ("{user: \"bob@example.com\"}", Some("bob@example.com")),
        ("{user: app.example.com}, {user: \"spiffe://x/y\"}", Some("app.example.com")),
        ("{user: \"spiffe://x/y\"}", Some("spiffe://x/y")),
        ("{user: \"CN=app,OU=Unit,O=Org\"}", Some("CN=app,OU=Unit,O=Org")),
        ("{user: \"OU=Unit, O=Org, cn=app\"}", Some("OU=Unit, O=Org, cn=app")),
        ("{user: \"CN=app,OU=Unit\"}", None),
        ("{user: app}", None),
        ("{user: app.example.com, password: p}", None),
    ];
    for (users, expected) in cases {
        let text = verifying(&authority, "verify_and_map: true");
        let server = start(&authority, &format!("{text}authorization {{ users: [{users}] }}\n"));
        assert_eq!(
            user(&server, &config, r#"{"user":"zz","verbose":false}"#).as_deref(),
            expected,
            "{users}"
        );
        if expected.is_some() {
            server.wait_for_log("User \"zz\" found in connect proto, but user required from cert");
        }
    }
}

#[test]
fn pinned_keys_count_also_for_those_who_are_there() {
    let authority = authority();
    authority.issue("client", &["app.example.com"]);
    let config = authority.client(Some("client"), &BOTH);
    let digest = authority.key_digest("client");
    let text = verifying(&authority, &format!("verify: true, pinned_certs: [\"{digest}\"]"));
    let server = start(&authority, &text);
    let mut client = TlsClient::connect(server.port, &config);
    client.log_in(r#"{"verbose":false}"#);
    authority.configure(&text.replace(&digest, &"1".repeat(64)));
    server.signal(Signal::HUP);
    client.wait_for_end();
    server.wait_for_log(&format!("Failed pinned cert test for key id: {digest}"));
    server.wait_for_log("Disconnect 1 clients due to pinned certs reload");
    assert_eq!(user(&server, &config, "{}"), None);
    server.wait_for_log("TLS handshake error: certificate not pinned");
    for connection in server.json("/connz?state=closed")["connections"].as_array().unwrap() {
        assert_eq!(connection["reason"], "TLS Handshake Failure");
    }
}

#[test]
fn a_reload_brings_new_certificates_and_takes_none_from_who_is_there() {
    let authority = authority();
    let config = authority.client(None, &BOTH);
    let server = start(&authority, &format!("tls {{\n{}{IN_TIME}}}\n", authority.files("server")));
    let mut before = TlsClient::connect(server.port, &config);
    before.log_in(r#"{"verbose":false}"#);
    let shown = |client: &TlsClient| client.connection().peer_certificates().unwrap()[0].to_vec();
    let first = shown(&before);
    authority.issue("server", &["localhost", "127.0.0.1"]);
    server.signal(Signal::HUP);
    server.wait_for_log("Reloaded server configuration");
    let mut after = TlsClient::connect(server.port, &config);
    after.log_in(r#"{"verbose":false}"#);
    assert_ne!(shown(&after), first);
    before.received.clear();
    before.send("PING\r\n");
    before.wait_for("PONG\r\n");
    // Files that do not work change nothing.
    std::fs::write(authority.path("server.key"), "").unwrap();
    server.signal(Signal::HUP);
    server.wait_for_log("tls: failed to find any PEM data in key input");
    TlsClient::connect(server.port, &config).log_in("{}");
}

#[test]
fn tls_may_come_and_go_with_a_reload() {
    let authority = authority();
    let config = authority.client(None, &BOTH);
    let server = start(&authority, "debug: true\n");
    let mut plain = server.client(r#"{"verbose":false}"#);
    authority.configure(&format!("debug: true\ntls {{\n{}{IN_TIME}}}\n", authority.files("server")));
    server.signal(Signal::HUP);
    server.wait_for_log("Reloaded server configuration");
    TlsClient::connect(server.port, &config).log_in("{}");
    plain.received.clear();
    plain.send("PING\r\n");
    plain.wait_for("PONG\r\n");
}

#[test]
fn the_name_that_is_asked_for_chooses_the_certificate() {
    let authority = authority();
    authority.issue("star", &["*.example.com"]);
    let pair = |name: &str| {
        let (cert, key) = (authority.text(&format!("{name}.pem")), authority.text(&format!("{name}.key")));
        format!("{{cert_file: \"{cert}\", key_file: \"{key}\"}}")
    };
    let text = format!("tls {{ {IN_TIME} certs: [{}, {}] }}\n", pair("server"), pair("star"));
    let server = start(&authority, &text);
    let config = authority.client(None, &BOTH);
    for name in ["localhost", "a.example.com", "127.0.0.1"] {
        // The client checks that the certificate is for the name.
        let plain = support::Client::connect(server.port).into_stream();
        TlsClient::new(plain, &config, name, String::new()).log_in("{}");
    }
}

#[test]
fn monitoring_by_https_has_the_same_certificate_and_asks_for_none() {
    let authority = authority();
    let text = verifying(&authority, "verify: true");
    let path = authority.configure(&format!("{text}https: \"127.0.0.1:-1\"\n"));
    let arguments = ["-a", "127.0.0.1", "-p", "-1", "-c", &path, "-D"];
    let server = Server::start_as(std::path::Path::new(support::binary()), &arguments);
    let log = server.log();
    let (_, rest) = log.split_once("Starting https monitor on 127.0.0.1:").expect("a line in the log");
    let port: u16 = rest.lines().next().unwrap().parse().unwrap();
    let get = |path: &str| {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = TlsClient::new(stream, &authority.client(None, &BOTH), "127.0.0.1", String::new());
        client.send(&format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        client.wait_for_end();
        client.received.split_once("\r\n\r\n").unwrap().1.to_owned()
    };
    let text = get("/varz");
    // Where upstream has it: behind all but petrel's own.
    let places = ["disk_io_wait_stats", "tls_cert_not_after", "petrel"]
        .map(|name| text.find(&format!("\n  \"{name}\"")));
    assert!(places.is_sorted() && places[0].is_some(), "{text}");
    let varz: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&varz["https_port"], &varz["http_port"]), (&Value::from(port), &Value::from(0)));
    assert_eq!((&varz["tls_required"], &varz["tls_verify"]), (&Value::Bool(true), &Value::Bool(true)));
    assert_eq!((&varz["auth_timeout"], &varz["tls_timeout"]), (&Value::from(61), &Value::from(60)));
    let expiry = varz["tls_cert_not_after"].as_str().unwrap();
    assert!(expiry.starts_with("4096-01-01"), "as the test's certificates have it: {expiry}");
    assert!(get("/metrics").contains("petrel_tls_certificate_not_after_seconds 67090"));
    // Who does not speak TLS gets nothing.
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /varz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    let _ = plain.read_to_end(&mut bytes);
    assert!(!bytes.starts_with(b"HTTP"), "{}", String::from_utf8_lossy(&bytes));
}

#[test]
fn https_needs_a_certificate() {
    let authority = authority();
    let path = authority.configure("https: \"127.0.0.1:-1\"\n");
    let output = support::run(&["-a", "127.0.0.1", "-p", "-1", "-c", &path]);
    assert_eq!(output.status.code(), Some(1));
    let text = support::stderr(&output);
    assert!(text.contains("TLS cert and key required for HTTPS"), "{text}");
}
