//! Monitoring cannot exhaust the server: many requests, many connections, readers that do not read.

mod support;

use socket2::{Domain, Socket, Type};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};
use support::kernel::End;
use support::{Client, PATIENCE, Server};

/// Less than those wait who do not read: whoever is held up by them waits as long as they do.
const HEALTH_WAIT_MAX: Duration = Duration::from_secs(8);

#[test]
fn requests_by_the_thousand_on_one_connection() {
    let server = Server::start(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.http_port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut text = String::new();
    for _ in 0..100 {
        stream.write_all("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n".repeat(20).as_bytes()).unwrap();
        let mut answered = 0;
        text.clear();
        while answered < 20 {
            let mut bytes = [0; 16384];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0);
            text.push_str(&String::from_utf8_lossy(&bytes[..count]));
            answered = text.matches("{\"status\":\"ok\"}").count();
        }
    }
    assert_eq!(server.json("/varz")["http_req_stats"]["/healthz"], 2000);
}

#[test]
fn readers_that_do_not_read_are_given_up_and_disturb_nobody() {
    let server = Server::start(&[]);
    let clients: Vec<Client> = (0..600)
        .map(|number| {
            server.client(&format!("{{\"verbose\":false,\"name\":\"{}{number}\"}}", "n".repeat(200)))
        })
        .collect();
    // Answers of some 400 KB that nobody reads, over and over on each connection.
    let slow: Vec<TcpStream> = (0..8)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            let address: SocketAddr = ([127, 0, 0, 1], server.http_port).into();
            socket.connect(&address.into()).unwrap();
            let mut stream: TcpStream = socket.into();
            let request = "GET /connz?limit=2000&auth=1 HTTP/1.1\r\nHost: x\r\n\r\n";
            stream.write_all(request.repeat(50).as_bytes()).unwrap();
            stream
        })
        .collect();
    // Until the server has closed its end of all of them.
    let end = Instant::now() + PATIENCE * 2;
    let is_kept = |stream: &TcpStream| {
        let port = stream.local_addr().unwrap().port();
        End::of(server.http_port, port).is_some_and(End::is_open)
    };
    while slow.iter().any(is_kept) {
        assert!(Instant::now() < end, "readers that do not read are kept");
        let asked = Instant::now();
        assert_eq!(server.get("/healthz").status, 200);
        assert!(asked.elapsed() < HEALTH_WAIT_MAX, "{:?}", asked.elapsed());
        std::thread::sleep(Duration::from_millis(500));
    }
    let memory = server.json("/varz")["mem"].as_u64().unwrap();
    assert!(memory < 300 * 1024 * 1024, "{memory}");
    // They were given up: what they were sent ends before the last answer.
    for mut stream in slow {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let answers = bytes.windows(15).filter(|window| window == b"HTTP/1.1 200 OK").count();
        assert!(answers < 50, "{answers}");
    }
    let connz = server.json("/connz?limit=2000&subs=1");
    assert_eq!(connz["num_connections"], 600);
    drop(clients);
}

#[test]
fn an_idle_connection_is_closed() {
    let server = Server::start(&[]);
    let mut stream = TcpStream::connect(("127.0.0.1", server.http_port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut bytes = Vec::new();
    // Within the patience of this test.
    stream.read_to_end(&mut bytes).unwrap();
    assert!(bytes.ends_with(b"{\"status\":\"ok\"}"), "{}", String::from_utf8_lossy(&bytes));
}
