//! Who a client is by its certificate.

use super::distinguished_name::DistinguishedName;

/// What a handshake has found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsPeer {
    /// `1.2` or `1.3`.
    pub version: &'static str,
    /// The standard name of the cipher suite.
    pub cipher_suite: &'static str,
    /// The client's certificates that were checked, its own first; none when none was asked for.
    pub certificates: Box<[PeerCertificate]>,
    /// What the client's own certificate may be a user by, when certificates are mapped to users.
    pub names: Option<Box<CertificateNames>>,
}

/// A certificate as monitoring shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerCertificate {
    /// Its subject in Go's order.
    pub subject: String,
    /// SHA-256 of its public key (SubjectPublicKeyInfo).
    pub key_digest: [u8; 32],
    /// SHA-256 of all of it.
    pub digest: [u8; 32],
}

/// What a certificate may be a user by, in the order in which it is tried (reference: security.md, section 4).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// Of the alternative names.
    pub emails: Vec<String>,
    /// The same.
    pub dns_names: Vec<String>,
    /// The same.
    pub uris: Vec<String>,
    /// The subject, the last of its parts first, as RFC 4514 writes it; `None` when it has an attribute that upstream
    /// does not know by name.
    pub subject: Option<DistinguishedName>,
    /// The subject as text with its domain components, when it has some.
    pub text_with_components: Option<String>,
    /// The subject as text.
    pub text: String,
}

/// By what a user was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoundBy {
    /// An e-mail address.
    Email,
    /// A DNS name.
    DnsName,
    /// A URI.
    Uri,
    /// The subject, part by part, or with its domain components.
    Subject,
    /// The subject's text.
    Text,
}

impl FoundBy {
    /// What upstream's log calls it, where it says something.
    pub(crate) fn shown(self) -> Option<&'static str> {
        match self {
            FoundBy::Email => Some("email found in cert"),
            FoundBy::DnsName => Some("SAN found in cert"),
            FoundBy::Uri => Some("URI found in cert"),
            FoundBy::Subject => None,
            FoundBy::Text => Some("certificate subject"),
        }
    }
}

/// A digest in lower-case hexadecimal, as logs and monitoring show it.
pub fn digest_text(digest: &[u8; 32]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    digest.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}
