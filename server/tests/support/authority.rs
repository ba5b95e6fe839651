//! Certificates made for a test, and clients that speak TLS with them.
#![allow(dead_code, reason = "each test file uses its part")]

use super::PATIENCE;
use rcgen::PublicKeyData;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    SanType, date_time_ymd,
};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};
use sha2::{Digest, Sha256};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Someone who signs certificates, and the files that hold them.
pub struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    /// A new one. Its own certificate is in `ca.pem`.
    pub fn new() -> Authority {
        let directory = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "test authority");
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        std::fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Authority { directory, issuer }
    }

    /// Where a file is.
    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// The same, as configuration files write it.
    pub fn text(&self, file: &str) -> String {
        self.path(file).to_str().unwrap().to_owned()
    }

    /// Makes `<name>.pem` and `<name>.key`, for these names. An address with `@` is an e-mail address, one with `://` a
    /// URI.
    pub fn issue(&self, name: &str, names: &[&str]) {
        self.issue_as(name, names, &[(DnType::CommonName, name)]);
    }

    /// Makes a certificate of a client that counts until then, in seconds since the epoch.
    pub fn issue_until(&self, name: &str, seconds: u64) {
        let mut params = CertificateParams::default();
        params.not_after = date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        self.sign(name, params);
    }

    /// The same as [`Authority::issue`], with a subject.
    pub fn issue_as(&self, name: &str, names: &[&str], subject: &[(DnType, &str)]) {
        let mut params = CertificateParams::default();
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        for (kind, value) in subject {
            params.distinguished_name.push(kind.clone(), *value);
        }
        let text = |name: &str| Ia5String::try_from(name).unwrap();
        params.subject_alt_names = names
            .iter()
            .map(|name| match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) if name.contains("://") => SanType::URI(text(name)),
                Err(_) if name.contains('@') => SanType::Rfc822Name(text(name)),
                Err(_) => SanType::DnsName(text(name)),
            })
            .collect();
        self.sign(name, params);
    }

    fn sign(&self, name: &str, params: CertificateParams) {
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(self.path(&format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
    }

    /// The two lines of a `tls` block that name a certificate.
    pub fn files(&self, name: &str) -> String {
        format!("cert_file: \"{}\"\nkey_file: \"{}\"\n", self.text(&format!("{name}.pem")), self.key(name))
    }

    fn key(&self, name: &str) -> String {
        self.text(&format!("{name}.key"))
    }

    /// Writes a configuration file and returns its path.
    pub fn configure(&self, text: &str) -> String {
        let path = self.path("nats.conf");
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// What a client trusts and shows; `shown`: the name of a certificate.
    pub fn client(
        &self,
        shown: Option<&str>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Arc<ClientConfig> {
        let mut config = self.client_parts(versions);
        if let Some(name) = shown {
            self.show(&mut config, name);
        }
        Arc::new(config)
    }

    /// What a client trusts.
    pub fn client_parts(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// Makes a client show a certificate of this authority, whoever is asked for.
    pub fn show(&self, config: &mut ClientConfig, name: &str) {
        let chain = CertificateDer::pem_file_iter(self.path(&format!("{name}.pem"))).unwrap();
        let chain = chain.map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(Path::new(&self.key(name))).unwrap();
        let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
        let certified = CertifiedKey::new(chain, key);
        config.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(certified));
    }

    /// The digest of a certificate's public key, as `pinned_certs` has it.
    pub fn key_digest(&self, name: &str) -> String {
        let key = KeyPair::from_pem(&std::fs::read_to_string(self.key(name)).unwrap()).unwrap();
        let digest = Sha256::digest(key.subject_public_key_info());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A client that speaks TLS.
pub struct TlsClient {
    stream: StreamOwned<ClientConnection, TcpStream>,
    /// All that was received, INFO in clear included.
    pub received: String,
}

impl TlsClient {
    /// Begins TLS on a connection; `received` is what it had before. Nothing is sent yet.
    pub fn new(stream: TcpStream, config: &Arc<ClientConfig>, server: &str, received: String) -> TlsClient {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let name = ServerName::try_from(server.to_owned()).unwrap();
        let connection = ClientConnection::new(Arc::clone(config), name).unwrap();
        TlsClient { stream: StreamOwned::new(connection, stream), received }
    }

    /// Reads INFO in clear, then begins TLS.
    pub fn connect(port: u16, config: &Arc<ClientConfig>) -> TlsClient {
        let mut plain = super::Client::connect(port);
        let received = std::mem::take(&mut plain.received);
        TlsClient::new(plain.into_stream(), config, "localhost", received)
    }

    /// Begins TLS at once.
    pub fn connect_first(port: u16, config: &Arc<ClientConfig>) -> TlsClient {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        TlsClient::new(stream, config, "localhost", String::new())
    }

    /// The connection.
    pub fn connection(&self) -> &ClientConnection {
        &self.stream.conn
    }

    /// The socket.
    pub fn socket(&self) -> &TcpStream {
        &self.stream.sock
    }

    /// Sends protocol lines.
    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
        self.stream.flush().unwrap();
    }

    /// Sends bytes, or fails.
    pub fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(bytes)?;
        self.stream.flush()
    }

    /// Reads some bytes; 0 is the end that the server announced.
    pub fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.read(buffer)
    }

    /// Sends CONNECT with these fields and waits for the PONG behind it.
    pub fn log_in(&mut self, connect: &str) {
        self.send(&format!("CONNECT {connect}\r\nPING\r\n"));
        self.wait_for("PONG\r\n");
    }

    /// Reads until a text was received.
    pub fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 16 * 1024];
        while !self.received.contains(text) {
            match self.stream.read(&mut buffer) {
                Ok(0) => panic!("closed before {text:?}: {:?}", self.received),
                Ok(count) => self.received.push_str(&String::from_utf8_lossy(&buffer[..count])),
                Err(error) => panic!("{error} before {text:?}: {:?}", self.received),
            }
        }
    }

    /// Reads until the server closes; the error, when it does so without saying so.
    pub fn wait_for_end(&mut self) -> Option<std::io::Error> {
        let mut bytes = Vec::new();
        let result = self.stream.read_to_end(&mut bytes);
        self.received.push_str(&String::from_utf8_lossy(&bytes));
        result.err()
    }

    /// Says that nothing follows, and keeps the socket open.
    pub fn say_goodbye(&mut self) {
        self.stream.conn.send_close_notify();
        self.stream.flush().unwrap();
    }
}
