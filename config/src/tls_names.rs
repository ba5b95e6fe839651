//! Names of cipher suites and key exchange groups: those upstream knows, and which of them rustls has.

use crate::reader::{Entry, Reader};

/// How good a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// rustls has it.
    Usable,
    /// Upstream has it, rustls does not.
    Missing,
    /// Upstream has it and asks whether one means it.
    Insecure,
}

/// The names of one option.
pub(crate) struct Names {
    /// What one of them is called in messages.
    noun: &'static str,
    names: &'static [(&'static str, Standing)],
}

/// Cipher suites by the names that IANA gave them.
pub(crate) const CIPHER_SUITES: Names = Names {
    noun: "cipher",
    names: &[
        ("TLS_AES_128_GCM_SHA256", Standing::Usable),
        ("TLS_AES_256_GCM_SHA384", Standing::Usable),
        ("TLS_CHACHA20_POLY1305_SHA256", Standing::Usable),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", Standing::Usable),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", Standing::Usable),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", Standing::Usable),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", Standing::Usable),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", Standing::Usable),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", Standing::Usable),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", Standing::Missing),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", Standing::Missing),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", Standing::Missing),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", Standing::Missing),
        ("TLS_RSA_WITH_RC4_128_SHA", Standing::Insecure),
        ("TLS_RSA_WITH_3DES_EDE_CBC_SHA", Standing::Insecure),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", Standing::Insecure),
        ("TLS_RSA_WITH_AES_256_CBC_SHA", Standing::Insecure),
        ("TLS_RSA_WITH_AES_128_CBC_SHA256", Standing::Insecure),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", Standing::Insecure),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", Standing::Insecure),
        ("TLS_ECDHE_ECDSA_WITH_RC4_128_SHA", Standing::Insecure),
        ("TLS_ECDHE_RSA_WITH_RC4_128_SHA", Standing::Insecure),
        ("TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA", Standing::Insecure),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256", Standing::Insecure),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256", Standing::Insecure),
    ],
};

/// Key exchange groups by the names that Go gave them.
pub(crate) const CURVES: Names = Names {
    noun: "curve preference",
    names: &[
        ("X25519", Standing::Usable),
        ("X25519MLKEM768", Standing::Usable),
        ("SecP256r1MLKEM768", Standing::Usable),
        ("CurveP256", Standing::Usable),
        ("CurveP384", Standing::Usable),
        ("CurveP521", Standing::Missing),
        ("SecP384r1MLKEM1024", Standing::Missing),
    ],
};

impl Names {
    /// Those that petrel has.
    fn usable(&self) -> impl Iterator<Item = &'static str> {
        self.names.iter().filter(|(_, standing)| *standing == Standing::Usable).map(|(name, _)| *name)
    }
}

/// The values that `cipher_suites` may have.
pub fn cipher_suites() -> impl Iterator<Item = &'static str> {
    CIPHER_SUITES.usable()
}

/// The values that `curve_preferences` may have.
pub fn curve_preferences() -> impl Iterator<Item = &'static str> {
    CURVES.usable()
}

/// Reads an array of names; those that are insecure go to `insecure`, for whoever knows whether that is meant.
pub(crate) fn names(
    reader: &mut Reader,
    entry: &Entry<'_>,
    known: &Names,
    insecure: &mut Vec<String>,
) -> Vec<String> {
    let Some(elements) = reader.array(entry.node) else { return Vec::new() };
    if elements.is_empty() {
        let text = format!("error parsing tls config, '{}' cannot be empty", entry.key);
        reader.error(&entry.node.position, text);
    }
    let mut found = Vec::with_capacity(elements.len());
    for element in elements {
        let Some(name) = reader.string(element) else { break };
        match known.names.iter().find(|(known, _)| *known == name) {
            Some((_, Standing::Usable)) => found.push(name),
            Some((_, Standing::Insecure)) => insecure.push(name),
            Some((_, Standing::Missing)) => {
                let text = format!("{} {name} is not supported by petrel", known.noun);
                reader.error(&element.position, text);
            }
            None => {
                reader.error(&element.position, format!("unrecognized {} {name}", known.noun));
                break;
            }
        }
    }
    found
}
