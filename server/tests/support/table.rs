//! A table of what clients do and what becomes of them, for petrel and upstream alike.
#![allow(dead_code, reason = "each test file uses its part")]

use super::upstream::programs;
use super::{PATIENCE, Server};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde_json::Value;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a client does.
#[derive(Clone)]
pub enum Act {
    /// Reads INFO, then TLS, CONNECT and PING; it asks for this host.
    Tls(Arc<ClientConfig>, &'static str),
    /// TLS at once.
    First(Arc<ClientConfig>),
    /// Sends bytes in these pieces, behind INFO when there is one. `true`: says that nothing follows.
    Bytes(Vec<Vec<u8>>, bool),
    /// The same, without waiting for INFO.
    BytesFirst(Vec<Vec<u8>>),
}

/// A server of one configuration, and what clients find there.
pub struct Table {
    config: String,
    rows: Vec<(String, Act, String)>,
}

impl Table {
    /// A server of this configuration.
    pub fn new(config: impl Into<String>) -> Table {
        Table { config: config.into(), rows: Vec::new() }
    }

    /// What one client does there, and what becomes of it.
    pub fn row(mut self, name: impl Into<String>, act: Act, expected: impl Into<String>) -> Table {
        self.rows.push((name.into(), act, expected.into()));
        self
    }

    /// Lets all clients come to all programs. Tells what is otherwise than expected.
    pub fn check(&self, folder: &Path) {
        let file = folder.join("nats.conf");
        std::fs::write(&file, &self.config).unwrap();
        let mut differences = Vec::new();
        for program in programs() {
            let arguments = ["-a", "127.0.0.1", "-p", "-1", "-m", "-1", "-D", "-c", file.to_str().unwrap()];
            let server = Server::start_as(&program, &arguments);
            let mut last = 0;
            for (name, act, expected) in &self.rows {
                let found = outcome(&server, act, &mut last);
                if found != *expected {
                    let shown = program.display();
                    differences.push(format!("{name} at {shown}:\n  {found}\nexpected\n  {expected}"));
                }
            }
        }
        assert!(differences.is_empty(), "{}\n{}", self.config, differences.join("\n"));
    }
}

/// Sends CONNECT and PING; whether PONG came, and all that came.
fn log_in(stream: &mut (impl Read + Write)) -> (bool, String) {
    let mut received = String::new();
    let sent = stream
        .write_all(b"CONNECT {\"verbose\":false,\"protocol\":1}\r\nPING\r\n")
        .and_then(|()| stream.flush());
    let mut buffer = [0; 4096];
    while sent.is_ok() && !received.contains("PONG") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => received.push_str(&String::from_utf8_lossy(&buffer[..count])),
            _ => break,
        }
    }
    (received.contains("PONG"), received)
}

/// Reads a line in clear.
fn read_line(stream: &mut TcpStream) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && byte[0] != b'\n' {}
}

/// What becomes of a client: how it is listed when it is let in, else why it was closed, what it was told, and what the
/// log says.
fn outcome(server: &Server, act: &Act, last: &mut u64) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut watched = stream.try_clone().unwrap();
    let (is_in, received) = match act {
        Act::Tls(config, host) => {
            read_line(&mut stream);
            talk(stream, config, host)
        }
        Act::First(config) => talk(stream, config, "localhost"),
        Act::Bytes(pieces, is_last) => {
            read_line(&mut stream);
            send(&mut stream, pieces, *is_last)
        }
        Act::BytesFirst(pieces) => send(&mut stream, pieces, false),
    };
    if is_in {
        let listed = server.json("/connz?auth=1")["connections"][0].clone();
        let text = listing(&listed);
        *last = listed["cid"].as_u64().unwrap();
        let _ = watched.shutdown(Shutdown::Both);
        let closed = closed(server, *last - 1);
        assert_eq!(closed["cid"], *last, "{closed}");
        return text;
    }
    let closed = closed(server, *last);
    *last = closed["cid"].as_u64().unwrap();
    let mut rest = Vec::new();
    let _ = watched.read_to_end(&mut rest);
    let told = if received.is_empty() { String::new() } else { format!("{}; ", received.trim()) };
    let reason = closed["reason"].as_str().unwrap();
    let is_early = ["TLS Handshake Failure", "Protocol Violation"].contains(&reason);
    let port = watched.local_addr().unwrap().port();
    let why = if is_early { logged(server, *last, port) } else { String::new() };
    format!("{told}{reason}{why}")
}

fn talk(stream: TcpStream, config: &Arc<ClientConfig>, host: &'static str) -> (bool, String) {
    let name = ServerName::try_from(host).unwrap();
    let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
    let mut stream = StreamOwned::new(connection, stream);
    // The watcher keeps the socket.
    log_in(&mut stream)
}

fn send(stream: &mut TcpStream, pieces: &[Vec<u8>], is_last: bool) -> (bool, String) {
    for piece in pieces {
        if stream.write_all(piece).is_err() {
            break;
        }
        std::thread::sleep(Duration::from_millis(if pieces.len() > 1 { 20 } else { 0 }));
    }
    if is_last {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.ends_with(b"PONG\r\n") {
        match stream.read(&mut buffer) {
            Ok(count @ 1..) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("neither in nor out: {bytes:?}"),
            _ => break,
        }
    }
    match bytes.as_slice() {
        // An alert: its code.
        [0x15, .., code] => (false, format!("alert {code}")),
        _ => (bytes.ends_with(b"PONG\r\n"), String::from_utf8_lossy(&bytes).into_owned()),
    }
}

fn listing(listed: &Value) -> String {
    let text = |field: &str| listed[field].as_str().unwrap_or("-").to_owned();
    let subject = listed["tls_peer_certs"][0]["subject"].as_str().unwrap_or("-");
    let mut text =
        format!("{} {} {} {subject}", text("tls_version"), text("tls_cipher_suite"), text("authorized_user"));
    if listed["tls_first"] == true {
        text.push_str(" first");
    }
    if listed["ip"] != "127.0.0.1" {
        text.push_str(&format!(" {} {}", listed["ip"].as_str().unwrap(), listed["port"]));
    }
    text
}

/// The newest closed connection, when there is one that is newer than another.
fn closed(server: &Server, than: u64) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = server.json("/connz?state=closed");
        let connections = answer["connections"].as_array().unwrap();
        let newest = connections.iter().max_by_key(|it| it["cid"].as_u64());
        if let Some(newest) = newest.filter(|it| it["cid"].as_u64().unwrap() > than) {
            return newest.clone();
        }
        assert!(Instant::now() < end, "no closed connection behind {than}: {answer}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Why a connection was closed, as the log says, without digests and times.
fn logged(server: &Server, cid: u64, port: u16) -> String {
    let of_it = format!(" cid:{cid} ");
    let handshake = "TLS handshake error: ";
    let header = format!("Error reading PROXY protocol header from 127.0.0.1:{port}: ");
    let end = Instant::now() + PATIENCE;
    // The log is read by another thread.
    while Instant::now() < end {
        for line in server.log().lines() {
            if let Some((_, text)) = line.split_once(handshake).filter(|_| line.contains(&of_it)) {
                return format!("; {}", without(&without(text, "SHA-256: "), "current time "));
            }
            if let Some((_, text)) = line.split_once(&header) {
                return format!("; {text}");
            }
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("nothing about cid:{cid} in {}", server.log());
}

/// A text without the words behind a mark.
fn without(text: &str, mark: &str) -> String {
    let mut parts = text.split(mark);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(mark);
        kept.push_str(part.trim_start_matches(|it: char| it.is_ascii_alphanumeric() || "-:".contains(it)));
    }
    kept
}
