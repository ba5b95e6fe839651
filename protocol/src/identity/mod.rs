//! Who somebody is.

pub mod nkey;
pub mod public_key;
pub mod signature;
