//! TLS: certificates, keys and rules from files, handshakes on workers, and the channel that the engine speaks through.

mod certificate;
mod channel;
mod configuration;
mod hello;
mod https;
mod pem;
mod recipe;
mod resolver;
mod suites;
mod tickets;
mod trust;
mod workers;

#[cfg(any(test, feature = "fuzzing"))]
pub use configuration::channels;
pub use configuration::{TIMEOUT_DEFAULT as TLS_TIMEOUT_DEFAULT, Tls, TlsError};
pub use https::secured;
pub use workers::Workers;
#[cfg(feature = "fuzzing")]
pub use {
    certificate::{names as user_names, not_after, shown},
    hello::Offer,
    trust::{ClientVerifier, Trust, public_key_info},
};
