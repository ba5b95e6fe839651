//! A published message, and what has become of it.

use super::ConnectionId;

/// A message's number in the order of publishing; its payload says it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct MessageId(pub usize);

/// What a client publishes.
#[derive(Clone, Debug, Default)]
pub struct Publication {
    /// Where to.
    pub subject: String,
    /// Where an answer is wanted.
    pub reply: Option<String>,
    /// Payload bytes; more when the message's number needs them.
    pub payload_bytes: usize,
    /// Whether it is an `HPUB`.
    pub with_headers: bool,
}

/// A published message.
#[derive(Clone, Debug)]
pub struct Message {
    /// Who published it.
    pub publisher: ConnectionId,
    /// What was published.
    pub publication: Publication,
    /// When it was written.
    pub(super) written: u64,
    /// When its publisher read the PONG of a PING behind it.
    pub(super) acknowledged: Option<u64>,
    /// Whether nobody receiving it must be told to its publisher.
    pub(super) wants_notice: bool,
    /// How many subscriptions received it.
    pub(super) deliveries: u32,
    /// How many 503 notices came for it.
    pub(super) notices: u32,
    /// How many of them came before the PONG that acknowledged it.
    pub(super) notices_when_acknowledged: u32,
    /// Queue groups that must get it: each had a member that was there for sure.
    pub(super) owed: Vec<String>,
    /// Queue groups that have got it.
    pub(super) taken: Vec<String>,
    /// The reply that it had for its reader in another account.
    pub(super) way_back: Option<String>,
}

/// The payload of a message: its number, then bytes that follow from the number, line ends among them.
pub fn payload(id: MessageId, bytes: usize) -> Vec<u8> {
    let mut payload = format!("{}|", id.0).into_bytes();
    let filler = (payload.len()..bytes).map(|place| ((place * 31 + id.0 * 7) % 251) as u8);
    payload.extend(filler);
    payload
}

/// The headers of a message that has some.
pub fn headers(id: MessageId) -> Vec<u8> {
    format!("NATS/1.0\r\nMessage: {}\r\n\r\n", id.0).into_bytes()
}

/// The number that a payload says.
pub fn number(payload: &[u8]) -> Option<MessageId> {
    let digits = payload.split(|byte| *byte == b'|').next()?;
    std::str::from_utf8(digits).ok()?.parse().ok().map(MessageId)
}
