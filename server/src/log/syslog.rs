//! The system log, here or on another machine, in the lines that upstream's library sends.

use super::format::{Level, Line};
use jiff::tz::TimeZone;
use std::io::{self, Write};
use std::net::{TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

/// Where the local system log listens, in the order in which they are tried.
const LOCAL_PATHS: &[&str] = &["/dev/log", "/var/run/syslog", "/var/run/log"];

/// How long a connection may take to come about, and a line to be taken.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long after a failure the next connection is tried; lines in between are lost and counted.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Bytes of a line in one datagram; what is beyond them is cut off, because it would not be sent at all.
const DATAGRAM_BYTES_MAX: usize = 60 * 1024;

/// Where lines are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// This machine's system log.
    Local,
    /// `udp://host:port`.
    Udp(String),
    /// `tcp://host:port`.
    Tcp(String),
    /// `unix:///path`: a stream.
    Stream(String),
}

/// Why there is no system log, in upstream's words.
#[derive(Debug, thiserror::Error)]
pub enum SyslogError {
    /// The address says no transport that there is.
    #[error("error invalid network type: {0:?}")]
    Network(String),
    /// Nobody takes lines.
    #[error("error connecting to syslog: {0:?}")]
    Connect(String),
}

impl Address {
    /// Reads an address of the configuration. A bare `host:port`, which upstream refuses, is UDP.
    ///
    /// # Errors
    /// When the transport is none of udp, tcp and unix.
    pub fn parse(text: &str) -> Result<Address, SyslogError> {
        match text.split_once("://") {
            Some(("udp", rest)) => Ok(Address::Udp(rest.to_owned())),
            Some(("tcp", rest)) => Ok(Address::Tcp(rest.to_owned())),
            Some(("unix", rest)) => Ok(Address::Stream(rest.to_owned())),
            Some((other, _)) => Err(SyslogError::Network(other.to_owned())),
            None if text.contains(':') => Ok(Address::Udp(text.to_owned())),
            None => Err(SyslogError::Network(String::new())),
        }
    }
}

enum Transport {
    Datagram(UnixDatagram),
    Stream(UnixStream),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Transport {
    fn connect(address: &Address) -> Result<Transport, SyslogError> {
        let failed = |what: String| {
            move |error| SyslogError::Connect(format!("{what}: {}", crate::files::system_text(&error)))
        };
        match address {
            Address::Local => {
                local().ok_or_else(|| SyslogError::Connect("Unix syslog delivery error".into()))
            }
            Address::Udp(host) => udp(host).map(Transport::Udp).map_err(failed(format!("dial udp {host}"))),
            Address::Tcp(host) => {
                tcp(host).map(Transport::Tcp).map_err(failed(format!("dial tcp {host}: connect")))
            }
            Address::Stream(path) => {
                stream(path).map(Transport::Stream).map_err(failed(format!("dial unix {path}: connect")))
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let cut = &bytes[..bytes.len().min(DATAGRAM_BYTES_MAX)];
        match self {
            Transport::Datagram(socket) => socket.send(cut).map(drop),
            Transport::Udp(socket) => socket.send(cut).map(drop),
            Transport::Stream(socket) => socket.write_all(bytes),
            Transport::Tcp(socket) => socket.write_all(bytes),
        }
    }
}

fn local() -> Option<Transport> {
    LOCAL_PATHS.iter().find_map(|path| {
        let datagram = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            io::Result::Ok(Transport::Datagram(socket))
        };
        datagram().or_else(|_| stream(path).map(Transport::Stream)).ok()
    })
}

fn stream(path: &str) -> io::Result<UnixStream> {
    let socket = UnixStream::connect(path)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn udp(host: &str) -> io::Result<UdpSocket> {
    let address = resolve(host)?;
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(any)?;
    socket.connect(address)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn tcp(host: &str) -> io::Result<TcpStream> {
    let socket = TcpStream::connect_timeout(&resolve(host)?, PATIENCE)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn resolve(host: &str) -> io::Result<std::net::SocketAddr> {
    host.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no such host"))
}

/// A system log that takes lines.
pub struct Syslog {
    address: Address,
    tag: String,
    host_name: String,
    transport: Option<Transport>,
    failed_at: Option<Instant>,
    lost: u64,
}

impl Syslog {
    /// Connects. `tag` is the name in front of each line.
    ///
    /// # Errors
    /// When nobody takes lines there.
    pub fn connect(address: Address, tag: &str) -> Result<Syslog, SyslogError> {
        let transport = Some(Transport::connect(&address)?);
        let host_name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Syslog { address, tag: tag.to_owned(), host_name, transport, failed_at: None, lost: 0 })
    }

    /// Sends a line. One that cannot be sent is counted; the count goes ahead of the next that can. Returns whether it
    /// was sent.
    pub fn send(&mut self, line: &Line) -> bool {
        if self.transport.is_none() && !self.try_again() {
            self.lost += 1;
            return false;
        }
        if self.lost > 0 {
            let text =
                format!("{} log lines were lost because they could not be sent to the system log", self.lost);
            if self.transmit(&Line { at: line.at, level: Level::Warning, text }) {
                self.lost = 0;
            }
        }
        // One that went away is only found out by sending: the line is tried once more with a new connection.
        let sent = self.transmit(line) || (self.reconnect() && self.transmit(line));
        self.lost += u64::from(!sent);
        sent
    }

    fn transmit(&mut self, line: &Line) -> bool {
        let bytes = self.render(line);
        let Some(transport) = &mut self.transport else { return false };
        let sent = transport.send(&bytes).is_ok();
        if !sent {
            // What is left of a stream may end in the middle of a line.
            self.transport = None;
            self.failed_at = Some(Instant::now());
        }
        sent
    }

    fn try_again(&mut self) -> bool {
        self.failed_at.is_none_or(|failed| failed.elapsed() >= RETRY_INTERVAL) && self.reconnect()
    }

    fn reconnect(&mut self) -> bool {
        self.transport = Transport::connect(&self.address).ok();
        if self.transport.is_none() {
            self.failed_at = Some(Instant::now());
        }
        self.transport.is_some()
    }

    /// `<priority>time [host] tag[pid]: text` with a line end. To this machine the time has the old form and no
    /// host is named, as Go's library does.
    fn render(&self, line: &Line) -> Vec<u8> {
        let (tag, pid) = (&self.tag, std::process::id());
        let priority = severity(line.level);
        let text = line.text.trim_end_matches('\n');
        let at = line.at.to_zoned(TimeZone::system());
        let rendered = if self.address == Address::Local {
            format!("<{priority}>{} {tag}[{pid}]: {text}\n", at.strftime("%b %e %H:%M:%S"))
        } else {
            let zone = at.offset();
            let zone = if zone.is_zero() { "Z".to_owned() } else { at.strftime("%:z").to_string() };
            let time = at.strftime("%Y-%m-%dT%H:%M:%S");
            format!("<{priority}>{time}{zone} {} {tag}[{pid}]: {text}\n", self.host_name)
        };
        rendered.into_bytes()
    }
}

/// The severity (RFC 5424, 6.2.1) without a facility, as upstream sends it: what an operator wants to know is a
/// "notice", and so are protocol lines.
fn severity(level: Level) -> u8 {
    match level {
        Level::Fatal => 2,
        Level::Error => 3,
        Level::Warning => 4,
        Level::Information | Level::Trace => 5,
        Level::Debug => 7,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;
    use std::net::TcpListener;

    fn line(level: Level, text: &str) -> Line {
        Line::now(level, text.to_owned())
    }

    #[test]
    fn addresses_say_their_transport() {
        assert_eq!(Address::parse("udp://h:1").unwrap(), Address::Udp("h:1".into()));
        assert_eq!(Address::parse("tcp://[::1]:1").unwrap(), Address::Tcp("[::1]:1".into()));
        assert_eq!(Address::parse("unix:///x").unwrap(), Address::Stream("/x".into()));
        assert_eq!(Address::parse("h:1").unwrap(), Address::Udp("h:1".into()));
        for (text, error) in [
            ("foo", "error invalid network type: \"\""),
            ("xyz://h:1", "error invalid network type: \"xyz\""),
        ] {
            assert_eq!(Address::parse(text).unwrap_err().to_string(), error);
        }
        let error = Syslog::connect(Address::parse("tcp://127.0.0.1:1").unwrap(), "x").err().unwrap();
        assert_eq!(
            error.to_string(),
            "error connecting to syslog: \"dial tcp 127.0.0.1:1: connect: connection refused\""
        );
    }

    #[test]
    fn datagrams_read_as_upstreams() {
        let receiver = UdpSocket::bind("127.0.0.1:0").unwrap();
        receiver.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        let address = Address::Udp(receiver.local_addr().unwrap().to_string());
        let mut syslog = Syslog::connect(address, "nats-server").unwrap();
        for (level, priority) in [
            (Level::Information, 5),
            (Level::Error, 3),
            (Level::Warning, 4),
            (Level::Fatal, 2),
            (Level::Debug, 7),
        ] {
            syslog.send(&line(level, "Server is ready"));
            let mut bytes = [0; 512];
            let count = receiver.recv(&mut bytes).unwrap();
            let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
            let end = format!(" {} nats-server[{}]: Server is ready\n", syslog.host_name, std::process::id());
            assert!(text.starts_with(&format!("<{priority}>20")) && text.ends_with(&end), "{text}");
        }
        // A line longer than a datagram arrives cut.
        syslog.send(&line(Level::Trace, &"x".repeat(200_000)));
        let mut bytes = vec![0; 1 << 17];
        assert_eq!(receiver.recv(&mut bytes).unwrap(), DATAGRAM_BYTES_MAX);
    }

    #[test]
    fn a_lost_connection_is_made_again_and_losses_are_told() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut syslog = Syslog::connect(Address::Tcp(address.to_string()), "x").unwrap();
        drop((listener.accept().unwrap(), listener));
        // The first lines may still be taken by the kernel; then they fail, and so does connecting.
        let mut sent = 0;
        while syslog.lost == 0 && sent < 100 {
            syslog.send(&line(Level::Information, "gone"));
            sent += 1;
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(syslog.lost > 0);
        let listener = TcpListener::bind(address).unwrap();
        syslog.failed_at = None;
        syslog.send(&line(Level::Information, "back"));
        let mut text = String::new();
        let mut peer = listener.accept().unwrap().0;
        drop(syslog);
        peer.read_to_string(&mut text).unwrap();
        assert!(text.contains("log lines were lost because"), "{text}");
        assert!(text.ends_with(": back\n"), "{text}");
    }

    #[test]
    fn the_local_form_names_no_host() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let receiver = UnixDatagram::bind(&path).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&path).unwrap();
        let mut syslog = Syslog {
            address: Address::Local,
            tag: "nats-server".into(),
            host_name: "h".into(),
            transport: Some(Transport::Datagram(sender)),
            failed_at: None,
            lost: 0,
        };
        syslog.send(&line(Level::Information, "two\n"));
        let mut bytes = [0; 512];
        let count = receiver.recv(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
        let end = format!(" nats-server[{}]: two\n", std::process::id());
        // "<5>Jan _2 15:04:05" is 18 characters long.
        assert!(text.starts_with("<5>") && text.ends_with(&end) && text.len() == 18 + end.len(), "{text}");
    }
}
