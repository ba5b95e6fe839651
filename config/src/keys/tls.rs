//! `tls { }`, the same for every kind of connection.

use super::{Key, Kind, key, missing};

/// `tls { }`.
pub const TLS: &[Key] = &[
    key(&["cert_file"], Kind::Text, "the server's certificate, PEM"),
    key(&["key_file"], Kind::Text, "its key, PEM"),
    key(&["certs", "certificates"], Kind::Blocks, "several certificates").of(CERTIFICATE),
    key(&["ca_file"], Kind::Text, "who signs clients' certificates, PEM; default: the system's roots"),
    key(&["verify"], Kind::Boolean, "clients must present a certificate"),
    key(&["verify_and_map"], Kind::Boolean, "the certificate says which user it is; implies verify"),
    key(&["verify_cert_and_check_known_urls"], Kind::Boolean, "only for cluster and gateway"),
    key(&["timeout"], Kind::Either("seconds or duration"), "how long a handshake may take; default 2s"),
    key(&["cipher_suites"], Kind::Either("array of names"), "cipher suites"),
    key(&["curve_preferences"], Kind::Either("array of names"), "key exchange groups"),
    key(&["allow_insecure_cipher_suites"], Kind::Boolean, "allow suites that are insecure; petrel has none"),
    key(&["min_version"], Kind::Either("\"1.2\" or \"1.3\""), "the oldest version; default 1.2"),
    key(
        &["pinned_certs"],
        Kind::Either("array of digests"),
        "SHA-256 digests of keys, one of which a client's certificate must have",
    ),
    key(&["connection_rate_limit"], Kind::Integer, "handshakes a second; default 0: unlimited"),
    key(
        &["handshake_first", "first", "immediate"],
        Kind::Either("boolean, auto or duration"),
        "begin before INFO",
    ),
    key(&["cert_store"], Kind::Text, "Windows' certificate store; refused on Linux"),
    key(&["insecure"], Kind::Boolean, "do not verify servers")
        .harmless("this block makes no outgoing connections"),
    key(&["cert_match_by"], Kind::Text, "search in Windows' certificate store")
        .harmless("there is no Windows certificate store on Linux"),
    key(&["cert_match"], Kind::Text, "search in Windows' certificate store")
        .harmless("there is no Windows certificate store on Linux"),
    key(&["ca_certs_match"], Kind::Texts, "search in Windows' certificate store")
        .harmless("there is no Windows certificate store on Linux"),
    key(&["cert_match_skip_invalid"], Kind::Boolean, "search in Windows' certificate store")
        .harmless("there is no Windows certificate store on Linux"),
    key(&["ocsp_peer"], Kind::Either("boolean or block"), "check clients' certificates for revocation")
        .not_yet(missing::REVOCATION)
        .of(OCSP_PEER),
];

/// An element of `certs [ ]`. Only these may be written in lower case alone.
pub const CERTIFICATE: &[Key] = &[
    key(&["cert_file"], Kind::Text, "the certificate, PEM"),
    key(&["key_file"], Kind::Text, "its key, PEM"),
];

/// `ocsp_peer { }`.
pub const OCSP_PEER: &[Key] = &[
    key(&["verify"], Kind::Boolean, "ask").not_yet(missing::REVOCATION),
    key(&["allowed_clockskew"], Kind::Seconds, "by how much clocks may differ; default 30s")
        .not_yet(missing::REVOCATION),
    key(&["ca_timeout"], Kind::Seconds, "how long an answer may take; default 2s")
        .not_yet(missing::REVOCATION),
    key(
        &["cache_ttl_when_next_update_unset"],
        Kind::Seconds,
        "how long an answer without end is kept; default 1h",
    )
    .not_yet(missing::REVOCATION),
    key(&["warn_only"], Kind::Boolean, "log instead of refusing").not_yet(missing::REVOCATION),
    key(&["unknown_is_good"], Kind::Boolean, "accept what nobody knows").not_yet(missing::REVOCATION),
    key(&["allow_when_ca_unreachable"], Kind::Boolean, "accept when nobody answers")
        .not_yet(missing::REVOCATION),
];
