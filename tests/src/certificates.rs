//! Certificates of a small organisation, and of a stranger, made anew for each run.

use std::fs;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};

/// An authority with the certificates that it signed, and a second one that nobody trusts.
///
/// [`Certificates::write`] puts them into a folder as files in PEM, keys as PKCS #8:
///
/// | file | what it is |
/// |---|---|
/// | `ca.pem` | the authority |
/// | `server-cert.pem`, `server-key.pem` | of `localhost`, `127.0.0.1` and `::1`, signed by the authority |
/// | `lone-cert.pem`, `lone-key.pem` | of the same hosts, signed by itself and an authority, which is what `openssl req -x509` makes |
/// | `client-cert.pem`, `client-key.pem` | with the e-mail address [`Certificates::CLIENT_EMAIL`], signed by the authority |
/// | `guest-cert.pem`, `guest-key.pem` | with the e-mail address [`Certificates::GUEST_EMAIL`], signed by the authority |
/// | `stranger-ca.pem` | the authority that nobody trusts |
/// | `stranger-cert.pem`, `stranger-key.pem` | as the client's, signed by that one |
#[derive(Debug)]
pub struct Certificates {
    files: Vec<(&'static str, String)>,
}

impl Certificates {
    /// The address in the client's certificate.
    pub const CLIENT_EMAIL: &str = "alice@petrel.test";

    /// The address in the certificate of another client.
    pub const GUEST_EMAIL: &str = "guest@petrel.test";

    /// Writes all files into `folder`.
    ///
    /// # Panics
    ///
    /// When the folder cannot be written to.
    pub fn write(&self, folder: &Path) {
        for (name, text) in &self.files {
            fs::write(folder.join(name), text).expect("the folder can be written to");
        }
    }
}

impl Default for Certificates {
    fn default() -> Self {
        let (authority, stranger) = (authority("Petrel test authority"), authority("Somebody else"));
        let mut files =
            vec![("ca.pem", authority.as_ref().pem()), ("stranger-ca.pem", stranger.as_ref().pem())];
        let (certificate, key) = signed(&authority, "localhost", server_names());
        files.extend([("server-cert.pem", certificate), ("server-key.pem", key)]);
        let (certificate, key) = lone("localhost", server_names());
        files.extend([("lone-cert.pem", certificate), ("lone-key.pem", key)]);
        let (certificate, key) = signed(&authority, "alice", vec![email(Self::CLIENT_EMAIL)]);
        files.extend([("client-cert.pem", certificate), ("client-key.pem", key)]);
        let (certificate, key) = signed(&authority, "guest", vec![email(Self::GUEST_EMAIL)]);
        files.extend([("guest-cert.pem", certificate), ("guest-key.pem", key)]);
        let (certificate, key) = signed(&stranger, "alice", vec![email(Self::CLIENT_EMAIL)]);
        files.extend([("stranger-cert.pem", certificate), ("stranger-key.pem", key)]);
        Self { files }
    }
}

fn key() -> KeyPair {
    KeyPair::generate().expect("keys can be made")
}

fn email(address: &str) -> SanType {
    SanType::Rfc822Name(address.try_into().expect("an address in ASCII"))
}

fn server_names() -> Vec<SanType> {
    vec![
        SanType::DnsName("localhost".try_into().expect("a name in ASCII")),
        SanType::IpAddress(std::net::Ipv4Addr::LOCALHOST.into()),
        SanType::IpAddress(std::net::Ipv6Addr::LOCALHOST.into()),
    ]
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(parameters, key()).expect("an authority can be made")
}

/// A certificate and its key, in PEM, with what `openssl req -x509` puts into it unless it is told otherwise: the ids of
/// its key, and that it is an authority.
fn lone(name: &str, names: Vec<SanType>) -> (String, String) {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.subject_alt_names = names;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.use_authority_key_identifier_extension = true;
    let key = key();
    let certificate = parameters.self_signed(&key).expect("a certificate can sign itself");
    (certificate.pem(), key.serialize_pem())
}

/// A certificate for both directions and its key, in PEM.
fn signed(
    authority: &CertifiedIssuer<'static, KeyPair>,
    name: &str,
    names: Vec<SanType>,
) -> (String, String) {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.subject_alt_names = names;
    parameters.use_authority_key_identifier_extension = true;
    parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    parameters.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = key();
    let certificate = parameters.signed_by(&key, authority).expect("a certificate can be signed");
    (certificate.pem(), key.serialize_pem())
}
