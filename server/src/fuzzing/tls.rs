//! The channel of TLS, with a real client at its other end.

use crate::tls::channels;
use petrel_engine::transport::{Handshake, SecureChannel, SecureChannels};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};
use std::io::{Read, Write};
use std::sync::Arc;

/// What a client and a server do with each other, two bytes a step: what, and how much. The first byte chooses the
/// version.
///
/// Checked: whatever arrives, in whatever pieces, what is opened is what the other end has sealed so far, from its first
/// byte on; all of it when nobody touched what was on its way; and bytes that are not of the client are never taken for
/// its own.
pub fn tls_channel(input: &[u8]) {
    let Some((version, steps)) = input.split_first() else { return };
    let Some(mut pair) = Pair::new(version % 2 == 1) else { return };
    let mut steps = steps.iter().copied();
    while let (Some(what), Some(amount)) = (steps.next(), steps.next()) {
        pair.step(what, usize::from(amount));
    }
    pair.finish();
}

/// The byte at a place of everything that an end says.
fn said(place: usize) -> u8 {
    (place % 251) as u8
}

struct Pair {
    server: Box<dyn SecureChannel>,
    client: ClientConnection,
    /// What is on its way to the server.
    pipe: Vec<u8>,
    /// What is on its way to the client.
    answers: Vec<u8>,
    scratch: Vec<u8>,
    /// Bytes that an end has sealed and the other has opened.
    client_said: usize,
    server_heard: usize,
    server_said: usize,
    client_heard: usize,
    is_open: bool,
    has_failed: bool,
    client_has_ended: bool,
    is_tampered: bool,
}

impl Pair {
    fn new(is_old: bool) -> Option<Pair> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).ok()?;
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let channels = channels(cert.der().clone(), key.into())?;
        // The certificate signs itself, so who trusts it knows this server.
        let mut roots = RootCertStore::empty();
        roots.add(cert.der().clone()).ok()?;
        let versions = if is_old { &[&rustls::version::TLS12] } else { &[&rustls::version::TLS13] };
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
        let builder = builder.with_protocol_versions(versions).ok()?;
        let config = builder.with_root_certificates(roots);
        let name = ServerName::try_from("localhost").ok()?;
        let client = ClientConnection::new(Arc::new(config.with_no_client_auth()), name).ok()?;
        Some(Pair {
            server: channels.channel().ok()?,
            client,
            pipe: Vec::new(),
            answers: Vec::new(),
            scratch: Vec::new(),
            client_said: 0,
            server_heard: 0,
            server_said: 0,
            client_heard: 0,
            is_open: false,
            has_failed: false,
            client_has_ended: false,
            is_tampered: false,
        })
    }

    fn step(&mut self, what: u8, amount: usize) {
        match what % 10 {
            0 | 1 => self.deliver(amount),
            2 => self.deliver(self.pipe.len()),
            3 => self.client_says(amount * 37),
            4 => self.server_says(amount * 149),
            5 => {
                self.client.send_close_notify();
                self.client_has_ended = true;
            }
            6 if !self.pipe.is_empty() => {
                let place = amount % self.pipe.len();
                self.pipe[place] ^= 1 << (amount % 8);
                self.is_tampered = true;
            }
            // Verbs in clear, at any place.
            7 => {
                let place = amount.min(self.pipe.len());
                self.pipe.splice(place..place, *b"PUB a 1\r\nx\r\n");
                self.is_tampered = true;
            }
            8 => {
                let end = amount.min(self.pipe.len());
                self.is_tampered |= end > 0;
                self.pipe.drain(..end);
            }
            9 => {
                // New keys in the middle; before the handshake there are none.
                let _ = self.client.refresh_traffic_keys();
            }
            _ => {}
        }
        self.client_writes();
    }

    fn client_says(&mut self, bytes: usize) {
        if self.client.is_handshaking() || self.client_has_ended || self.has_failed {
            return;
        }
        let text: Vec<u8> = (self.client_said..self.client_said + bytes).map(said).collect();
        // It may have sent its farewell, or have no room.
        let written = self.client.writer().write(&text).unwrap_or(0);
        self.client_said += written;
    }

    fn client_writes(&mut self) {
        while self.client.wants_write() {
            if self.client.write_tls(&mut self.pipe).is_err() {
                break;
            }
        }
    }

    fn server_says(&mut self, bytes: usize) {
        if !self.is_open || self.has_failed {
            return;
        }
        let text: Vec<u8> = (self.server_said..self.server_said + bytes).map(said).collect();
        if self.server.seal(&text, &mut self.answers).is_ok() {
            self.server_said += bytes;
        } else {
            self.has_failed = true;
        }
        self.client_reads();
    }

    /// The next bytes of the pipe arrive.
    fn deliver(&mut self, bytes: usize) {
        let arrived: Vec<u8> = self.pipe.drain(..bytes.min(self.pipe.len())).collect();
        if arrived.is_empty() || self.has_failed {
            return;
        }
        if self.is_open {
            self.open(&arrived);
        } else {
            match self.server.handshake(&arrived, &mut self.answers) {
                Ok(Handshake::Pending) => {}
                Ok(Handshake::Complete(_)) => {
                    self.is_open = true;
                    // What came behind the handshake.
                    self.open(&[]);
                }
                Err(error) => {
                    assert!(self.is_tampered || self.client_has_ended, "{error}");
                    self.has_failed = true;
                }
            }
        }
        self.client_reads();
    }

    fn open(&mut self, arrived: &[u8]) {
        let mut plain = Vec::new();
        let opened = self.server.open(arrived, &mut self.scratch, &mut plain, &mut self.answers);
        for byte in &plain {
            assert_eq!(*byte, said(self.server_heard), "byte {} of the client", self.server_heard);
            self.server_heard += 1;
        }
        assert!(self.server_heard <= self.client_said, "more was opened than sealed");
        match opened {
            Ok(has_ended) => assert!(!has_ended || self.client_has_ended, "an end that nobody announced"),
            Err(error) => {
                assert!(self.is_tampered, "{error}");
                self.has_failed = true;
            }
        }
    }

    fn client_reads(&mut self) {
        let answers = std::mem::take(&mut self.answers);
        if self.client_has_ended && self.is_tampered {
            // rustls does not bear in its own builds for tests that a connection fails behind its farewell.
            return;
        }
        let mut rest = answers.as_slice();
        while !rest.is_empty() && self.client.read_tls(&mut rest).is_ok_and(|bytes| bytes > 0) {
            let processed = self.client.process_new_packets();
            assert!(processed.is_ok() || self.is_tampered || self.has_failed, "{processed:?}");
            let mut heard = Vec::new();
            // It would wait for more.
            let _ = self.client.reader().read_to_end(&mut heard);
            for byte in heard {
                assert_eq!(byte, said(self.client_heard), "byte {} of the server", self.client_heard);
                self.client_heard += 1;
            }
            if processed.is_err() {
                self.has_failed = true;
                break;
            }
        }
        self.client_writes();
    }

    /// Everything arrives that is on its way.
    fn finish(&mut self) {
        self.client_writes();
        while !self.pipe.is_empty() && !self.has_failed {
            self.deliver(self.pipe.len());
        }
        let mut farewell = Vec::new();
        self.server.close(&mut farewell);
        assert!(self.server_heard <= self.client_said && self.client_heard <= self.server_said);
        if !self.is_tampered && !self.has_failed {
            assert_eq!(self.server_heard, self.client_said);
            assert_eq!(self.client_heard, self.server_said);
        }
    }
}
