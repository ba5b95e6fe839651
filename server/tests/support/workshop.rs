//! Certificates of all sorts, good and bad, and their files.
#![allow(dead_code, reason = "each test file uses its part")]

use rcgen::PublicKeyData;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::ClientConfig;
use rustls::SupportedProtocolVersion;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use tempfile::TempDir;

pub const CLIENTS: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ClientAuth;
pub const SERVERS: ExtendedKeyUsagePurpose = ExtendedKeyUsagePurpose::ServerAuth;

/// A folder of certificates: `<name>.pem` and `<name>.key`.
pub struct Workshop {
    directory: TempDir,
    made: BTreeMap<String, CertifiedIssuer<'static, KeyPair>>,
}

/// A certificate to be.
pub struct Plan(CertificateParams);

impl Plan {
    /// With this common name and nothing else; valid from 2020 to 2120.
    pub fn new(name: &str) -> Plan {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, name);
        }
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2120, 1, 1);
        Plan(params)
    }

    /// With this subject.
    pub fn of(subject: &[(DnType, &str)]) -> Plan {
        let mut plan = Plan::new("");
        for (kind, value) in subject {
            plan.0.distinguished_name.push(kind.clone(), *value);
        }
        plan
    }

    /// An authority.
    pub fn authority(mut self) -> Plan {
        self.0.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        self
    }

    /// An authority with so many others below it at most.
    pub fn authority_above(mut self, count: u8) -> Plan {
        self.0.is_ca = IsCa::Ca(BasicConstraints::Constrained(count));
        self
    }

    /// Says that it is no authority.
    pub fn no_authority(mut self) -> Plan {
        self.0.is_ca = IsCa::ExplicitNoCa;
        self
    }

    pub fn extended(mut self, usage: ExtendedKeyUsagePurpose) -> Plan {
        self.0.extended_key_usages.push(usage);
        self
    }

    pub fn usage(mut self, usage: KeyUsagePurpose) -> Plan {
        self.0.key_usages.push(usage);
        self
    }

    /// Valid in these years alone.
    pub fn years(mut self, from: i32, to: i32) -> Plan {
        (self.0.not_before, self.0.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(to, 1, 1));
        self
    }

    /// With alternative names: of an e-mail address, a URI, an address or a host.
    pub fn names(mut self, names: &[&str]) -> Plan {
        let text = |name: &str| Ia5String::try_from(name).unwrap();
        let names = names.iter().map(|name| match name.parse() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) if name.contains("://") => SanType::URI(text(name)),
            Err(_) if name.contains('@') => SanType::Rfc822Name(text(name)),
            Err(_) => SanType::DnsName(text(name)),
        });
        self.0.subject_alt_names = names.collect();
        self
    }
}

impl Workshop {
    pub fn new() -> Workshop {
        Workshop { directory: tempfile::tempdir().unwrap(), made: BTreeMap::new() }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// A path as configuration files write it.
    pub fn text(&self, file: &str) -> String {
        self.path(file).to_str().unwrap().to_owned()
    }

    /// Makes a certificate that signs itself.
    pub fn self_signed(&mut self, name: &str, plan: Plan) {
        let made = CertifiedIssuer::self_signed(plan.0, KeyPair::generate().unwrap()).unwrap();
        self.keep(name, made);
    }

    /// Makes a certificate that another one signs, whether it may or not.
    pub fn signed(&mut self, name: &str, by: &str, plan: Plan) {
        let key = KeyPair::generate().unwrap();
        let made = CertifiedIssuer::signed_by(plan.0, key, &self.made[by]).unwrap();
        self.keep(name, made);
    }

    fn keep(&mut self, name: &str, made: CertifiedIssuer<'static, KeyPair>) {
        std::fs::write(self.path(&format!("{name}.pem")), made.pem()).unwrap();
        std::fs::write(self.path(&format!("{name}.key")), made.key().serialize_pem()).unwrap();
        self.made.insert(name.to_owned(), made);
    }

    /// Puts files one behind the other.
    pub fn join(&self, file: &str, parts: &[&str]) {
        let read = |part: &&str| std::fs::read_to_string(self.path(part)).unwrap();
        std::fs::write(self.path(file), parts.iter().map(read).collect::<String>()).unwrap();
    }

    /// Takes a file that is kept with the tests.
    pub fn bring(&self, file: &str) {
        let fixtures = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
        std::fs::copy(fixtures.join(file), self.path(file)).unwrap();
    }

    /// The two entries of a `tls` block that name a certificate.
    pub fn files(&self, name: &str) -> String {
        let (certificate, key) = (self.text(&format!("{name}.pem")), self.text(&format!("{name}.key")));
        format!("cert_file: \"{certificate}\", key_file: \"{key}\"")
    }

    /// The digest of a certificate's public key, as `pinned_certs` has it.
    pub fn key_digest(&self, name: &str) -> String {
        let digest = Sha256::digest(self.made[name].key().subject_public_key_info());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// A client that trusts everybody and shows a certificate, whoever is asked for.
    pub fn client(
        &self,
        shown: Option<&str>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(trusting())
            .with_no_client_auth();
        if let Some(name) = shown {
            let chain = CertificateDer::pem_file_iter(self.path(&format!("{name}.pem"))).unwrap();
            let chain = chain.map(Result::unwrap).collect();
            let key = PrivateKeyDer::from_pem_file(self.path(&format!("{name}.key"))).unwrap();
            let key = aws_lc_rs::sign::any_supported_type(&key).unwrap();
            config.client_auth_cert_resolver =
                Arc::new(SingleCertAndKey::from(CertifiedKey::new(chain, key)));
        }
        config
    }
}

/// Trusts everybody.
pub fn trusting() -> Arc<dyn ServerCertVerifier> {
    Arc::new(Trusting)
}

/// Whoever it is: the server's certificate is not what is tested.
#[derive(Debug)]
struct Trusting;

impl ServerCertVerifier for Trusting {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
