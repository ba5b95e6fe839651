//! Opening connections: address, handshake, credentials.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use serde::{Deserialize, Serialize};
use socket2::{Domain, Socket, Type};

use super::error::BenchError;
use super::reader::{Event, Reader};
use super::wire::Wire;

/// Port of the client protocol where none is given.
const DEFAULT_PORT: u16 = 4222;
/// Bound of a connect and of each answer within the handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// How to log in; everything may be absent.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// User name.
    pub user: Option<String>,
    /// Password of the user.
    pub password: Option<String>,
    /// Token, in place of user and password.
    pub token: Option<String>,
}

/// What a server says about itself in `INFO`.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct ServerIdentity {
    /// Name of the server.
    pub server_name: String,
    /// Its version.
    pub version: String,
    /// The largest content of a message it accepts, in bytes.
    pub max_payload: usize,
    #[serde(skip_serializing)]
    tls_required: bool,
}

/// Where and how to connect.
#[derive(Clone, Debug)]
pub struct Target {
    address: String,
    sockets: Vec<SocketAddr>,
    credentials: Credentials,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// A connection behind its handshake, still in blocking mode.
pub struct Connection {
    /// The socket.
    pub stream: Wire<TcpStream>,
    /// Holds what has been read beyond the handshake.
    pub reader: Reader,
    /// What the server said about itself.
    pub server: ServerIdentity,
}

#[derive(Serialize)]
struct ConnectOptions<'a> {
    verbose: bool,
    pedantic: bool,
    tls_required: bool,
    name: &'a str,
    lang: &'a str,
    version: &'a str,
    protocol: u8,
    echo: bool,
    headers: bool,
    no_responders: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pass: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_token: Option<&'a str>,
}

impl Target {
    /// Resolves `address`: `host`, `host:port`, `[v6]:port`, each with or without `nats://`.
    ///
    /// # Errors
    /// [`BenchError::Usage`] when the address is not one, [`BenchError::Connect`] when the name does not resolve.
    pub fn resolve(
        address: &str,
        credentials: Credentials,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, BenchError> {
        let (host, port) = split_address(address)?;
        let sockets = (host.as_str(), port)
            .to_socket_addrs()
            .map_err(|source| BenchError::Connect { address: address.to_owned(), source })?
            .collect::<Vec<_>>();
        if sockets.is_empty() {
            return Err(BenchError::Usage(format!("{address} has no address")));
        }
        let name = ServerName::try_from(host)
            .map_err(|_| BenchError::Usage(format!("{address} is no name of a certificate")));
        let tls = tls.map(|config| Ok::<_, BenchError>((config, name?))).transpose()?;
        Ok(Self { address: address.to_owned(), sockets, credentials, tls })
    }

    /// The address as it was given.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Whether the server is on this machine by its address.
    pub fn is_loopback(&self) -> bool {
        self.sockets.iter().all(|socket| socket.ip().is_loopback())
    }

    /// The port of the server.
    pub fn port(&self) -> u16 {
        self.sockets[0].port()
    }

    /// The address family can take source addresses of `127.0.0.0/8`.
    pub fn is_loopback_v4(&self) -> bool {
        self.sockets[0].is_ipv4() && self.sockets[0].ip().is_loopback()
    }

    /// Connects, logs in, sends `first_lines` (subscriptions) and waits until the server has dealt with them.
    /// `source` is the address to connect from; `buffer` has at least [`Reader::BUFFER_BYTES_MIN`] bytes.
    ///
    /// # Errors
    /// [`BenchError::Connect`] when no address accepts, [`BenchError::Refused`] when the server does not.
    pub fn dial(
        &self,
        name: &str,
        source: Option<IpAddr>,
        first_lines: &[u8],
        buffer: &mut [u8],
    ) -> Result<Connection, BenchError> {
        let failed = |source| BenchError::Connect { address: self.address.clone(), source };
        let stream = self.open(source).map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT)).map_err(failed)?;
        let stream = Wire::plain(stream);
        let mut connection =
            Connection { stream, reader: Reader::default(), server: ServerIdentity::default() };
        self.await_event(&mut connection, buffer, Awaited::Info)?;
        match &self.tls {
            Some((config, name)) => connection
                .stream
                .begin_tls(config, name.clone())
                .map_err(|error| self.refused(&format!("no TLS with it: {error}")))?,
            None if connection.server.tls_required => {
                return Err(self.refused("the server requires TLS: say whom to trust with --tls-ca"));
            }
            None => {}
        }
        let mut hello = self.connect_line(name);
        hello.extend_from_slice(first_lines);
        hello.extend_from_slice(b"PING\r\n");
        connection.stream.write_all(&hello).map_err(failed)?;
        self.await_event(&mut connection, buffer, Awaited::Pong)?;
        Ok(connection)
    }

    /// Connects, logs in, waits until the server has answered, and leaves.
    ///
    /// # Errors
    /// As [`Target::dial`].
    pub fn visit(&self, name: &str) -> Result<(), BenchError> {
        let mut buffer = vec![0; Reader::BUFFER_BYTES_MIN];
        self.dial(name, None, b"", &mut buffer).map(drop)
    }

    /// Sends `lines` with a `PING` behind and waits for the `PONG`: the server has dealt with the lines.
    ///
    /// # Errors
    /// As [`Target::dial`].
    pub fn send_and_confirm(
        &self,
        connection: &mut Connection,
        buffer: &mut [u8],
        lines: &mut Vec<u8>,
    ) -> Result<(), BenchError> {
        lines.extend_from_slice(b"PING\r\n");
        connection
            .stream
            .write_all(lines)
            .map_err(|source| BenchError::Connect { address: self.address.clone(), source })?;
        self.await_event(connection, buffer, Awaited::Pong)
    }

    fn open(&self, source: Option<IpAddr>) -> io::Result<TcpStream> {
        let mut last = None;
        for &socket in &self.sockets {
            match connect_one(socket, source) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable)))
    }

    fn connect_line(&self, name: &str) -> Vec<u8> {
        let options = ConnectOptions {
            verbose: false,
            pedantic: false,
            tls_required: self.tls.is_some(),
            name,
            lang: "petrel-bench",
            version: env!("CARGO_PKG_VERSION"),
            protocol: 1,
            echo: true,
            headers: true,
            no_responders: true,
            user: self.credentials.user.as_deref(),
            pass: self.credentials.password.as_deref(),
            auth_token: self.credentials.token.as_deref(),
        };
        let json = serde_json::to_string(&options).expect("plain strings and flags encode");
        format!("CONNECT {json}\r\n").into_bytes()
    }

    fn await_event(
        &self,
        connection: &mut Connection,
        buffer: &mut [u8],
        awaited: Awaited,
    ) -> Result<(), BenchError> {
        let mut seen = false;
        while !seen {
            let kept = connection.reader.restore(buffer);
            let count = match connection.stream.read(&mut buffer[kept..]) {
                Ok(0) => return Err(self.refused("it closed the connection during the handshake")),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(self.refused("it did not answer the handshake in time"));
                }
                Err(source) => return Err(BenchError::Connect { address: self.address.clone(), source }),
            };
            let (server, mut pings) = (&mut connection.server, 0);
            connection.reader.consume(&buffer[..kept + count], |event| {
                match event {
                    Event::Info(json) => {
                        *server = serde_json::from_slice(json)
                            .map_err(|error| BenchError::Framing(format!("INFO is not JSON: {error}")))?;
                        seen |= awaited == Awaited::Info;
                    }
                    Event::Pong => seen |= awaited == Awaited::Pong,
                    Event::Ping => pings += 1,
                    Event::Error(text) => return Err(self.refused(&String::from_utf8_lossy(text))),
                    Event::Ok | Event::Message(_) => {}
                }
                Ok(())
            })?;
            for _ in 0..pings {
                connection
                    .stream
                    .write_all(b"PONG\r\n")
                    .map_err(|source| BenchError::Connect { address: self.address.clone(), source })?;
            }
        }
        Ok(())
    }

    fn refused(&self, text: &str) -> BenchError {
        BenchError::Refused { address: self.address.clone(), text: text.to_owned() }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Awaited {
    Info,
    Pong,
}

fn connect_one(socket: SocketAddr, source: Option<IpAddr>) -> io::Result<TcpStream> {
    let Some(source) = source else { return TcpStream::connect_timeout(&socket, HANDSHAKE_TIMEOUT) };
    let stream = Socket::new(Domain::for_address(socket), Type::STREAM, None)?;
    stream.bind(&SocketAddr::new(source, 0).into())?;
    stream.connect_timeout(&socket.into(), HANDSHAKE_TIMEOUT)?;
    Ok(stream.into())
}

fn split_address(address: &str) -> Result<(String, u16), BenchError> {
    let bad =
        || BenchError::Usage(format!("{address:?} is not an address like 127.0.0.1:4222 or [::1]:4222"));
    let rest = address.strip_prefix("nats://").unwrap_or(address);
    let (host, port) = if let Some(inside) = rest.strip_prefix('[') {
        let (host, after) = inside.split_once(']').ok_or_else(bad)?;
        (host, if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(bad)?) })
    } else if rest.matches(':').count() > 1 {
        (rest, None)
    } else {
        rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() {
        return Err(bad());
    }
    let port = port.map_or(Ok(DEFAULT_PORT), str::parse).map_err(|_| bad())?;
    Ok((host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_every_form() {
        let split = |address| split_address(address).expect("an address");
        assert_eq!(split("localhost"), ("localhost".to_owned(), 4222));
        assert_eq!(split("nats://10.0.0.1:5000"), ("10.0.0.1".to_owned(), 5000));
        assert_eq!(split("[::1]:4333"), ("::1".to_owned(), 4333));
        assert_eq!(split("[fe80::1]"), ("fe80::1".to_owned(), 4222));
        assert_eq!(split("::1"), ("::1".to_owned(), 4222));
        for bad in ["", ":4222", "host:port", "[::1]4222", "host:70000"] {
            assert!(split_address(bad).is_err(), "{bad}");
        }
    }
}
