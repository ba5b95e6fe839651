//! Certificates and keys from PEM files. The texts of errors are those of Go's library, which upstream shows.

use rustls::pki_types::pem::{PemObject, SectionKind};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs1KeyDer, PrivatePkcs8KeyDer, PrivateSec1KeyDer,
};
use std::fs;

/// What a key with a password begins with; there is no way to give the password.
const ENCRYPTED_KEY: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

/// One block of a PEM file.
struct Block {
    kind: SectionKind,
    bytes: Vec<u8>,
}

/// The blocks of a file; damaged ones and what lies between are skipped, as Go does.
fn blocks(text: &[u8]) -> Vec<Block> {
    let blocks = <(SectionKind, Vec<u8>)>::pem_slice_iter(text);
    blocks.filter_map(Result::ok).map(|(kind, bytes)| Block { kind, bytes }).collect()
}

fn is_key(kind: SectionKind) -> bool {
    matches!(kind, SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey)
}

/// What a block of this kind is headed with.
fn name(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Certificate => "CERTIFICATE",
        SectionKind::PublicKey => "PUBLIC KEY",
        SectionKind::RsaPrivateKey => "RSA PRIVATE KEY",
        SectionKind::PrivateKey => "PRIVATE KEY",
        SectionKind::EcPrivateKey => "EC PRIVATE KEY",
        SectionKind::Crl => "X509 CRL",
        SectionKind::Csr => "CERTIFICATE REQUEST",
        _ => "unknown",
    }
}

fn names(blocks: &[Block]) -> String {
    let names: Vec<&str> = blocks.iter().map(|block| name(block.kind)).collect();
    format!("[{}]", names.join(" "))
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    // Go opens what it reads, so a directory fails with the second of these words.
    let problem = |error: std::io::Error| {
        let verb = if error.kind() == std::io::ErrorKind::IsADirectory { "read" } else { "open" };
        format!("{verb} {path}: {}", crate::files::system_text(&error))
    };
    fs::read(path).map_err(problem)
}

/// The certificates of a file, the server's own first.
///
/// # Errors
/// When the file cannot be read or has none in it.
pub fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let blocks = blocks(&read(path)?);
    let (certificates, others): (Vec<Block>, Vec<Block>) =
        blocks.into_iter().partition(|block| block.kind == SectionKind::Certificate);
    if certificates.is_empty() {
        return Err(match others.as_slice() {
            [] => "tls: failed to find any PEM data in certificate input".into(),
            [other] if is_key(other.kind) => {
                "tls: failed to find certificate PEM data in certificate input, but \
                                              did find a private key; PEM inputs may have been switched"
                    .into()
            }
            others => format!(
                "tls: failed to find \"CERTIFICATE\" PEM block in certificate input after skipping PEM blocks of \
                 the following types: {}",
                names(others)
            ),
        });
    }
    Ok(certificates.into_iter().map(|block| CertificateDer::from(block.bytes)).collect())
}

/// The first key of a file, in any of the three forms.
///
/// # Errors
/// When the file cannot be read or has none in it.
pub fn key(path: &str) -> Result<PrivateKeyDer<'static>, String> {
    let text = read(path)?;
    let mut blocks = blocks(&text);
    let Some(at) = blocks.iter().position(|block| is_key(block.kind)) else {
        return Err(match blocks.as_slice() {
            // Go finds the block and cannot open it.
            [] if text.windows(ENCRYPTED_KEY.len()).any(|window| window == ENCRYPTED_KEY) => {
                "tls: failed to parse private key".into()
            }
            [] => "tls: failed to find any PEM data in key input".into(),
            [other] if other.kind == SectionKind::Certificate => {
                "tls: found a certificate rather than a key in the PEM for the private key".into()
            }
            others => format!(
                "tls: failed to find PEM block with type ending in \"PRIVATE KEY\" in key input after skipping PEM \
                 blocks of the following types: {}",
                names(others)
            ),
        });
    };
    let Block { kind, bytes } = blocks.swap_remove(at);
    Ok(match kind {
        SectionKind::RsaPrivateKey => PrivatePkcs1KeyDer::from(bytes).into(),
        SectionKind::EcPrivateKey => PrivateSec1KeyDer::from(bytes).into(),
        _ => PrivatePkcs8KeyDer::from(bytes).into(),
    })
}

/// The authorities of a file, as they lie there: whether they can be read shows later.
///
/// # Errors
/// When the file cannot be read.
pub fn authorities(path: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let blocks = blocks(&read(path)?);
    let certificates = blocks.into_iter().filter(|block| block.kind == SectionKind::Certificate);
    Ok(certificates.map(|block| CertificateDer::from(block.bytes)).collect())
}
