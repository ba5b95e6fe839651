//! What reads what a client shows in a handshake.

use crate::tls::{ClientVerifier, Offer, Trust, not_after, public_key_info, shown, user_names};
use petrel_engine::transport::digest_text;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use std::sync::Arc;
use std::time::Duration;

/// Within the time for which the certificates of the corpus are good.
const NOW: Duration = Duration::from_secs(1_800_000_000);

/// A chain of certificates in DER, each behind two bytes of its length. Checked: none of them comes by an authority that
/// signed nothing; what is told of one is the same for all who read it; and a chain is judged, whatever it trusts.
pub fn certificate(input: &[u8]) {
    let mut chain = Vec::new();
    let mut rest = input;
    while let Some((head, behind)) = rest.split_first_chunk::<2>() {
        let bytes = usize::from(u16::from_be_bytes(*head)).min(behind.len());
        chain.push(CertificateDer::from(&behind[..bytes]));
        rest = &behind[bytes..];
    }
    let Some((end, others)) = chain.split_first() else { return };
    for der in &chain {
        let (info, told) = (public_key_info(der), shown(der));
        assert_eq!(info.is_some(), not_after(der).is_some());
        assert_eq!(info.is_some(), user_names(der).is_some());
        assert!(info.is_some() || told.subject.is_empty());
        assert_eq!(digest_text(&told.digest).len(), 64);
        if let Some(info) = info {
            assert!(der.windows(info.len()).any(|part| part == info), "the key is none of its own");
        }
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let now = UnixTime::since_unix_epoch(NOW);
    if let Some(trust) = Trust::new(&chain, &provider) {
        let (verifier, remark, _) = ClientVerifier::new(trust).for_connection();
        let is_refused = verifier.verify_client_cert(end, others, now).is_err();
        assert_eq!(remark.take().is_some(), is_refused);
    }
    let Ok(CertifiedKey { cert, .. }) = generate_simple_self_signed(["a".to_owned()]) else { return };
    if let Some(stranger) = Trust::new(&[cert.der().clone()], &provider) {
        let (verifier, ..) = ClientVerifier::new(stranger).for_connection();
        assert!(verifier.verify_client_cert(end, others, now).is_err());
    }
}

/// The first bytes of a handshake. Checked: what is read of them is told in words.
pub fn client_hello(input: &[u8]) {
    let Some(offer) = Offer::read(input) else { return };
    for words in [offer.unsupported_versions(), offer.no_suite(), offer.no_key_exchange()] {
        assert!(words.starts_with("tls: "), "{words}");
    }
}
