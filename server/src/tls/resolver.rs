//! Which of several certificates a client is shown.

use super::certificate;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::sync::Arc;

/// The first certificate that fits the name the client asks for and what it can verify; else the first of all, as Go
/// chooses.
#[derive(Debug)]
pub struct ByName {
    certificates: Vec<(Vec<String>, Arc<CertifiedKey>)>,
}

impl ByName {
    /// Chooses among these, of which there is at least one.
    pub fn new(certificates: Vec<CertifiedKey>) -> ByName {
        let named = certificates.into_iter().map(|certified| {
            let names =
                certified.end_entity_cert().map(|der| certificate::dns_names(der)).unwrap_or_default();
            (names, Arc::new(certified))
        });
        ByName { certificates: named.collect() }
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let fits = |(names, certified): &&(Vec<String>, Arc<CertifiedKey>)| {
            let is_named =
                hello.server_name().is_none_or(|server| names.iter().any(|name| matches(name, server)));
            is_named && certified.key.choose_scheme(hello.signature_schemes()).is_some()
        };
        let chosen = match self.certificates.as_slice() {
            [only] => Some(only),
            several => several.iter().find(fits).or_else(|| several.first()),
        };
        chosen.map(|(_, certified)| Arc::clone(certified))
    }
}

/// Whether a certificate's name covers a server's: a left-most `*` stands for one label.
fn matches(name: &str, server: &str) -> bool {
    let server = server.trim_end_matches('.');
    match name.strip_prefix("*.") {
        Some(domain) => server.split_once('.').is_some_and(|(_, rest)| rest.eq_ignore_ascii_case(domain)),
        None => name.eq_ignore_ascii_case(server),
    }
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn names_with_a_star_cover_one_label() {
        assert!(matches("*.example.com", "a.Example.com") && matches("a.b", "A.b."));
        assert!(!matches("*.example.com", "a.b.example.com") && !matches("*.example.com", "example.com"));
    }
}
