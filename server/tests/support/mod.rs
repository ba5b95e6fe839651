//! The real binary, started on free ports of the loopback, and small clients for it.
#![allow(dead_code, reason = "each test file uses its part")]

pub mod authority;
pub mod bus;
pub mod kernel;
pub mod recorded;
pub mod shapes;
pub mod table;
pub mod upstream;
pub mod workshop;

use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How long anything here may take before the test fails. Generous: the machines of a test run are small and shared, and
/// a test that passes never waits for it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The path of the binary.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_petrel-server")
}

/// Runs the binary to its end, which must come soon: one that goes on as a server is ended and fails the test.
pub fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(binary());
    let mut child = command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            panic!("it goes on with {arguments:?}: {:?}", child.wait_with_output());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.wait_with_output().unwrap()
}

/// Standard error of a run as text.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A server that runs; killed when the test is done with it.
pub struct Server {
    child: Child,
    log: Arc<Mutex<String>>,
    /// The thread that reads the log; it ends with the server.
    reading: Option<JoinHandle<()>>,
    /// The port of the clients.
    pub port: u16,
    /// The port of monitoring; 0 when the log did not name one.
    pub http_port: u16,
}

impl Server {
    /// Starts with ports of its own and these arguments, and waits until it is ready.
    pub fn start(arguments: &[&str]) -> Server {
        let mut all = vec!["-a", "127.0.0.1", "-p", "-1", "-m", "-1"];
        all.extend(arguments);
        Server::start_as(Path::new(binary()), &all)
    }

    /// Starts this program with exactly these arguments, and waits until it is ready.
    pub fn start_as(program: &Path, arguments: &[&str]) -> Server {
        let child = Command::new(program).args(arguments).stderr(Stdio::piped()).spawn().unwrap();
        Server::of_child(child).unwrap_or_else(|log| panic!("it does not start:\n{log}"))
    }

    /// Waits until a process whose standard error is piped is ready; what it said when it ends instead.
    pub fn of_child(mut child: Child) -> Result<Server, String> {
        let log = Arc::new(Mutex::new(String::new()));
        let lines = log.clone();
        let reader = BufReader::new(child.stderr.take().unwrap());
        let reading = std::thread::spawn(move || {
            for line in reader.lines().map_while(Result::ok) {
                let mut lines = lines.lock().unwrap();
                lines.push_str(&line);
                lines.push('\n');
            }
        });
        let mut server = Server { child, log, reading: Some(reading), port: 0, http_port: 0 };
        let end = Instant::now() + PATIENCE;
        while !server.log().contains("Server is ready") {
            if server.child.try_wait().unwrap().is_some() {
                return Err(server.whole_log());
            }
            assert!(Instant::now() < end, "it is not ready:\n{}", server.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        server.port = server.port_behind("Listening for client connections on ");
        server.http_port = server.port_behind("Starting http monitor on ");
        Ok(server)
    }

    fn port_behind(&self, mark: &str) -> u16 {
        let log = self.log();
        let Some((_, rest)) = log.split_once(mark) else { return 0 };
        let address = rest.lines().next().unwrap();
        address.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// All lines logged so far.
    pub fn log(&self) -> String {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the log contains a text.
    pub fn wait_for_log(&self, text: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(Instant::now() < end, "no {text:?} in the log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// All lines of a server that has ended. Those at its end may still be on their way when its process is gone.
    pub fn whole_log(&mut self) -> String {
        if let Some(reading) = self.reading.take() {
            reading.join().unwrap();
        }
        self.log()
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits until the server has ended.
    pub fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the server goes on:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A client that has sent CONNECT with these fields and has its PONG.
    pub fn client(&self, connect: &str) -> Client {
        let mut client = self.raw_client();
        client.send(&format!("CONNECT {connect}\r\nPING\r\n"));
        client.wait_for("PONG\r\n");
        client
    }

    /// A client that has read INFO and said nothing.
    pub fn raw_client(&self) -> Client {
        Client::connect(self.port)
    }

    /// Requests a path of monitoring.
    pub fn get(&self, path: &str) -> Answer {
        self.request("GET", path)
    }

    /// Requests a path of monitoring with a method.
    pub fn request(&self, method: &str, path: &str) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http_port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = if is_chunked { whole(body) } else { body.to_owned() };
        Answer { status, head: head.to_owned(), body }
    }

    /// The JSON at a path of monitoring.
    pub fn json(&self, path: &str) -> serde_json::Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        serde_json::from_str(&answer.body).unwrap()
    }
}

/// A body without the lengths of its pieces. Upstream sends long answers in pieces.
fn whole(mut chunked: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunked.split_once("\r\n") {
        let bytes = usize::from_str_radix(length, 16).unwrap();
        body.push_str(&rest[..bytes]);
        chunked = rest[bytes..].strip_prefix("\r\n").unwrap();
    }
    body
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A connection to the port of the clients.
pub struct Client {
    stream: TcpStream,
    /// All that was received.
    pub received: String,
}

impl Client {
    /// Connects to a port of the loopback and reads INFO.
    pub fn connect(port: u16) -> Client {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut client = Client { stream, received: String::new() };
        client.wait_for("\r\n");
        client
    }

    /// Connects and reads INFO, if the server sends it without a complaint before there is no hope any more.
    pub fn connect_unless(port: u16, is_hopeless: impl Fn() -> bool) -> Option<Client> {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let mut bytes = [0; 4096];
        let end = Instant::now() + PATIENCE;
        let count = loop {
            match stream.read(&mut bytes) {
                Ok(count) => break count,
                Err(error) if !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return None;
                }
                Err(_) if is_hopeless() => return None,
                Err(_) => assert!(Instant::now() < end, "neither let in nor put off"),
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let received = String::from_utf8_lossy(&bytes[..count]).into_owned();
        (received.starts_with("INFO ") && !received.contains("-ERR")).then_some(Client { stream, received })
    }

    /// The socket alone.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Sends protocol lines.
    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    /// Sends bytes.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Reads what comes next.
    pub fn read_more(&mut self) {
        let mut buffer = [0; 4096];
        let count = self.stream.read(&mut buffer).unwrap();
        assert_ne!(count, 0, "closed behind {:?}", self.received);
        self.received.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }

    /// Reads until a text was received.
    pub fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        while !self.received.contains(text) {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("closed before {text:?}: {:?}", self.received),
                Ok(count) => self.received.push_str(&String::from_utf8_lossy(&buffer[..count])),
                Err(error) => panic!("{error} before {text:?}: {:?}", self.received),
            }
        }
    }

    /// Reads until the server closes.
    pub fn wait_for_end(&mut self) {
        let mut bytes = Vec::new();
        // A reset is an end too.
        let _ = self.stream.read_to_end(&mut bytes);
        self.received.push_str(&String::from_utf8_lossy(&bytes));
    }
}

/// An answer of monitoring.
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}
