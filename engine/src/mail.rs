//! What the cores of a node send each other.

use crate::account::AccountId;
use crate::account::admission::Member;
use crate::interest::InterestChange;
use crate::route::client_info::ClientInfo;
use crate::route::trace::TracePart;
use crate::snapshot::ConnectionSnapshot;
use petrel_runtime::Detached;

/// One mail. Mail of a pair of cores is handled in the order in which it was sent.
pub enum Mail {
    /// Core 0 accepted a connection for this core.
    Connection(Box<Handoff>),
    /// Interest of the sender changed. Goes ahead of the envelopes of the same turn.
    Interest(Vec<(AccountId, InterestChange)>),
    /// Messages for sessions of the receiving core.
    Envelopes(Batch),
    /// A batch of the receiver's that is worked off, to be filled again.
    Spent(Batch),
    /// Answers to envelopes that asked whether anybody received them.
    Reports(Vec<Report>),
    /// What became of followed messages of the receiver's.
    Traced(Vec<TracePart>),
    /// Queue envelopes that nobody took, back to where they came from.
    Returned(Batch),
    /// Sessions of the receiving core that publish to a receiver that is nearly full.
    Stalls(Vec<Stall>),
    /// Answer with `Passed` when everything sent before it is handled, and what that caused on third cores.
    Barrier(u64),
    /// Answer with `Passed` when this is handled: everything sent before it is handled then.
    InnerBarrier(u64),
    /// The answer to either.
    Passed(u64),
    /// A connection ended; to core 0, which counts and remembers them.
    Ended(Box<ConnectionSnapshot>),
    /// Who answers a measured request of the receiver's; ahead of the answer.
    Responder(Box<Responder>),
    /// The sender has no client left in lame duck mode; to core 0.
    Empty,
    /// A client wants into an account that limits its connections; to core 0.
    Admit(AccountId, Member),
    /// Core 0's answer: whether there is room.
    Admitted(Member, bool),
    /// A client was in such an account before it had a limit; to core 0.
    Enroll(AccountId, Member),
    /// A client, by connection id, left such an account; to core 0.
    Left(AccountId, u64),
    /// A client has to go because its account has too many; from core 0.
    Pruned(Member),
    /// So many of the receiver's clients may stay, and newer ones have to go, because the server has too many; from
    /// core 0. Not how many have to go: core 0 may not have heard yet of some that have gone.
    KeepOldest(usize),
}

/// A connection on its way to its core.
pub struct Handoff {
    pub(crate) detached: Detached,
    pub(crate) cid: u64,
    /// Why it is refused, if it is: it gets the error and is closed.
    pub(crate) refused: bool,
}

/// The client that answers a measured request.
pub struct Responder {
    /// The reply subject.
    pub(crate) subject: Box<[u8]>,
    pub(crate) client: ClientInfo,
}

/// Whether an envelope was delivered.
#[derive(Clone, Copy, Debug)]
pub struct Report {
    pub(crate) token: u64,
    pub(crate) delivered: bool,
}

/// A request to read less from a publisher.
#[derive(Clone, Copy, Debug)]
pub struct Stall {
    pub(crate) session: u32,
    pub(crate) cid: u64,
    /// Whether the receiver is full rather than nearly full.
    pub(crate) full: bool,
}

/// Many messages in one buffer.
#[derive(Default)]
pub struct Batch {
    pub(crate) bytes: Vec<u8>,
    pub(crate) envelopes: Vec<Envelope>,
    /// Bytes when it was posted, of a batch that is to come back; else 0.
    pub(crate) posted_bytes: usize,
}

/// One message of a [`Batch`]. Its bytes lie one behind the other: subject, reply, message (headers and
/// payload), names of queue groups (each with a 32-bit little-endian length before it).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Envelope {
    pub(crate) start: usize,
    pub(crate) subject_bytes: u32,
    /// 0: none.
    pub(crate) reply_bytes: u32,
    /// `u32::MAX`: no headers.
    pub(crate) header_bytes: u32,
    pub(crate) message_bytes: u32,
    pub(crate) queues_bytes: u32,
    /// The publisher's session on the core it came from.
    pub(crate) session: u32,
    pub(crate) cid: u64,
    /// Not 0: answer with a [`Report`].
    pub(crate) report: u64,
    /// Cores that had a returned queue envelope, as a mask.
    pub(crate) tried: u64,
    pub(crate) account: AccountId,
    /// Whether plain subscriptions get it.
    pub(crate) plain: bool,
    /// Whether it is followed.
    pub(crate) traced: Traced,
}

/// Whether a message is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Traced {
    #[default]
    No,
    /// While it is delivered.
    Along,
    /// And not delivered.
    Only,
}

/// A message on its way to receivers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) subject: &'a [u8],
    pub(crate) reply: Option<&'a [u8]>,
    pub(crate) header_bytes: Option<usize>,
    /// Headers and payload.
    pub(crate) bytes: &'a [u8],
}

/// Who published a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Origin {
    pub(crate) account: AccountId,
    /// The publisher's session on core `core`.
    pub(crate) session: u32,
    pub(crate) cid: u64,
    pub(crate) core: u16,
    /// Whether the publisher gets its own messages.
    pub(crate) echo: bool,
}

fn length(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("payloads are below 2 GiB, lines far below")
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.envelopes.is_empty()
    }

    /// Forgets everything but the memory.
    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.envelopes.clear();
    }

    /// Appends a message. `queues`: the groups of the receiving core that are to take one copy each.
    pub(crate) fn push<'q>(
        &mut self,
        origin: &Origin,
        message: &Message<'_>,
        plain: bool,
        queues: impl Iterator<Item = &'q [u8]>,
        report: u64,
        tried: u64,
    ) {
        let start = self.bytes.len();
        let reply = message.reply.unwrap_or_default();
        self.bytes.reserve(message.subject.len() + reply.len() + message.bytes.len());
        self.bytes.extend_from_slice(message.subject);
        self.bytes.extend_from_slice(reply);
        self.bytes.extend_from_slice(message.bytes);
        let before_queues = self.bytes.len();
        for queue in queues {
            self.bytes.extend_from_slice(&length(queue.len()).to_le_bytes());
            self.bytes.extend_from_slice(queue);
        }
        self.envelopes.push(Envelope {
            start,
            subject_bytes: length(message.subject.len()),
            reply_bytes: length(reply.len()),
            header_bytes: message.header_bytes.map_or(u32::MAX, length),
            message_bytes: length(message.bytes.len()),
            queues_bytes: length(self.bytes.len() - before_queues),
            session: origin.session,
            cid: origin.cid,
            report,
            tried,
            account: origin.account,
            plain,
            traced: Traced::No,
        });
    }

    /// Says of the message pushed last that it is followed.
    pub(crate) fn mark_last(&mut self, traced: Traced) {
        if let Some(envelope) = self.envelopes.last_mut() {
            envelope.traced = traced;
        }
    }

    /// The message of one of this batch's envelopes.
    pub(crate) fn message(&self, envelope: &Envelope) -> Message<'_> {
        let (subject, rest) = self.bytes[envelope.start..].split_at(envelope.subject_bytes as usize);
        let (reply, rest) = rest.split_at(envelope.reply_bytes as usize);
        Message {
            subject,
            reply: (!reply.is_empty()).then_some(reply),
            header_bytes: (envelope.header_bytes != u32::MAX).then_some(envelope.header_bytes as usize),
            bytes: &rest[..envelope.message_bytes as usize],
        }
    }

    /// The queue groups of one of this batch's envelopes.
    pub(crate) fn queues(&self, envelope: &Envelope) -> impl Iterator<Item = &[u8]> {
        let start = envelope.start
            + envelope.subject_bytes as usize
            + envelope.reply_bytes as usize
            + envelope.message_bytes as usize;
        let mut rest = &self.bytes[start..start + envelope.queues_bytes as usize];
        std::iter::from_fn(move || {
            let (head, tail) = rest.split_first_chunk::<4>()?;
            let (name, tail) = tail.split_at(u32::from_le_bytes(*head) as usize);
            rest = tail;
            Some(name)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let mut batch = Batch::default();
        let origin = Origin { account: AccountId::GLOBAL, session: 3, cid: 9, core: 0, echo: true };
        let first =
            Message { subject: b"a.b", reply: Some(b"r"), header_bytes: Some(2), bytes: b"hhpayload" };
        let second = Message { subject: b"c", reply: None, header_bytes: None, bytes: b"" };
        batch.push(&origin, &first, true, [b"q1".as_slice(), b"queue2"].into_iter(), 7, 0);
        batch.push(&origin, &second, false, std::iter::empty(), 0, 2);
        let envelopes = batch.envelopes.clone();
        let message = batch.message(&envelopes[0]);
        assert_eq!((message.subject, message.reply), (b"a.b".as_slice(), Some(b"r".as_slice())));
        assert_eq!((message.header_bytes, message.bytes), (Some(2), b"hhpayload".as_slice()));
        assert_eq!(batch.queues(&envelopes[0]).collect::<Vec<_>>(), [b"q1".as_slice(), b"queue2"]);
        let message = batch.message(&envelopes[1]);
        assert_eq!((message.subject, message.reply), (b"c".as_slice(), None));
        assert_eq!((message.header_bytes, message.bytes), (None, b"".as_slice()));
        assert_eq!(batch.queues(&envelopes[1]).count(), 0);
        assert!(envelopes[0].plain && !envelopes[1].plain);
    }
}
