//! TLS in its forms.

use std::path::Path;

use anyhow::Result;
use async_nats::{ConnectErrorKind, ConnectOptions};

use crate::access::{let_in, violation};
use crate::checks::{Checks, next, observed, patient};

/// Options that trust an authority.
fn trusting(folder: &Path, authority: &str) -> ConnectOptions {
    patient(ConnectOptions::new()).add_root_certificates(folder.join(authority)).require_tls(true)
}

/// Options that trust the right authority and show a certificate.
fn showing(folder: &Path, name: &str) -> ConnectOptions {
    let file = |kind: &str| folder.join(format!("{name}-{kind}.pem"));
    trusting(folder, "ca.pem").add_client_certificate(file("cert"), file("key"))
}

/// Checks that no connection comes about.
async fn refused(checks: &Checks, name: &str, options: ConnectOptions, address: &str) -> Result<()> {
    checks.equal(name, options.connect(address).await.is_err(), true)
}

/// A server with a certificate.
pub async fn tls(checks: &Checks, address: &str, folder: &Path) -> Result<()> {
    let name = "an authority that signed the server's certificate";
    let client = let_in(checks, name, trusting(folder, "ca.pem"), address).await?;
    checks.equal("TLS is asked for", client.server_info().tls_required, true)?;
    let_in(checks, "a certificate that nobody asks for", showing(folder, "client"), address).await?;
    refused(checks, "another authority", trusting(folder, "stranger-ca.pem"), address).await?;
    refused(checks, "no authority", patient(ConnectOptions::new()), address).await?;
    let mut subscription = client.subscribe("large").await?;
    client.publish("large", vec![b'x'; 300_000].into()).await?;
    let message = next("a message", &mut subscription).await?;
    checks.equal("a payload of many records", message.payload.len(), 300_000)
}

/// A server with and without.
pub async fn optional(checks: &Checks, address: &str, folder: &Path) -> Result<()> {
    let client = let_in(checks, "without TLS", patient(ConnectOptions::new()), address).await?;
    checks.equal("it is not asked for", client.server_info().tls_required, false)?;
    let_in(checks, "with TLS", trusting(folder, "ca.pem"), address).await?;
    Ok(())
}

/// A server that wants to see a certificate.
pub async fn verify(checks: &Checks, address: &str, folder: &Path) -> Result<()> {
    let_in(checks, "a certificate of the client", showing(folder, "client"), address).await?;
    refused(checks, "none", trusting(folder, "ca.pem"), address).await?;
    refused(checks, "one that somebody else signed", showing(folder, "stranger"), address).await
}

/// A server that says nothing before TLS.
pub async fn first(checks: &Checks, address: &str, folder: &Path) -> Result<()> {
    let options = trusting(folder, "ca.pem").tls_first();
    let_in(checks, "TLS before anything else", options, address).await?;
    Ok(())
}

/// A server whose certificate signed itself and is an authority. webpki, by which this library judges servers, takes no
/// authority for a server, whoever trusts it; the other libraries do.
pub async fn self_signed(checks: &Checks, address: &str, folder: &Path) -> Result<()> {
    let name = "a certificate that is its own authority";
    let Err(error) = trusting(folder, "lone-cert.pem").connect(address).await else {
        anyhow::bail!("{name} was taken")
    };
    let said = format!("{error:?}");
    checks.equal(name, said.contains("CaUsedAsEndEntity"), true)?;
    refused(checks, "somebody else's authority", trusting(folder, "ca.pem"), address).await
}

/// A server that takes certificates for users.
pub async fn map(checks: &Checks, address: &str, folder: &Path) -> Result<()> {
    let (options, mut events) = observed(showing(folder, "client"));
    let client = let_in(checks, "a certificate as the user", options, address).await?;
    client.publish("secret", "x".into()).await?;
    violation(checks, "with that user's permissions", &mut events, "publish to \"secret\"").await?;
    match showing(folder, "guest").connect(address).await {
        Ok(_) => anyhow::bail!("a certificate of nobody was let in"),
        Err(error) => {
            checks.equal("a certificate of nobody", error.kind(), ConnectErrorKind::AuthorizationViolation)
        }
    }
}
