//! Subscriptions, of some connections or of all.

use crate::shard::Shard;
use crate::system::INTERNAL_SESSION;
use petrel_protocol::subject;
use std::sync::Arc;

/// Subscriptions that one page looks at; an account counts as one.
const LOOKED_AT_MAX: usize = 4096;
/// Connection id that is shown for the server's own subscriptions; clients' ids begin above it.
const INTERNAL_CID: u64 = 2;

/// A position among the subscriptions of a core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionCursor {
    account: u16,
    key: u32,
}

/// Which subscriptions to report, and from where on.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionQuery {
    /// Only those of this account.
    pub account: Option<String>,
    /// Only those of these connections; rising.
    pub cids: Option<Arc<[u64]>>,
    /// Only those that want messages on this subject; with wildcards: that may want some.
    pub test: Option<Vec<u8>>,
    /// Only those of this queue group.
    pub queue: Option<Vec<u8>>,
    /// Without the server's own.
    pub clients_only: bool,
    /// How many of those found are not reported, from the first on.
    pub skip: u64,
    /// How many are reported at most; the others are counted.
    pub take: usize,
    /// Where to go on.
    pub from: SubscriptionCursor,
}

/// Some of the subscriptions that a query selects.
#[derive(Clone, Debug, Default)]
pub struct SubscriptionPage {
    /// How many were found, reported or not.
    pub found: u64,
    /// Those reported.
    pub subscriptions: Vec<SubscriptionSnapshot>,
    /// Where to go on; `None`: that was all.
    pub next: Option<SubscriptionCursor>,
}

/// A subscription as monitoring shows it.
#[derive(Clone, Debug)]
#[allow(missing_docs)]
pub struct SubscriptionSnapshot {
    pub cid: u64,
    pub account: Arc<str>,
    pub subject: String,
    pub queue: Option<String>,
    pub sid: String,
    /// Messages delivered.
    pub msgs: u64,
    /// Deliveries after which it ends; 0: none.
    pub max: u64,
}

impl Shard {
    /// A page of the subscriptions that a query selects.
    pub(crate) fn subscriptions(&self, query: &SubscriptionQuery) -> SubscriptionPage {
        let mut page = SubscriptionPage::default();
        let mut looked_at = 0;
        let first = usize::from(query.from.account);
        for (index, account) in self.accounts.iter().enumerate().skip(first) {
            looked_at += 1;
            if query.account.as_ref().is_some_and(|name| **name != *account.name) {
                continue;
            }
            let from = if index == first { query.from.key } else { 0 };
            for (key, subscription) in account.interest.subscriptions().iter_from(from) {
                if looked_at >= LOOKED_AT_MAX {
                    let account = u16::try_from(index).unwrap_or(u16::MAX);
                    page.next = Some(SubscriptionCursor { account, key });
                    return page;
                }
                looked_at += 1;
                let cid = match subscription.session {
                    INTERNAL_SESSION if query.clients_only => continue,
                    INTERNAL_SESSION => INTERNAL_CID,
                    session => match self.sessions.get(session) {
                        Some(session) => session.cid,
                        None => continue,
                    },
                };
                if query.cids.as_ref().is_some_and(|cids| cids.binary_search(&cid).is_err())
                    || query.queue.as_deref().is_some_and(|queue| subscription.queue() != Some(queue))
                {
                    continue;
                }
                let wants_subject = query.test.is_some() || page.subscriptions.len() < query.take;
                if !wants_subject {
                    page.found += 1;
                    continue;
                }
                let subject = account.interest.subject_of(subscription);
                if query.test.as_deref().is_some_and(|test| !overlaps(&subject, test)) {
                    continue;
                }
                page.found += 1;
                if page.found <= query.skip || page.subscriptions.len() >= query.take {
                    continue;
                }
                page.subscriptions.push(SubscriptionSnapshot {
                    cid,
                    account: account.name.clone(),
                    subject: lossy(&subject),
                    queue: subscription.queue().map(lossy),
                    sid: lossy(&subscription.sid),
                    msgs: subscription.delivered,
                    max: subscription.max(),
                });
            }
        }
        page
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Whether some subject matches both patterns; for a literal, whether it matches the pattern.
fn overlaps(pattern: &[u8], test: &[u8]) -> bool {
    if !subject::has_wildcard(test) {
        return subject::matches(pattern, test);
    }
    let mut ours = subject::tokens(pattern);
    let mut theirs = subject::tokens(test);
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return true,
            (Some(b">"), Some(_)) | (Some(_), Some(b">")) => return true,
            (Some(one), Some(other)) if one == other || one == b"*" || other == b"*" => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::overlaps;

    #[test]
    fn patterns_overlap_when_a_subject_matches_both() {
        for (one, other) in [
            ("a.b", "a.b"),
            ("a.*", "a.b"),
            ("a.*", "*.b"),
            ("a.>", "*.b.c"),
            (">", "a.*"),
            ("a.b.c", "a.>"),
            ("*.*", "a.>"),
        ] {
            assert!(overlaps(one.as_bytes(), other.as_bytes()), "{one} {other}");
            assert!(overlaps(other.as_bytes(), one.as_bytes()) || !other.contains(['*', '>']), "{other}");
        }
        for (one, other) in
            [("a.b", "a.c"), ("a.*", "b.*"), ("a", "a.>"), ("a.b.*", "a.c.>"), ("a.*", "a.*.*")]
        {
            assert!(!overlaps(one.as_bytes(), other.as_bytes()), "{one} {other}");
        }
    }
}
