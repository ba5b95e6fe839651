//! `feature_flags`: switches of upstream's version. All of them concern JetStream; monitoring shows them, so that tools
//! that compare servers see the same names.

use crate::reader::Reader;
use crate::value::{Node, Value, in_order};
use std::collections::BTreeMap;

/// Upstream's switches (version 2.15.2), and whether they are on by themselves.
const KNOWN: [(&str, bool); 4] = [
    ("js_ack_fc_v2", false),
    ("js_api_reply_v2", false),
    ("js_raft_delete_range", true),
    ("js_snapshot_sources", false),
];

/// The switches as the file sets them, unknown ones included: upstream accepts those and says that it has no such.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeatureFlags(BTreeMap<String, bool>);

impl FeatureFlags {
    /// Reads the block.
    pub(crate) fn read(reader: &mut Reader, node: &Node) -> FeatureFlags {
        let Value::Map(map) = &node.value else {
            let kind = node.value.kind();
            reader.error(&node.position, format!("error parsing feature flags: unsupported type {kind}"));
            return FeatureFlags::default();
        };
        let mut flags = BTreeMap::new();
        for (name, entry) in in_order(map) {
            if let Value::Boolean(is_on) = entry.value {
                flags.insert(name.to_owned(), is_on);
                continue;
            }
            let kind = entry.value.kind();
            let text = format!("error parsing feature flag {name:?}: expected bool, got {kind}");
            reader.error(&entry.position, text);
        }
        FeatureFlags(flags)
    }

    /// What the file sets, by name.
    pub fn configured(&self) -> &BTreeMap<String, bool> {
        &self.0
    }

    /// Every switch that upstream knows, and whether it is on.
    pub fn effective(&self) -> BTreeMap<&'static str, bool> {
        KNOWN.iter().map(|(name, default)| (*name, self.0.get(*name).copied().unwrap_or(*default))).collect()
    }

    /// What the log says at start of those that the file sets; nothing when it sets none.
    pub fn lines(&self) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for (name, is_on) in &self.0 {
            match KNOWN.iter().find(|(flag, _)| flag == name) {
                Some((_, default)) => known.push(format!("{name} ({})", state(*default, *is_on))),
                None => unknown.push(name.clone()),
            }
        }
        if known.is_empty() {
            known.push("none".to_owned());
        }
        let mut lines =
            vec!["  Feature flags:".to_owned(), format!("    Configured:    {}", known.join(", "))];
        if !unknown.is_empty() {
            lines.push(format!("    Unsupported:   {}", unknown.join(", ")));
        }
        lines
    }
}

fn state(default: bool, is_on: bool) -> &'static str {
    match (default, is_on) {
        (false, true) => "opt-in",
        (true, false) => "opt-out",
        (true, true) => "enabled",
        (false, false) => "disabled",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(set: &[(&str, bool)]) -> FeatureFlags {
        FeatureFlags(set.iter().map(|(name, is_on)| ((*name).to_owned(), *is_on)).collect())
    }

    #[test]
    fn what_is_not_set_is_as_upstream_has_it() {
        let on = |flags: FeatureFlags| -> Vec<&str> {
            flags.effective().into_iter().filter(|(_, is_on)| *is_on).map(|(name, _)| name).collect()
        };
        assert_eq!(on(flags(&[])), ["js_raft_delete_range"]);
        assert_eq!(on(flags(&[("js_raft_delete_range", false), ("js_ack_fc_v2", true)])), ["js_ack_fc_v2"]);
        // Names are told apart by case.
        assert_eq!(on(flags(&[("JS_ACK_FC_V2", true)])), ["js_raft_delete_range"]);
    }

    #[test]
    fn lines_read_as_upstreams() {
        assert!(flags(&[]).lines().is_empty());
        let all = flags(&[
            ("js_raft_delete_range", false),
            ("js_ack_fc_v2", true),
            ("js_snapshot_sources", false),
            ("zz", false),
            ("aa", true),
        ]);
        assert_eq!(
            all.lines(),
            [
                "  Feature flags:",
                "    Configured:    js_ack_fc_v2 (opt-in), js_raft_delete_range (opt-out), js_snapshot_sources (disabled)",
                "    Unsupported:   aa, zz",
            ]
        );
        let unknown = flags(&[("zz", true)]);
        assert_eq!(unknown.lines(), ["  Feature flags:", "    Configured:    none", "    Unsupported:   zz"]);
        let enabled = flags(&[("js_raft_delete_range", true)]);
        assert_eq!(enabled.lines()[1], "    Configured:    js_raft_delete_range (enabled)");
    }
}
