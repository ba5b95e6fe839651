//! The connections of accounts that limit them, over all cores. Core 0 keeps the count.

use super::AccountId;
use petrel_runtime::CoreId;
use std::collections::BTreeMap;

/// A connection, and where it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    pub(crate) core: CoreId,
    /// The session on that core.
    pub(crate) session: u32,
    pub(crate) cid: u64,
}

/// Who is in which limited account, by connection id: the newest is the last.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    accounts: BTreeMap<u16, BTreeMap<u64, Member>>,
}

impl Admissions {
    /// Lets a connection in, unless the account is full. Who is in stays in.
    pub(crate) fn admit(&mut self, account: AccountId, member: Member, limit: Option<u64>) -> bool {
        let members = self.accounts.entry(account.0).or_default();
        let is_full = limit.is_some_and(|limit| members.len() as u64 >= limit);
        if is_full && !members.contains_key(&member.cid) {
            return false;
        }
        members.insert(member.cid, member);
        true
    }

    /// Counts a connection that was in before the account had a limit.
    pub(crate) fn enroll(&mut self, account: AccountId, member: Member) {
        self.accounts.entry(account.0).or_default().insert(member.cid, member);
    }

    /// A connection left the account, or ended.
    pub(crate) fn leave(&mut self, account: AccountId, cid: u64) {
        if let Some(members) = self.accounts.get_mut(&account.0) {
            members.remove(&cid);
        }
    }

    /// Takes out the newest connections beyond the limit.
    pub(crate) fn prune(&mut self, account: AccountId, limit: Option<u64>) -> Vec<Member> {
        let (Some(members), Some(limit)) = (self.accounts.get_mut(&account.0), limit) else {
            return Vec::new();
        };
        let excess = members.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        (0..excess).filter_map(|_| members.pop_last()).map(|(_, member)| member).collect()
    }

    /// Forgets accounts without a limit and prunes the others.
    pub(crate) fn set_limits(&mut self, limit_of: impl Fn(AccountId) -> Option<u64>) -> Vec<Member> {
        self.accounts.retain(|account, _| limit_of(AccountId(*account)).is_some());
        let accounts: Vec<AccountId> = self.accounts.keys().copied().map(AccountId).collect();
        accounts.into_iter().flat_map(|account| self.prune(account, limit_of(account))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(cid: u64) -> Member {
        Member { core: CoreId(0), session: 0, cid }
    }

    #[test]
    fn a_full_account_takes_nobody_and_a_lower_limit_ends_the_newest() {
        let (mut admissions, account) = (Admissions::default(), AccountId(3));
        for cid in [9, 5, 7] {
            assert!(admissions.admit(account, member(cid), Some(3)));
        }
        assert!(!admissions.admit(account, member(11), Some(3)));
        assert!(admissions.admit(account, member(9), Some(3)), "who is in stays in");
        assert!(admissions.admit(AccountId(4), member(12), Some(1)));
        admissions.leave(account, 5);
        assert!(admissions.admit(account, member(11), Some(3)));
        let cids = |members: Vec<Member>| members.iter().map(|member| member.cid).collect::<Vec<_>>();
        assert_eq!(cids(admissions.set_limits(|id| (id == account).then_some(1))), [11, 9]);
        assert!(!admissions.admit(account, member(13), Some(1)));
        admissions.enroll(account, member(2));
        assert_eq!(cids(admissions.prune(account, Some(1))), [7]);
        assert!(admissions.prune(account, None).is_empty());
        assert!(!admissions.admit(account, member(1), Some(0)), "nobody");
    }
}
