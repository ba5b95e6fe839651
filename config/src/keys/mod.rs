//! Every key that upstream knows, with its aliases, what it means and what petrel does about it. The reference
//! documentation's table is generated from here, and so is what `petrel config check` tells.

mod accounts;
mod authorization;
mod cluster;
mod jetstream;
mod leafnodes;
mod operator;
mod protocols;
mod tls;
mod top;

pub use accounts::{
    ACCOUNT, ACCOUNT_JETSTREAM, ACCOUNT_LIMITS, EXPORT, IMPORT, IMPORT_SOURCE, LATENCY, MAPPING,
    MESSAGE_TRACE,
};
pub use authorization::{AUTHORIZATION, CALLOUT, PERMISSIONS, RESPONSES, SUBJECTS, USER};
pub use cluster::{CLUSTER, COMPRESSION, GATEWAY, REMOTE_GATEWAY};
pub use jetstream::{BATCH, JETSTREAM, JETSTREAM_LIMITS, TPM};
pub use leafnodes::{LEAF_AUTHORIZATION, LEAF_USER, LEAFNODES, REMOTE, REMOTE_PROXY};
pub use operator::{OCSP, OCSP_CACHE, PROXIES, RESOLVER, TRUSTED_PROXY};
pub use protocols::{MQTT, WEBSOCKET};
pub use tls::{CERTIFICATE, OCSP_PEER, TLS};
pub use top::{PETREL, TOP};

use crate::value::{Map, Value};

/// What petrel does about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in force.
    Supported,
    /// It would change who may do what, or what is kept, and is not there yet: the start is refused, unless
    /// the key says that it is off. The sentence says what would be missing.
    NotYet(&'static str),
    /// It changes nothing that a client or operator could rely on: a line says what is ignored.
    Harmless(&'static str),
}

/// What may stand behind a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// An integer.
    Integer,
    /// Bytes: an integer, usually with a suffix.
    Size,
    /// `true` or `false` and their other words.
    Boolean,
    /// A duration in words.
    Duration,
    /// A duration in words, or seconds as a number.
    Seconds,
    /// `port` or `host:port`.
    Listen,
    /// One text or an array of them.
    Texts,
    /// One of these words, or whatever else the sentence says.
    Either(&'static str),
    /// A block.
    Block,
    /// An array of blocks.
    Blocks,
    /// A block of blocks by name.
    NamedBlocks,
    /// A block whose keys are free.
    Free,
    /// A block of booleans whose keys are free.
    Switches,
}

impl Kind {
    /// The kind in words, for the documentation.
    pub fn words(&self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Integer => "integer",
            Kind::Size => "size",
            Kind::Boolean => "boolean",
            Kind::Duration => "duration",
            Kind::Seconds => "duration, or seconds",
            Kind::Listen => "port or host:port",
            Kind::Texts => "text, or array of texts",
            Kind::Either(words) => words,
            Kind::Block => "block",
            Kind::Blocks => "array of blocks",
            Kind::NamedBlocks => "block of blocks by name",
            Kind::Free => "block with keys of your own",
            Kind::Switches => "block of booleans",
        }
    }
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// The name, then its aliases; all in lower case, matched in any case.
    pub names: &'static [&'static str],
    /// What may stand behind it.
    pub kind: Kind,
    /// What it means: half a sentence.
    pub about: &'static str,
    /// What is done about it.
    pub state: State,
    /// The keys of its block or blocks; empty when it has none.
    pub block: &'static [Key],
}

impl Key {
    /// The name under which the others go.
    pub fn name(&self) -> &'static str {
        self.names[0]
    }

    /// The blocks that a value of this key is or holds.
    pub(crate) fn blocks_in<'n>(&self, value: &'n Value) -> Vec<&'n Map> {
        fn direct(value: &Value) -> Vec<&Map> {
            match value {
                Value::Map(map) => vec![map],
                Value::Array(elements) => elements.iter().flat_map(|node| direct(&node.value)).collect(),
                _ => Vec::new(),
            }
        }
        match (self.block, self.kind, value) {
            ([], _, _) => Vec::new(),
            (_, Kind::NamedBlocks, Value::Map(map)) => {
                map.values().flat_map(|node| direct(&node.value)).collect()
            }
            _ => direct(value),
        }
    }

    const fn not_yet(self, missing: &'static str) -> Key {
        Key { state: State::NotYet(missing), ..self }
    }

    const fn harmless(self, ignored: &'static str) -> Key {
        Key { state: State::Harmless(ignored), ..self }
    }

    const fn of(self, block: &'static [Key]) -> Key {
        Key { block, ..self }
    }
}

/// The key of a block's table that goes by a name.
pub fn find(table: &'static [Key], name: &str) -> Option<&'static Key> {
    let is_named = |key: &&Key, name: &str| key.names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if name.is_ascii() {
        return table.iter().find(|key| is_named(key, name));
    }
    // Letters beyond ASCII may have one of ASCII as their lower case.
    let lower = name.to_lowercase();
    table.iter().find(|key| is_named(key, &lower))
}

const fn key(names: &'static [&'static str], kind: Kind, about: &'static str) -> Key {
    Key { names, kind, about, state: State::Supported, block: &[] }
}

/// What is missing without a feature.
mod missing {
    pub(super) const OPERATOR: &str = "accounts and users signed by an operator would not be known";
    pub(super) const JETSTREAM: &str = "there would be no streams and nothing would be stored";
    pub(super) const CALLOUT: &str = "the authorization service would not be asked";
    pub(super) const PROXIES: &str = "connections would not be checked for trusted proxies";
    pub(super) const REVOCATION: &str = "certificates would not be checked for revocation";
    pub(super) const CLUSTER: &str = "the server would stand alone";
    pub(super) const GATEWAY: &str = "other clusters would not be reached";
    pub(super) const LEAFNODES: &str = "leaf nodes would not be connected";
    pub(super) const WEBSOCKET: &str = "WebSocket clients could not connect";
    pub(super) const MQTT: &str = "MQTT clients could not connect";
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(table: &[Key]) {
        let mut names: Vec<&str> = table.iter().flat_map(|key| key.names.iter().copied()).collect();
        assert!(names.iter().all(|name| *name == name.to_lowercase()));
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for key in table {
            assert!(!key.about.is_empty(), "{}", key.name());
            check(key.block);
        }
    }

    #[test]
    fn every_name_stands_once_and_in_lower_case() {
        check(TOP);
    }

    #[test]
    fn names_are_found_in_any_case() {
        assert_eq!(find(TOP, "MAX_Conn").unwrap().name(), "max_connections");
        assert!(find(TOP, "max_con").is_none());
        // The Kelvin sign is a capital k to upstream, too.
        assert_eq!(find(AUTHORIZATION, "to\u{212a}en").unwrap().name(), "token");
    }
}
