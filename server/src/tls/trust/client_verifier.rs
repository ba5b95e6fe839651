//! The rules for rustls, and a remark for the log.

use super::chain::Trust;
use super::der;
use crate::tls::certificate;
use crate::tls::tickets::Validity;
use petrel_engine::transport::digest_text;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::verify_tls13_signature_with_raw_key;
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, PeerMisbehaved, SignatureScheme,
};
use std::sync::{Arc, Mutex, PoisonError};

/// What is said of a refused client in the log: rustls' errors, which choose the alert, have no room for it. One for a
/// connection.
#[derive(Clone, Debug, Default)]
pub struct Remark(Arc<Mutex<Option<String>>>);

impl Remark {
    /// Takes it.
    pub fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, text: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }
}

/// Checks the certificates of the clients of one connection.
#[derive(Clone, Debug)]
pub struct ClientVerifier {
    trust: Arc<Trust>,
    names: Arc<[DistinguishedName]>,
    remark: Remark,
    validity: Validity,
}

impl ClientVerifier {
    /// By these authorities.
    pub fn new(trust: Trust) -> ClientVerifier {
        let names = trust.names().map(|name| DistinguishedName::from(name.to_vec())).collect();
        let (remark, validity) = (Remark::default(), Validity::unknown());
        ClientVerifier { trust: Arc::new(trust), names, remark, validity }
    }

    /// The same for one connection, and where it leaves its remark, or how long the certificates count that it took.
    pub fn for_connection(&self) -> (ClientVerifier, Remark, Validity) {
        let (remark, validity) = (Remark::default(), Validity::unknown());
        let verifier = ClientVerifier { remark: remark.clone(), validity: validity.clone(), ..self.clone() };
        (verifier, remark, validity)
    }
}

/// Who was refused: subjects and digests, the client's own first. As upstream writes them.
fn shown(certificates: &[&CertificateDer<'_>]) -> String {
    let shown = certificates.iter().map(|der| {
        let certificate = certificate::shown(der);
        format!("{} SHA-256: {}", certificate.subject, digest_text(&certificate.digest))
    });
    shown.collect::<Vec<_>>().join("; ")
}

impl ClientCertVerifier for ClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let not_after = self.trust.check(end_entity, intermediates, now).map_err(|refusal| {
            let all: Vec<_> = std::iter::once(end_entity).chain(intermediates).collect();
            self.remark.set(format!("tls: failed to verify certificate: {refusal} ({})", shown(&all)));
            Error::InvalidCertificate(refusal.alert())
        })?;
        self.validity.set(not_after);
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let bad_encoding = || Error::InvalidCertificate(CertificateError::BadEncoding);
        let info = der::public_key_info(certificate).ok_or_else(bad_encoding)?;
        let key = der::public_key(&info).ok_or_else(bad_encoding)?;
        let mapping = self.trust.provider().signature_verification_algorithms.mapping;
        let known = mapping.iter().find(|(scheme, _)| *scheme == signature.scheme);
        let (_, algorithms) = known.ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In TLS 1.2 a scheme does not say the curve.
        let fitting =
            algorithms.iter().find(|algorithm| algorithm.public_key_alg_id().as_ref() == key.algorithm);
        let bad_signature = || Error::InvalidCertificate(CertificateError::BadSignature);
        let algorithm = fitting.ok_or_else(bad_signature)?;
        algorithm.verify_signature(key.bits, message, signature.signature()).map_err(|_| bad_signature())?;
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let info = der::public_key_info(certificate)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let info = SubjectPublicKeyInfoDer::from(info);
        let algorithms = &self.trust.provider().signature_verification_algorithms;
        verify_tls13_signature_with_raw_key(message, &info, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.trust.provider().signature_verification_algorithms.supported_schemes()
    }
}
