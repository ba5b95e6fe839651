//! A certificate as a member of a chain: what the rules ask of it.

use super::der;
use super::refusal::SigningProblem;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::{FromDer, X509Certificate, X509Extension, X509Version};

/// What Go makes of extended key usages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Usage {
    /// None are named.
    Unrestricted,
    /// For clients among others, or for whatever.
    Clients,
    /// For others alone.
    Others,
}

/// What is said of an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Constraints {
    is_authority: bool,
    /// How many authorities may stand between this one and the end.
    path_length_max: Option<usize>,
}

/// A certificate that was read.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// All of it.
    pub der: CertificateDer<'static>,
    /// Name of its owner, DER.
    pub subject: Vec<u8>,
    /// Name of who signed it, DER.
    pub issuer: Vec<u8>,
    /// Its public key (SubjectPublicKeyInfo, DER).
    pub key: Vec<u8>,
    /// The owner's name for messages: the common name, else what there is.
    pub shown_name: String,
    /// Times in seconds since the epoch.
    pub not_before: i64,
    pub not_after: i64,
    /// It says for which names it may sign.
    pub has_name_constraints: bool,
    key_id: Option<Vec<u8>>,
    issuer_key_id: Option<Vec<u8>>,
    is_version_3: bool,
    constraints: Option<Constraints>,
    /// Its key signs certificates, as far as key usages are named.
    may_sign: bool,
    usage: Usage,
    has_unknown_critical_extension: bool,
}

impl Member {
    /// Reads a certificate; `None` where Go does not either.
    pub fn read(der: &CertificateDer<'_>) -> Option<Member> {
        let (rest, certificate) = X509Certificate::from_der(der).ok()?;
        let is_whole =
            rest.is_empty() && certificate.signature_algorithm == certificate.tbs_certificate.signature;
        if !is_whole || certificate.extensions_map().is_err() {
            // Also with two extensions of one kind.
            return None;
        }
        let name = certificate.subject();
        let shown_name = name.iter_common_name().last().or_else(|| name.iter_organization().next());
        let shown_name = shown_name.and_then(|value| value.as_str().ok()).map(str::to_owned);
        let mut member = Member {
            der: der.clone().into_owned(),
            subject: name.as_raw().to_vec(),
            issuer: certificate.issuer().as_raw().to_vec(),
            key: certificate.public_key().raw.to_vec(),
            shown_name: shown_name.unwrap_or_else(|| format!("serial:{}", certificate.serial)),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            has_name_constraints: false,
            key_id: None,
            issuer_key_id: None,
            is_version_3: certificate.version() == X509Version::V3,
            constraints: None,
            may_sign: true,
            usage: Usage::Unrestricted,
            has_unknown_critical_extension: false,
        };
        for extension in certificate.extensions() {
            member.extension(extension)?;
        }
        Some(member)
    }

    fn extension(&mut self, extension: &X509Extension<'_>) -> Option<()> {
        let is_known = match extension.parsed_extension() {
            ParsedExtension::ParseError { .. } => return None,
            ParsedExtension::BasicConstraints(found) => {
                let path_length_max = found.path_len_constraint.map(|length| length as usize);
                self.constraints = Some(Constraints { is_authority: found.ca, path_length_max });
                true
            }
            ParsedExtension::KeyUsage(usage) => {
                self.may_sign = usage.flags == 0 || usage.key_cert_sign();
                true
            }
            ParsedExtension::ExtendedKeyUsage(usage) => {
                self.usage = if usage.any || usage.client_auth { Usage::Clients } else { Usage::Others };
                true
            }
            ParsedExtension::SubjectAlternativeName(names) => names.general_names.iter().any(|name| {
                matches!(
                    name,
                    GeneralName::DNSName(_)
                        | GeneralName::RFC822Name(_)
                        | GeneralName::URI(_)
                        | GeneralName::IPAddress(_)
                )
            }),
            ParsedExtension::NameConstraints(_) => {
                self.has_name_constraints = true;
                true
            }
            ParsedExtension::SubjectKeyIdentifier(id) => {
                self.key_id = Some(id.0.to_vec());
                true
            }
            ParsedExtension::AuthorityKeyIdentifier(id) => {
                self.issuer_key_id = id.key_identifier.as_ref().map(|id| id.0.to_vec());
                true
            }
            ParsedExtension::CertificatePolicies(_)
            | ParsedExtension::PolicyMappings(_)
            | ParsedExtension::PolicyConstraints(_)
            | ParsedExtension::InhibitAnyPolicy(_)
            | ParsedExtension::CRLDistributionPoints(_) => true,
            _ => false,
        };
        self.has_unknown_critical_extension |= extension.critical && !is_known;
        Some(())
    }

    /// Whether an extension must not be ignored and is not known.
    pub fn has_unknown_critical_extension(&self) -> bool {
        self.has_unknown_critical_extension
    }

    /// Whether it is for clients, or does not say what for.
    pub fn is_for_clients(&self) -> bool {
        self.usage != Usage::Others
    }

    /// Whether it says that it is an authority.
    pub fn is_authority(&self) -> bool {
        self.constraints.is_some_and(|found| found.is_authority)
    }

    /// How many authorities may stand between this one and the end of a chain; `None`: any number.
    pub fn path_length_max(&self) -> Option<usize> {
        self.constraints.and_then(|found| found.path_length_max)
    }

    /// Whether it is the same owner with the same key.
    pub fn is_same_owner(&self, other: &Member) -> bool {
        self.subject == other.subject && self.key == other.key
    }

    /// How well an authority's key goes with what was signed; lower is tried first.
    pub fn key_distance(&self, authority: &Member) -> u8 {
        match (&self.issuer_key_id, &authority.key_id) {
            (Some(wanted), Some(found)) if wanted == found => 0,
            (Some(_), Some(_)) => 2,
            _ => 1,
        }
    }

    /// Whether an authority of the right name has signed this.
    pub fn check_signature(
        &self,
        authority: &Member,
        algorithms: &WebPkiSupportedAlgorithms,
    ) -> Result<(), SigningProblem> {
        let is_authority = match authority.constraints {
            Some(found) => found.is_authority,
            // Before version 3 there was no way to say so.
            None => !authority.is_version_3,
        };
        if !is_authority || !authority.may_sign {
            return Err(SigningProblem::NotAnAuthority);
        }
        let pieces = der::pieces(&self.der).ok_or(SigningProblem::Algorithm)?;
        let key = der::public_key(&authority.key).ok_or(SigningProblem::Algorithm)?;
        let signature = &pieces.signature;
        let fitting = algorithms.all.iter().find(|known| {
            known.signature_alg_id().as_ref() == signature.algorithm
                && known.public_key_alg_id().as_ref() == key.algorithm
        });
        let algorithm = fitting.ok_or(SigningProblem::Algorithm)?;
        let verified = algorithm.verify_signature(key.bits, pieces.signed, signature.bits);
        verified.map_err(|_| SigningProblem::Signature(key.failure()))
    }
}
