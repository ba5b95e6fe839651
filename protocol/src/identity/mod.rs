//! Who somebody is.

pub mod nkey;
