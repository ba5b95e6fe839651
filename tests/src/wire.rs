//! One connection to a server, byte by byte.

mod expect;

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, SockRef, Socket, Type};

use crate::pattern::readable;
use crate::{PATIENCE, Random};

/// How the bytes of one [`Wire::send`] are cut into writes.
#[derive(Clone, Debug)]
pub enum Split {
    /// One write.
    Whole,
    /// A write for each byte.
    Bytes,
    /// Writes of random sizes, with short pauses now and then.
    Chunks(Random),
}

/// An expectation that did not come true, with what was there instead.
#[derive(Debug)]
pub struct Mismatch(pub String);

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a read of the socket brought.
#[derive(PartialEq)]
enum Fill {
    Bytes,
    Nothing,
    Closed,
}

/// A plain TCP connection. What arrives is kept until an expectation takes it, so that bytes that nobody expected
/// make the next expectation fail.
///
/// A PING of the server that no expectation asks for is answered and skipped, unless [`Wire::set_pings_shown`] says
/// otherwise: it comes at a time of the server's choice.
pub struct Wire {
    stream: TcpStream,
    /// What arrived; the first `taken` bytes of it were expected and are done with.
    arrived: Vec<u8>,
    taken: usize,
    closed: bool,
    split: Split,
    pings_shown: bool,
    /// What was expected last, where further copies of it may follow at any time until something else comes.
    repeated: Vec<u8>,
}

impl Wire {
    /// Connects and keeps everything, the INFO line included, for the expectations.
    ///
    /// # Errors
    ///
    /// Those of connecting.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        Self::from_stream(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    fn from_stream(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream,
            arrived: Vec::new(),
            taken: 0,
            closed: false,
            split: Split::Whole,
            pings_shown: false,
            repeated: Vec::new(),
        })
    }

    /// As [`Wire::open`], with a receive buffer of about `buffer_bytes`, or as small as the system permits: a
    /// connection that soon takes nothing more when it is not read.
    ///
    /// # Errors
    ///
    /// Those of connecting.
    pub fn open_narrow(address: SocketAddr, buffer_bytes: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
        // Only before connecting does the size decide on the window that is announced.
        socket.set_recv_buffer_size(buffer_bytes)?;
        socket.connect(&address.into())?;
        Self::from_stream(socket.into())
    }

    /// Connects, takes the INFO line, sends `CONNECT` with `options` (a JSON object) and waits until it took effect.
    ///
    /// # Panics
    ///
    /// When any of it fails.
    #[track_caller]
    pub fn connect(address: SocketAddr, options: &str) -> Self {
        let mut wire = Self::open(address).expect("the server accepts a connection");
        wire.introduce(options);
        wire
    }

    /// Takes the INFO line, sends `CONNECT` with `options` (a JSON object) and waits until it took effect.
    ///
    /// # Panics
    ///
    /// When any of it fails.
    #[track_caller]
    pub fn introduce(&mut self, options: &str) {
        self.take_info();
        self.send(format!("CONNECT {options}\r\n"));
        self.sync();
    }

    /// As [`Wire::connect`] with the options of a usual client: not verbose, not pedantic, headers and no responders.
    #[track_caller]
    pub fn client(address: SocketAddr) -> Self {
        Self::connect(address, r#"{"verbose":false,"pedantic":false,"headers":true,"no_responders":true}"#)
    }

    /// Sets how the following sends are cut into writes.
    pub fn set_split(&mut self, split: Split) {
        self.split = split;
    }

    /// Sets whether the PINGs of the server have to be expected like all else, instead of being answered and skipped.
    pub fn set_pings_shown(&mut self, shown: bool) {
        self.pings_shown = shown;
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of asking the socket.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Sends `bytes`. A server that has closed the connection meanwhile is no failure here: what the server said, and
    /// that it closed, is what the next expectation is about.
    ///
    /// # Panics
    ///
    /// When the bytes cannot be written for another reason, such as a server that does not read any more.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        if let Err(mismatch) = self.try_send(bytes.as_ref()) {
            panic!("{mismatch}");
        }
    }

    /// As [`Wire::send`], with the failure as a value.
    ///
    /// # Errors
    ///
    /// When the bytes cannot be written although the server has not closed.
    pub fn try_send(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let length = match &mut self.split {
                Split::Whole => rest.len(),
                Split::Bytes => 1,
                Split::Chunks(random) => {
                    if random.below(8) == 0 {
                        std::thread::sleep(Duration::from_micros(random.below(1500) as u64));
                    }
                    1 + random.below(rest.len().min(64))
                }
            };
            match self.stream.write_all(&rest[..length]) {
                Ok(()) => rest = &rest[length..],
                Err(error) if is_close(&error) => return Ok(()),
                Err(error) => return Err(Mismatch(format!("sending {}: {error}", readable(rest)))),
            }
        }
        Ok(())
    }

    /// Ends this direction; the server may go on sending.
    pub fn half_close(&mut self) {
        // The server may have closed already, which is as good.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection with a reset instead of an orderly end.
    ///
    /// # Panics
    ///
    /// When the socket does not take the option.
    pub fn reset(self) {
        SockRef::from(&self.stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER can be set");
    }

    fn rest(&self) -> &[u8] {
        &self.arrived[self.taken..]
    }

    fn take(&mut self, count: usize) {
        self.taken += count;
        assert!(self.taken <= self.arrived.len(), "more taken than arrived");
    }

    /// Reads once, waiting at most `patience`.
    fn fill(&mut self, patience: Duration) -> Fill {
        if self.closed {
            return Fill::Closed;
        }
        let patience = patience.max(Duration::from_millis(1));
        self.stream.set_read_timeout(Some(patience)).expect("a timeout above zero");
        self.arrived.drain(..self.taken);
        self.taken = 0;
        let mut buffer = [0; 64 * 1024];
        match self.stream.read(&mut buffer) {
            Ok(0) => self.closed = true,
            Ok(count) => {
                self.arrived.extend_from_slice(&buffer[..count]);
                return Fill::Bytes;
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Fill::Nothing;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => return Fill::Bytes,
            Err(error) if is_close(&error) => self.closed = true,
            Err(error) => panic!("reading from the server: {error}"),
        }
        Fill::Closed
    }
}

/// True for errors that say that the other end is gone.
fn is_close(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
    )
}
