//! TLS of clients: when it begins, what fails and how, what crosses it.

mod support;

use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind};
use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use support::authority::{Authority, TlsClient};
use support::{Client, PATIENCE, Server};

/// Time for a handshake where it is not the time that is looked at.
const IN_TIME: &str = "timeout: 60";

/// A server with this in its `tls` block and this beside it, its authority and what a client trusts.
fn server(tls: &str, beside: &str) -> (Server, Authority, Arc<ClientConfig>) {
    let authority = Authority::new();
    authority.issue("server", &["localhost", "127.0.0.1"]);
    let text = format!("tls {{\n{}{tls}\n}}\n{beside}\n", authority.files("server"));
    let path = authority.configure(&text);
    let server = Server::start(&["-c", &path, "-D"]);
    let config = authority.client(None, &[&TLS13, &TLS12]);
    (server, authority, config)
}

fn info(received: &str) -> Value {
    let line = received.lines().find_map(|line| line.strip_prefix("INFO ")).expect("an INFO");
    serde_json::from_str(line).unwrap()
}

/// The newest of the closed connections, when there are this many.
fn closed(server: &Server, count: usize) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = server.json("/connz?state=closed");
        let connections = answer["connections"].as_array().unwrap();
        if connections.len() >= count {
            return connections.iter().max_by_key(|it| it["cid"].as_u64()).unwrap().clone();
        }
        assert!(Instant::now() < end, "{count} closed connections: {answer}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn refused(server: &Server, count: usize) {
    assert_eq!(closed(server, count)["reason"], "TLS Handshake Failure");
}

fn raw(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// All that comes until the server closes, whichever way.
fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes);
    bytes
}

#[test]
fn messages_cross_in_both_versions_and_sizes() {
    let (server, authority, _) = server(IN_TIME, "");
    for version in [&TLS13, &TLS12] {
        let config = authority.client(None, &[version]);
        let mut subscriber = TlsClient::connect(server.port, &config);
        assert_eq!(info(&subscriber.received)["tls_required"], true);
        subscriber.log_in(r#"{"verbose":false}"#);
        subscriber.received.clear();
        subscriber.send("SUB big 1\r\nPING\r\n");
        subscriber.wait_for("PONG\r\n");
        let mut publisher = TlsClient::connect(server.port, &config);
        publisher.log_in(r#"{"verbose":false}"#);
        // Around the size of records, of reads, of what is sent without a copy, and of a message at its largest.
        for size in [0, 1, 4095, 4096, 16_383, 16_384, 16_385, 65_536, 200_000, 1_048_576] {
            let payload: String =
                (0..size).map(|at| char::from(b'a' + u8::try_from(at % 23).unwrap())).collect();
            publisher.send(&format!("PUB big {size}\r\n{payload}\r\n"));
            let expected = format!("MSG big 1 {size}\r\n{payload}\r\n");
            subscriber.received.clear();
            subscriber.wait_for(&expected);
        }
    }
}

#[test]
fn many_messages_in_few_records_and_one_in_many() {
    let (server, _authority, config) = server(IN_TIME, "");
    let mut client = TlsClient::connect(server.port, &config);
    client.log_in(r#"{"verbose":false}"#);
    client.received.clear();
    // The first PING of the server comes when it comes.
    let without_ping = |received: &str| received.replace("PING\r\n", "");
    let lines: String = (0..5000).map(|number| format!("PUB a 4\r\n{number:04}\r\n")).collect();
    client.send(&format!("SUB a 1\r\n{lines}PING\r\n"));
    client.wait_for("PONG\r\n");
    let expected: String = (0..5000).map(|number| format!("MSG a 1 4\r\n{number:04}\r\n")).collect();
    assert_eq!(without_ping(&client.received), format!("{expected}PONG\r\n"));
    client.received.clear();
    for byte in "PUB a 5\r\nhello\r\nPING\r\n".as_bytes() {
        client.try_send(&[*byte]).unwrap();
    }
    client.wait_for("PONG\r\n");
    assert_eq!(without_ping(&client.received), "MSG a 1 5\r\nhello\r\nPONG\r\n");
}

#[test]
fn who_does_not_speak_tls_is_refused_without_a_word() {
    let (server, _authority, _) = server(IN_TIME, "");
    let mut client = Client::connect(server.port);
    client.received.clear();
    client.send("CONNECT {}\r\nPING\r\n");
    client.wait_for_end();
    assert_eq!(client.received, "");
    refused(&server, 1);
    server.wait_for_log("TLS handshake error: tls: first record does not look like a TLS handshake");
    // The end within the first record.
    let mut stream = Client::connect(server.port).into_stream();
    stream.write_all(&[0x16, 3, 1]).unwrap();
    drop(stream);
    refused(&server, 2);
    server.wait_for_log("TLS handshake error: unexpected EOF");
    // A record of nonsense, which must not be one's undoing.
    let mut stream = Client::connect(server.port).into_stream();
    let mut record = vec![0x16, 3, 1, 2, 0];
    record.extend([0x67; 512]);
    stream.write_all(&record).unwrap();
    rest(stream);
    refused(&server, 3);
    assert!(!server.log().contains("panic"), "{}", server.log());
}

#[test]
fn who_does_not_go_on_is_not_waited_for() {
    let (server, _authority, _) = server("timeout: 0.5", "");
    // Text that happens to begin like TLS.
    let mut client = Client::connect(server.port);
    client.send("\x16hello\r\n");
    client.wait_for_end();
    refused(&server, 1);
    // Silence.
    let start = Instant::now();
    let mut client = Client::connect(server.port);
    client.wait_for_end();
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    refused(&server, 2);
    server.wait_for_log("TLS handshake timeout");
}

#[test]
fn plain_clients_are_taken_where_that_is_allowed() {
    let (server, _authority, config) = server(IN_TIME, "allow_non_tls: true");
    let plain = server.client(r#"{"verbose":false}"#);
    let said = info(&plain.received);
    assert_eq!((&said["tls_required"], &said["tls_available"]), (&Value::Null, &Value::Bool(true)));
    let mut sealed = TlsClient::connect(server.port, &config);
    sealed.log_in(r#"{"verbose":false}"#);
}

#[test]
fn who_says_nothing_for_longer_than_a_handshake_may_take_is_plain_and_stays() {
    let (server, _authority, _) = server("timeout: 0.3", "allow_non_tls: true");
    let mut late = Client::connect(server.port);
    std::thread::sleep(Duration::from_millis(500));
    late.send("PING\r\n");
    late.wait_for("PONG\r\n");
}

#[test]
fn tls_first_means_that_info_comes_behind_it() {
    let (server, _authority, config) = server("handshake_first: true\ntimeout: 4", "max_connections: 2");
    let mut client = TlsClient::connect_first(server.port, &config);
    client.log_in(r#"{"verbose":false}"#);
    assert_eq!(info(&client.received)["tls_required"], true);
    let open = &server.json("/connz")["connections"][0];
    assert_eq!((&open["tls_first"], &open["tls_version"]), (&Value::Bool(true), &Value::from("1.3")));
    let mut stream = raw(&server);
    stream.write_all(b"CONNECT {}\r\n").unwrap();
    assert_eq!(rest(stream), b"");
    refused(&server, 1);
    assert_eq!(rest(raw(&server)), b"", "silence is answered by silence");
    refused(&server, 2);
    let mut second = TlsClient::connect_first(server.port, &config);
    second.log_in("{}");
    let third = rest(raw(&server));
    assert_eq!(String::from_utf8_lossy(&third), "-ERR 'maximum connections exceeded'\r\n");
}

#[test]
fn tls_first_may_be_a_matter_of_a_moment() {
    for (moment, least) in [("\"4s\"", Duration::from_millis(3900)), ("auto", Duration::from_millis(40))] {
        let (server, _authority, config) = server(&format!("{IN_TIME}\nhandshake_first: {moment}"), "");
        let start = Instant::now();
        let mut client = TlsClient::connect(server.port, &config);
        assert!(start.elapsed() >= least, "{:?}", start.elapsed());
        client.log_in(r#"{"verbose":false}"#);
        let open = &server.json("/connz")["connections"][0];
        assert_eq!((&open["tls_first"], &open["tls_version"]), (&Value::Null, &Value::from("1.3")));
        // Whoever begins at once does so within some seconds, and not always within the moment that is usual.
        if moment != "auto" {
            drop(client);
            closed(&server, 1);
            let mut client = TlsClient::connect_first(server.port, &config);
            client.log_in(r#"{"verbose":false}"#);
            assert_eq!(server.json("/connz")["connections"][0]["tls_first"], true);
        }
    }
}

#[test]
fn connections_beyond_the_rate_are_put_off() {
    const MANY: usize = 30;
    let (server, _authority, config) = server("timeout: 2\nconnection_rate_limit: 1", "");
    let begin = Instant::now();
    let mut clients: Vec<Client> = (0..MANY).map(|_| Client::connect(server.port)).collect();
    // The rate is one a second; some time passes also before the server sees the last one.
    let let_in_max = usize::try_from(begin.elapsed().as_secs()).unwrap() + 2;
    clients.iter_mut().for_each(Client::wait_for_end);
    let text = "-ERR 'Connection throttling is active. Please try again later.'\r\n";
    let put_off = clients.iter().filter(|client| client.received.ends_with(text)).count();
    assert!(
        put_off < MANY && put_off >= MANY - let_in_max,
        "{put_off} put off, {let_in_max} could be let in"
    );
    closed(&server, MANY);
    let answer = server.json("/connz?state=closed");
    let reasons = answer["connections"].as_array().unwrap().iter().map(|it| it["reason"].as_str().unwrap());
    let told = reasons.filter(|reason| *reason == "Maximum Connections Exceeded").count();
    assert_eq!(told, put_off, "{answer}");
    std::thread::sleep(Duration::from_millis(1100));
    TlsClient::connect(server.port, &config).log_in("{}");
}

#[test]
fn time_to_log_in_begins_behind_the_handshake() {
    let (server, _authority, config) = server("timeout: 4", "authorization { user: a, password: b }");
    let mut client = TlsClient::connect(server.port, &config);
    let start = Instant::now();
    client.send("");
    client.wait_for("-ERR 'Authentication Timeout'\r\n");
    // A second more than the handshake may take.
    assert!(start.elapsed() >= Duration::from_millis(4900), "{:?}", start.elapsed());
    assert!(client.wait_for_end().is_none(), "the end is announced");
    let mut client = TlsClient::connect(server.port, &config);
    client.log_in(r#"{"user":"a","pass":"b","verbose":false}"#);
}

#[test]
fn sessions_are_resumed_and_keys_renewed() {
    let (server, authority, _) = server(IN_TIME, "");
    for version in [&TLS13, &TLS12] {
        let config = authority.client(None, &[version]);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let mut client = TlsClient::connect(server.port, &config);
            client.log_in(r#"{"verbose":false}"#);
            let found = client.connection().handshake_kind();
            // With a group that the server did not expect it asks again.
            assert!(found == Some(kind) || kind == HandshakeKind::Full, "{found:?} in {version:?}");
            client.say_goodbye();
            assert!(client.wait_for_end().is_none(), "the server says goodbye as well");
        }
    }
}

#[test]
fn every_split_of_the_handshake_is_taken() {
    let (server, authority, _) = server(IN_TIME, "");
    for (version, step) in [(&TLS13, 1), (&TLS12, 1), (&TLS13, 7), (&TLS13, 300)] {
        let config = authority.client(None, &[version]);
        let mut plain = Client::connect(server.port);
        plain.received.clear();
        let mut stream = plain.into_stream();
        stream.set_nodelay(true).unwrap();
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut connection = rustls::ClientConnection::new(config, name).unwrap();
        connection.writer().write_all(b"CONNECT {\"verbose\":false}\r\nPING\r\n").unwrap();
        let mut received = Vec::new();
        while !received.ends_with(b"PONG\r\n") {
            let mut flight = Vec::new();
            while connection.wants_write() {
                connection.write_tls(&mut flight).unwrap();
            }
            for piece in flight.chunks(step) {
                stream.write_all(piece).unwrap();
            }
            assert_ne!(connection.read_tls(&mut stream).unwrap(), 0, "closed; so far {received:?}");
            let state = connection.process_new_packets().unwrap();
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            connection.reader().read_exact(&mut plain).unwrap();
            received.extend(plain);
        }
    }
}

#[test]
fn a_record_that_was_tampered_with_ends_the_connection() {
    let (server, _authority, config) = server(IN_TIME, "");
    let mut client = TlsClient::connect(server.port, &config);
    client.log_in(r#"{"verbose":false}"#);
    let mut socket = client.socket().try_clone().unwrap();
    let mut record = vec![0x17, 3, 3, 0, 40];
    record.extend([7; 40]);
    socket.write_all(&record).unwrap();
    let error = client.wait_for_end().expect("an alert");
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    assert_eq!(closed(&server, 1)["reason"], "Read Error");
    server.wait_for_log("TLS error: local error: tls: bad record MAC");
    assert!(!server.log().contains("defect"), "{}", server.log());
}

#[test]
fn wrong_files_stop_the_start_in_upstreams_words() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    authority.issue("other", &["localhost"]);
    std::fs::write(authority.path("empty"), "").unwrap();
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    std::fs::write(authority.path("locked"), locked).unwrap();
    // A key of another kind: Ed25519 (RFC 8410, section 10.3).
    let other_kind = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                      -----END PRIVATE KEY-----\n";
    std::fs::write(authority.path("other_kind"), other_kind).unwrap();
    let pair = |cert: &str, key: &str| {
        format!("cert_file: \"{}\", key_file: \"{}\"", authority.text(cert), authority.text(key))
    };
    let prefix = "error parsing X509 certificate/key pair";
    let cases = [
        (
            pair("nope.pem", "server.key"),
            format!("{prefix}: open {}: no such file or directory", authority.text("nope.pem")),
        ),
        (pair("other.pem", "server.key"), format!("{prefix}: tls: private key does not match public key")),
        (
            pair("server.pem", "other_kind"),
            format!("{prefix}: tls: private key type does not match public key type"),
        ),
        (pair("server.pem", "locked"), format!("{prefix}: tls: failed to parse private key")),
        (
            pair("server.key", "server.key"),
            format!(
                "{prefix}: tls: failed to find certificate PEM data in certificate input, but did find a private \
                 key; PEM inputs may have been switched"
            ),
        ),
        (
            pair("server.pem", "server.pem"),
            format!("{prefix}: tls: found a certificate rather than a key in the PEM for the private key"),
        ),
        (
            pair("empty", "server.key"),
            format!("{prefix}: tls: failed to find any PEM data in certificate input"),
        ),
        (
            format!("{}, ca_file: \"{}\"", pair("server.pem", "server.key"), authority.text("server.key")),
            "failed to parse root ca certificate".into(),
        ),
        (
            format!("{}, ca_file: \"{}\"", pair("server.pem", "server.key"), authority.text("nope")),
            format!("open {}: no such file or directory", authority.text("nope")),
        ),
    ];
    for (tls, expected) in cases {
        let path = authority.configure(&format!("tls {{ {tls} }}\n"));
        let output = support::run(&["-a", "127.0.0.1", "-p", "-1", "-c", &path]);
        assert_eq!(output.status.code(), Some(1), "{tls}");
        assert!(support::stderr(&output).contains(&expected), "{expected}\n{}", support::stderr(&output));
    }
}
