//! How rustls is to behave for all connections of a configuration.

use super::resolver::ByName;
use super::tickets::{ClientTickets, Validity};
use super::trust::ClientVerifier;
use petrel_config::TlsOptions;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::NoServerSessionStorage;
use rustls::{Error, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;

const SINCE_1_2: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const SINCE_1_3: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// Makes what rustls takes: for everybody, or for one connection with a verifier of its own.
#[derive(Clone, Debug)]
pub struct Recipe {
    shared: Arc<ServerConfig>,
    versions: &'static [&'static SupportedProtocolVersion],
}

impl Recipe {
    /// With these suites and certificates.
    ///
    /// # Errors
    /// When rustls cannot work with them.
    pub fn new(
        options: &TlsOptions,
        provider: &Arc<CryptoProvider>,
        resolver: &Arc<ByName>,
    ) -> Result<Recipe, Error> {
        let versions = if options.min_version_1_3 { SINCE_1_3 } else { SINCE_1_2 };
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider));
        let builder = builder.with_protocol_versions(versions)?.with_no_client_auth();
        let mut config = builder.with_cert_resolver(Arc::<ByName>::clone(resolver));
        config.ignore_client_order = true;
        // Sessions are resumed by what the client keeps: nothing is kept here for those who are gone. The keys are of
        // this configuration alone, so whom a reload would refuse cannot come back by a ticket.
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        Ok(Recipe { shared: Arc::new(config), versions })
    }

    /// For connections that need not show a certificate.
    pub fn shared(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.shared)
    }

    /// For one connection that has to. `validity`: what the verifier finds out.
    ///
    /// # Errors
    /// None that [`Recipe::new`] did not have.
    pub fn verifying(
        &self,
        verifier: ClientVerifier,
        validity: Validity,
    ) -> Result<Arc<ServerConfig>, Error> {
        let shared = &self.shared;
        let builder = ServerConfig::builder_with_provider(Arc::clone(shared.crypto_provider()));
        let builder =
            builder.with_protocol_versions(self.versions)?.with_client_cert_verifier(Arc::new(verifier));
        let mut config = builder.with_cert_resolver(Arc::clone(&shared.cert_resolver));
        config.ignore_client_order = shared.ignore_client_order;
        config.ticketer = Arc::new(ClientTickets::new(Arc::clone(&shared.ticketer), validity));
        config.session_storage = Arc::clone(&shared.session_storage);
        Ok(Arc::new(config))
    }
}
