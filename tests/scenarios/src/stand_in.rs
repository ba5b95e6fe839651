//! A cipher that hides nothing, with the shape of TLS: records, a handshake of two flights, a farewell. The server's end
//! takes the place of the real one behind the engine's trait, the client's end is what simulated clients speak.

use petrel_engine::transport::{ChannelError, Handshake, SecureChannel, SecureChannels, TlsPeer};

const CLOSE: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const HEAD_BYTES: usize = 5;
/// Small, so that there are many.
const BODY_BYTES_MAX: usize = 900;
/// What data is changed by, so that none of it passes for plain.
const MASK: u8 = 0x5a;

/// Appends a record.
fn push(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    let bytes = u16::try_from(body.len()).expect("records are small").to_be_bytes();
    out.extend_from_slice(&[kind, 3, 3, bytes[0], bytes[1]]);
    let mask = if kind == DATA { MASK } else { 0 };
    out.extend(body.iter().map(|byte| byte ^ mask));
}

/// Takes the first record off, when all of it is there.
fn take(pending: &mut Vec<u8>) -> Option<(u8, Vec<u8>)> {
    let head = *pending.first_chunk::<HEAD_BYTES>()?;
    let end = HEAD_BYTES + usize::from(u16::from_be_bytes([head[3], head[4]]));
    let body = pending.get(HEAD_BYTES..end)?;
    let mask = if head[0] == DATA { MASK } else { 0 };
    let body = body.iter().map(|byte| byte ^ mask).collect();
    pending.drain(..end);
    Some((head[0], body))
}

fn seal(plain: &[u8], sealed: &mut Vec<u8>) {
    for part in plain.chunks(BODY_BYTES_MAX) {
        push(DATA, part, sealed);
    }
}

/// Makes the server's ends.
#[derive(Debug)]
pub struct StandIn;

impl SecureChannels for StandIn {
    fn channel(&self) -> Result<Box<dyn SecureChannel>, ChannelError> {
        Ok(Box::new(ServerEnd::default()))
    }
}

#[derive(Default)]
struct ServerEnd {
    pending: Vec<u8>,
    flights: u8,
}

impl SecureChannel for ServerEnd {
    fn handshake(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Handshake, ChannelError> {
        self.pending.extend_from_slice(input);
        while let Some((kind, _)) = take(&mut self.pending) {
            if kind != HANDSHAKE {
                return Err(ChannelError(format!("a record of kind {kind} in the handshake")));
            }
            self.flights += 1;
            if self.flights == 2 {
                let certificates = Box::default();
                let peer = TlsPeer { version: "1.3", cipher_suite: "none", certificates, names: None };
                return Ok(Handshake::Complete(peer));
            }
            push(HANDSHAKE, b"server", output);
        }
        Ok(Handshake::Pending)
    }

    fn open(
        &mut self,
        input: &[u8],
        _scratch: &mut Vec<u8>,
        plain: &mut Vec<u8>,
        _control: &mut Vec<u8>,
    ) -> Result<bool, ChannelError> {
        self.pending.extend_from_slice(input);
        while let Some((kind, body)) = take(&mut self.pending) {
            match kind {
                DATA => plain.extend(body),
                CLOSE => return Ok(true),
                _ => return Err(ChannelError(format!("a record of kind {kind} after the handshake"))),
            }
        }
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        Ok(false)
    }

    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), ChannelError> {
        seal(plain, sealed);
        Ok(())
    }

    fn close(&mut self, sealed: &mut Vec<u8>) {
        push(CLOSE, b"", sealed);
    }

    fn held_bytes(&self) -> usize {
        self.pending.capacity()
    }
}

/// When a client begins its handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// As soon as it is connected.
    AtOnce,
    /// When it has read INFO.
    AfterInfo,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Plain,
    Shaking,
    Open,
}

/// The client's end.
#[derive(Debug)]
pub struct ClientEnd {
    pending: Vec<u8>,
    stage: Stage,
}

impl Default for ClientEnd {
    fn default() -> ClientEnd {
        ClientEnd { pending: Vec::new(), stage: Stage::Plain }
    }
}

impl ClientEnd {
    /// Whether the handshake is over, as far as this end knows.
    pub fn is_open(&self) -> bool {
        self.stage == Stage::Open
    }

    /// The first flight.
    pub fn begin(&mut self) -> Vec<u8> {
        self.stage = Stage::Shaking;
        let mut flight = Vec::new();
        push(HANDSHAKE, b"client", &mut flight);
        flight
    }

    /// What bytes of the server say, and what is to be sent in answer.
    ///
    /// # Errors
    /// A record that has no place there.
    pub fn open(&mut self, data: &[u8]) -> Result<(Vec<u8>, Vec<u8>), String> {
        if self.stage == Stage::Plain {
            return Ok((data.to_vec(), Vec::new()));
        }
        self.pending.extend_from_slice(data);
        let (mut plain, mut answer) = (Vec::new(), Vec::new());
        while let Some((kind, body)) = take(&mut self.pending) {
            match (kind, self.stage) {
                (HANDSHAKE, Stage::Shaking) => {
                    self.stage = Stage::Open;
                    push(HANDSHAKE, b"finished", &mut answer);
                }
                (DATA, Stage::Open) => plain.extend(body),
                (CLOSE, _) => {}
                _ => return Err(format!("a record of kind {kind} while {:?}", self.stage)),
            }
        }
        Ok((plain, answer))
    }

    /// What is to be sent, as it goes over the wire.
    pub fn seal(&self, plain: &[u8]) -> Vec<u8> {
        let mut sealed = Vec::new();
        seal(plain, &mut sealed);
        sealed
    }
}
