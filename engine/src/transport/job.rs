//! A handshake's way to a worker and back.

use super::channel::{ChannelError, Handshake, SecureChannel};
use petrel_runtime::CoreId;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A step of a handshake, to be done by a worker of the control plane.
pub struct HandshakeJob {
    pub(super) core: CoreId,
    pub(super) key: u32,
    pub(super) cid: u64,
    pub(super) channel: Box<dyn SecureChannel>,
    pub(super) input: Vec<u8>,
    pub(super) abandoned: Arc<AtomicBool>,
}

/// What became of a [`HandshakeJob`]: goes back to its core as an order.
pub struct HandshakeAnswer {
    pub(super) key: u32,
    pub(super) cid: u64,
    /// `None`: the worker lost it.
    pub(super) channel: Option<Box<dyn SecureChannel>>,
    pub(super) output: Vec<u8>,
    pub(super) result: Result<Handshake, ChannelError>,
}

impl HandshakeJob {
    /// The core that waits for the answer.
    pub fn core(&self) -> CoreId {
        self.core
    }

    /// Whether the connection has ended meanwhile: the work would be for nobody.
    pub fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Relaxed)
    }

    /// Does the work. Takes milliseconds; a panic within is a failed handshake.
    pub fn run(self) -> HandshakeAnswer {
        let HandshakeJob { key, cid, mut channel, input, .. } = self;
        let work = std::panic::AssertUnwindSafe(move || {
            let mut output = Vec::new();
            let result = channel.handshake(&input, &mut output);
            HandshakeAnswer { key, cid, channel: Some(channel), output, result }
        });
        std::panic::catch_unwind(work).unwrap_or_else(|_| HandshakeAnswer {
            key,
            cid,
            channel: None,
            output: Vec::new(),
            result: Err(ChannelError("a defect was contained in the handshake".into())),
        })
    }
}

impl fmt::Debug for HandshakeJob {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HandshakeJob(cid {} of core {})", self.cid, self.core.0)
    }
}

impl fmt::Debug for HandshakeAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HandshakeAnswer(cid {}: {:?})", self.cid, self.result)
    }
}
