//! `tls { }`. Files are named here; who opens them tells what is wrong with them.

use crate::duration::parse_duration;
use crate::keys::{self, Key};
use crate::options::{CertificateFiles, HandshakeFirst, TlsOptions};
use crate::reader::{Entry, Manner, Reader};
use crate::tls_names::{CIPHER_SUITES, CURVES, names};
use crate::value::{Node, Position, Value, in_order};
use std::time::Duration;

/// Hexadecimal digits of a SHA-256 digest.
const DIGEST_DIGITS: usize = 64;

/// What stands in the block, before it is known to be whole.
#[derive(Default)]
struct Found {
    options: TlsOptions,
    cert_file: String,
    key_file: String,
    certificates: Vec<CertificateFiles>,
    insecure_suites_allowed: bool,
    insecure_suites: Vec<String>,
}

/// Reads the block; `None` when it is none.
pub(crate) fn tls(reader: &mut Reader, node: &Node) -> Option<TlsOptions> {
    let map = reader.map(node)?;
    let mut found = Found::default();
    let unknown = |written: &str| format!("error parsing tls config, unknown field {written:?}");
    let manner = Manner { unknown: &unknown, is_unfit: &is_unfit };
    reader.block_in(&manner, map, keys::TLS, |reader, entry| {
        let taken = found.files(reader, entry)
            || found.trust(reader, entry)
            || found.handshake(reader, entry)
            || found.refused(reader, entry);
        debug_assert!(taken, "tls key {} is supported but not read", entry.key);
    });
    found.finish(reader, &node.position)
}

/// Whether what is not read of the block has a value that upstream does not take; tells it in upstream's words.
fn is_unfit(reader: &mut Reader, _: &'static Key, entry: &Entry<'_>) -> bool {
    let text = match (entry.key, &entry.node.value) {
        ("insecure" | "cert_match_skip_invalid", Value::Boolean(_))
        | ("ocsp_peer", Value::Boolean(_) | Value::Map(_)) => return false,
        ("insecure", _) => "error parsing tls config, expected 'insecure' to be a boolean",
        ("cert_match_skip_invalid", _) => "expected 'cert_match_skip_invalid' to be a boolean",
        // Upstream names the type that it would have liked.
        ("ocsp_peer", _) => "error parsing ocsp peer config: unsupported type map[string]interface {}",
        ("cert_match_by", Value::String(by)) if is_windows_match(by) => return false,
        ("cert_match_by", Value::String(by)) if !by.is_empty() => "cert match by type not implemented",
        ("cert_match_by", _) => "expected 'cert_match_by' to be a valid non-empty string",
        ("cert_match", Value::String(name)) if !name.is_empty() => return false,
        ("cert_match", _) => "expected 'cert_match' to be a valid non-empty string",
        // What is no list counts for none.
        ("ca_certs_match", Value::Array(names)) if !names.iter().all(is_text) => {
            "error parsing ca_cert_match: unsupported type *conf.token where string is expected"
        }
        _ => return false,
    };
    reader.error(&entry.node.position, text);
    true
}

fn is_text(node: &Node) -> bool {
    matches!(node.value, Value::String(_))
}

fn is_windows_match(by: &str) -> bool {
    ["issuer", "subject", "thumbprint"].iter().any(|known| by.eq_ignore_ascii_case(known))
}

impl Found {
    fn files(&mut self, reader: &mut Reader, entry: &Entry<'_>) -> bool {
        match entry.key {
            "cert_file" => self.cert_file = file(reader, entry).unwrap_or_default(),
            "key_file" => self.key_file = file(reader, entry).unwrap_or_default(),
            "ca_file" => self.options.ca_file = file(reader, entry).filter(|file| !file.is_empty()),
            "certs" => self.certificates = certificates(reader, entry.node),
            _ => return false,
        }
        true
    }

    fn trust(&mut self, reader: &mut Reader, entry: &Entry<'_>) -> bool {
        match entry.key {
            "verify" => self.options.verify |= boolean(reader, entry),
            "verify_and_map" => {
                self.options.verify_and_map = boolean(reader, entry);
                self.options.verify |= self.options.verify_and_map;
            }
            "verify_cert_and_check_known_urls" => {
                if boolean(reader, entry) {
                    let text = "verify_cert_and_check_known_urls not supported in this context";
                    reader.error(&entry.node.position, text);
                }
            }
            "pinned_certs" => self.options.pinned_certs = pinned_certs(reader, entry.node),
            _ => return false,
        }
        true
    }

    fn handshake(&mut self, reader: &mut Reader, entry: &Entry<'_>) -> bool {
        match entry.key {
            "timeout" => self.options.timeout = timeout(reader, entry),
            "cipher_suites" => {
                self.options.cipher_suites = names(reader, entry, &CIPHER_SUITES, &mut self.insecure_suites);
            }
            "curve_preferences" => {
                self.options.curve_preferences = names(reader, entry, &CURVES, &mut self.insecure_suites);
            }
            "allow_insecure_cipher_suites" => self.insecure_suites_allowed = boolean(reader, entry),
            "min_version" => self.options.min_version_1_3 = min_version_1_3(reader, entry.node),
            "connection_rate_limit" => self.options.connection_rate_limit = rate_limit(reader, entry.node),
            "handshake_first" => {
                self.options.handshake_first = handshake_first(reader, entry).unwrap_or_default();
            }
            _ => return false,
        }
        true
    }

    fn refused(&mut self, reader: &mut Reader, entry: &Entry<'_>) -> bool {
        if entry.key != "cert_store" {
            return false;
        }
        let text = match &entry.node.value {
            Value::String(store) if is_windows_store(store) => {
                "cert_store not compatible with current operating system"
            }
            Value::String(store) if !store.is_empty() => "cert store type not implemented",
            _ => "expected 'cert_store' to be a valid non-empty string",
        };
        reader.error(&entry.node.position, text);
        true
    }

    fn finish(mut self, reader: &mut Reader, position: &Position) -> Option<TlsOptions> {
        let text = match (self.cert_file.is_empty(), self.key_file.is_empty()) {
            (false, false) if !self.certificates.is_empty() => {
                "error parsing tls config, cannot combine 'cert_file' option with 'certs' option"
            }
            (false, true) => "missing 'key_file' in TLS configuration",
            (true, false) => "missing 'cert_file' in TLS configuration",
            _ => "",
        };
        if !text.is_empty() {
            reader.error(position, text);
            return None;
        }
        if !self.insecure_suites.is_empty() && !self.insecure_suites_allowed {
            let list = self.insecure_suites.join(", ");
            let text = format!(
                "insecure cipher suites configured without 'allow_insecure_cipher_suites' option set: {list}"
            );
            reader.error(position, text);
        } else if !self.insecure_suites.is_empty() {
            let list = self.insecure_suites.join(", ");
            reader.error(position, format!("insecure cipher suites are not supported by petrel: {list}"));
        }
        if !self.cert_file.is_empty() {
            self.certificates = vec![CertificateFiles { cert_file: self.cert_file, key_file: self.key_file }];
        }
        Some(TlsOptions { certificates: self.certificates, ..self.options })
    }
}

fn is_windows_store(store: &str) -> bool {
    ["windowscurrentuser", "windowslocalmachine"].iter().any(|known| store.eq_ignore_ascii_case(known))
}

fn file(reader: &mut Reader, entry: &Entry<'_>) -> Option<String> {
    let Value::String(file) = &entry.node.value else {
        let text = format!("error parsing tls config, expected '{}' to be filename", entry.key);
        reader.error(&entry.node.position, text);
        return None;
    };
    Some(file.clone())
}

fn boolean(reader: &mut Reader, entry: &Entry<'_>) -> bool {
    let Value::Boolean(boolean) = entry.node.value else {
        let text = format!("error parsing tls config, expected '{}' to be a boolean", entry.key);
        reader.error(&entry.node.position, text);
        return false;
    };
    boolean
}

fn certificates(reader: &mut Reader, node: &Node) -> Vec<CertificateFiles> {
    let unsupported = |kind: &str| format!("error parsing certificates config: unsupported type {kind}");
    let Value::Array(elements) = &node.value else {
        // Upstream names the type that it wanted the elements to have.
        reader.error(&node.position, unsupported("map[string]interface {}"));
        return Vec::new();
    };
    let mut certificates = Vec::with_capacity(elements.len());
    for element in elements {
        let Value::Map(_) = &element.value else {
            reader.error(&element.position, unsupported(element.value.kind()));
            break;
        };
        let Some(certificate) = certificate(reader, element) else { break };
        certificates.push(certificate);
    }
    certificates
}

/// Unlike everywhere else, the keys count in lower case alone.
fn certificate(reader: &mut Reader, node: &Node) -> Option<CertificateFiles> {
    let Value::Map(map) = &node.value else { return None };
    let errors_before = reader.problems.errors.len();
    let (mut cert_file, mut key_file) = (String::new(), String::new());
    let entries = in_order(map);
    for (written, entry) in &entries {
        let Value::String(file) = &entry.value else {
            let kind = entry.value.kind();
            let text = format!("error parsing certificates config: unsupported type {kind}");
            reader.error(&entry.position, text);
            continue;
        };
        match written.as_str() {
            "cert_file" => cert_file.clone_from(file),
            "key_file" => key_file.clone_from(file),
            _ => {
                let text = format!("error parsing tls certs config, unknown field {written:?}");
                reader.error(&entry.position, text);
            }
        }
    }
    if reader.problems.errors.len() > errors_before {
        return None;
    }
    if cert_file.is_empty() || key_file.is_empty() {
        let position = entries.first().map_or(&node.position, |(_, entry)| &entry.position);
        let text = "error parsing certificates config: both 'cert_file' and 'cert_key' options are required";
        reader.error(position, text);
        return None;
    }
    Some(CertificateFiles { cert_file, key_file })
}

/// Seconds as a number, or a duration in words.
fn timeout(reader: &mut Reader, entry: &Entry<'_>) -> Option<Duration> {
    let seconds = match &entry.node.value {
        Value::Integer(seconds) => *seconds as f64,
        Value::Float(seconds) => *seconds,
        Value::String(text) => match parse_duration(text) {
            Ok(nanoseconds) => nanoseconds as f64 / 1e9,
            Err(error) => {
                let text = format!("error parsing tls config, 'timeout' {error}");
                reader.error(&entry.node.position, text);
                return None;
            }
        },
        _ => {
            reader.error(&entry.node.position, "error parsing tls config, 'timeout' wrong type");
            return None;
        }
    };
    if seconds < 0.0 {
        reader.negative(entry);
        return None;
    }
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

fn min_version_1_3(reader: &mut Reader, node: &Node) -> bool {
    let text = match &node.value {
        Value::String(version) => match version.as_str() {
            "1.2" => return false,
            "1.3" => return true,
            "1.0" | "1.1" => format!("error parsing tls config: unsupported TLS version: TLS {version}"),
            _ => format!("error parsing tls config: unknown version: {version}"),
        },
        other => format!("error parsing tls config: 'min_version' wrong type: {}", other.shown()),
    };
    reader.error(&node.position, text);
    false
}

fn pinned_certs(reader: &mut Reader, node: &Node) -> Option<Vec<String>> {
    const EXPECTED: &str = "hex-encoded sha256 of DER encoded SubjectPublicKeyInfo";
    let Value::Array(elements) = &node.value else {
        let text = format!("error parsing tls config, expected 'pinned_certs' to be a list of {EXPECTED}");
        reader.error(&node.position, text);
        return None;
    };
    let mut digests = Vec::with_capacity(elements.len());
    for element in elements {
        let digest = reader.string(element)?.to_lowercase();
        if digest.len() != DIGEST_DIGITS || !digest.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            let text = format!(
                "error parsing tls config, 'pinned_certs' key {digest} does not look like {EXPECTED}"
            );
            reader.error(&element.position, text);
            return None;
        }
        digests.push(digest);
    }
    Some(digests)
}

/// Upstream takes a negative number for none.
fn rate_limit(reader: &mut Reader, node: &Node) -> u32 {
    let Value::Integer(number) = node.value else {
        reader.error(&node.position, "error parsing tls config, 'connection_rate_limit' wrong type");
        return 0;
    };
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

fn handshake_first(reader: &mut Reader, entry: &Entry<'_>) -> Option<HandshakeFirst> {
    let word = match &entry.node.value {
        Value::Boolean(true) => return Some(HandshakeFirst::Always),
        Value::Boolean(false) => return Some(HandshakeFirst::No),
        Value::String(word) => word.to_lowercase(),
        other => {
            let (key, kind) = (entry.written, other.kind());
            let text = format!("field {key:?} should be a boolean or a string, got {kind}");
            reader.error(&entry.node.position, text);
            return None;
        }
    };
    match word.as_str() {
        "true" | "on" => Some(HandshakeFirst::Always),
        "false" | "off" => Some(HandshakeFirst::No),
        "auto" => Some(HandshakeFirst::AUTO),
        _ => match parse_duration(&word).map(u64::try_from) {
            // Nothing to wait for: TLS alone.
            Ok(Ok(0)) => Some(HandshakeFirst::Always),
            Ok(Ok(nanoseconds)) => Some(HandshakeFirst::Within(Duration::from_nanos(nanoseconds))),
            Ok(Err(_)) => {
                reader.negative(entry);
                None
            }
            Err(_) => {
                let text = format!("field {:?}'s value {word:?} is invalid", entry.written);
                reader.error(&entry.node.position, text);
                None
            }
        },
    }
}
