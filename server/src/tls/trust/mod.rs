//! Whose certificates are trusted: the rules of Go's `crypto/x509`, by which upstream decides.
//!
//! webpki decides otherwise, both ways. It refuses certificates that `openssl` makes by default (one that signs itself is
//! an authority there, one that is signed without an extension file is of version 1), and of an authority it takes the
//! key alone, so that one which has expired, or may not sign, would go on signing.

mod chain;
mod client_verifier;
mod der;
mod member;
mod refusal;

pub use chain::Trust;
pub use client_verifier::{ClientVerifier, Remark};
pub use der::{is_same_kind, public_key_info};
