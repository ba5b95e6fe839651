//! What lies between the socket and the session: the PROXY protocol's header, TLS, or nothing.
//!
//! A plain connection has no transport at all, which costs its messages one branch. For all others the [`Transport`]
//! says where they are: bytes that arrive go through [`Shard::arrived`](crate::shard::Shard::arrived) to the room of the
//! stage, out-buffers are sealed when they are flushed. The cipher is behind [`SecureChannel`], so that the simulator
//! runs the same machine with a stand-in. Handshakes happen elsewhere: the channel moves to a worker of the control
//! plane and comes back with an order ([`HandshakeJob`], [`HandshakeAnswer`]).

mod certificate;
mod channel;
mod distinguished_name;
mod early;
mod ends;
mod handshake;
mod job;
mod mapping;
mod options;
mod rate;
mod records;

pub use certificate::{CertificateNames, FoundBy, PeerCertificate, TlsPeer, digest_text};
pub use channel::{ChannelError, Handshake, SecureChannel, SecureChannels};
pub use distinguished_name::DistinguishedName;
pub(crate) use ends::Ends;
pub use job::{HandshakeAnswer, HandshakeJob};
pub use options::{SubjectIndex, TlsOptions};
pub use rate::ConnectionRate;
pub(crate) use records::Scratch;

use crate::session::outbound::{BufferPool, Outbound};
use petrel_runtime::{End, Monotonic};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Where a connection is that is not simply plain.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Stage {
    /// Its first bytes may be a PROXY header.
    Proxy,
    /// INFO has not been sent: the client may begin with TLS by itself.
    AwaitingFirst,
    /// INFO was sent: the first byte tells TLS from plain.
    Deciding,
    /// The handshake goes on with the client's next bytes.
    Handshake,
    /// A worker has the channel.
    AtWorker,
    /// Everything is encrypted.
    Open,
    /// The handshake failed, or a record could not be opened: an alert may be on its way, nothing else is.
    Failed,
}

/// The layer of one connection.
pub(crate) struct Transport {
    pub(crate) stage: Stage,
    /// Where its socket begins and ends.
    ends: Ends,
    /// Bytes that arrived and wait: of a header that is not complete, of a handshake that a worker has.
    pub(crate) input: Vec<u8>,
    /// Encrypted bytes that go out before everything else.
    control: Vec<u8>,
    channel: Option<Box<dyn SecureChannel>>,
    /// Who the client is and how it speaks, once the handshake is complete.
    pub(crate) peer: Option<Arc<TlsPeer>>,
    /// TLS came before INFO.
    pub(crate) first: bool,
    /// INFO was sent.
    greeted: bool,
    /// The first byte of the handshake was seen to be one.
    began: bool,
    /// When that was.
    began_at: Monotonic,
    /// The farewell of TLS was written.
    said_goodbye: bool,
    /// Bytes of a PROXY header that are still to be skipped.
    skip_bytes: usize,
    /// The end of input, which came while something before it was not worked off.
    end: Option<End>,
    /// Memory that the core has counted for it.
    counted_bytes: usize,
    /// Tells the worker that nobody waits for the handshake any more.
    abandoned: Arc<AtomicBool>,
}

impl Transport {
    fn new(stage: Stage, ends: Ends) -> Transport {
        Transport {
            stage,
            ends,
            input: Vec::new(),
            control: Vec::new(),
            channel: None,
            peer: None,
            first: false,
            greeted: false,
            began: false,
            began_at: Monotonic::default(),
            said_goodbye: false,
            skip_bytes: 0,
            end: None,
            counted_bytes: 0,
            abandoned: Arc::new(AtomicBool::new(false)),
        }
    }

    /// Whether the session has begun: what is read is the client's verbs.
    pub(crate) fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// Memory that it holds.
    pub(crate) fn held_bytes(&self) -> usize {
        self.input.capacity() + self.channel.as_ref().map_or(0, |channel| channel.held_bytes())
    }

    /// What of it its core has counted.
    pub(crate) fn counted_bytes(&self) -> usize {
        self.counted_bytes
    }

    /// The next buffer to send, when none is being written. `is_closing`: nothing follows what is queued.
    pub(crate) fn next_buffer(
        &mut self,
        out: &mut Outbound,
        pool: &mut BufferPool,
        is_closing: bool,
    ) -> Option<Vec<u8>> {
        if out.is_writing() {
            return None;
        }
        match self.stage {
            Stage::Proxy | Stage::AwaitingFirst | Stage::Deciding => out.next(),
            Stage::Open => self.next_sealed(out, pool, is_closing),
            Stage::Handshake | Stage::AtWorker | Stage::Failed => self.take_control(),
        }
    }

    fn take_control(&mut self) -> Option<Vec<u8>> {
        (!self.control.is_empty()).then(|| std::mem::take(&mut self.control))
    }

    fn next_sealed(
        &mut self,
        out: &mut Outbound,
        pool: &mut BufferPool,
        is_closing: bool,
    ) -> Option<Vec<u8>> {
        let plain = out.next();
        if plain.is_none() && is_closing && out.is_empty() {
            self.say_goodbye();
        }
        let Some(plain) = plain else { return self.take_control() };
        let mut sealed = pool.take();
        sealed.append(&mut self.control);
        self.control = Vec::new();
        let result = match &mut self.channel {
            Some(channel) => channel.seal(&plain, &mut sealed),
            None => Ok(()),
        };
        pool.give(plain);
        if let Err(error) = result {
            // Its keys are used up: nothing more can be said to this client.
            tracing::error!("TLS cannot encrypt: {error}");
            self.stage = Stage::Failed;
        }
        (!sealed.is_empty()).then_some(sealed)
    }

    fn say_goodbye(&mut self) {
        if let Some(channel) = self.channel.as_mut().filter(|_| !self.said_goodbye) {
            channel.close(&mut self.control);
            self.said_goodbye = true;
        }
    }

    /// What is to be written before the connection is closed at once, if there is something.
    pub(crate) fn farewell(&mut self) -> Option<Vec<u8>> {
        if self.stage == Stage::Open {
            self.say_goodbye();
        }
        self.take_control()
    }

    /// Nobody waits for the handshake any more.
    pub(crate) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}
