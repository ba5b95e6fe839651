//! What is written in certificates.

use petrel_engine::transport::{CertificateNames, DistinguishedName, PeerCertificate};
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Attribute types of subjects: object id, short name.
const SHORT_NAMES: [(&str, &str); 12] = [
    ("2.5.4.3", "CN"),
    ("2.5.4.5", "SERIALNUMBER"),
    ("2.5.4.6", "C"),
    ("2.5.4.7", "L"),
    ("2.5.4.8", "ST"),
    ("2.5.4.9", "STREET"),
    ("2.5.4.10", "O"),
    ("2.5.4.11", "OU"),
    ("2.5.4.17", "POSTALCODE"),
    (DOMAIN_COMPONENT, "DC"),
    ("0.9.2342.19200300.100.1.1", "UID"),
    ("1.2.840.113549.1.9.1", "EMAILADDRESS"),
];
const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";
/// The types that Go shows of a subject, in its order.
const SHOWN: [&str; 9] = ["SERIALNUMBER", "CN", "POSTALCODE", "STREET", "ST", "L", "OU", "O", "C"];

fn parsed(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, certificate)| certificate)
}

/// The DNS names that a certificate is for.
pub fn dns_names(der: &[u8]) -> Vec<String> {
    parsed(der).map(|certificate| alternative(&certificate).1).unwrap_or_default()
}

/// When a certificate expires, in seconds since the epoch.
pub fn not_after(der: &[u8]) -> Option<i64> {
    parsed(der).map(|certificate| certificate.validity().not_after.timestamp())
}

/// A certificate as monitoring and pins need it.
pub fn shown(der: &[u8]) -> PeerCertificate {
    let certificate = parsed(der);
    let key = certificate.as_ref().map_or(&[][..], |certificate| certificate.public_key().raw);
    let subject = certificate.as_ref().map(|certificate| subject_text(&attributes(certificate)));
    PeerCertificate {
        subject: subject.unwrap_or_default(),
        key_digest: Sha256::digest(key).into(),
        digest: Sha256::digest(der).into(),
    }
}

/// What a certificate may be a user by.
pub fn names(der: &[u8]) -> Option<CertificateNames> {
    let certificate = parsed(der)?;
    let (emails, dns, uris) = alternative(&certificate);
    let attributes = attributes(&certificate);
    let text = subject_text(&attributes);
    let components: Vec<String> = attributes
        .iter()
        .flatten()
        .filter(|(kind, _)| kind == "DC")
        .map(|(_, value)| format!("DC={value}"))
        .collect();
    let mut as_text = Vec::new();
    if !components.is_empty() {
        as_text.push(format!("{text},{}", components.join(",")));
    }
    as_text.push(text);
    let subject = DistinguishedName::new(attributes);
    Some(CertificateNames { alternative: [emails, dns, uris].concat(), subject, as_text })
}

/// E-mail addresses, DNS names and URIs.
fn alternative(certificate: &X509Certificate<'_>) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (mut emails, mut dns, mut uris) = (Vec::new(), Vec::new(), Vec::new());
    let extension = certificate.subject_alternative_name().ok().flatten();
    for name in extension.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::RFC822Name(name) => emails.push((*name).to_owned()),
            GeneralName::DNSName(name) => dns.push((*name).to_owned()),
            GeneralName::URI(name) => uris.push((*name).to_owned()),
            _ => {}
        }
    }
    (emails, dns, uris)
}

/// The parts of the subject, as they lie in the certificate.
fn attributes(certificate: &X509Certificate<'_>) -> Vec<Vec<(String, String)>> {
    let parts = certificate.subject().iter_rdn().map(|part| {
        let attributes = part.iter().filter_map(|attribute| {
            let id = attribute.attr_type().to_id_string();
            let kind =
                SHORT_NAMES.iter().find(|(known, _)| *known == id).map(|(_, short)| (*short).to_owned());
            Some((kind.unwrap_or(id), attribute.as_str().ok()?.to_owned()))
        });
        attributes.collect()
    });
    parts.collect()
}

/// A subject as Go's `pkix` writes it: by type, the most specific first, several values of one type together.
fn subject_text(attributes: &[Vec<(String, String)>]) -> String {
    let parts = SHOWN.iter().filter_map(|shown| {
        let values = attributes.iter().flatten().filter(|(kind, _)| kind == shown);
        let mut values: Vec<String> =
            values.map(|(kind, value)| format!("{kind}={}", escaped(value))).collect();
        if matches!(*shown, "CN" | "SERIALNUMBER") {
            // Of these Go keeps the last only.
            values.drain(..values.len().saturating_sub(1));
        }
        (!values.is_empty()).then(|| values.join("+"))
    });
    parts.collect::<Vec<_>>().join(",")
}

fn escaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (at, character) in value.chars().enumerate() {
        let is_special = ",+\"\\<>;".contains(character)
            || (character == '#' && at == 0)
            || (character == ' ' && (at == 0 || at == last));
        if is_special {
            text.push('\\');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::string::Ia5String;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    fn certificate() -> rcgen::Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]), "com");
        params.distinguished_name.push(DnType::OrganizationName, "Org, Inc");
        params.distinguished_name.push(DnType::OrganizationalUnitName, "Unit");
        params.distinguished_name.push(DnType::CommonName, "app");
        let text = |text: &str| Ia5String::try_from(text).unwrap();
        params.subject_alt_names = vec![
            SanType::URI(text("spiffe://x/y")),
            SanType::DnsName(text("app.example.com")),
            SanType::Rfc822Name(text("bob@example.com")),
        ];
        params.self_signed(&KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn names_come_in_the_order_in_which_they_are_tried() {
        let names = names(certificate().der()).unwrap();
        assert_eq!(names.alternative, ["bob@example.com", "app.example.com", "spiffe://x/y"]);
        assert_eq!(names.as_text, ["CN=app,OU=Unit,O=Org\\, Inc,DC=com", "CN=app,OU=Unit,O=Org\\, Inc"]);
        let subject = DistinguishedName::parse("CN=app,DC=com,O=Org\\, Inc,OU=Unit");
        assert_eq!(Some(names.subject), subject);
        assert_eq!(dns_names(certificate().der()), ["app.example.com"]);
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        assert!(names(b"garbage").is_none() && not_after(b"garbage").is_none());
        assert_eq!(shown(b"garbage").subject, "");
    }
}
