//! What a core keeps of one connection in the ring.

use crate::backend::READ_BUFFER_BYTES;
use crate::net::End;
use std::collections::VecDeque;
use std::os::fd::OwnedFd;

/// Where the receive operation of a connection stands. There is at most one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Receive {
    /// None is in the kernel.
    Idle,
    /// One is in the kernel.
    Armed,
    /// One is in the kernel and was asked to end.
    Ending,
}

/// One connection. Costs the program's core this and nothing more while nothing happens.
#[derive(Debug)]
pub(super) struct Connection {
    /// Taken when the connection is closed: the kernel closes it in the order of the queue.
    pub(super) descriptor: Option<OwnedFd>,
    /// The program wants to read.
    pub(super) reading: bool,
    pub(super) receive: Receive,
    /// Nothing more will be received; the program was told or `kept` will tell it.
    pub(super) ended: bool,
    /// Waits in the list of connections whose kept bytes are to be delivered.
    pub(super) in_resumed: bool,
    /// A close operation is in the kernel.
    pub(super) closing: bool,
    pub(super) kept: Option<Box<Kept>>,
    /// The send operation in the kernel.
    pub(super) send: Option<Box<SendOperation>>,
    /// The address that a connect operation in the kernel reads.
    pub(super) connect: Option<Box<socket2::SockAddr>>,
}

const _: () = assert!(size_of::<Connection>() <= 48, "an idle connection is small");

/// A send in the kernel. It owns the bytes until the kernel is done with them, also when the connection is
/// closed meanwhile.
#[derive(Debug)]
pub(super) struct SendOperation {
    pub(super) buffer: Vec<u8>,
    /// How much the kernel has taken.
    pub(super) written: usize,
}

/// What arrived for a program that did not want it then.
#[derive(Debug, Default)]
pub(super) struct Kept {
    chunks: VecDeque<Vec<u8>>,
    end: Option<End>,
}

impl Connection {
    pub(super) fn new(descriptor: Option<OwnedFd>) -> Connection {
        Connection {
            descriptor,
            reading: false,
            receive: Receive::Idle,
            ended: false,
            in_resumed: false,
            closing: false,
            kept: None,
            send: None,
            connect: None,
        }
    }

    /// Whether the kernel still works on something for this connection.
    pub(super) fn is_busy(&self) -> bool {
        self.receive != Receive::Idle || self.send.is_some() || self.connect.is_some() || self.closing
    }

    /// Whether what arrives must be kept: the program paused, or has not seen earlier bytes yet.
    pub(super) fn must_keep(&self) -> bool {
        !self.reading || self.kept.is_some()
    }

    /// Keeps bytes. They are copied, so that a paused connection holds none of the core's few buffers; they
    /// are at most what was received before the operation was cancelled.
    pub(super) fn keep(&mut self, data: &[u8]) {
        let chunks = &mut self.kept.get_or_insert_default().chunks;
        match chunks.back_mut() {
            Some(last) if last.len() + data.len() <= READ_BUFFER_BYTES => last.extend_from_slice(data),
            _ => chunks.push_back(data.to_vec()),
        }
    }

    /// Keeps the end behind what else is kept.
    pub(super) fn keep_end(&mut self, end: End) {
        self.kept.get_or_insert_default().end = Some(end);
    }

    /// Takes the next of what is kept.
    pub(super) fn take_kept(&mut self) -> Option<KeptPart> {
        let kept = self.kept.as_mut()?;
        let part = match kept.chunks.pop_front() {
            Some(chunk) => KeptPart::Bytes(chunk),
            None => KeptPart::End(kept.end.take()?),
        };
        if kept.chunks.is_empty() && kept.end.is_none() {
            self.kept = None;
        }
        Some(part)
    }
}

/// One event's worth of what was kept.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum KeptPart {
    Bytes(Vec<u8>),
    End(End),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_bytes_come_back_in_order_and_before_the_end() {
        let mut connection = Connection::new(None);
        connection.keep(b"one ");
        connection.keep(b"two");
        connection.keep(&vec![7; READ_BUFFER_BYTES]);
        connection.keep_end(End::Eof);
        assert_eq!(connection.take_kept(), Some(KeptPart::Bytes(b"one two".to_vec())));
        assert_eq!(connection.take_kept(), Some(KeptPart::Bytes(vec![7; READ_BUFFER_BYTES])));
        connection.reading = true;
        assert!(connection.must_keep(), "the end is still to be delivered");
        assert_eq!(connection.take_kept(), Some(KeptPart::End(End::Eof)));
        assert!(!connection.must_keep());
        assert_eq!(connection.take_kept(), None);
    }
}
