//! Why a certificate is refused, in Go's words.

use jiff::Timestamp;
use rustls::CertificateError;
use std::fmt;

/// Why no chain leads from a certificate to an authority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No authority has signed it.
    UnknownAuthority(Option<Hint>),
    /// Of the certificate or of one that it rests on; times in seconds since the epoch.
    Expired { now: i64, not_after: i64 },
    /// The same.
    NotYetValid { now: i64, not_before: i64 },
    /// A certificate among those that were sent signs others and is no authority.
    NotAuthorizedToSign,
    /// More authorities than one of them allows below itself.
    TooManyIntermediates,
    /// An extension that must not be ignored is not known.
    CriticalExtension,
    /// Not for clients.
    Usage,
    /// An authority may not sign for these names.
    Name,
    /// It took too many signatures to find out.
    SignatureLimit,
    /// No certificate at all.
    Unreadable,
}

/// An authority of the right name that did not sign, or must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hint {
    pub problem: SigningProblem,
    pub authority: String,
}

/// What is wrong between an authority and what it is said to have signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SigningProblem {
    /// It is no authority, or its key is not for certificates.
    NotAnAuthority,
    /// The signature is not made with its key.
    Signature(&'static str),
    /// Petrel and Go do not take such signatures.
    Algorithm,
}

impl Refusal {
    /// What rustls is told, for the alert that the peer gets: the one that Go sends.
    pub fn alert(&self) -> CertificateError {
        match self {
            Refusal::UnknownAuthority(_) => CertificateError::UnknownIssuer,
            Refusal::Expired { .. } | Refusal::NotYetValid { .. } => CertificateError::Expired,
            _ => CertificateError::BadEncoding,
        }
    }
}

fn time(seconds: i64) -> String {
    Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        const EXPIRED: &str = "x509: certificate has expired or is not yet valid: current time";
        match self {
            Refusal::UnknownAuthority(hint) => {
                formatter.write_str("x509: certificate signed by unknown authority")?;
                let Some(Hint { problem, authority }) = hint else { return Ok(()) };
                let name = petrel_protocol::quote::go_quote(authority.as_bytes());
                write!(
                    formatter,
                    " (possibly because of \"{problem}\" while trying to verify candidate authority certificate {name})"
                )
            }
            Refusal::Expired { now, not_after } => {
                write!(formatter, "{EXPIRED} {} is after {}", time(*now), time(*not_after))
            }
            Refusal::NotYetValid { now, not_before } => {
                write!(formatter, "{EXPIRED} {} is before {}", time(*now), time(*not_before))
            }
            Refusal::NotAuthorizedToSign => {
                formatter.write_str("x509: certificate is not authorized to sign other certificates")
            }
            Refusal::TooManyIntermediates => {
                formatter.write_str("x509: too many intermediates for path length constraint")
            }
            Refusal::CriticalExtension => formatter.write_str("x509: unhandled critical extension"),
            Refusal::Usage => formatter.write_str("x509: certificate specifies an incompatible key usage"),
            Refusal::Name => formatter.write_str(
                "x509: a root or intermediate certificate is not authorized to sign for this name",
            ),
            Refusal::SignatureLimit => formatter
                .write_str("x509: signature check attempts limit reached while verifying certificate chain"),
            Refusal::Unreadable => formatter.write_str("x509: malformed certificate"),
        }
    }
}

impl fmt::Display for SigningProblem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            SigningProblem::NotAnAuthority => {
                "x509: invalid signature: parent certificate cannot sign this kind of certificate"
            }
            SigningProblem::Signature(text) => text,
            SigningProblem::Algorithm => "x509: cannot verify signature: algorithm unimplemented",
        })
    }
}
