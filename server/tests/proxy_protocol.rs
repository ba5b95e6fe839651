//! Connections that begin with a PROXY header.

mod support;

use serde_json::Value;
use std::time::{Duration, Instant};
use support::authority::{Authority, TlsClient};
use support::{Client, PATIENCE, Server};

const CONNECT: &str = "CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n";

fn server(more: &str) -> (Server, Authority) {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let text = more.replace("CERTIFICATE", &authority.files("server"));
    let path = authority.configure(&format!("proxy_protocol: true\n{text}\n"));
    (Server::start(&["-c", &path, "-D"]), authority)
}

/// The INFO behind the first PONG, when there is one.
fn second_info(received: &str) -> Value {
    let (_, behind) = received.split_once("PONG\r\nINFO ").unwrap_or_else(|| panic!("{received}"));
    serde_json::from_str(behind.trim()).unwrap()
}

#[test]
fn whose_connection_it_is_shows_everywhere() {
    let (server, _authority) = server("");
    for (header, address) in [
        ("PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n", Some(("1.2.3.4", 1111))),
        ("PROXY TCP6 2001:db8::5 ::1 333 4\r\n", Some(("2001:db8::5", 333))),
        ("PROXY UNKNOWN\r\n", None),
        ("", None),
    ] {
        let mut client = Client::connect(server.port);
        let info = client.received.clone();
        assert!(!info.contains("client_ip"), "it is not known yet: {info}");
        client.send(&format!("{header}{CONNECT}"));
        // The INFO behind the PONG ends with a line of its own.
        client.wait_for("connect_info");
        while client.received.matches(" \r\n").count() < 2 {
            client.read_more();
        }
        let info = second_info(&client.received);
        // The one before may be listed still.
        let path = format!("/connz?cid={}", info["client_id"]);
        let open = server.json(&path)["connections"][0].clone();
        let (ip, port) = address.unwrap_or(("127.0.0.1", 0));
        assert_eq!((&info["client_ip"], &open["ip"]), (&Value::from(ip), &Value::from(ip)), "{header}");
        assert!(port == 0 || open["port"] == port, "{header}: {open}");
    }
}

#[test]
fn a_header_in_pieces_is_a_header() {
    let (server, _authority) = server("");
    let mut client = Client::connect(server.port);
    for byte in format!("PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n{CONNECT}").bytes() {
        client.send(&char::from(byte).to_string());
        std::thread::sleep(Duration::from_millis(1));
    }
    client.wait_for("PONG\r\n");
    assert_eq!(server.json("/connz")["connections"][0]["ip"], "1.2.3.4");
}

#[test]
fn what_follows_the_addresses_is_skipped() {
    let (server, _authority) = server("");
    let mut client = Client::connect(server.port);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11".to_vec();
    header.extend(60_012_u16.to_be_bytes());
    header.extend([9, 8, 7, 6, 1, 1, 1, 1, 1, 77, 1, 188]);
    header.extend([0x04; 60_000]);
    client.send_bytes(&header);
    client.send(CONNECT);
    client.wait_for("PONG\r\n");
    let open = server.json("/connz")["connections"][0].clone();
    assert_eq!((&open["ip"], &open["port"]), (&Value::from("9.8.7.6"), &Value::from(333)));
}

#[test]
fn headers_that_cannot_be_read_end_the_connection() {
    let (server, _authority) = server("");
    let mut count = 0;
    for (header, text) in [
        ("PROXY TCP4 1.2.3.4\r\n", "invalid PROXY protocol header: invalid v1 format"),
        ("PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "invalid PROXY protocol header: invalid protocol UDP4"),
        ("\r\n\r\n\0\r\nQUIX", "invalid PROXY protocol header: invalid signature"),
    ] {
        let mut client = Client::connect(server.port);
        client.received.clear();
        client.send(header);
        client.wait_for_end();
        assert_eq!(client.received, "", "nothing is said");
        count += 1;
        server.wait_for_log(&format!(": {text}"));
    }
    // The end within a header.
    let mut client = Client::connect(server.port);
    client.send("PROXY TCP4");
    drop(client.into_stream());
    server.wait_for_log(": failed to read v1 line: ");
    let end = Instant::now() + PATIENCE;
    let mut closed = Value::Null;
    while closed.as_array().is_none_or(|closed| closed.len() <= count) {
        assert!(Instant::now() < end, "{closed}");
        std::thread::sleep(Duration::from_millis(20));
        closed = server.json("/connz?state=closed")["connections"].clone();
    }
    for connection in closed.as_array().unwrap() {
        assert_eq!(connection["reason"], "Protocol Violation");
    }
}

#[test]
fn a_header_that_does_not_end_is_not_waited_for() {
    let (server, _authority) = server("");
    let start = Instant::now();
    let mut client = Client::connect(server.port);
    client.send("PROXY TCP4 1.2");
    client.wait_for_end();
    assert!(start.elapsed() >= Duration::from_millis(4900), "{:?}", start.elapsed());
    server.wait_for_log("failed to read v1 line: read tcp 127.0.0.1:");
}

#[test]
fn it_goes_ahead_of_tls_and_of_the_login() {
    for tls in ["", "handshake_first: true\n"] {
        let authorization = "authorization { user: a, password: b }";
        let (server, authority) =
            server(&format!("tls {{\nCERTIFICATEtimeout: 60\n{tls}}}\n{authorization}\n"));
        let config = authority.client(None, &[&rustls::version::TLS13]);
        let mut stream = if tls.is_empty() {
            Client::connect(server.port).into_stream()
        } else {
            std::net::TcpStream::connect(("127.0.0.1", server.port)).unwrap()
        };
        std::io::Write::write_all(&mut stream, b"PROXY TCP4 1.2.3.4 5.6.7.8 1111 2222\r\n").unwrap();
        let mut client = TlsClient::new(stream, &config, "localhost", String::new());
        client.log_in(r#"{"user":"a","pass":"b","verbose":false}"#);
        assert_eq!(client.received.contains(r#""client_ip":"1.2.3.4""#), !tls.is_empty());
        assert_eq!(server.json("/connz")["connections"][0]["ip"], "1.2.3.4");
    }
}
