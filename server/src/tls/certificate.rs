//! What is written in certificates.

use petrel_engine::transport::{CertificateNames, DistinguishedName, PeerCertificate};
use sha2::{Digest, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer;

/// Attribute types of subjects that have a name in upstream: object id, name.
const SHORT_NAMES: [(&str, &str); 11] = [
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
];
const DOMAIN_COMPONENT: &str = "0.9.2342.19200300.100.1.25";
/// The types that Go knows of a subject, in the order in which it shows them.
const SHOWN: [&str; 9] = ["SERIALNUMBER", "CN", "OU", "O", "POSTALCODE", "STREET", "L", "ST", "C"];
/// ASN.1 tags of strings: printable, UTF-8.
const PRINTABLE_STRING: u8 = 0x13;
const UTF8_STRING: u8 = 0x0c;

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
    let subject = certificate.as_ref().map(|certificate| shown_subject(&attributes(certificate)));
    PeerCertificate {
        subject: subject.unwrap_or_default(),
        key_digest: Sha256::digest(key).into(),
        digest: Sha256::digest(der).into(),
    }
}

/// What a certificate may be a user by.
pub fn names(der: &[u8]) -> Option<CertificateNames> {
    let certificate = parsed(der)?;
    let (emails, dns_names, uris) = alternative(&certificate);
    let mut attributes = attributes(&certificate);
    let text = subject_text(&attributes);
    let components: Vec<String> = attributes
        .iter()
        .flatten()
        .filter(|(kind, _)| kind == "DC")
        .map(|(_, value)| format!("DC={value}"))
        .collect();
    let text_with_components = (!components.is_empty()).then(|| format!("{text},{}", components.join(",")));
    let is_known =
        attributes.iter().flatten().all(|(kind, _)| SHORT_NAMES.iter().any(|known| known.1 == kind));
    attributes.reverse();
    let subject = is_known.then(|| DistinguishedName::new(attributes));
    Some(CertificateNames { emails, dns_names, uris, subject, text_with_components, text })
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

/// A subject as Go's `pkix` shows a certificate's: [`subject_text`], then what Go has no name for, the last part first, by
/// object id and in DER.
fn shown_subject(attributes: &[Vec<(String, String)>]) -> String {
    let others = attributes.iter().flatten().rev().filter(|(kind, _)| !SHOWN.contains(&kind.as_str()));
    let others = others.map(|(kind, value)| {
        let id = SHORT_NAMES.iter().find(|(_, short)| short == kind).map_or(kind.as_str(), |(id, _)| *id);
        let hex: String = string_der(value).iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{id}=#{hex}")
    });
    let text = Some(subject_text(attributes)).filter(|text| !text.is_empty());
    text.into_iter().chain(others).collect::<Vec<_>>().join(",")
}

/// A text in DER, of the type that Go chooses.
fn string_der(text: &str) -> Vec<u8> {
    let is_printable =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&byte));
    let mut der = vec![if is_printable { PRINTABLE_STRING } else { UTF8_STRING }];
    let digits = text.len().to_be_bytes();
    let digits = &digits[digits.iter().position(|digit| *digit != 0).unwrap_or(digits.len() - 1)..];
    match (text.len(), u8::try_from(digits.len())) {
        (0..=0x7f, _) => der.push(digits[0]),
        (_, Ok(count)) => {
            der.push(0x80 | count);
            der.extend_from_slice(digits);
        }
        // No text has a length of more than 127 digits.
        (_, Err(_)) => {}
    }
    der.extend_from_slice(text.as_bytes());
    der
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
        params.distinguished_name = rcgen::DistinguishedName::new();
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
        assert_eq!(names.emails, ["bob@example.com"]);
        assert_eq!(names.dns_names, ["app.example.com"]);
        assert_eq!(names.uris, ["spiffe://x/y"]);
        assert_eq!(names.text_with_components.as_deref(), Some("CN=app,OU=Unit,O=Org\\, Inc,DC=com"));
        assert_eq!(names.text, "CN=app,OU=Unit,O=Org\\, Inc");
        assert!(names.subject.is_some());
        assert_eq!(names.subject, DistinguishedName::parse("CN=app,OU=Unit,O=Org\\, Inc,DC=com"));
        assert_eq!(dns_names(certificate().der()), ["app.example.com"]);
    }

    #[test]
    fn subjects_are_shown_in_gos_order_and_notation() {
        let of = |parts: &[(&str, &str)]| -> Vec<Vec<(String, String)>> {
            parts.iter().map(|(kind, value)| vec![((*kind).to_owned(), (*value).to_owned())]).collect()
        };
        // As upstream showed them.
        let all = of(&[
            ("C", "DE"),
            ("ST", "Be, rlin"),
            ("L", "Mitte"),
            ("STREET", "S 1"),
            ("POSTALCODE", "123"),
            ("O", "\u{d6}rg"),
            ("OU", "U"),
            ("SERIALNUMBER", "77"),
            ("CN", "n\u{e4}me"),
            ("UID", "u7"),
        ]);
        let text = "SERIALNUMBER=77,CN=n\u{e4}me,OU=U,O=\u{d6}rg,POSTALCODE=123,STREET=S 1,L=Mitte,ST=Be\\, rlin,C=DE";
        assert_eq!(subject_text(&all), text);
        assert_eq!(shown_subject(&all), format!("{text},0.9.2342.19200300.100.1.1=#13027537"));
        let mail = of(&[("DC", "com"), ("DC", "example"), ("CN", "app"), ("1.2.840.113549.1.9.1", "x@y.z")]);
        let expected = "CN=app,1.2.840.113549.1.9.1=#0c057840792e7a,0.9.2342.19200300.100.1.25=#13076578616d706c65,\
                        0.9.2342.19200300.100.1.25=#1303636f6d";
        assert_eq!(shown_subject(&mail), expected);
        assert_eq!(string_der(&"a".repeat(300))[..4], [0x13, 0x82, 1, 44]);
        assert_eq!(string_der(""), [0x13, 0]);
    }

    #[test]
    fn what_is_no_certificate_has_no_names() {
        assert!(names(b"garbage").is_none() && not_after(b"garbage").is_none());
        assert_eq!(shown(b"garbage").subject, "");
    }
}
