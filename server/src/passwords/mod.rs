//! Checks passwords against bcrypt hashes: tens of milliseconds each, so never on a core.

mod hash;

use crate::chores::{self, Chore, Life, Pace};
use crossbeam_channel::{Sender, TrySendError, bounded};
use petrel_engine::{PasswordCheck, PasswordTicket, PasswordVerdict};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tracing::warn;

/// Checks that may wait; a login beyond them is refused as one that came too late.
pub const WAITING_MAX: usize = 1000;
/// Passwords that were right and are remembered, so that a crowd that comes back costs little. What is remembered names
/// the hash as well: one that a reload takes out of the configuration is asked for no more.
const REMEMBERED_MAX: usize = 10_000;

/// What answers.
type Answer = Box<dyn Fn(PasswordTicket, PasswordVerdict) + Send + Sync>;

/// The thread that checks, and what it found right.
pub struct PasswordChecker {
    queue: Sender<PasswordCheck>,
    shared: Arc<Shared>,
}

/// A check that is under way.
struct UnderWay {
    check: PasswordCheck,
    is_answered: AtomicBool,
    shared: Arc<Shared>,
}

struct Shared {
    /// Keys the digests: what is remembered is of no use elsewhere.
    key: [u64; 4],
    remembered: Mutex<HashSet<[u8; 32]>>,
    answer: Answer,
}

impl PasswordChecker {
    /// Starts the thread. `key` is drawn anew at each start of the server.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn start(
        key: [u64; 4],
        answer: impl Fn(PasswordTicket, PasswordVerdict) + Send + Sync + 'static,
    ) -> std::io::Result<PasswordChecker> {
        let shared = Arc::new(Shared { key, remembered: Mutex::default(), answer: Box::new(answer) });
        let (queue, checks) = bounded(WAITING_MAX);
        let known = shared.clone();
        chores::start("pass", 1, Life::Long, checks, move |check| UnderWay {
            check,
            is_answered: AtomicBool::new(false),
            shared: known.clone(),
        })?;
        Ok(PasswordChecker { queue, shared })
    }

    /// Takes a check in. What is remembered is answered at once, and so is one too many.
    pub fn submit(&self, check: PasswordCheck) {
        if self.shared.remembers(&self.shared.digest(&check)) {
            (self.shared.answer)(check.ticket, PasswordVerdict::Matches);
            return;
        }
        let check = match self.queue.try_send(check) {
            Ok(()) => return,
            Err(TrySendError::Full(check) | TrySendError::Disconnected(check)) => check,
        };
        warn!("A login was refused: {WAITING_MAX} passwords wait to be checked");
        (self.shared.answer)(check.ticket, PasswordVerdict::NotChecked);
    }
}

impl Chore for UnderWay {
    fn run(&self, pace: Pace) {
        if self.is_answered.load(Ordering::Relaxed) || !self.check.is_awaited() {
            return;
        }
        let verdict = self.shared.check(&self.check, pace);
        if !self.is_answered.swap(true, Ordering::Relaxed) {
            (self.shared.answer)(self.check.ticket, verdict);
        }
    }
}

impl Shared {
    fn check(&self, check: &PasswordCheck, pace: Pace) -> PasswordVerdict {
        let digest = self.digest(check);
        if self.remembers(&digest) || matches(check, &mut || pace.rest()) {
            self.remember(digest);
            PasswordVerdict::Matches
        } else {
            PasswordVerdict::Differs
        }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashSet<[u8; 32]>> {
        // A set of digests is whole whatever happened to who held it.
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembers(&self, digest: &[u8; 32]) -> bool {
        self.remembered().contains(digest)
    }

    fn remember(&self, digest: [u8; 32]) {
        let mut remembered = self.remembered();
        if remembered.len() >= REMEMBERED_MAX {
            remembered.clear();
        }
        remembered.insert(digest);
    }

    fn digest(&self, check: &PasswordCheck) -> [u8; 32] {
        let mut digest = Sha256::new();
        for word in self.key {
            digest.update(word.to_le_bytes());
        }
        let hash = check.hash.reveal();
        digest.update((hash.len() as u64).to_le_bytes());
        digest.update(hash);
        digest.update(check.password.reveal());
        // Keyed at both ends: a longer text cannot be made from a known digest.
        for word in self.key {
            digest.update(word.to_be_bytes());
        }
        digest.finalize().into()
    }
}

/// Whether the password fits the hash. What is no hash fits nothing. `look_around` is called all the time.
pub fn matches(check: &PasswordCheck, look_around: &mut dyn FnMut()) -> bool {
    hash::Hash::parse(check.hash.reveal()).is_some_and(|hash| hash.fits(check.password.reveal(), look_around))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossbeam_channel::{Receiver, unbounded};
    use petrel_engine::Secret;
    use petrel_runtime::CoreId;
    use std::sync::Weak;
    use std::time::Duration;

    /// Of `s3cret`, made elsewhere.
    const HASH: &str = "$2a$04$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG";

    fn check(cid: u64, hash: &str, password: &str, waiting: Weak<()>) -> PasswordCheck {
        let ticket = PasswordTicket { core: CoreId(0), session: 0, cid };
        PasswordCheck::new(ticket, Secret::new(hash), password, waiting)
    }

    fn checker() -> (PasswordChecker, Receiver<(u64, PasswordVerdict)>) {
        let (sender, answers) = unbounded();
        let answer = move |ticket: PasswordTicket, verdict| {
            let _ = sender.send((ticket.cid, verdict));
        };
        (PasswordChecker::start([1, 2, 3, 4], answer).unwrap(), answers)
    }

    fn next(answers: &Receiver<(u64, PasswordVerdict)>) -> (u64, PasswordVerdict) {
        answers.recv_timeout(Duration::from_secs(20)).expect("an answer")
    }

    #[test]
    fn only_what_fits_the_hash_is_right() {
        let (checker, answers) = checker();
        let connection = Arc::new(());
        // The digits behind the salt are those of `$2a$`: the letter says who wrote it, not how.
        for letter in ["a", "b", "x", "y"] {
            let hash = HASH.replacen("2a", &format!("2{letter}"), 1);
            checker.submit(check(1, &hash, "s3cret", Arc::downgrade(&connection)));
            assert_eq!(next(&answers), (1, PasswordVerdict::Matches), "{hash}");
        }
        // As nats-server 2.15.2 took them: the salt's last letter says only what its first two bits say, and nothing behind
        // the digest is looked at.
        for same in [
            HASH.replace("uuLZ", "uvLZ"),
            HASH.replace("uuLZ", "u9LZ"),
            format!("{HASH}$"),
            format!("{HASH}x"),
        ] {
            checker.submit(check(1, &same, "s3cret", Arc::downgrade(&connection)));
            assert_eq!(next(&answers), (1, PasswordVerdict::Matches), "{same}");
        }
        let long = "x".repeat(200);
        for (hash, password) in [
            (HASH, "S3cret"),
            (HASH, ""),
            (HASH, HASH),
            (HASH, long.as_str()),
            (&HASH[..40], "s3cret"),
            (&HASH[..59], "s3cret"),
            (&HASH.replace("04$", "04$$"), "s3cret"),
            (&HASH.replace("uuLZ", "utLZ"), "s3cret"),
            (&HASH.replace("uuLZ", "u-LZ"), "s3cret"),
            // The last letter of the digest is compared as it is.
            (&HASH.replace("5DG", "5DH"), "s3cret"),
            ("$2a$99$abcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5DG", "s3cret"),
            ("$2a$04$\u{e9}bcdefghijklmnopqrstuuLZYjhNQAOdpbzt4WxWlUHjv1wsyH5D", "s3cret"),
        ] {
            checker.submit(check(2, hash, password, Arc::downgrade(&connection)));
            assert_eq!(next(&answers), (2, PasswordVerdict::Differs), "{hash} {password}");
        }
    }

    #[test]
    fn nobody_is_checked_who_has_gone_and_too_many_are_refused() {
        // A password that takes far longer than handing in all the others.
        const SLOW: &str = "$2b$14$abcdefghijklmnopqrstuu3KWNuWLhBnmgYfnzONPueahDuedC/lu";
        let (checker, answers) = checker();
        let connection = Arc::new(());
        checker.submit(check(0, HASH, "s3cret", Arc::downgrade(&connection)));
        assert_eq!(next(&answers), (0, PasswordVerdict::Matches));
        checker.submit(check(1, SLOW, "x", Arc::downgrade(&connection)));
        while !checker.queue.is_empty() {
            std::thread::sleep(Duration::from_millis(1));
        }
        for cid in 0..WAITING_MAX as u64 {
            checker.submit(check(100 + cid, HASH, "wrong", Weak::new()));
        }
        checker.submit(check(2, HASH, "wrong", Arc::downgrade(&connection)));
        checker.submit(check(3, HASH, "wrong", Arc::downgrade(&connection)));
        // What was right before is known without waiting.
        checker.submit(check(4, HASH, "s3cret", Arc::downgrade(&connection)));
        let early: Vec<_> = (0..2).map(|_| next(&answers)).collect();
        assert!(early.contains(&(3, PasswordVerdict::NotChecked)), "{early:?}");
        let mut all: Vec<_> = early.into_iter().chain((0..2).map(|_| next(&answers))).collect();
        all.sort_by_key(|answer| answer.0);
        assert_eq!(all[0], (1, PasswordVerdict::Differs));
        assert_eq!(all[3], (4, PasswordVerdict::Matches));
        assert!(answers.recv_timeout(Duration::from_millis(50)).is_err(), "those who had gone get no answer");
    }
}
