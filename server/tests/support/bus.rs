//! A client that takes messages apart, for requests to the system account and its events.

use super::{PATIENCE, Server};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A message that was received.
#[derive(Clone, Debug)]
pub struct Received {
    pub subject: String,
    /// Headers with their first line; empty: none.
    pub headers: String,
    pub body: Vec<u8>,
}

impl Received {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }
}

/// A connection that has logged in.
pub struct Bus {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The first INFO, and what came later.
    pub info: serde_json::Value,
    received: Vec<Received>,
    pongs: usize,
    requests: usize,
    /// The server has closed.
    pub ended: bool,
}

impl Bus {
    /// Logs in; `None`: without credentials.
    pub fn connect(server: &Server, user: Option<(&str, &str)>, name: &str) -> Bus {
        let stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
        let mut bus = Bus {
            stream,
            buffer: Vec::new(),
            info: serde_json::Value::Null,
            received: Vec::new(),
            pongs: 0,
            requests: 0,
            ended: false,
        };
        let credentials =
            user.map(|(user, pass)| format!(",\"user\":\"{user}\",\"pass\":\"{pass}\"")).unwrap_or_default();
        bus.send(&format!(
            "CONNECT {{\"verbose\":false,\"pedantic\":false,\"protocol\":1,\"headers\":true,\"no_responders\":true,\
             \"lang\":\"rust\",\"version\":\"1\",\"name\":\"{name}\"{credentials}}}\r\n"
        ));
        bus.flush();
        bus
    }

    /// Sends protocol lines.
    pub fn send(&mut self, text: &str) {
        // The server may have closed already.
        let _ = self.stream.write_all(text.as_bytes());
    }

    /// Subscribes.
    pub fn subscribe(&mut self, subject: &str, sid: &str) {
        self.send(&format!("SUB {subject} {sid}\r\n"));
    }

    /// Waits until the server has worked off everything, or has closed.
    pub fn flush(&mut self) {
        let wanted = self.pongs + 1;
        self.send("PING\r\n");
        let end = Instant::now() + PATIENCE;
        while self.pongs < wanted && !self.ended {
            assert!(Instant::now() < end, "no PONG");
            self.read(Duration::from_millis(100));
        }
    }

    /// Sends a request and waits for one answer; `None` when none comes.
    pub fn request_with(&mut self, subject: &str, headers: &str, body: &str) -> Option<Received> {
        self.requests += 1;
        let inbox = format!("_INBOX.{}", self.requests);
        self.subscribe(&inbox, &format!("r{}", self.requests));
        if headers.is_empty() {
            self.send(&format!("PUB {subject} {inbox} {}\r\n{body}\r\n", body.len()));
        } else {
            let block = format!("NATS/1.0\r\n{headers}\r\n\r\n");
            let total = block.len() + body.len();
            self.send(&format!("HPUB {subject} {inbox} {} {total}\r\n{block}{body}\r\n", block.len()));
        }
        let found = self.wait_for(|message| message.subject == inbox, PATIENCE);
        self.send(&format!("UNSUB r{}\r\n", self.requests));
        found
    }

    /// Whether a request to the system account gets no answer: one that was sent behind it is answered, and requests
    /// are worked off in their order.
    pub fn is_silent(&mut self, subject: &str, body: &str) -> bool {
        self.subscribe("_INBOX.silent", "silent");
        self.send(&format!("PUB {subject} _INBOX.silent {}\r\n{body}\r\n", body.len()));
        self.request("$SYS.REQ.SERVER.PING.IDZ", "");
        self.send("UNSUB silent\r\n");
        self.wait_for(|message| message.subject == "_INBOX.silent", Duration::ZERO).is_none()
    }

    /// The answer to a request that is answered.
    pub fn request(&mut self, subject: &str, body: &str) -> Received {
        self.request_with(subject, "", body).unwrap_or_else(|| panic!("no answer to {subject} {body}"))
    }

    /// Takes the first message that fits, as soon as it has come.
    pub fn wait_for(&mut self, fits: impl Fn(&Received) -> bool, patience: Duration) -> Option<Received> {
        let end = Instant::now() + patience;
        loop {
            if let Some(index) = self.received.iter().position(&fits) {
                return Some(self.received.remove(index));
            }
            if Instant::now() >= end || self.ended {
                return None;
            }
            self.read(Duration::from_millis(50));
        }
    }

    /// The next message on a subject.
    pub fn event(&mut self, subject: &str) -> serde_json::Value {
        self.event_where(subject, |_| true)
    }

    /// The next message on a subject that fits; others stay.
    pub fn event_where(
        &mut self,
        subject: &str,
        fits: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        let found = self.wait_for(|message| message.subject == subject && fits(&message.json()), PATIENCE);
        found.unwrap_or_else(|| panic!("nothing that fits on {subject}")).json()
    }

    /// Waits until the server closes.
    pub fn wait_for_end(&mut self) {
        let end = Instant::now() + PATIENCE;
        while !self.ended {
            assert!(Instant::now() < end, "still connected");
            self.read(Duration::from_millis(100));
        }
    }

    fn read(&mut self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        let mut bytes = [0; 65536];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.ended = true,
            Ok(count) => self.buffer.extend_from_slice(&bytes[..count]),
            Err(error)
                if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => self.ended = true,
        }
        while self.take_line() {}
    }

    /// Takes one operation out of the buffer, if it is whole.
    fn take_line(&mut self) -> bool {
        let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\r\n") else { return false };
        let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
        let words: Vec<&str> = line.split(' ').collect();
        let mut used = end + 2;
        match words[0] {
            "MSG" | "HMSG" => {
                let total: usize = words[words.len() - 1].parse().unwrap();
                if self.buffer.len() < used + total + 2 {
                    return false;
                }
                let header_bytes: usize =
                    if words[0] == "HMSG" { words[words.len() - 2].parse().unwrap() } else { 0 };
                let (headers, body) = self.buffer[used..used + total].split_at(header_bytes);
                self.received.push(Received {
                    subject: words[1].to_owned(),
                    headers: String::from_utf8_lossy(headers).into_owned(),
                    body: body.to_vec(),
                });
                used += total + 2;
            }
            "PONG" => self.pongs += 1,
            "PING" => self.send("PONG\r\n"),
            "INFO" => self.info = serde_json::from_str(&line[5..]).unwrap(),
            _ => {}
        }
        self.buffer.drain(..used);
        true
    }
}
