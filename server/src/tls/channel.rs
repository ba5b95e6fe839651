//! A rustls connection as the engine's channel.

use super::hello::Offer;
use super::recipe::Recipe;
use super::trust::{ClientVerifier, Remark};
use super::{certificate, hello, suites};
use petrel_engine::transport::{ChannelError, Handshake, SecureChannel, SecureChannels, TlsPeer};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
use std::sync::Arc;

/// What a record has beside its payload at most: head, nonce of TLS 1.2, type, tag.
const RECORD_OVERHEAD_BYTES: usize = 5 + 8 + 1 + 16;
/// What an alert says.
const ALERT_BYTES: usize = 2;
/// The largest payload of a record.
const RECORD_PAYLOAD_BYTES: usize = 16 * 1024;

/// Makes channels of one configuration.
#[derive(Debug)]
pub struct Channels(pub Arc<Rules>);

/// What all channels of a configuration share.
#[derive(Debug)]
pub struct Rules {
    /// How rustls is to behave.
    pub recipe: Recipe,
    /// Who may come, when clients have to show a certificate.
    pub verifier: Option<ClientVerifier>,
    /// Certificates name users.
    pub maps: bool,
}

impl SecureChannels for Channels {
    fn channel(&self) -> Result<Box<dyn SecureChannel>, ChannelError> {
        let rules = Arc::clone(&self.0);
        let (config, remark) = match &rules.verifier {
            None => (rules.recipe.shared(), None),
            Some(verifier) => {
                let (verifier, remark, validity) = verifier.for_connection();
                (rules.recipe.verifying(verifier, validity).map_err(told)?, Some(remark))
            }
        };
        let connection = UnbufferedServerConnection::new(config).map_err(told)?;
        Ok(Box::new(Channel {
            connection,
            rules,
            remark,
            offer: None,
            pending: Vec::new(),
            early_plain: Vec::new(),
            closed: false,
            has_failed: false,
        }))
    }
}

struct Channel {
    connection: UnbufferedServerConnection,
    rules: Arc<Rules>,
    /// What the verifier has to say beyond rustls' error.
    remark: Option<Remark>,
    /// What the client offered, until the handshake is complete.
    offer: Option<Offer>,
    /// Records, and messages of the handshake over several records, that are not complete. rustls remembers how much of
    /// them it has seen, so they are shown to it whatever is asked of it.
    pending: Vec<u8>,
    /// What came right behind the handshake and was opened with it.
    early_plain: Vec<u8>,
    /// The peer said that nothing follows.
    closed: bool,
    /// Nothing more is asked of the connection: it would see what it failed with once more, which it does not bear.
    has_failed: bool,
}

/// What a step of the connection asked for.
enum Step {
    /// To be asked again.
    Again,
    /// Nothing more without further input.
    Idle,
}

impl Channel {
    /// One step with the bytes at hand. Returns how many of them are done with.
    fn step(
        &mut self,
        input: &mut [u8],
        plain: Option<&mut Vec<u8>>,
        output: &mut Vec<u8>,
    ) -> (usize, Result<Step, Error>) {
        let UnbufferedStatus { mut discard, state } = self.connection.process_tls_records(input);
        let step = match state {
            Ok(ConnectionState::EncodeTlsData(data)) => {
                encode(data, output);
                Ok(Step::Again)
            }
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                Ok(Step::Again)
            }
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                let plain = plain.unwrap_or(&mut self.early_plain);
                let mut result = Ok(Step::Again);
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => {
                            plain.extend_from_slice(record.payload);
                            discard += record.discard;
                        }
                        Err(error) => result = Err(error),
                    }
                }
                result
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                self.closed = true;
                Ok(Step::Idle)
            }
            Ok(_) => Ok(Step::Idle),
            Err(error) => Err(error),
        };
        (discard, step)
    }

    /// Goes on with `input` until there is nothing more to do, or `is_done`. What is left of `input` is its rest. After
    /// an error the alert for the peer is in `output`.
    fn go_on(
        &mut self,
        input: &mut Vec<u8>,
        mut plain: Option<&mut Vec<u8>>,
        output: &mut Vec<u8>,
        is_done: impl Fn(&Channel) -> bool,
    ) -> Result<(), ChannelError> {
        self.check()?;
        let mut used = 0;
        let result = loop {
            let (discard, step) = self.step(&mut input[used..], plain.as_deref_mut(), output);
            used += discard;
            match step {
                Ok(Step::Again) if !is_done(self) => {}
                Ok(_) => break Ok(()),
                Err(error) => {
                    self.has_failed = true;
                    // What is said of it is asked for, and no more.
                    while self.connection.wants_write() {
                        let _ = self.step(&mut input[used..], None, output);
                    }
                    break Err(self.told(error, &input[used..]));
                }
            }
        };
        input.drain(..used);
        result
    }

    /// An error in the words of upstream's log. `front`: what the connection failed with.
    fn told(&self, error: Error, front: &[u8]) -> ChannelError {
        if let Some(remark) = self.remark.as_ref().and_then(Remark::take) {
            return ChannelError(remark);
        }
        if let Some(text) = hello::oversize(&error, front) {
            return ChannelError(text);
        }
        let (Error::PeerIncompatible(problem), Some(offer)) = (&error, &self.offer) else {
            return told(error);
        };
        ChannelError(match problem {
            PeerIncompatible::Tls12NotOffered
            | PeerIncompatible::Tls12NotOfferedOrEnabled
            | PeerIncompatible::SupportedVersionsExtensionRequired => offer.unsupported_versions(),
            PeerIncompatible::NoCipherSuitesInCommon => offer.no_suite(),
            PeerIncompatible::NoKxGroupsInCommon => offer.no_key_exchange(),
            PeerIncompatible::NoSignatureSchemesInCommon => {
                "tls: peer doesn't support any of the certificate's signature algorithms".into()
            }
            _ => return told(error),
        })
    }

    /// Writes when it may, which is at once after the handshake, behind what rustls has to say itself.
    fn write(
        &mut self,
        sealed: &mut Vec<u8>,
        write: impl FnOnce(&mut WriteTraffic<'_, ServerConnectionData>, &mut Vec<u8>) -> Result<(), EncryptError>,
    ) -> Result<(), ChannelError> {
        self.check()?;
        loop {
            match self.connection.process_tls_records(&mut self.pending).state {
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    return write(&mut traffic, sealed).map_err(|error| ChannelError(error.to_string()));
                }
                Ok(ConnectionState::EncodeTlsData(data)) => encode(data, sealed),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => self.closed = true,
                Ok(state) => return Err(ChannelError(format!("cannot write in state {state:?}"))),
                Err(error) => {
                    self.has_failed = true;
                    return Err(told(error));
                }
            }
        }
    }

    /// Says no when the connection has failed before.
    fn check(&self) -> Result<(), ChannelError> {
        if self.has_failed { Err(ChannelError("tls: the connection has failed".into())) } else { Ok(()) }
    }

    /// Who the peer is, after the handshake.
    fn peer(&self) -> TlsPeer {
        let chain = self.connection.peer_certificates().unwrap_or_default();
        let certificates: Box<[_]> = chain.iter().map(|der| certificate::shown(der)).collect();
        let own = chain.first().filter(|_| self.rules.maps);
        TlsPeer {
            version: suites::version_name(self.connection.protocol_version()),
            cipher_suite: self
                .connection
                .negotiated_cipher_suite()
                .map_or("unknown", |suite| suites::standard_name(suite.suite())),
            names: own.and_then(|der| certificate::names(der)).map(Box::new),
            certificates,
        }
    }
}

impl SecureChannel for Channel {
    fn handshake(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Handshake, ChannelError> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(input);
        if self.offer.is_none() {
            self.offer = Offer::read(&pending);
        }
        let result = self.go_on(&mut pending, None, output, |channel| !channel.connection.is_handshaking());
        self.pending = pending;
        result?;
        if self.connection.is_handshaking() {
            return if self.closed { Err(ChannelError("EOF".into())) } else { Ok(Handshake::Pending) };
        }
        self.offer = None;
        let peer = self.peer();
        // The tickets. What came behind the handshake is opened with them, and handed out by `open`.
        let mut pending = std::mem::take(&mut self.pending);
        let result = self.go_on(&mut pending, None, output, |_| false);
        pending.shrink_to_fit();
        self.pending = pending;
        result.map(|()| Handshake::Complete(peer))
    }

    fn open(
        &mut self,
        input: &[u8],
        scratch: &mut Vec<u8>,
        plain: &mut Vec<u8>,
        control: &mut Vec<u8>,
    ) -> Result<bool, ChannelError> {
        plain.append(&mut std::mem::take(&mut self.early_plain));
        if self.closed {
            return Ok(true);
        }
        scratch.clear();
        scratch.append(&mut std::mem::take(&mut self.pending));
        scratch.extend_from_slice(input);
        let result = self.go_on(scratch, Some(plain), control, |channel| channel.closed);
        if !scratch.is_empty() {
            self.pending = scratch.as_slice().to_vec();
        }
        result.map(|()| self.closed)
    }

    fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), ChannelError> {
        self.write(sealed, |traffic, sealed| {
            let records = plain.len() / RECORD_PAYLOAD_BYTES + 1;
            let start = sealed.len();
            sealed.resize(start + plain.len() + records * RECORD_OVERHEAD_BYTES, 0);
            let written = match traffic.encrypt(plain, &mut sealed[start..]) {
                Err(EncryptError::InsufficientSize(needed)) => {
                    sealed.resize(start + needed.required_size, 0);
                    traffic.encrypt(plain, &mut sealed[start..])
                }
                result => result,
            };
            sealed.truncate(start + *written.as_ref().unwrap_or(&0));
            written.map(drop)
        })
    }

    fn close(&mut self, sealed: &mut Vec<u8>) {
        // A connection that failed has said its last already.
        let _ = self.write(sealed, |traffic, sealed| {
            let start = sealed.len();
            sealed.resize(start + ALERT_BYTES + RECORD_OVERHEAD_BYTES, 0);
            let written = traffic.queue_close_notify(&mut sealed[start..]);
            sealed.truncate(start + *written.as_ref().unwrap_or(&0));
            written.map(drop)
        });
    }

    fn held_bytes(&self) -> usize {
        self.pending.capacity() + self.early_plain.capacity()
    }
}

fn encode<Data>(mut data: EncodeTlsData<'_, Data>, output: &mut Vec<u8>) {
    let start = output.len();
    let mut written = data.encode(&mut []);
    if let Err(EncodeError::InsufficientSize(needed)) = &written {
        output.resize(start + needed.required_size, 0);
        written = data.encode(&mut output[start..]);
    }
    output.truncate(start + written.unwrap_or(0));
}

/// An error in the words of upstream's log, where they are known.
fn told(error: Error) -> ChannelError {
    let text = match &error {
        Error::NoCertificatesPresented => "tls: client didn't provide a certificate".into(),
        Error::InvalidCertificate(CertificateError::BadSignature) => {
            "tls: invalid signature by the client certificate".into()
        }
        Error::DecryptError => "local error: tls: bad record MAC".into(),
        Error::AlertReceived(alert) => format!("remote error: tls: {}", alert_text(*alert)),
        other => format!("tls: {other}"),
    };
    ChannelError(text)
}

/// An alert in Go's words.
fn alert_text(alert: AlertDescription) -> String {
    let text = match alert {
        AlertDescription::BadCertificate => "bad certificate",
        AlertDescription::UnsupportedCertificate => "unsupported certificate",
        AlertDescription::CertificateRevoked => "revoked certificate",
        AlertDescription::CertificateExpired => "expired certificate",
        AlertDescription::CertificateUnknown => "unknown certificate",
        AlertDescription::UnknownCA => "unknown certificate authority",
        AlertDescription::AccessDenied => "access denied",
        AlertDescription::HandshakeFailure => "handshake failure",
        AlertDescription::ProtocolVersion => "protocol version not supported",
        AlertDescription::DecryptError => "error decrypting message",
        AlertDescription::UserCanceled => "user canceled",
        other => return format!("{other:?}"),
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::channels;
    use super::*;
    use rcgen::{CertifiedKey, generate_simple_self_signed};
    use rustls::pki_types::PrivatePkcs8KeyDer;

    #[test]
    fn a_channel_that_failed_bears_whatever_is_asked_of_it() {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["a".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut channel = channels(cert.der().clone(), key.into()).unwrap().channel().unwrap();
        let mut output = Vec::new();
        channel.handshake(b"\x16\x03\x01\x00\x04\x01\x00\x00\x00", &mut output).unwrap_err();
        assert_eq!(output.first(), Some(&21), "an alert says so");
        output.clear();
        channel.handshake(b"again", &mut output).unwrap_err();
        channel.open(b"again", &mut Vec::new(), &mut Vec::new(), &mut output).unwrap_err();
        channel.seal(b"again", &mut output).unwrap_err();
        channel.close(&mut output);
        assert!(output.is_empty(), "it said its last before");
    }
}
