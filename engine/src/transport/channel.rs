//! What the layer asks of a cipher.

use super::TlsPeer;
use std::fmt;

/// Why a channel cannot go on; for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelError(pub String);

impl fmt::Display for ChannelError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for ChannelError {}

/// How far a handshake is.
#[derive(Debug)]
pub enum Handshake {
    /// It goes on with the peer's next bytes.
    Pending,
    /// It is complete.
    Complete(TlsPeer),
}

/// The server's end of an encrypted connection, without I/O. It keeps what it was given and is not complete.
pub trait SecureChannel: Send {
    /// Goes on with the handshake. What the peer is to get is appended to `output`, also when this fails. Bytes behind
    /// the handshake are kept. Expensive: never called on a core.
    ///
    /// # Errors
    /// Why the peer was refused.
    fn handshake(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Handshake, ChannelError>;

    /// Opens the records that `input` completes. What they say is appended to `plain`, what the peer is to get in
    /// answer (an alert, new keys) to `control`, also when this fails. `scratch` is memory to work in, whatever is in
    /// it. Returns whether the peer said that nothing follows.
    ///
    /// # Errors
    /// When a record cannot be opened. What came before it is in `plain`.
    fn open(
        &mut self,
        input: &[u8],
        scratch: &mut Vec<u8>,
        plain: &mut Vec<u8>,
        control: &mut Vec<u8>,
    ) -> Result<bool, ChannelError>;

    /// Appends `plain` to `sealed`, in as few records as possible.
    ///
    /// # Errors
    /// When nothing more can be encrypted on this connection.
    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), ChannelError>;

    /// Appends the notice that nothing follows.
    fn close(&mut self, sealed: &mut Vec<u8>);

    /// Memory for what is not complete.
    fn held_bytes(&self) -> usize;
}

/// Makes channels: a certificate and what belongs to it.
pub trait SecureChannels: Send + Sync + fmt::Debug {
    /// A channel for a new connection.
    ///
    /// # Errors
    /// When the configuration does not allow any.
    fn channel(&self) -> Result<Box<dyn SecureChannel>, ChannelError>;
}
