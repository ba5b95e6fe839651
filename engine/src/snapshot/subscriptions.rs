//! Subscriptions, of some connections or of all.

use crate::account::Account;
use crate::interest::Subscription;
use crate::shard::Shard;
use crate::system::INTERNAL_SESSION;
use petrel_protocol::subject;
use std::sync::Arc;

/// Subscriptions that one page looks at; an account counts as one.
const LOOKED_AT_MAX: usize = 2048;
/// Subscriptions that one page reports: each costs as much as looking at several, for its texts are copied.
const REPORTED_MAX: usize = 512;
/// Connection id that is shown for the server's own subscriptions; clients' ids begin above it.
const INTERNAL_CID: u64 = 2;

/// From here on a position lies among the service imports of an account, behind its subscriptions.
const IMPORTS: u32 = 1 << 31;

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

impl SubscriptionQuery {
    /// Whether service imports are among what is asked for: they are nobody's, and in no queue group.
    fn wants_imports(&self) -> bool {
        !self.clients_only && self.cids.is_none() && self.queue.is_none()
    }
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

impl SubscriptionSnapshot {
    /// A subscription of a connection.
    pub(crate) fn of(account: &Account, subscription: &Subscription, cid: u64) -> SubscriptionSnapshot {
        SubscriptionSnapshot {
            cid,
            account: account.name.clone(),
            subject: lossy(&account.interest.subject_of(subscription)),
            queue: subscription.queue().map(lossy),
            sid: lossy(&subscription.sid),
            msgs: subscription.delivered,
            max: subscription.max(),
        }
    }

    /// A service import, which is listed as a subscription of the server's own.
    fn of_import(account: &Account, number: u32) -> Option<SubscriptionSnapshot> {
        let import = account.edges.services.get(usize::try_from(number).ok()?)?;
        Some(SubscriptionSnapshot {
            cid: INTERNAL_CID,
            account: account.name.clone(),
            subject: lossy(&import.here),
            queue: None,
            sid: (number + 1).to_string(),
            msgs: 0,
            max: 0,
        })
    }

    /// Memory that it takes.
    pub(crate) fn bytes(&self) -> usize {
        let texts = self.subject.len() + self.sid.len() + self.queue.as_ref().map_or(0, String::len);
        size_of::<SubscriptionSnapshot>() + texts
    }
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
                if looked_at >= LOOKED_AT_MAX || page.subscriptions.len() >= REPORTED_MAX {
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
                // What an import makes of a subscription elsewhere is not the client's own.
                let is_listed =
                    |cids: &Arc<[u64]>| subscription.shadow().is_none() && cids.binary_search(&cid).is_ok();
                if query.cids.as_ref().is_some_and(|cids| !is_listed(cids))
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
                page.subscriptions.push(SubscriptionSnapshot::of(account, subscription, cid));
            }
            let imports = if query.wants_imports() { self.service_subscriptions(account) } else { 0 };
            let first_import = from.saturating_sub(IMPORTS);
            for number in first_import..u32::try_from(imports).unwrap_or(u32::MAX) {
                if looked_at >= LOOKED_AT_MAX || page.subscriptions.len() >= REPORTED_MAX {
                    let account = u16::try_from(index).unwrap_or(u16::MAX);
                    page.next = Some(SubscriptionCursor { account, key: IMPORTS + number });
                    return page;
                }
                looked_at += 1;
                let Some(snapshot) = SubscriptionSnapshot::of_import(account, number) else { continue };
                let test = query.test.as_deref();
                if test.is_some_and(|test| !overlaps(snapshot.subject.as_bytes(), test)) {
                    continue;
                }
                page.found += 1;
                if page.found > query.skip && page.subscriptions.len() < query.take {
                    page.subscriptions.push(snapshot);
                }
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
    use super::*;
    use crate::account::AccountId;
    use crate::options::Options;
    use petrel_runtime::CoreId;

    /// A core with so many subscriptions of the server's own in two accounts.
    fn shard_with(global: usize, system: usize) -> Shard {
        let (notices, _) = crossbeam_channel::unbounded();
        let mut shard = Shard::new(Arc::new(Options::default()), CoreId(0), 1, [1, 2, 3, 4], notices);
        for (account, count) in [(AccountId::GLOBAL, global), (AccountId(1), system)] {
            for number in 0..count {
                let subject = format!("s.{number}.*");
                let interest = &mut shard.accounts[account.index()].interest;
                interest.subscribe(INTERNAL_SESSION, subject.as_bytes(), None, number.to_string().as_bytes());
            }
        }
        shard
    }

    /// All pages of a query, and the most that one of them reported.
    fn walk(shard: &Shard, query: &SubscriptionQuery) -> (u64, Vec<String>, usize) {
        let mut query = query.clone();
        let (mut found, mut sids, mut most) = (0, Vec::new(), 0);
        let (skip, take) = (query.skip, query.take);
        loop {
            query.skip = skip.saturating_sub(found);
            query.take = take - sids.len();
            let page = shard.subscriptions(&query);
            found += page.found;
            most = most.max(page.subscriptions.len());
            // Service imports are numbered by themselves.
            let name = |one: SubscriptionSnapshot| match one.subject.starts_with("s.") {
                true => format!("{}:{}", one.account, one.sid),
                false => format!("{}:{}", one.account, one.subject),
            };
            sids.extend(page.subscriptions.into_iter().map(name));
            match page.next {
                Some(next) => query.from = next,
                None => return (found, sids, most),
            }
        }
    }

    #[test]
    fn a_page_is_bounded_and_pages_make_a_whole() {
        let shard = shard_with(10_000, 3_000);
        let all = SubscriptionQuery { take: usize::MAX, ..SubscriptionQuery::default() };
        let (found, mut sids, most) = walk(&shard, &all);
        // The global account may ask four services of the system account.
        assert_eq!((found, sids.len()), (13_004, 13_004));
        assert!(most <= REPORTED_MAX, "{most}");
        sids.sort_unstable();
        sids.dedup();
        assert_eq!(sids.len(), 13_004);
        let window = SubscriptionQuery { skip: 9_990, take: 20, ..SubscriptionQuery::default() };
        let (found, sids, _) = walk(&shard, &window);
        assert_eq!((found, sids.len()), (13_004, 20));
        assert_eq!((sids[9].as_str(), sids[14].as_str()), ("$G:9999", "$SYS:0"));
        assert_eq!(sids[13], "$G:$SYS.REQ.USER.INFO");
        let system = SubscriptionQuery { account: Some("$SYS".into()), ..all.clone() };
        assert_eq!(walk(&shard, &system).0, 3_000);
        let tested = SubscriptionQuery { test: Some(b"s.7.x".to_vec()), ..all.clone() };
        assert_eq!(walk(&shard, &tested).1, ["$G:7", "$SYS:7"]);
        let clients = SubscriptionQuery { clients_only: true, ..all };
        assert_eq!(walk(&shard, &clients).0, 0);
    }

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
