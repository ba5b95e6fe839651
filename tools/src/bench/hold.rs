//! Connections and subscriptions that are only held: what one of them costs the server in memory.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use super::arguments::{Arguments, Format};
use super::clock::monotonic_ns;
use super::connection::{Connection, ServerIdentity, Target};
use super::error::BenchError;
use super::process::kernel_memory_bytes;
use super::reader::{Event, Reader};
use super::report::megabytes;
use super::run::find_server;
use super::wire::Wire;

/// Connections from one source address: the system has some 28,000 ports for each.
const CONNECTIONS_PER_SOURCE: usize = 5_000;
/// Source addresses at least, as clients of several hosts.
const SOURCES_MIN: usize = 4;
/// Files of the generator that are not held connections.
const OTHER_FILES: u64 = 64;
/// Subscriptions sent before the server has to confirm them.
const SUBSCRIPTIONS_PER_BATCH: u32 = 1_000;
/// Without a `PING` of the server for this long its memory is read.
const QUIET: Duration = Duration::from_secs(10);
/// It is read after this long at the latest.
const QUIET_WAIT_MAX_NS: u64 = 90_000_000_000;

/// What holding something cost the server.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct HoldReport {
    /// Where the server is.
    pub address: String,
    /// What it says about itself.
    pub server: ServerIdentity,
    /// `idle connection` or `subscription`.
    pub unit: String,
    /// How many were held.
    pub count: u32,
    /// Connections they were held on.
    pub connections: u32,
    /// How long it took to establish them, in seconds.
    pub established_s: f64,
    /// Resident memory of the server before, in bytes.
    pub resident_before_bytes: u64,
    /// Resident memory of the server with them, in bytes.
    pub resident_after_bytes: u64,
    /// The most ever resident, in bytes.
    pub peak_bytes: u64,
    /// The difference for one of them, in bytes.
    pub bytes_each: f64,
    /// Memory of the kernel for the data of sockets: growth for one, both ends, in bytes.
    pub kernel_socket_bytes_each: f64,
    /// All objects of the kernel: growth for one, both ends where the server is on this machine, in bytes.
    pub kernel_object_bytes_each: f64,
}

/// Holds what `arguments` ask for, and measures.
///
/// # Errors
/// What a connection meets, and [`BenchError::Usage`] when the server's process cannot be seen or the limit of open
/// files is too low.
pub fn run(arguments: &Arguments, target: &Target) -> Result<HoldReport, BenchError> {
    let Some(server) = find_server(arguments, target)? else {
        let text = "the server's process is not on this machine, so that its memory cannot be read";
        return Err(BenchError::Usage(text.to_owned()));
    };
    let connections = arguments.idle_connections.unwrap_or(arguments.clients);
    allow_files(u64::from(connections) + OTHER_FILES)?;
    let mut holder = Holder::new()?;
    let (socket_before, objects_before) = kernel_memory_bytes();
    let before = server.memory().ok_or_else(ended)?;
    let started_ns = monotonic_ns();
    let identity = match arguments.hold_subscriptions {
        Some(count) => holder.subscribe(&arguments.subject, arguments.clients, target, count)?,
        None => holder.connect(target, connections)?,
    };
    let established_s = (monotonic_ns() - started_ns) as f64 / 1e9;
    holder.wait_until_quiet(arguments.duration.unwrap_or(QUIET))?;
    let after = server.memory().ok_or_else(ended)?;
    let (socket_after, objects_after) = kernel_memory_bytes();
    let (unit, count) = match arguments.hold_subscriptions {
        Some(count) => ("subscription", count),
        None => ("idle connection", connections),
    };
    let each = |after: u64, before: u64| (after as f64 - before as f64) / f64::from(count.max(1));
    Ok(HoldReport {
        address: target.address().to_owned(),
        server: identity,
        unit: unit.to_owned(),
        count,
        connections,
        established_s,
        resident_before_bytes: before.resident_bytes,
        resident_after_bytes: after.resident_bytes,
        peak_bytes: after.peak_bytes,
        bytes_each: each(after.resident_bytes, before.resident_bytes),
        kernel_socket_bytes_each: each(socket_after, socket_before),
        kernel_object_bytes_each: each(objects_after, objects_before),
    })
}

/// Connections on which subscriptions are held beside a load.
const CROWD_SUBSCRIBERS: u32 = 4;
/// Longer than a server takes to ask a new connection for the first time.
const CROWD_QUIET: Duration = Duration::from_secs(3);

/// Connections and subscriptions that are held beside a load, on a thread that does nothing but answer the server's
/// `PING`s. They leave when it is dropped.
pub struct Crowd {
    leaves: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<(), BenchError>>>,
}

impl Crowd {
    /// Establishes what `arguments` want beside the load; `None` when that is nothing.
    ///
    /// # Errors
    /// What a connection meets, and [`BenchError::Usage`] when the limit of open files is too low.
    pub fn gather(arguments: &Arguments, target: &Target) -> Result<Option<Crowd>, BenchError> {
        let (connections, subscriptions) = (arguments.beside_connections, arguments.beside_subscriptions);
        if connections == 0 && subscriptions == 0 {
            return Ok(None);
        }
        let load = arguments.publishers + arguments.subscribers + arguments.clients;
        allow_files(u64::from(connections + load + CROWD_SUBSCRIBERS) + OTHER_FILES)?;
        let mut holder = Holder::new()?;
        if subscriptions > 0 {
            let subject = format!("{}.beside", arguments.subject);
            holder.subscribe(&subject, CROWD_SUBSCRIBERS, target, subscriptions)?;
        }
        holder.connect(target, connections)?;
        // A server asks each new connection once, soon: that is no cost of holding it.
        holder.wait_until_quiet(CROWD_QUIET)?;
        let leaves = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&leaves);
        let hold = move || {
            while !seen.load(Ordering::Relaxed) {
                holder.answer(Duration::from_millis(100))?;
            }
            Ok(())
        };
        let thread = std::thread::Builder::new().name("crowd".to_owned()).spawn(hold);
        let thread = Some(thread.map_err(|error| BenchError::system("a thread", error))?);
        Ok(Some(Crowd { leaves, thread }))
    }

    /// Ends the connections.
    ///
    /// # Errors
    /// What ended one of them before.
    pub fn leave(mut self) -> Result<(), BenchError> {
        self.leaves.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => thread.join().expect("the crowd does not panic"),
            None => Ok(()),
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.leaves.store(true, Ordering::Relaxed);
    }
}

impl HoldReport {
    /// The result in `format`, with a line end.
    pub fn render(&self, format: Format) -> String {
        let [before, after, peak] =
            [self.resident_before_bytes, self.resident_after_bytes, self.peak_bytes].map(megabytes);
        match format {
            Format::Json => serde_json::to_string_pretty(self).expect("a report encodes") + "\n",
            Format::Csv => format!(
                "unit,count,connections,established_s,resident_before_bytes,resident_after_bytes,peak_bytes,\
                 bytes_each,kernel_socket_bytes_each,kernel_object_bytes_each\n{},{},{},{:.3},{},{},{},{:.1},{:.1},{:.1}\n",
                self.unit,
                self.count,
                self.connections,
                self.established_s,
                self.resident_before_bytes,
                self.resident_after_bytes,
                self.peak_bytes,
                self.bytes_each,
                self.kernel_socket_bytes_each,
                self.kernel_object_bytes_each,
            ),
            Format::Text => format!(
                "server             {} ({} {})\nheld               {} {}s on {} connections, established in {:.2} s\n\
                 server memory      {before} before, {after} with them, {peak} peak\n\
                 each               {:.0} bytes of the server\n\
                 kernel, both ends  {:.0} bytes of socket data and {:.0} bytes of all objects each\n",
                self.address,
                self.server.server_name,
                self.server.version,
                self.count,
                self.unit,
                self.connections,
                self.established_s,
                self.bytes_each,
                self.kernel_socket_bytes_each,
                self.kernel_object_bytes_each,
            ),
        }
    }
}

struct Held {
    stream: Wire<TcpStream>,
    reader: Reader,
    /// Answers that are not written yet.
    output: Vec<u8>,
}

/// Keeps connections alive by answering the server's `PING`.
struct Holder {
    poll: Poll,
    events: Events,
    held: Vec<Held>,
    buffer: Vec<u8>,
    last_ping_ns: u64,
}

impl Holder {
    fn new() -> Result<Self, BenchError> {
        Ok(Self {
            poll: Poll::new().map_err(|error| BenchError::system("epoll", error))?,
            events: Events::with_capacity(1024),
            held: Vec::new(),
            buffer: vec![0; Reader::BUFFER_BYTES_MIN],
            last_ping_ns: monotonic_ns(),
        })
    }

    fn connect(&mut self, target: &Target, count: u32) -> Result<ServerIdentity, BenchError> {
        let mut identity = ServerIdentity::default();
        let sources = (count as usize).div_ceil(CONNECTIONS_PER_SOURCE).max(SOURCES_MIN);
        for number in 0..count as usize {
            let host = 2 + (number % sources) as u8;
            let source = target.is_loopback_v4().then_some(IpAddr::V4(Ipv4Addr::new(127, 0, 0, host)));
            let name = format!("petrel-bench idle {number}");
            let connection = target.dial(&name, source, b"", &mut self.buffer)?;
            identity = connection.server.clone();
            self.hold(connection)?;
            if number.is_multiple_of(64) {
                self.answer(Duration::ZERO)?;
            }
        }
        Ok(identity)
    }

    fn subscribe(
        &mut self,
        prefix: &str,
        clients: u32,
        target: &Target,
        count: u32,
    ) -> Result<ServerIdentity, BenchError> {
        let mut connections = Vec::new();
        for number in 0..clients {
            let name = format!("petrel-bench subscriptions {number}");
            connections.push(target.dial(&name, None, b"", &mut self.buffer)?);
        }
        let mut lines = Vec::new();
        for first in (0..count).step_by(SUBSCRIPTIONS_PER_BATCH as usize) {
            lines.clear();
            for number in first..count.min(first + SUBSCRIPTIONS_PER_BATCH) {
                let (group, member) = (number / 1_000, number % 1_000);
                let line = format!("SUB {prefix}.{group:05}.{member:03} {}\r\n", number + 1);
                lines.extend_from_slice(line.as_bytes());
            }
            let turn = (first / SUBSCRIPTIONS_PER_BATCH) as usize % connections.len();
            target.send_and_confirm(&mut connections[turn], &mut self.buffer, &mut lines)?;
        }
        let identity = connections[0].server.clone();
        connections.into_iter().try_for_each(|connection| self.hold(connection))?;
        Ok(identity)
    }

    fn hold(&mut self, connection: Connection) -> Result<(), BenchError> {
        let socket = &connection.stream.socket;
        socket.set_nonblocking(true).map_err(|error| BenchError::system("a socket", error))?;
        let mut stream = connection.stream.map(TcpStream::from_std);
        let token = Token(self.held.len());
        self.poll
            .registry()
            .register(&mut stream.socket, token, Interest::READABLE | Interest::WRITABLE)
            .map_err(|error| BenchError::system("epoll", error))?;
        self.held.push(Held { stream, reader: connection.reader, output: Vec::new() });
        Ok(())
    }

    /// Answers until the server has asked nothing for `quiet`.
    fn wait_until_quiet(&mut self, quiet: Duration) -> Result<(), BenchError> {
        let begin_ns = monotonic_ns();
        self.last_ping_ns = begin_ns;
        let quiet_ns = quiet.as_nanos() as u64;
        loop {
            let now_ns = monotonic_ns();
            let is_quiet = now_ns - self.last_ping_ns >= quiet_ns;
            if is_quiet || now_ns - begin_ns >= QUIET_WAIT_MAX_NS.max(quiet_ns) {
                return Ok(());
            }
            self.answer(Duration::from_millis(100))?;
        }
    }

    fn answer(&mut self, sleep: Duration) -> Result<(), BenchError> {
        match self.poll.poll(&mut self.events, Some(sleep)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(BenchError::system("epoll", error));
            }
            _ => {}
        }
        for event in &self.events {
            let number = event.token().0;
            let held = &mut self.held[number];
            if held.read(number, &mut self.buffer)? > 0 {
                self.last_ping_ns = monotonic_ns();
            }
            held.flush(number)?;
        }
        Ok(())
    }
}

impl Held {
    /// Reads until nothing is left. Returns how many times the server asked.
    fn read(&mut self, number: usize, buffer: &mut [u8]) -> Result<usize, BenchError> {
        let mut pings = 0;
        loop {
            let kept = self.reader.restore(buffer);
            let count = match self.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err(closed(number, "")),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.reader.consume(&buffer[..kept], |_| Ok(()))?;
                    return Ok(pings);
                }
                Err(error) => return Err(closed(number, &error.to_string())),
            };
            let output = &mut self.output;
            self.reader.consume(&buffer[..kept + count], |event| match event {
                Event::Ping => {
                    pings += 1;
                    output.extend_from_slice(b"PONG\r\n");
                    Ok(())
                }
                Event::Error(text) => Err(closed(number, &String::from_utf8_lossy(text))),
                Event::Pong | Event::Ok | Event::Info(_) | Event::Message(_) => Ok(()),
            })?;
        }
    }

    fn flush(&mut self, number: usize) -> Result<(), BenchError> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(closed(number, &error.to_string())),
            }
        }
        // A vector keeps its memory: many thousands of them are better without.
        self.output = Vec::new();
        Ok(())
    }
}

fn closed(number: usize, text: &str) -> BenchError {
    BenchError::Closed { role: "holder", number, text: text.to_owned() }
}

fn ended() -> BenchError {
    BenchError::Usage("the server's process has ended".to_owned())
}

/// Raises the limit of open files as far as is allowed.
fn allow_files(wanted: u64) -> Result<(), BenchError> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|error| BenchError::system("the limit of open files", error))?;
    if soft >= wanted {
        return Ok(());
    }
    let hard = if hard >= wanted {
        hard
    } else {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, wanted).map_err(|_| {
            BenchError::Usage(format!(
                "{wanted} open files are needed, and this process may have {hard} (ulimit -Hn)"
            ))
        })?;
        wanted
    };
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
        .map_err(|error| BenchError::system("the limit of open files", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_shows_the_figure() {
        let report = HoldReport {
            unit: "subscription".to_owned(),
            count: 10,
            bytes_each: 123.4,
            ..Default::default()
        };
        assert!(report.render(Format::Text).contains("123 bytes of the server"));
        assert!(report.render(Format::Json).contains("\"bytes_each\": 123.4"));
        let csv = report.render(Format::Csv);
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(lines[0].split(',').count(), lines[1].split(',').count());
        assert!(lines[1].contains(",123.4,"));
    }

    #[test]
    fn files_within_the_limit_are_allowed() {
        assert!(allow_files(64).is_ok());
        assert!(allow_files(u64::MAX / 2).is_err());
    }
}
