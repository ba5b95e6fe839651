//! A `tls` block made to work: files read, rules checked.

use super::channel::{Channels, Rules};
use super::recipe::Recipe;
use super::resolver::ByName;
use super::trust::{ClientVerifier, Trust, is_same_kind, public_key_info};
use super::{certificate, pem, suites};
use petrel_config::TlsOptions;
use petrel_engine::transport::{self, ConnectionRate, SubjectIndex};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
#[cfg(any(test, feature = "fuzzing"))]
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::CertifiedKey;
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
        let trust = options.ca_file.as_deref().map(|file| trust(file, &provider)).transpose()?;
        let trust = if verifies { Some(trust.map_or_else(|| system_trust(&provider), Ok)?) } else { None };
        let verifier = trust.map(ClientVerifier::new);
        let recipe = || {
            Recipe::new(options, &provider, &resolver)
                .map_err(|error| TlsError::Other(format!("tls: {error}")))
        };
        // Each with tickets of its own: one that monitoring gave out, without asking who it is, lets nobody in here.
        let (recipe, monitoring) = (recipe()?, recipe()?.shared());
        let pinned = options
            .pinned_certs
            .as_ref()
            .filter(|pins| !pins.is_empty())
            .map(|pins| digests(pins))
            .transpose()?;
        let channels = Channels(Arc::new(Rules { recipe, verifier, maps }));
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

impl Tls {
    /// What of the files and texts of a block does not work, each on its own, with its key from top level;
    /// [`Tls::load`] tells the first of it.
    pub fn flaws(options: &TlsOptions) -> Vec<(&'static str, TlsError)> {
        let provider = match suites::provider(&options.cipher_suites, &options.curve_preferences) {
            Ok(provider) => Arc::new(provider),
            Err(problem) => {
                let is_group = problem.starts_with("curve");
                let key = if is_group { "tls.curve_preferences" } else { "tls.cipher_suites" };
                return vec![(key, TlsError::Other(problem))];
            }
        };
        let key = if options.certificates.len() > 1 { "tls.certs" } else { "tls.cert_file" };
        let pairs = pairs(options, &provider).filter_map(Result::err).map(|error| (key, error));
        let mut flaws: Vec<(&'static str, TlsError)> = pairs.collect();
        let trusted = options.ca_file.as_deref().and_then(|file| trust(file, &provider).err());
        flaws.extend(trusted.map(|error| ("tls.ca_file", error)));
        let pins = options.pinned_certs.as_ref().and_then(|pins| digests(pins).err());
        flaws.extend(pins.map(|error| ("tls.pinned_certs", error)));
        flaws
    }
}

/// Channels with a certificate and nothing else configured.
#[cfg(any(test, feature = "fuzzing"))]
pub fn channels(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> Option<Channels> {
    let provider = Arc::new(suites::provider(&[], &[]).ok()?);
    let key = provider.key_provider.load_private_key(key).ok()?;
    let resolver = Arc::new(ByName::new(vec![CertifiedKey::new(vec![certificate], key)]));
    let recipe = Recipe::new(&TlsOptions::default(), &provider, &resolver).ok()?;
    Some(Channels(Arc::new(Rules { recipe, verifier: None, maps: false })))
}

fn certificates(options: &TlsOptions, provider: &CryptoProvider) -> Result<Vec<CertifiedKey>, TlsError> {
    if options.certificates.is_empty() {
        return Err(TlsError::Other("TLS needs a certificate: 'cert_file' and 'key_file'".into()));
    }
    pairs(options, provider).collect()
}

fn pairs<'o>(
    options: &'o TlsOptions,
    provider: &'o CryptoProvider,
) -> impl Iterator<Item = Result<CertifiedKey, TlsError>> + 'o {
    let count = options.certificates.len();
    options.certificates.iter().enumerate().map(move |(index, files)| {
        let place = if count > 1 { format!(" {}/{count}", index + 1) } else { String::new() };
        pair(&files.cert_file, &files.key_file, provider).map_err(|problem| TlsError::Pair(place, problem))
    })
}

fn pair(cert_file: &str, key_file: &str, provider: &CryptoProvider) -> Result<CertifiedKey, String> {
    let chain: Vec<CertificateDer<'static>> = pem::certificates(cert_file)?;
    let key = pem::key(key_file)?;
    let key = provider.key_provider.load_private_key(key);
    let key = key.map_err(|_| "tls: failed to parse private key".to_owned())?;
    // Go reads the server's own certificate alone. rustls would look at it too, and refuse those of version 1.
    let wanted = chain.first().and_then(|der| public_key_info(der));
    let wanted = wanted.ok_or_else(|| "x509: malformed certificate".to_owned())?;
    // Some keys do not tell; what is wrong with them shows in the first handshake.
    if let Some(found) = key.public_key().filter(|found| found.as_ref() != wanted) {
        let kind = if is_same_kind(&found, &wanted) { "" } else { " type" };
        return Err(format!("tls: private key{kind} does not match public key{kind}"));
    }
    Ok(CertifiedKey::new(chain, key))
}

fn trust(file: &str, provider: &Arc<CryptoProvider>) -> Result<Trust, TlsError> {
    let authorities = pem::authorities(file).map_err(TlsError::Other)?;
    let problem = || TlsError::Other("failed to parse root ca certificate".into());
    Trust::new(&authorities, provider).ok_or_else(problem)
}

fn system_trust(provider: &Arc<CryptoProvider>) -> Result<Trust, TlsError> {
    let problem = "tls: clients are to be verified, but there is no 'ca_file' and the system trusts nobody";
    let authorities = rustls_native_certs::load_native_certs().certs;
    Trust::new(&authorities, provider).ok_or_else(|| TlsError::Other(problem.into()))
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
