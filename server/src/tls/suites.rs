//! Cipher suites and key exchange groups by the names that the configuration uses.

use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::{CipherSuite, ProtocolVersion};

/// The standard name of a suite; rustls calls those of TLS 1.3 otherwise.
pub fn standard_name(suite: CipherSuite) -> &'static str {
    match suite {
        CipherSuite::TLS13_AES_128_GCM_SHA256 => "TLS_AES_128_GCM_SHA256",
        CipherSuite::TLS13_AES_256_GCM_SHA384 => "TLS_AES_256_GCM_SHA384",
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256 => "TLS_CHACHA20_POLY1305_SHA256",
        other => other.as_str().unwrap_or("unknown"),
    }
}

/// `1.2` or `1.3`.
pub fn version_name(version: Option<ProtocolVersion>) -> &'static str {
    match version {
        Some(ProtocolVersion::TLSv1_3) => "1.3",
        _ => "1.2",
    }
}

/// In which order suites are chosen, as Go does: the cheap ones first, and ECDSA before RSA.
fn preference(suite: CipherSuite) -> (u8, bool) {
    let name = standard_name(suite);
    let cipher = match name {
        _ if name.contains("AES_128_GCM") => 0,
        _ if name.contains("AES_256_GCM") => 1,
        _ => 2,
    };
    (cipher, name.contains("_RSA_"))
}

fn group(name: &str) -> Option<&'static dyn SupportedKxGroup> {
    Some(match name {
        "X25519MLKEM768" => aws_lc_rs::kx_group::X25519MLKEM768,
        "SecP256r1MLKEM768" => aws_lc_rs::kx_group::SECP256R1MLKEM768,
        "X25519" => aws_lc_rs::kx_group::X25519,
        "CurveP256" => aws_lc_rs::kx_group::SECP256R1,
        "CurveP384" => aws_lc_rs::kx_group::SECP384R1,
        _ => return None,
    })
}

/// What is offered. Empty lists stand for the defaults.
///
/// # Errors
/// The name of a suite or group that is not to be had.
pub fn provider(cipher_suites: &[String], groups: &[String]) -> Result<CryptoProvider, String> {
    let mut provider = aws_lc_rs::default_provider();
    provider.cipher_suites.sort_by_key(|suite| preference(suite.suite()));
    if !cipher_suites.is_empty() {
        let is_known = |name: &&String| {
            provider.cipher_suites.iter().any(|suite| standard_name(suite.suite()) == name.as_str())
        };
        if let Some(unknown) = cipher_suites.iter().find(|name| !is_known(name)) {
            return Err(format!("cipher suite {unknown} is not supported by petrel"));
        }
        // Go's library, and so upstream, takes the list for TLS 1.2 only: those of 1.3 are always there.
        provider.cipher_suites.retain(|suite| {
            suite.tls13().is_some() || cipher_suites.iter().any(|name| name == standard_name(suite.suite()))
        });
    }
    if !groups.is_empty() {
        provider.kx_groups = groups
            .iter()
            .map(|name| {
                group(name).ok_or_else(|| format!("curve preference {name} is not supported by petrel"))
            })
            .collect::<Result<_, _>>()?;
    }
    Ok(provider)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(provider: &CryptoProvider) -> Vec<&'static str> {
        provider.cipher_suites.iter().map(|suite| standard_name(suite.suite())).collect()
    }

    #[test]
    fn a_list_of_suites_is_for_tls_1_2() {
        let listed = ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256".to_owned()];
        let provider = provider(&listed, &[]).unwrap();
        let expected = [
            "TLS_AES_128_GCM_SHA256",
            "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
            "TLS_AES_256_GCM_SHA384",
            "TLS_CHACHA20_POLY1305_SHA256",
        ];
        assert_eq!(names(&provider), expected);
    }

    /// What `--help_tls` promises.
    #[test]
    fn what_the_configuration_takes_is_to_be_had() {
        let (suites, groups) = (petrel_config::cipher_suites(), petrel_config::curve_preferences());
        let suites: Vec<String> = suites.map(str::to_owned).collect();
        let groups: Vec<String> = groups.map(str::to_owned).collect();
        let provider = provider(&suites, &groups).unwrap();
        assert_eq!(provider.kx_groups.len(), groups.len());
        let mut found = names(&provider);
        found.sort_unstable();
        assert_eq!(found, suites);
    }

    #[test]
    fn what_is_not_to_be_had_is_named() {
        let suite = provider(&["TLS_RSA_WITH_AES_128_CBC_SHA".into()], &[]).unwrap_err();
        assert_eq!(suite, "cipher suite TLS_RSA_WITH_AES_128_CBC_SHA is not supported by petrel");
        let group = provider(&[], &["CurveP521".into()]).unwrap_err();
        assert_eq!(group, "curve preference CurveP521 is not supported by petrel");
    }

    #[test]
    fn groups_keep_their_order() {
        let provider = provider(&[], &["CurveP256".into(), "X25519MLKEM768".into()]).unwrap();
        let groups: Vec<_> = provider.kx_groups.iter().map(|group| group.name()).collect();
        assert_eq!(groups, [rustls::NamedGroup::secp256r1, rustls::NamedGroup::X25519MLKEM768]);
    }
}
