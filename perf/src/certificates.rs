//! Certificates for the servers of one run: both serve the same file.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SanType,
};

use crate::scenario::Scenario;

/// An authority and the certificate of 127.0.0.1 that it signed, both ECDSA on P-256, in a folder that goes with this.
#[derive(Debug)]
pub struct Certificates {
    folder: PathBuf,
}

impl Certificates {
    /// Makes them.
    ///
    /// # Errors
    /// When the folder of temporary files cannot be written to.
    pub fn make() -> Result<Self> {
        let name = format!("petrel-perf-{}-{:016x}", std::process::id(), unique());
        let folder = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&folder).context("a folder for certificates")?;
        let certificates = Self { folder };
        certificates.fill().context("certificates")?;
        Ok(certificates)
    }

    /// Makes them if `scenario` runs over TLS.
    ///
    /// # Errors
    /// As [`Certificates::make`].
    pub fn make_for(scenario: &Scenario) -> Result<Option<Self>> {
        scenario.is_over_tls.then(Self::make).transpose()
    }

    /// The authority, whom clients are to trust, as a file in PEM.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }

    /// The lines of a server's configuration that make all its clients speak TLS.
    pub fn server_lines(&self) -> String {
        tls_lines(&self.folder)
    }

    /// The same as people read it, without the folder.
    pub fn described() -> String {
        tls_lines(Path::new("")).replace('\n', "")
    }

    fn fill(&self) -> Result<()> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "Authority of a measurement");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let authority = CertifiedIssuer::self_signed(parameters, key)?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name.push(DnType::CommonName, "127.0.0.1");
        parameters.subject_alt_names = vec![SanType::IpAddress(Ipv4Addr::LOCALHOST.into())];
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let certificate = parameters.signed_by(&key, &authority)?;
        self.write("ca.pem", &authority.as_ref().pem())?;
        self.write("server-cert.pem", &certificate.pem())?;
        self.write("server-key.pem", &key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.folder.join(name))?;
        Ok(file.write_all(text.as_bytes())?)
    }
}

impl Drop for Certificates {
    fn drop(&mut self) {
        // Left behind it would only be a folder among the temporary ones.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn tls_lines(folder: &Path) -> String {
    let [certificate, key] = ["server-cert.pem", "server-key.pem"].map(|name| folder.join(name));
    format!("tls {{ cert_file: \"{}\", key_file: \"{}\" }}\n", certificate.display(), key.display())
}

/// A number for a name among the temporary files that nobody can take first.
fn unique() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_there_and_go_with_it() {
        let certificates = Certificates::make().expect("a temporary folder");
        let authority = certificates.authority();
        let text = fs::read_to_string(&authority).expect("just written");
        assert!(text.starts_with("-----BEGIN CERTIFICATE-----"), "{text}");
        let lines = certificates.server_lines();
        for quoted in lines.split('"').skip(1).step_by(2) {
            assert!(Path::new(quoted).is_file(), "{quoted}");
        }
        drop(certificates);
        assert!(!authority.exists());
    }

    #[test]
    fn what_people_read_names_no_folder() {
        assert_eq!(
            Certificates::described(),
            r#"tls { cert_file: "server-cert.pem", key_file: "server-key.pem" }"#
        );
    }
}
