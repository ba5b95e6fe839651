//! One connection within the event loop of a worker.

use std::io::{self, Read, Write};

use mio::net::TcpStream;

use super::connection::Connection;
use super::error::BenchError;
use super::reader::{Event, Reader};
use super::role::publisher::Pumped;
use super::role::{Context, Role};
use super::wire::Wire;

/// A connection, what it does, and what epoll last said about it (edge-triggered, so it must be kept).
pub struct Peer {
    /// The socket, for registration.
    pub stream: Wire<TcpStream>,
    /// What it does.
    pub role: Role,
    /// Which of its kind it is, from 0.
    pub number: usize,
    /// More may be read.
    pub readable: bool,
    /// More may be written.
    pub writable: bool,
    /// The other side has closed its direction: read on until the end shows.
    pub read_closed: bool,
    /// Stands in the worker's list of connections to serve.
    pub queued: bool,
    reader: Reader,
    output: Vec<u8>,
    /// Bytes of `output` that are written already.
    output_written: usize,
    last_error: String,
}

impl Peer {
    /// Takes over a connection behind its handshake.
    ///
    /// # Errors
    /// What the system says to making it non-blocking.
    pub fn new(connection: Connection, role: Role, number: usize) -> io::Result<Self> {
        connection.stream.socket.set_nonblocking(true)?;
        Ok(Self {
            stream: connection.stream.map(TcpStream::from_std),
            role,
            number,
            readable: false,
            writable: true,
            read_closed: false,
            queued: false,
            reader: connection.reader,
            output: Vec::new(),
            output_written: 0,
            last_error: String::new(),
        })
    }

    /// Reads once and lets the role deal with what arrived.
    ///
    /// # Errors
    /// [`BenchError::Closed`], [`BenchError::Server`], [`BenchError::Framing`] and what the role finds.
    pub fn read(&mut self, buffer: &mut [u8], context: &mut Context<'_>) -> Result<(), BenchError> {
        let kept = self.reader.restore(buffer);
        let room = buffer.len() - kept;
        let count = match self.stream.read(&mut buffer[kept..]) {
            Ok(0) => return Err(self.closed()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                0
            }
            Err(error) => {
                self.last_error = error.to_string();
                return Err(self.closed());
            }
        };
        if count < room && !self.read_closed && self.stream.tells_by_short_reads() {
            // A short read has emptied the socket; the next edge tells of more.
            self.readable = false;
        }
        context.now_ns = super::clock::monotonic_ns();
        self.consume(&buffer[..kept + count], context)
    }

    fn consume(&mut self, bytes: &[u8], context: &mut Context<'_>) -> Result<(), BenchError> {
        let Self { role, reader, output, last_error, .. } = self;
        match role {
            Role::Subscriber(subscriber) => {
                reader.consume(bytes, |event| {
                    if let Event::Message(message) = &event {
                        subscriber.on_message(message, context);
                        return Ok(());
                    }
                    control(&event, output, last_error);
                    Ok(())
                })?;
                subscriber.publish(context);
            }
            Role::Publisher(publisher) => reader.consume(bytes, |event| {
                if matches!(event, Event::Pong) {
                    publisher.on_pong(context);
                }
                control(&event, output, last_error);
                Ok(())
            })?,
            Role::Requester(requester) => reader.consume(bytes, |event| {
                if let Event::Message(message) = &event {
                    return requester.on_message(message, output, context);
                }
                control(&event, output, last_error);
                Ok(())
            })?,
            Role::Responder(responder) => reader.consume(bytes, |event| {
                if let Event::Message(message) = &event {
                    responder.on_message(message, output);
                }
                control(&event, output, last_error);
                Ok(())
            })?,
            Role::Churner(_) => reader.consume(bytes, |event| {
                control(&event, output, last_error);
                Ok(())
            })?,
        }
        if last_error.is_empty() { Ok(()) } else { Err(self.reported()) }
    }

    /// Writes what waits, as far as the socket takes it.
    ///
    /// # Errors
    /// [`BenchError::Closed`] when the server has closed the connection.
    pub fn flush(&mut self) -> Result<(), BenchError> {
        if let Role::Publisher(publisher) = &self.role
            && !publisher.is_between_messages()
        {
            return Ok(());
        }
        while self.writable && !self.output.is_empty() {
            match self.stream.write(&self.output[self.output_written..]) {
                Ok(count) => self.output_written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
                Err(error) => return Err(self.write_failed(&error)),
            }
            if self.output_written == self.output.len() {
                self.output.clear();
                self.output_written = 0;
            }
        }
        match self.stream.flush() {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.writable = false,
            Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(self.write_failed(&error)),
            _ => {}
        }
        Ok(())
    }

    /// Lets a publisher write once. Returns whether it wants another turn at once.
    ///
    /// # Errors
    /// [`BenchError::Closed`] when the server has closed the connection.
    pub fn pump(&mut self, context: &mut Context<'_>) -> Result<bool, BenchError> {
        self.flush()?;
        let Role::Publisher(publisher) = &mut self.role else { return Ok(false) };
        if !self.writable && !publisher.is_scheduled() {
            return Ok(false);
        }
        match publisher.pump(&mut self.stream, &mut self.output, context) {
            Ok(Pumped::More) => Ok(true),
            Ok(Pumped::Full) => {
                self.writable = false;
                Ok(false)
            }
            Ok(Pumped::Idle) => self.flush().map(|()| false),
            Err(error) => Err(self.write_failed(&error)),
        }
    }

    /// The run begins: schedules count from now, requesters send their first request.
    ///
    /// # Errors
    /// [`BenchError::Closed`] when the server has closed the connection.
    pub fn begin(&mut self, context: &mut Context<'_>) -> Result<(), BenchError> {
        match &mut self.role {
            Role::Publisher(publisher) => publisher.begin(context.now_ns),
            Role::Requester(requester) => requester.begin(context.now_ns),
            Role::Churner(churner) => churner.begin(context.now_ns),
            Role::Subscriber(_) | Role::Responder(_) => {}
        }
        self.fire(context)
    }

    /// Lets the role send what is due, if it is one with a time of its own.
    ///
    /// # Errors
    /// [`BenchError::Closed`] when the server has closed the connection.
    pub fn fire(&mut self, context: &mut Context<'_>) -> Result<(), BenchError> {
        match &mut self.role {
            Role::Requester(requester) => requester.send_if_due(&mut self.output, context),
            Role::Churner(churner) => churner.send_due(&mut self.output, context),
            Role::Publisher(_) | Role::Subscriber(_) | Role::Responder(_) => {}
        }
        self.flush()
    }

    /// When to call [`Peer::fire`] (or [`Peer::pump`] of a publisher) next.
    pub fn next_due_ns(&self) -> Option<u64> {
        match &self.role {
            Role::Publisher(publisher) => publisher.next_due_ns(),
            Role::Requester(requester) => requester.next_due_ns(),
            Role::Churner(churner) => churner.next_due_ns(),
            Role::Subscriber(_) | Role::Responder(_) => None,
        }
    }

    /// Gives a sender its share of a counted run.
    pub fn set_quota(&mut self, messages: u64) {
        match &mut self.role {
            Role::Publisher(publisher) => publisher.set_quota(messages),
            Role::Requester(requester) => requester.set_quota(messages),
            Role::Churner(_) | Role::Subscriber(_) | Role::Responder(_) => {}
        }
    }

    /// Ends the sending.
    ///
    /// # Errors
    /// [`BenchError::Closed`] when the server has closed the connection.
    pub fn stop(&mut self, context: &mut Context<'_>) -> Result<(), BenchError> {
        match &mut self.role {
            Role::Publisher(publisher) => publisher.stop(&mut self.output),
            Role::Requester(requester) => requester.stop(context),
            Role::Churner(churner) => churner.stop(),
            Role::Subscriber(_) | Role::Responder(_) => {}
        }
        self.flush()
    }

    /// Reads away what a stopped receiver left, and tells whether the server had closed it.
    pub fn is_closed_behind(&mut self, buffer: &mut [u8]) -> bool {
        loop {
            match self.stream.read(buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return error.kind() != io::ErrorKind::WouldBlock,
            }
        }
    }

    fn closed(&self) -> BenchError {
        BenchError::Closed { role: self.role.name(), number: self.number, text: self.last_error.clone() }
    }

    fn reported(&self) -> BenchError {
        BenchError::Server { role: self.role.name(), number: self.number, text: self.last_error.clone() }
    }

    /// The server may have said why before it closed: what can still be read is looked at.
    fn write_failed(&mut self, error: &io::Error) -> BenchError {
        let mut buffer = vec![0; Reader::BUFFER_BYTES_MIN];
        let kept = self.reader.restore(&mut buffer);
        if let Ok(count) = self.stream.read(&mut buffer[kept..]) {
            let (output, last_error) = (&mut self.output, &mut self.last_error);
            let _ = self.reader.consume(&buffer[..kept + count], |event| {
                control(&event, output, last_error);
                Ok(())
            });
        }
        if self.last_error.is_empty() {
            self.last_error = error.to_string();
        }
        self.closed()
    }
}

/// Deals with what is not a message: answers `PING`, keeps the text of an error.
fn control(event: &Event<'_>, output: &mut Vec<u8>, last_error: &mut String) {
    match event {
        Event::Ping => output.extend_from_slice(b"PONG\r\n"),
        Event::Error(text) => *last_error = String::from_utf8_lossy(text).into_owned(),
        Event::Pong | Event::Ok | Event::Info(_) | Event::Message(_) => {}
    }
}
