//! `tls { }`, as it is configured. Files are named, not read.

use std::time::Duration;

/// One `tls` block.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsOptions {
    /// Certificates with their keys: one by `cert_file` and `key_file`, or those of `certs`.
    pub certificates: Vec<CertificateFiles>,
    /// Who is trusted to sign clients' certificates; `None`: the system's roots.
    pub ca_file: Option<String>,
    /// Clients must present a certificate.
    pub verify: bool,
    /// The certificate says which user it is; implies `verify`.
    pub verify_and_map: bool,
    /// How long a handshake may take.
    pub timeout: Option<Duration>,
    /// Cipher suites by their standard names; empty: rustls' defaults. Names were checked to be ones rustls has.
    pub cipher_suites: Vec<String>,
    /// Key exchange groups by upstream's names; empty: rustls' defaults. Checked likewise.
    pub curve_preferences: Vec<String>,
    /// 1.2 when false, 1.3 when true.
    pub min_version_1_3: bool,
    /// Digests (SHA-256 of SubjectPublicKeyInfo, lower-case hex) that a client's certificate must have one of.
    /// `None` or empty: any.
    pub pinned_certs: Option<Vec<String>>,
    /// Connections a second that may begin a handshake; 0: unlimited.
    pub connection_rate_limit: u32,
    /// When TLS begins.
    pub handshake_first: HandshakeFirst,
}

/// A certificate chain and its key, both PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct CertificateFiles {
    pub cert_file: String,
    pub key_file: String,
}

/// When TLS begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakeFirst {
    /// After INFO.
    #[default]
    No,
    /// Before INFO.
    Always,
    /// Before INFO when the client begins within this time, else after it.
    Within(Duration),
}

impl HandshakeFirst {
    /// What `auto` means.
    pub const AUTO: HandshakeFirst = HandshakeFirst::Within(Duration::from_millis(50));
}
