//! A `tls` block made to work: files read, rules checked.

use super::channel::{Channels, Rules};
use super::resolver::ByName;
use super::{certificate, pem, suites};
use petrel_config::TlsOptions;
use petrel_engine::transport::{self, ConnectionRate, SubjectIndex};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys, RootCertStore, ServerConfig};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// How long a handshake may take unless it is configured.
pub const TIMEOUT_DEFAULT: Duration = Duration::from_secs(2);

/// Why TLS cannot work as configured. The texts are upstream's where it has them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A certificate or its key; which of how many, when there are several.
    #[error("error parsing X509 certificate/key pair{0}: {1}")]
    Pair(String, String),
    /// Whatever else, in a sentence.
    #[error("{0}")]
    Other(String),
}

/// TLS of the server: for its clients, and for monitoring.
#[derive(Clone, Debug)]
pub struct Tls {
    /// For the cores.
    pub engine: Arc<transport::TlsOptions>,
    /// For listeners of the control plane: the same certificates, without asking for the client's.
    pub monitoring: Arc<ServerConfig>,
    /// When the first certificate expires, in seconds since the epoch.
    pub not_after: Option<i64>,
}

impl Tls {
    /// Reads the files. `required`: nobody is taken without TLS; `users`: the names of those whom certificates may stand for.
    ///
    /// # Errors
    /// What does not fit, or cannot be read.
    pub fn load<'u>(
        options: &TlsOptions,
        required: bool,
        users: impl Iterator<Item = &'u str>,
    ) -> Result<Tls, TlsError> {
        let provider = suites::provider(&options.cipher_suites, &options.curve_preferences);
        let provider = Arc::new(provider.map_err(TlsError::Other)?);
        let certificates = certificates(options, &provider)?;
        let not_after = certificates.first().and_then(|certified| certified.cert.first());
        let not_after = not_after.and_then(|der| certificate::not_after(der));
        let resolver = Arc::new(ByName::new(certificates));
        let maps = options.verify_and_map;
        let verifies = options.verify || maps;
        // Named in any case: a file that is not there is an error also where nobody is verified.
        let roots = options.ca_file.as_deref().map(pem::authorities).transpose().map_err(TlsError::Other)?;
        let roots = if verifies { Some(roots.map_or_else(system_roots, Ok)?) } else { None };
        let config = Arc::new(configured(options, &provider, roots, &resolver)?);
        let monitoring = match verifies {
            true => Arc::new(configured(options, &provider, None, &resolver)?),
            false => Arc::clone(&config),
        };
        let pinned = options.pinned_certs.as_ref().map(|pins| digests(pins)).transpose()?;
        let channels = Channels(Arc::new(Rules { config, pinned: pinned.clone(), maps }));
        let rate = options.connection_rate_limit;
        let engine = transport::TlsOptions {
            channels: Arc::new(channels),
            required,
            first: options.handshake_first,
            timeout: options.timeout.unwrap_or(TIMEOUT_DEFAULT),
            maps_certificates: maps,
            pinned,
            rate: (rate > 0).then(|| Arc::new(ConnectionRate::new(rate))),
            users_by_subject: SubjectIndex::new(users.filter(|_| maps)),
        };
        Ok(Tls { engine: Arc::new(engine), monitoring, not_after })
    }
}

fn configured(
    options: &TlsOptions,
    provider: &Arc<CryptoProvider>,
    roots: Option<RootCertStore>,
    resolver: &Arc<ByName>,
) -> Result<ServerConfig, TlsError> {
    let other = |error: Error| TlsError::Other(format!("tls: {error}"));
    let versions: &[_] = if options.min_version_1_3 {
        &[&rustls::version::TLS13]
    } else {
        &[&rustls::version::TLS13, &rustls::version::TLS12]
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
    let builder = builder.with_protocol_versions(versions).map_err(other)?;
    let builder = match roots {
        Some(roots) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
            let verifier = verifier.build().map_err(|error| TlsError::Other(format!("tls: {error}")))?;
            builder.with_client_cert_verifier(verifier)
        }
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::<ByName>::clone(resolver));
    config.ignore_client_order = true;
    // Sessions are resumed by what the client keeps: nothing is kept here for those who are gone. The keys are of this
    // configuration alone, so whom a reload would refuse cannot come back by a ticket.
    config.ticketer = aws_lc_rs::Ticketer::new().map_err(other)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}

fn certificates(options: &TlsOptions, provider: &CryptoProvider) -> Result<Vec<CertifiedKey>, TlsError> {
    let count = options.certificates.len();
    if count == 0 {
        return Err(TlsError::Other("TLS needs a certificate: 'cert_file' and 'key_file'".into()));
    }
    let pairs = options.certificates.iter().enumerate();
    pairs
        .map(|(index, files)| {
            let place = if count > 1 { format!(" {}/{count}", index + 1) } else { String::new() };
            pair(&files.cert_file, &files.key_file, provider)
                .map_err(|problem| TlsError::Pair(place, problem))
        })
        .collect()
}

fn pair(cert_file: &str, key_file: &str, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain: Vec<CertificateDer<'static>> = pem::certificates(cert_file)?;
    let key = pem::key(key_file)?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|_| "tls: failed to parse private key".to_owned())?;
    let certified = CertifiedKey::new(chain, key);
    match certified.keys_match() {
        // Some keys do not tell; what is wrong with them shows in the first handshake.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => Ok(certified),
        Err(Error::InconsistentKeys(_)) => Err("tls: private key does not match public key".into()),
        Err(error) => Err(format!("tls: {error}")),
    }
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let problem =
            "tls: clients are to be verified, but there is no 'ca_file' and the system trusts nobody";
        return Err(TlsError::Other(problem.into()));
    }
    Ok(roots)
}

fn digests(pins: &[String]) -> Result<BTreeSet<[u8; 32]>, TlsError> {
    let digest = |pin: &String| {
        let problem = || {
            TlsError::Other(format!(
                "error parsing tls config, 'pinned_certs' key {pin} does not look like hex-encoded sha256 of DER \
                 encoded SubjectPublicKeyInfo"
            ))
        };
        let mut digest = [0; 32];
        if pin.len() != 64 || !pin.is_ascii() {
            return Err(problem());
        }
        for (at, byte) in digest.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&pin[2 * at..2 * at + 2], 16).map_err(|_| problem())?;
        }
        Ok(digest)
    };
    pins.iter().map(digest).collect()
}
