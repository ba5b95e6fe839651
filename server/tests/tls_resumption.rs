//! Sessions that are resumed with a ticket: they are judged by the rules that hold when they are, not by those under
//! which the ticket was given.

mod support;

use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, SupportedProtocolVersion};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use support::authority::{Authority, TlsClient};
use support::upstream::programs;
use support::{PATIENCE, Server};

/// Time for a handshake, on a machine of any speed.
const IN_TIME: &str = "timeout: 60\n";
const VERSIONS: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];

/// How a client was let in: its handshake, and its user.
type Entry = (bool, String);

fn authority() -> Authority {
    let authority = Authority::new();
    authority.issue("server", &["localhost", "127.0.0.1"]);
    authority.issue("client", &["app.example.com"]);
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

/// Waits until the log says something for so many times.
fn wait_for_count(server: &Server, text: &str, count: usize) {
    let end = Instant::now() + PATIENCE;
    while server.log().matches(text).count() < count {
        assert!(Instant::now() < end, "not {count} times {text:?}:\n{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Writes another configuration and waits until it is in force.
fn reload(server: &Server, authority: &Authority, text: &str) {
    const DONE: &str = "Reloaded server configuration";
    let before = server.log().matches(DONE).count();
    authority.configure(text);
    server.signal(Signal::HUP);
    wait_for_count(server, DONE, before + 1);
}

/// Connects and logs in; whether the session was resumed, and as whom. `None`: it was not let in. Tickets for the next
/// time are kept by the configuration.
fn enter(server: &Server, config: &Arc<ClientConfig>) -> Option<Entry> {
    let mut client = TlsClient::connect(server.port, config);
    client.received.clear();
    client.try_send(b"CONNECT {\"verbose\":false}\r\nPING\r\n").ok()?;
    let mut buffer = [0; 4096];
    while !client.received.contains("PONG\r\n") {
        match client.read(&mut buffer) {
            Ok(count @ 1..) => client.received.push_str(&String::from_utf8_lossy(&buffer[..count])),
            _ => return None,
        }
    }
    let resumed = client.connection().handshake_kind() == Some(HandshakeKind::Resumed);
    let listed = server.json("/connz?auth=1&sort=start");
    let user = listed["connections"].as_array().unwrap().last().unwrap()["authorized_user"].as_str();
    Some((resumed, user.unwrap_or("").to_owned()))
}

fn whole(user: &str) -> Option<Entry> {
    Some((false, user.to_owned()))
}

fn resumed(user: &str) -> Option<Entry> {
    Some((true, user.to_owned()))
}

#[test]
fn a_reload_refuses_tickets_and_nobody_notices() {
    let authority = authority();
    for text in
        [format!("tls {{\n{}{IN_TIME}}}\n", authority.files("server")), verifying(&authority, "verify: true")]
    {
        let server = start(&authority, &text);
        for version in VERSIONS {
            let config = authority.client(Some("client"), &[version]);
            assert_eq!(enter(&server, &config), whole(""), "{text}");
            assert_eq!(enter(&server, &config), resumed(""), "{text}");
            reload(&server, &authority, &text);
            assert_eq!(enter(&server, &config), whole(""), "{text}");
            assert_eq!(enter(&server, &config), resumed(""), "{text}");
        }
        // The same files do not make it the same server.
        let other = start(&authority, &text);
        let config = authority.client(Some("client"), &VERSIONS);
        assert_eq!(enter(&server, &config), whole(""));
        assert_eq!(enter(&other, &config), whole(""));
    }
}

#[test]
fn a_ticket_does_not_help_who_is_not_pinned_or_trusted_any_more() {
    let authority = authority();
    let stranger = Authority::new();
    let digest = authority.key_digest("client");
    let pinned = verifying(&authority, &format!("verify: true, pinned_certs: [\"{digest}\"]"));
    let another_pin = pinned.replace(&digest, &"1".repeat(64));
    let another_authority = pinned.replace(&authority.text("ca.pem"), &stranger.text("ca.pem"));
    for version in VERSIONS {
        for (then, said) in [
            (&another_pin, "TLS handshake error: certificate not pinned"),
            (&another_authority, "x509: certificate signed by unknown authority"),
        ] {
            let server = start(&authority, &pinned);
            let config = authority.client(Some("client"), &[version]);
            assert_eq!(enter(&server, &config), whole(""));
            assert_eq!(enter(&server, &config), resumed(""));
            reload(&server, &authority, then);
            assert_eq!(enter(&server, &config), None, "{then}");
            server.wait_for_log(said);
            reload(&server, &authority, &pinned);
            assert_eq!(enter(&server, &config), whole(""), "{then}");
        }
    }
}

#[test]
fn a_ticket_stands_for_who_its_certificate_is_now() {
    let authority = authority();
    let users = |users: &str| {
        verifying(&authority, "verify_and_map: true") + &format!("authorization {{ users: [{users}] }}\n")
    };
    let (by_name, by_subject) = (users("{user: app.example.com}"), users("{user: \"CN=client\"}"));
    for version in VERSIONS {
        let server = start(&authority, &by_name);
        let config = authority.client(Some("client"), &[version]);
        assert_eq!(enter(&server, &config), whole("app.example.com"));
        assert_eq!(enter(&server, &config), resumed("app.example.com"));
        reload(&server, &authority, &by_subject);
        assert_eq!(enter(&server, &config), whole("CN=client"));
        assert_eq!(enter(&server, &config), resumed("CN=client"));
        reload(&server, &authority, &users("{user: nobody}"));
        assert_eq!(enter(&server, &config), None);
        assert_eq!(enter(&server, &config), None, "a ticket of the refused connection does not help either");
        // Tickets of a time when nobody had to show anything.
        reload(&server, &authority, &format!("tls {{\n{}{IN_TIME}}}\n", authority.files("server")));
        let nobody = authority.client(None, &[version]);
        assert_eq!(enter(&server, &nobody), whole(""));
        reload(&server, &authority, &by_name);
        assert_eq!(enter(&server, &nobody), None);
    }
}

#[test]
fn a_ticket_of_monitoring_lets_nobody_in() {
    let authority = authority();
    let path = authority.configure(&(verifying(&authority, "verify: true") + "https: \"127.0.0.1:-1\"\n"));
    let server =
        Server::start_as(support::binary().as_ref(), &["-a", "127.0.0.1", "-p", "-1", "-c", &path, "-D"]);
    let log = server.log();
    let (_, rest) = log.split_once("Starting https monitor on 127.0.0.1:").unwrap();
    let https: u16 = rest.lines().next().unwrap().parse().unwrap();
    for version in VERSIONS {
        let config = authority.client(None, &[version]);
        let ask = || {
            let stream = TcpStream::connect(("127.0.0.1", https)).unwrap();
            let mut client = TlsClient::new(stream, &config, "localhost", String::new());
            client.send("GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
            client.wait_for_end();
            client.connection().handshake_kind()
        };
        ask();
        assert_eq!(ask(), Some(HandshakeKind::Resumed));
        let mut client = TlsClient::connect(server.port, &config);
        client.received.clear();
        let _ = client.try_send(b"PING\r\n");
        assert!(client.wait_for_end().is_some() && client.received.is_empty(), "{}", client.received);
    }
    server.wait_for_log("tls: client didn't provide a certificate");
}

#[test]
fn a_ticket_does_not_outlive_its_certificate() {
    /// Handshakes with the certificate while it counts, and some more for the case that a machine gets slower.
    const HANDSHAKES: u32 = 6 * 5;
    let authority = authority();
    let text = verifying(&authority, "verify: true");
    for program in programs() {
        let path = authority.configure(&text);
        let server =
            Server::start_as(&program, &["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-D", "-c", &path]);
        let seconds = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        // How long it has to count depends on the machine.
        let begin = Instant::now();
        assert_eq!(enter(&server, &authority.client(Some("client"), &VERSIONS)), whole(""));
        let end = seconds() + 5 + (begin.elapsed() * HANDSHAKES).as_secs();
        authority.issue_until("short", end);
        let configs = VERSIONS.map(|version| authority.client(Some("short"), &[version]));
        for config in &configs {
            assert_eq!(enter(&server, config), whole(""));
            // With each use it gets new ones.
            assert_eq!(enter(&server, config), resumed(""));
            assert_eq!(enter(&server, config), resumed(""));
        }
        assert!(seconds() <= end, "too slow to tell");
        while seconds() <= end {
            std::thread::sleep(Duration::from_millis(100));
        }
        for (config, count) in configs.iter().zip(1..) {
            assert_eq!(enter(&server, config), None, "{}", program.display());
            wait_for_count(&server, "x509: certificate has expired or is not yet valid", count);
        }
    }
}
