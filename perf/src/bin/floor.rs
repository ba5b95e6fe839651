//! The floor under a figure: the least that a server can do for a load of `petrel bench` and still deliver.
//!
//! One thread, one epoll set, a read and a write for each socket that has something. It knows literal subjects, a
//! wildcard for the last token, and subscriptions without queue groups, trusts its clients, and has no limits, permissions, counters, timers or
//! monitoring; a client that does not read stops it. What a server with features costs beyond this is its own; what this
//! costs is the kernel's, and no server that takes its messages from sockets gets below.
//!
//! Run it in a server's place: `perf/compare --petrel target/release/floor --scenario request-1 --scenario request-50`.

#![forbid(unsafe_code)]
// They panic when nobody reads any more.
#![deny(clippy::print_stdout, clippy::print_stderr)]

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;

use anyhow::{Context, Result};
use clap::Parser;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

const INFO: &[u8] =
    b"INFO {\"server_id\":\"FLOOR\",\"server_name\":\"floor\",\"version\":\"0.0.0\",\"proto\":1,\"headers\":true,\"max_payload\":1048576}\r\n";
const LISTENER: Token = Token(usize::MAX);
const READ_BYTES: usize = 64 * 1024;
const EVENTS_MAX: usize = 1024;

/// The bare server under the figures of perf/compare.
#[derive(Parser)]
#[command(name = "floor")]
struct CommandLine {
    /// Address to listen on
    #[arg(short = 'a', default_value = "127.0.0.1")]
    address: String,
    /// Port to listen on
    #[arg(short = 'p', default_value_t = 4222)]
    port: u16,
}

/// A connection.
struct Client {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    is_touched: bool,
}

/// Who gets a subject's messages: the client, and its number for the subscription.
type Receivers = Vec<(usize, Vec<u8>)>;

struct Floor {
    clients: Vec<Option<Client>>,
    subjects: HashMap<Vec<u8>, Receivers>,
    touched: Vec<usize>,
}

fn main() -> Result<()> {
    let line = CommandLine::parse();
    let address: SocketAddr = format!("{}:{}", line.address, line.port).parse().context("the address")?;
    let mut listener = TcpListener::bind(address).with_context(|| format!("{address}"))?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let mut floor = Floor { clients: Vec::new(), subjects: HashMap::new(), touched: Vec::new() };
    let mut events = Events::with_capacity(EVENTS_MAX);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error.into()),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => floor.accept(&listener, &poll)?,
                Token(client) => floor.read(client),
            }
        }
        floor.write_all();
    }
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> Result<()> {
        while let Ok((mut stream, _)) = listener.accept() {
            stream.set_nodelay(true)?;
            poll.registry().register(&mut stream, Token(self.clients.len()), Interest::READABLE)?;
            let client = Client { stream, input: Vec::new(), output: INFO.to_vec(), is_touched: true };
            self.touched.push(self.clients.len());
            self.clients.push(Some(client));
        }
        Ok(())
    }

    /// Reads what there is, as edges want it.
    fn read(&mut self, key: usize) {
        let mut bytes = [0; READ_BYTES];
        loop {
            let Some(client) = &mut self.clients[key] else { return };
            let count = match client.stream.read(&mut bytes) {
                Ok(count) if count > 0 => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                _ => return self.forget(key),
            };
            let mut input = std::mem::take(&mut client.input);
            if input.is_empty() {
                let used = self.work(key, &bytes[..count]);
                input.extend_from_slice(&bytes[used..count]);
            } else {
                input.extend_from_slice(&bytes[..count]);
                let used = self.work(key, &input);
                input.drain(..used);
            }
            let Some(client) = &mut self.clients[key] else { return };
            client.input = input;
            if count < READ_BYTES {
                return;
            }
        }
    }

    /// Carries out the whole verbs that the bytes begin with. Returns how many bytes they are.
    fn work(&mut self, key: usize, bytes: &[u8]) -> usize {
        let mut done = 0;
        while let Some(end) = bytes[done..].iter().position(|byte| *byte == b'\n') {
            let line = bytes[done..done + end].trim_ascii_end();
            let behind = done + end + 1;
            let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
            match words.next() {
                Some(b"PUB") => {
                    let (Some(subject), second, third) = (words.next(), words.next(), words.next()) else {
                        break;
                    };
                    let (reply, size) = if third.is_some() { (second, third) } else { (None, second) };
                    let size = size.and_then(|text| std::str::from_utf8(text).ok()?.parse::<usize>().ok());
                    let Some(payload) = bytes.get(behind..behind + size.unwrap_or(0) + 2) else { break };
                    self.deliver(subject, reply, payload);
                    done = behind + payload.len();
                    continue;
                }
                Some(b"SUB") => {
                    if let (Some(subject), Some(number)) = (words.next(), words.next()) {
                        self.subjects.entry(subject.to_vec()).or_default().push((key, number.to_vec()));
                    }
                }
                Some(b"PING") => self.append(key, &[b"PONG\r\n"]),
                _ => {}
            }
            done = behind;
        }
        done
    }

    /// Appends a message to the output of everyone who wants it. `payload` ends with its line end.
    fn deliver(&mut self, subject: &[u8], reply: Option<&[u8]>, payload: &[u8]) {
        let wildcard: Vec<u8>;
        let pattern = if self.subjects.contains_key(subject) {
            subject
        } else {
            let last = subject.iter().rposition(|byte| *byte == b'.').map_or(0, |dot| dot + 1);
            wildcard = [&subject[..last], b"*"].concat();
            &wildcard
        };
        let Some((pattern, receivers)) = self.subjects.remove_entry(pattern) else { return };
        let size = (payload.len() - 2).to_string();
        let (reply, gap): (&[u8], &[u8]) = reply.map_or((b"", b""), |reply| (reply, b" "));
        for (key, number) in &receivers {
            let parts: [&[u8]; 10] =
                [b"MSG ", subject, b" ", number, b" ", reply, gap, size.as_bytes(), b"\r\n", payload];
            self.append(*key, &parts);
        }
        self.subjects.insert(pattern, receivers);
    }

    fn append(&mut self, key: usize, parts: &[&[u8]]) {
        let Some(client) = &mut self.clients[key] else { return };
        for part in parts {
            client.output.extend_from_slice(part);
        }
        if !client.is_touched {
            client.is_touched = true;
            self.touched.push(key);
        }
        if client.output.len() >= READ_BYTES {
            self.write(key);
        }
    }

    fn write_all(&mut self) {
        for key in std::mem::take(&mut self.touched) {
            if let Some(client) = &mut self.clients[key] {
                client.is_touched = false;
            }
            self.write(key);
        }
    }

    /// Writes all of a client's output, however long that takes.
    fn write(&mut self, key: usize) {
        let Some(client) = &mut self.clients[key] else { return };
        let mut written = 0;
        while written < client.output.len() {
            match client.stream.write(&client.output[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::yield_now(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.forget(key),
            }
        }
        client.output.clear();
    }

    fn forget(&mut self, key: usize) {
        self.clients[key] = None;
        for receivers in self.subjects.values_mut() {
            receivers.retain(|(receiver, _)| *receiver != key);
        }
    }
}
