//! Requests to an account that wait for its answers.

use crate::route::service_latency::HeaderMap;
use crate::shard::Shard;
use petrel_config::Latency;
use petrel_runtime::Monotonic;
use std::sync::Arc;

/// Requests that one page looks at.
const LOOKED_AT_MAX: usize = 1024;
/// Requests that one page reports.
const REPORTED_MAX: usize = 512;

/// A position among the requests that a core waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplyCursor {
    due: Monotonic,
    token: u64,
}

/// Which requests to report, and from where on.
#[derive(Clone, Debug, Default)]
pub struct ReplyQuery {
    /// Those to this account.
    pub account: String,
    /// Where to go on: nothing, then [`ReplyPage::next`].
    pub from: ReplyCursor,
}

/// Some of the requests that a query selects.
#[derive(Clone, Debug, Default)]
pub struct ReplyPage {
    /// The one that expires first comes first.
    pub replies: Vec<ReplySnapshot>,
    /// Where to go on; `None`: that was all.
    pub next: Option<ReplyCursor>,
}

/// A request that waits for an answer.
#[derive(Clone, Debug)]
pub struct ReplySnapshot {
    /// Where the exporter answers.
    pub subject: String,
    /// Where the answer goes in the importer's account.
    pub reply: String,
    /// Who asked.
    pub importer: Arc<str>,
    /// Whether the exporter learns who asked.
    pub share: bool,
    /// How it is measured, and the headers that asked for that; `None`: it is not.
    pub measured: Option<(Arc<Latency>, Option<HeaderMap>)>,
}

impl Shard {
    /// A page of the requests that a query selects.
    pub(crate) fn reply_page(&self, query: &ReplyQuery) -> ReplyPage {
        let mut page = ReplyPage::default();
        let from = (query.from.due, query.from.token);
        for (looked_at, ((due, token), pending)) in self.pending_replies.iter_from(from).enumerate() {
            if looked_at == LOOKED_AT_MAX || page.replies.len() == REPORTED_MAX {
                page.next = Some(ReplyCursor { due, token });
                return page;
            }
            if *self.accounts[pending.exporter.index()].name != *query.account {
                continue;
            }
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let measured = pending.measured.as_deref();
            page.replies.push(ReplySnapshot {
                subject: text(&self.reply_subject(token)),
                reply: text(&pending.reply),
                importer: self.accounts[pending.importer.index()].name.clone(),
                share: pending.share,
                measured: measured.map(|measured| (measured.latency.clone(), measured.header.clone())),
            });
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::AccountId;
    use crate::options::Options;
    use crate::route::service_reply::Pending;
    use petrel_runtime::CoreId;
    use std::time::Duration;

    #[test]
    fn a_page_is_bounded_and_pages_make_a_whole() {
        let (notices, _) = crossbeam_channel::unbounded();
        let mut shard = Shard::new(Arc::new(Options::default()), CoreId(0), 1, [1, 2, 3, 4], notices);
        for number in 0..3000_u64 {
            // Every third goes to another account.
            let exporter = AccountId(u16::from(number % 3 != 0));
            let reply = format!("in.{number}");
            let mut pending = Pending::new(AccountId::GLOBAL, reply.as_bytes(), exporter, Duration::ZERO);
            // Some expire at the same time.
            pending.due = Monotonic(number / 2);
            shard.pending_replies.insert(pending, number * 7919);
        }
        let mut query = ReplyQuery { account: "$SYS".to_owned(), ..ReplyQuery::default() };
        let mut replies = Vec::new();
        loop {
            let page = shard.reply_page(&query);
            assert!(page.replies.len() <= REPORTED_MAX);
            replies.extend(page.replies.into_iter().map(|reply| reply.reply));
            let Some(next) = page.next else { break };
            query.from = next;
        }
        assert_eq!(replies.len(), 2000);
        replies.sort_unstable();
        replies.dedup();
        assert_eq!(replies.len(), 2000);
        let nobody = ReplyQuery { account: "X".to_owned(), ..ReplyQuery::default() };
        assert!(shard.reply_page(&nobody).replies.is_empty());
    }
}
