//! The way back of a request to another account: `_R_.<core and server>.<token>`, and what the core that handed it out
//! remembers of it.
//!
//! Whoever publishes to such a subject is routed to that core by its name alone; the core maps, counts and ends it.

use crate::account::AccountId;
use hashbrown::HashMap;
use petrel_config::ResponseType;
use petrel_protocol::subject;
use petrel_runtime::{Monotonic, TimerId};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

/// Requests to other accounts that a core waits for at once. When there are more, the one that would expire first is
/// given up.
pub(crate) const PENDING_MAX: usize = 65_536;
/// Bytes of their reply subjects, which are as long as clients like. Given up alike.
const REPLY_BYTES_MAX: usize = 16 * 1024 * 1024;

const PREFIX: &[u8] = b"_R_.";
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of a token.
const TOKEN_DIGITS: usize = 6;
const TOKENS: u64 = 62_u64.pow(6);
/// Of the first six digits, those that name the core. The others name the server.
const CORE_DIGITS: usize = 2;
const SERVERS: u64 = 62_u64.pow(4);
/// Digits that name the server behind the token of a request whose responder matters.
const MARK_DIGITS: usize = 8;
/// Bytes of a reply subject without what may follow behind another dot.
const SUBJECT_BYTES: usize = PREFIX.len() + TOKEN_DIGITS + 1 + TOKEN_DIGITS;

/// What a core remembers of a request.
pub(crate) struct Pending {
    /// Who asked.
    pub(crate) importer: AccountId,
    /// Where the answer goes there.
    pub(crate) reply: Rc<[u8]>,
    /// Who may answer.
    pub(crate) exporter: AccountId,
    pub(crate) response: ResponseType,
    /// Whether the exporter learns who asks.
    pub(crate) share: bool,
    /// How long it is kept without an answer.
    pub(crate) threshold: Duration,
    pub(crate) due: Monotonic,
    /// That of `reply` in the importer's index.
    pub(crate) fingerprint: u64,
    /// Its number on this core.
    pub(super) number: u64,
    /// What is measured, where the export wants that.
    pub(crate) measured: Option<Box<super::service_latency::Measured>>,
}

impl Pending {
    /// What is to be remembered of a request, of which one answer is expected and nothing measured; the core fills in
    /// the rest when it begins to wait.
    pub(crate) fn new(
        importer: AccountId,
        reply: &[u8],
        exporter: AccountId,
        threshold: Duration,
    ) -> Pending {
        Pending {
            importer,
            reply: reply.into(),
            exporter,
            response: ResponseType::Singleton,
            share: false,
            threshold,
            due: Monotonic::default(),
            fingerprint: 0,
            number: 0,
            measured: None,
        }
    }

    /// Whether it matters who answers: it is measured, or its answer goes on to a request that is.
    pub(crate) fn wants_responder(&self) -> bool {
        self.measured.is_some() || is_measured(&self.reply)
    }
}

/// The requests to other accounts that a core waits for.
pub(crate) struct PendingReplies {
    by_token: HashMap<u64, Pending, ahash::RandomState>,
    by_due: BTreeSet<(Monotonic, u64)>,
    /// By importer and reply, to be found by patterns.
    by_reply: BTreeSet<(u16, Rc<[u8]>, u64)>,
    /// Tokens of those with an ordinary reply by its fingerprint and their number: all of a client may have the same reply.
    by_fingerprint: BTreeMap<(u64, u64), u64>,
    /// Bytes of the replies of all.
    reply_bytes: usize,
    /// Requests remembered since the start.
    count: u64,
    /// The first part of every reply subject of this core.
    name: [u8; TOKEN_DIGITS],
    /// The timer that runs, and when it is due.
    pub(crate) timer: Option<(Monotonic, TimerId)>,
    mark: [u8; MARK_DIGITS],
}

fn digits<const COUNT: usize>(mut number: u64) -> [u8; COUNT] {
    let mut digits = [b'0'; COUNT];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[usize::try_from(number % 62).unwrap_or(0)];
        number /= 62;
    }
    digits
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = DIGITS.iter().position(|known| known == digit)?;
        Some(number * 62 + value as u64)
    })
}

/// The core that a reply subject names; `None`: it is no such subject. A subject of another server names some core too:
/// nobody there knows its token.
pub(crate) fn owner(subject: &[u8]) -> Option<u16> {
    let rest = subject.strip_prefix(PREFIX)?;
    if rest.len() < SUBJECT_BYTES - PREFIX.len() || rest[TOKEN_DIGITS] != b'.' {
        return None;
    }
    u16::try_from(number(&rest[..CORE_DIGITS])?).ok()
}

/// Whether a reply subject says that the request is measured, or one that its answer goes on to.
pub(crate) fn is_measured(subject: &[u8]) -> bool {
    subject.ends_with(b".T") && owner(subject).is_some()
}

impl PendingReplies {
    /// Nothing is pending. `hasher` is keyed with the node's secret.
    pub(crate) fn new(hasher: ahash::RandomState, core: u16) -> PendingReplies {
        let server = hasher.hash_one("service replies") % SERVERS;
        let name = digits(u64::from(core) * SERVERS + server);
        let mark = digits(hasher.hash_one("measured service replies"));
        PendingReplies {
            by_fingerprint: BTreeMap::new(),
            reply_bytes: 0,
            count: 0,
            by_token: HashMap::with_hasher(hasher),
            by_due: BTreeSet::new(),
            by_reply: BTreeSet::new(),
            name,
            timer: None,
            mark,
        }
    }

    /// Gives up the request that would expire first, while there is no room for one more with this reply.
    pub(crate) fn make_room(&mut self, reply: &[u8]) -> Option<Pending> {
        let has_room = self.by_token.len() < PENDING_MAX && self.reply_bytes + reply.len() <= REPLY_BYTES_MAX;
        let (_, oldest) = self.by_due.first().filter(|_| !has_room)?;
        self.remove(*oldest)
    }

    /// Remembers a request under a token made of `random`. Returns the token.
    pub(crate) fn insert(&mut self, mut pending: Pending, random: u64) -> u64 {
        let mut token = random % TOKENS;
        while self.by_token.contains_key(&token) {
            token = (token + 1) % TOKENS;
        }
        self.count += 1;
        pending.number = self.count;
        self.reply_bytes += pending.reply.len();
        self.by_due.insert((pending.due, token));
        if !pending.reply.starts_with(PREFIX) {
            self.by_reply.insert((pending.importer.0, Rc::clone(&pending.reply), token));
            self.by_fingerprint.insert((pending.fingerprint, pending.number), token);
        }
        self.by_token.insert(token, pending);
        token
    }

    /// Forgets all requests.
    pub(crate) fn clear(&mut self) {
        while let Some((_, token)) = self.by_due.first().copied() {
            self.remove(token);
        }
    }

    /// How many are waited for.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.by_token.len()
    }

    /// Whether nothing is waited for.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_token.is_empty()
    }

    /// Requests of an account whose answers go where a pattern matches, in the order of those subjects. Answers that go
    /// on to the way back of another request are not among them.
    pub(crate) fn matching(&self, importer: AccountId, pattern: &[u8]) -> Vec<u64> {
        // Inboxes differ in their first tokens: most patterns of clients leave little to look at.
        let literal = pattern.iter().position(|byte| matches!(byte, b'*' | b'>')).unwrap_or(pattern.len());
        let prefix = &pattern[..literal];
        let from = (importer.0, Rc::from(prefix), 0);
        let near = self
            .by_reply
            .range(from..)
            .take_while(|(account, reply, _)| *account == importer.0 && reply.starts_with(prefix));
        let found = near.filter(|(_, reply, _)| subject::matches(pattern, reply));
        found.map(|(_, _, token)| *token).collect()
    }

    /// Requests of an account whose answers go to a subject with this fingerprint, the oldest first.
    pub(crate) fn with_fingerprint(&self, importer: AccountId, fingerprint: u64) -> Vec<u64> {
        let known =
            self.by_fingerprint.range((fingerprint, 0)..=(fingerprint, u64::MAX)).map(|(_, token)| *token);
        known.filter(|token| self.by_token.get(token).is_some_and(|p| p.importer == importer)).collect()
    }

    /// The reply subject of a token.
    pub(crate) fn subject(&self, token: u64) -> Vec<u8> {
        let mut subject = Vec::with_capacity(SUBJECT_BYTES);
        subject.extend_from_slice(PREFIX);
        subject.extend_from_slice(&self.name);
        subject.push(b'.');
        subject.extend_from_slice(&digits::<TOKEN_DIGITS>(token));
        subject
    }

    /// What names the server in the reply subjects of measured requests.
    pub(crate) fn server_mark(&self) -> [u8; MARK_DIGITS] {
        self.mark
    }

    /// The token of a reply subject of this core that is still waited for.
    pub(crate) fn token(&self, subject: &[u8]) -> Option<u64> {
        let rest = subject.strip_prefix(PREFIX)?.strip_prefix(&self.name)?.strip_prefix(b".")?;
        let (digits, rest) = rest.split_at_checked(TOKEN_DIGITS)?;
        if !rest.is_empty() && rest[0] != b'.' {
            return None;
        }
        number(digits).filter(|token| self.by_token.contains_key(token))
    }

    pub(crate) fn get(&self, token: u64) -> Option<&Pending> {
        self.by_token.get(&token)
    }

    pub(crate) fn get_mut(&mut self, token: u64) -> Option<&mut Pending> {
        self.by_token.get_mut(&token)
    }

    /// Forgets a request.
    pub(crate) fn remove(&mut self, token: u64) -> Option<Pending> {
        let pending = self.by_token.remove(&token)?;
        self.by_due.remove(&(pending.due, token));
        self.by_reply.remove(&(pending.importer.0, Rc::clone(&pending.reply), token));
        self.by_fingerprint.remove(&(pending.fingerprint, pending.number));
        self.reply_bytes -= pending.reply.len();
        Some(pending)
    }

    /// Keeps a request longer: an answer came, and more may follow.
    pub(crate) fn prolong(&mut self, token: u64, now: Monotonic) {
        if let Some(pending) = self.by_token.get_mut(&token) {
            self.by_due.remove(&(pending.due, token));
            pending.due = now.after(pending.threshold);
            self.by_due.insert((pending.due, token));
        }
    }

    /// The requests from a position on, by when they expire.
    pub(crate) fn iter_from(
        &self,
        from: (Monotonic, u64),
    ) -> impl Iterator<Item = ((Monotonic, u64), &Pending)> {
        let places = self.by_due.range(from..);
        places.filter_map(|place| self.by_token.get(&place.1).map(|pending| (*place, pending)))
    }

    /// When the next one expires.
    pub(crate) fn next_due(&self) -> Option<Monotonic> {
        self.by_due.first().map(|(due, _)| *due)
    }

    /// Takes out one that has expired.
    pub(crate) fn expired(&mut self, now: Monotonic) -> Option<Pending> {
        let (due, token) = *self.by_due.first()?;
        if due > now { None } else { self.remove(token) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pending(due: u64) -> Pending {
        let pending = Pending::new(AccountId::GLOBAL, b"reply", AccountId(1), Duration::from_nanos(100));
        Pending { due: Monotonic(due), fingerprint: 7, ..pending }
    }

    fn replies(core: u16) -> PendingReplies {
        PendingReplies::new(ahash::RandomState::with_seeds(1, 2, 3, 4), core)
    }

    #[test]
    fn a_reply_subject_leads_to_its_core_and_token() {
        for core in [0, 1, 63] {
            let mut replies = replies(core);
            let token = replies.insert(pending(5), u64::MAX - 7);
            let subject = replies.subject(token);
            assert_eq!(subject.len(), SUBJECT_BYTES);
            assert_eq!(owner(&subject), Some(core));
            assert_eq!(replies.token(&subject), Some(token));
            let measured = [subject.as_slice(), b".abcdefgh.T"].concat();
            assert_eq!((owner(&measured), replies.token(&measured)), (Some(core), Some(token)));
            assert!(is_measured(&measured) && !is_measured(&subject));
            replies.remove(token);
            assert_eq!(replies.token(&subject), None);
        }
        for other in
            ["_R_.", "_R_.abcdef.ghijk", "_R_.abcdefgghijkl", "_INBOX.abcdef.ghijkl", "_R_.-bcdef.ghijkl"]
        {
            assert_eq!(owner(other.as_bytes()), None, "{other}");
        }
        assert_eq!(replies(0).token(b"_R_.abcdef.ghijkl"), None);
    }

    #[test]
    fn what_is_waited_for_expires_in_order_and_is_bounded() {
        let mut replies = replies(0);
        for index in 0..PENDING_MAX as u64 {
            assert!(replies.make_room(b"reply").is_none());
            replies.insert(pending(10 + index), index * 7919);
        }
        let given_up = replies.make_room(b"reply");
        assert_eq!(given_up.map(|pending| pending.due), Some(Monotonic(10)));
        assert!(replies.make_room(b"reply").is_none());
        let token = replies.insert(pending(1), 3);
        assert_eq!(replies.next_due(), Some(Monotonic(1)));
        replies.prolong(token, Monotonic(1_000_000));
        assert_eq!(replies.next_due(), Some(Monotonic(11)));
        assert!(replies.expired(Monotonic(10)).is_none());
        assert_eq!(replies.expired(Monotonic(12)).map(|pending| pending.due), Some(Monotonic(11)));
        let mut left = 0;
        while replies.expired(Monotonic(u64::MAX)).is_some() {
            left += 1;
        }
        assert_eq!(left, PENDING_MAX - 1);
        assert!(replies.is_empty() && replies.by_due.is_empty());
        assert!(replies.by_reply.is_empty() && replies.by_fingerprint.is_empty());
    }

    #[test]
    fn requests_are_found_by_where_their_answers_go() {
        let mut replies = replies(0);
        let mut tokens = Vec::new();
        for (importer, reply) in [
            (0, "in.a.1"),
            (0, "in.a.2"),
            (1, "in.a.1"),
            (0, "in.b"),
            (0, "in.a.1"),
            (0, "_R_.000000.000001"),
        ] {
            let account = AccountId(importer);
            let pending = Pending::new(account, reply.as_bytes(), AccountId(1), Duration::ZERO);
            // Replies of one length share a fingerprint here.
            let pending = Pending { fingerprint: reply.len() as u64, ..pending };
            tokens.push(replies.insert(pending, 1000 - tokens.len() as u64));
        }
        let matching = |replies: &PendingReplies, pattern: &str| -> Vec<usize> {
            let found = replies.matching(AccountId(0), pattern.as_bytes());
            let mut places: Vec<usize> =
                found.iter().filter_map(|token| tokens.iter().position(|known| known == token)).collect();
            places.sort_unstable();
            places
        };
        assert_eq!(matching(&replies, "in.a.*"), [0, 1, 4]);
        assert_eq!(matching(&replies, ">"), [0, 1, 3, 4]);
        assert_eq!(matching(&replies, "*.b"), [3]);
        assert_eq!(matching(&replies, "in.a.1"), [0, 4]);
        assert_eq!(matching(&replies, "out.>"), Vec::<usize>::new());
        assert_eq!(replies.with_fingerprint(AccountId(0), 6), [tokens[0], tokens[1], tokens[4]]);
        assert_eq!(replies.with_fingerprint(AccountId(1), 6), [tokens[2]]);
        replies.remove(tokens[0]);
        assert_eq!(matching(&replies, ">"), [1, 3, 4]);
        assert_eq!(replies.with_fingerprint(AccountId(0), 6), [tokens[1], tokens[4]]);
        assert_eq!(replies.with_fingerprint(AccountId(0), 17), Vec::<u64>::new());
    }

    /// As many as there may be with replies as long as control lines took a quarter of a gigabyte.
    #[test]
    fn long_replies_make_room_for_each_other() {
        let mut replies = replies(0);
        let reply = vec![b'r'; 4000];
        let (mut given_up, mut longest) = (0, 0);
        for index in 0..6000_u64 {
            while let Some(pending) = replies.make_room(&reply) {
                assert_eq!(pending.due, Monotonic(given_up), "the one that would expire first");
                given_up += 1;
            }
            let pending = Pending::new(AccountId::GLOBAL, &reply, AccountId(1), Duration::ZERO);
            replies.insert(Pending { due: Monotonic(index), ..pending }, index);
            longest = longest.max(replies.reply_bytes);
            let kept: usize = replies.by_token.values().map(|pending| pending.reply.len()).sum();
            assert_eq!(replies.reply_bytes, kept);
        }
        assert!(given_up > 1000 && longest <= REPLY_BYTES_MAX && longest > REPLY_BYTES_MAX - 4000);
        replies.clear();
        assert_eq!((replies.reply_bytes, replies.by_fingerprint.len()), (0, 0));
    }

    /// Each of them was looked for among all others with the same reply.
    #[test]
    fn all_requests_may_have_one_reply() {
        let mut replies = replies(0);
        for index in 0..PENDING_MAX as u64 {
            replies.insert(pending(index), index * 7919);
        }
        let oldest = replies.with_fingerprint(AccountId::GLOBAL, 7);
        assert_eq!(oldest[..3], [0, 7919, 2 * 7919], "the oldest first");
        while replies.expired(Monotonic(u64::MAX)).is_some() {}
        assert!(replies.is_empty() && replies.by_fingerprint.is_empty());
    }
}
