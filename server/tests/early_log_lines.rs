//! What the log says of clients that fail before their session begins: the lines of upstream, addresses included. True of
//! petrel and, where it is installed, of upstream's own program.

mod support;

use rustix::process::Signal;
use rustls::version::{TLS12, TLS13};
use socket2::SockRef;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};
use support::authority::Authority;
use support::kernel::End;
use support::upstream::programs;
use support::{PATIENCE, Server};

/// How a client ends.
#[derive(Clone, Copy, Debug)]
enum Ending {
    /// It waits for the server to lose patience.
    Waits,
    /// It says that nothing follows.
    Ends,
    /// It breaks off.
    Breaks,
}
use Ending::{Breaks, Ends, Waits};

/// What a client says behind INFO, how it ends, and what the log says of that: its level and the text.
struct Row<'r> {
    said: &'r [u8],
    ending: Ending,
    line: String,
    /// The server has something to say to it while it waits for more.
    is_answered: bool,
}

/// The lines about a client, without time, and with `SERVER` and `CLIENT` for the addresses.
fn lines(server: &Server, port: u16) -> Vec<String> {
    let (client, own) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{}", server.port));
    let log = server.log();
    let lines = log.lines().filter(|line| line.contains(&client));
    let lines = lines.map(|line| line.replace(&client, "CLIENT").replace(&own, "SERVER"));
    // Behind the process and the time.
    lines.filter_map(|line| Some(line.split_once(" [")?.1.to_owned())).collect()
}

/// Whether a line says why a connection failed.
fn is_told(line: &str) -> bool {
    line.contains("handshake error") || line.contains("PROXY")
}

/// Waits until the connection is told as closed, and why. Upstream may say the one first or the other.
fn wait_until_told(server: &Server, port: u16) {
    let end = Instant::now() + PATIENCE;
    loop {
        let lines = lines(server, port);
        if lines.iter().any(|line| line.contains("connection closed")) && lines.iter().any(|it| is_told(it)) {
            return;
        }
        assert!(Instant::now() < end, "not closed, or not told why: {lines:?}\n{}", server.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until the server has read what it was sent: nothing is left in the kernel's buffer at its end.
fn wait_until_read(server: &Server, port: u16) {
    let end = Instant::now() + PATIENCE;
    // One that is gone has closed before.
    while End::of(server.port, port).is_some_and(|end| end.unread_bytes > 0) {
        assert!(Instant::now() < end, "the server does not read");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn act(server: &Server, row: &Row<'_>) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut byte = [0];
    while byte[0] != b'\n' {
        stream.read_exact(&mut byte).unwrap();
    }
    let port = stream.local_addr().unwrap().port();
    stream.write_all(row.said).unwrap();
    match row.ending {
        Waits => {}
        Ends => stream.shutdown(Shutdown::Write).unwrap(),
        Breaks => {
            // The server is to have read what came before, and to have said what it has to say to that.
            wait_until_read(server, port);
            if row.is_answered {
                assert_ne!(stream.peek(&mut byte).unwrap(), 0);
            }
            SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            return port;
        }
    }
    let _ = stream.read_to_end(&mut Vec::new());
    port
}

/// Does what a row says, and waits until it is told.
fn act_until_told(server: &Server, row: &Row<'_>) -> u16 {
    let port = act(server, row);
    wait_until_told(server, port);
    port
}

fn check(config: &str, rows: &[&Row<'_>]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("nats.conf");
    std::fs::write(&file, config).unwrap();
    let mut differences = Vec::new();
    for program in programs() {
        let mut server =
            Server::start_as(&program, &["-a", "127.0.0.1", "-p", "-1", "-D", "-c", file.to_str().unwrap()]);
        let ports: Vec<u16> = std::thread::scope(|scope| {
            let all: Vec<_> = rows.iter().map(|row| scope.spawn(|| act_until_told(&server, row))).collect();
            all.into_iter().map(|port| port.join().unwrap()).collect()
        });
        // Nothing follows any more.
        server.signal(Signal::TERM);
        server.wait();
        server.whole_log();
        for (row, port) in rows.iter().zip(ports) {
            let found = lines(&server, port);
            let told: Vec<&String> = found.iter().filter(|line| is_told(line)).collect();
            let without_number = |line: &str| match (line.find("cid:"), line.find(" - TLS")) {
                (Some(from), Some(to)) => format!("{}cid:0{}", &line[..from], &line[to..]),
                _ => line.to_owned(),
            };
            if told.iter().map(|line| without_number(line)).ne([row.line.clone()]) {
                let (said, ending) = (row.said.escape_ascii(), row.ending);
                let shown = program.display();
                differences.push(format!("{said} {ending:?} at {shown}: {found:#?}\nexpected {}", row.line));
            }
        }
    }
    assert!(differences.is_empty(), "{config}\n{}", differences.join("\n"));
}

#[test]
fn handshakes_that_fail_name_both_ends_of_the_socket() {
    let authority = Authority::new();
    authority.issue("server", &["localhost"]);
    let hello = {
        let config = authority.client(None, &[&TLS13, &TLS12]);
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut connection = rustls::ClientConnection::new(config, name).unwrap();
        let mut hello = Vec::new();
        connection.write_tls(&mut hello).unwrap();
        hello
    };
    let row = |said, ending, level: &str, problem: &str| {
        let line = format!("{level}] CLIENT - cid:0 - TLS handshake error: {problem}");
        Row { said, ending, line, is_answered: false }
    };
    let timeout = "read tcp SERVER->CLIENT: i/o timeout";
    let reset = "read tcp SERVER->CLIENT: read: connection reset by peer";
    let half = &hello[..hello.len() / 2];
    let oversized = [b"\x16\x03\x01\xff\xff".as_slice(), &[b'x'; 40]].concat();
    let too_long = [b"\x16\x03\x01\x00\x28\x01\x02\x03\x04".as_slice(), &[b'x'; 36]].concat();
    let rows = [
        row(b"", Waits, "DBG", timeout),
        row(&hello[..3], Waits, "DBG", timeout),
        row(half, Waits, "DBG", timeout),
        row(&hello, Waits, "DBG", timeout),
        row(b"", Ends, "ERR", "EOF"),
        row(&hello[..3], Ends, "ERR", "unexpected EOF"),
        row(half, Ends, "ERR", "unexpected EOF"),
        row(b"", Breaks, "ERR", reset),
        row(&hello[..3], Breaks, "ERR", reset),
        row(half, Breaks, "ERR", reset),
        Row { is_answered: true, ..row(&hello, Breaks, "ERR", reset) },
        row(b"CONNECT {}\r\n", Waits, "DBG", "tls: first record does not look like a TLS handshake"),
        row(&oversized, Waits, "ERR", "tls: oversized record received with length 65535"),
        row(
            &too_long,
            Waits,
            "ERR",
            "tls: handshake message of length 131844 bytes exceeds maximum of 65536 bytes",
        ),
    ];
    // Those for whom time runs out, and those who are to be done before that.
    let (late, other): (Vec<Row<'_>>, _) = rows.into_iter().partition(|row| row.line.ends_with(timeout));
    // Where TLS is a choice: whoever begins with it.
    for (beside, length_min) in [("", 0), ("allow_non_tls: true\n", 13)] {
        for (rows, seconds) in [(&late, 1), (&other, 30)] {
            let block = format!("tls {{\n{}timeout: {seconds}\n}}\n", authority.files("server"));
            let rows: Vec<&Row<'_>> = rows.iter().filter(|row| row.said.len() >= length_min).collect();
            check(&format!("{beside}{block}"), &rows);
        }
    }
}

#[test]
fn proxy_headers_that_break_off_name_both_ends_of_the_socket() {
    const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let row = |said, ending, problem: String| Row {
        said,
        ending,
        line: format!("WRN] Error reading PROXY protocol header from CLIENT: {problem}"),
        is_answered: false,
    };
    let head = [SIGNATURE, b"\x21\x11\0\x0c"].concat();
    let part = [&head[..], &[1, 2, 3, 4]].concat();
    let cases = [
        (&b"PROXY TCP4 1.2"[..], "failed to read v1 line"),
        (&SIGNATURE[..6], "failed to read v2 signature"),
        (&SIGNATURE[..8], "failed to read v2 signature"),
        (SIGNATURE, "failed to read v2 header"),
        (&head[..14], "failed to read v2 header"),
        (&head, "failed to read IPv4 address data"),
        (&part, "failed to read IPv4 address data"),
    ];
    let failures = [(Waits, "i/o timeout"), (Breaks, "read: connection reset by peer")].into_iter().flat_map(
        |(ending, why)| {
            cases.map(|(said, what)| row(said, ending, format!("{what}: read tcp SERVER->CLIENT: {why}")))
        },
    );
    let version = "failed to read protocol version";
    let early = [
        row(b"", Waits, format!("{version}: EOF")),
        row(b"", Breaks, format!("{version}: EOF")),
        row(b"PRO", Breaks, format!("{version}: unexpected EOF")),
    ];
    let rows: Vec<Row<'_>> = failures.chain(early).collect();
    check("proxy_protocol: true\n", &rows.iter().collect::<Vec<_>>());
}
