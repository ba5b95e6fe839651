//! What an operator signs, revocation, trusted proxies.

use super::{Key, Kind, key, missing};

/// `resolver { }`.
pub const RESOLVER: &[Key] = &[
    key(&["type"], Kind::Either("full, cache or mem"), "which accounts are kept").not_yet(missing::OPERATOR),
    key(&["dir"], Kind::Text, "the folder of tokens").not_yet(missing::OPERATOR),
    key(&["allow_delete"], Kind::Boolean, "tokens may be removed").not_yet(missing::OPERATOR),
    key(&["hard_delete"], Kind::Boolean, "remove instead of renaming").not_yet(missing::OPERATOR),
    key(&["interval"], Kind::Seconds, "between comparisons with other servers").not_yet(missing::OPERATOR),
    key(&["limit"], Kind::Integer, "tokens that are kept").not_yet(missing::OPERATOR),
    key(&["timeout"], Kind::Seconds, "how long a look-up may take; default 1.9s").not_yet(missing::OPERATOR),
    key(&["ttl"], Kind::Seconds, "how long a token is kept").not_yet(missing::OPERATOR),
];

/// `ocsp { }`.
pub const OCSP: &[Key] = &[
    key(&["mode"], Kind::Either("auto, always, must or never"), "when the server staples")
        .not_yet(missing::REVOCATION),
    key(&["url"], Kind::Text, "who answers").not_yet(missing::REVOCATION),
    key(&["urls"], Kind::Either("array of URLs"), "who answers").not_yet(missing::REVOCATION),
];

/// `ocsp_cache { }`.
pub const OCSP_CACHE: &[Key] = &[
    key(&["type"], Kind::Either("none or local"), "where answers are kept").not_yet(missing::REVOCATION),
    key(&["local_store"], Kind::Text, "the folder; default _rc_").not_yet(missing::REVOCATION),
    key(&["preserve_revoked"], Kind::Boolean, "keep what was revoked").not_yet(missing::REVOCATION),
    key(&["save_interval"], Kind::Seconds, "between writes; default 5m").not_yet(missing::REVOCATION),
];

/// `proxies { }`.
pub const PROXIES: &[Key] = &[key(&["trusted"], Kind::Blocks, "proxies that are trusted")
    .not_yet(missing::PROXIES)
    .of(TRUSTED_PROXY)];

/// An element of `trusted [ ]`.
pub const TRUSTED_PROXY: &[Key] =
    &[key(&["key", "public_key"], Kind::Text, "the public nkey").not_yet(missing::PROXIES)];
