//! Checks passwords against bcrypt hashes: tens of milliseconds each, so never on a core.
//!
//! What limits those who try passwords is that work alone. Nobody is locked out because somebody else was wrong, and
//! who waits takes turns ([`Turns`]), so that a crowd of wrong passwords delays itself.

mod hash;
mod turns;

use crate::chores::{self, Chore, Life, Pace};
use crossbeam_channel::{Sender, bounded};
use petrel_engine::{PasswordCheck, PasswordTicket, PasswordVerdict};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tracing::warn;
use turns::Turns;

/// Checks that may wait; of the largest crowd one more is refused as one that came too late.
pub const WAITING_MAX: usize = 1000;
/// Passwords that were right and are remembered, so that a crowd that comes back costs little. What is remembered names
/// the hash as well: one that a reload takes out of the configuration is asked for no more.
const REMEMBERED_MAX: usize = 10_000;

/// What answers.
type Answer = Box<dyn Fn(PasswordTicket, PasswordVerdict) + Send + Sync>;

/// The thread that checks, and what it found right.
pub struct PasswordChecker {
    /// Rung at least once for each that waits.
    bell: Sender<()>,
    shared: Arc<Shared>,
}

/// A check that waits.
struct Waiting {
    check: PasswordCheck,
    /// Of hash and password, see [`Shared::digest`].
    digest: [u8; 32],
}

/// A check that is under way; `None`: the bell rang for somebody who has gone.
struct UnderWay {
    waiting: Option<Waiting>,
    is_answered: AtomicBool,
    shared: Arc<Shared>,
}

struct Shared {
    /// Keys the digests: what is remembered is of no use elsewhere.
    key: [u64; 4],
    remembered: Mutex<HashSet<[u8; 32]>>,
    turns: Mutex<Turns<Waiting>>,
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
        let (remembered, turns) = (Mutex::default(), Mutex::new(Turns::new(key[0])));
        let shared = Arc::new(Shared { key, remembered, turns, answer: Box::new(answer) });
        let (bell, rung) = bounded(WAITING_MAX);
        let known = shared.clone();
        chores::start("pass", 1, Life::Long, rung, move |()| {
            let waiting = known.turns().take_next();
            UnderWay { waiting, is_answered: AtomicBool::new(false), shared: known.clone() }
        })?;
        Ok(PasswordChecker { bell, shared })
    }

    /// Takes a check in. What is remembered is answered at once, and so is one too many.
    pub fn submit(&self, check: PasswordCheck) {
        let digest = self.shared.digest(&check);
        if self.shared.remembers(&digest) {
            (self.shared.answer)(check.ticket, PasswordVerdict::Matches);
            return;
        }
        if let Some(refused) = self.take_in(Waiting { check, digest }) {
            warn!("A login was refused: {WAITING_MAX} passwords wait to be checked");
            (self.shared.answer)(refused.check.ticket, PasswordVerdict::NotChecked);
        }
    }

    /// Lets a check wait. Returns the one that gives way for it.
    fn take_in(&self, waiting: Waiting) -> Option<Waiting> {
        let mut turns = self.shared.turns();
        turns.add(waiting.check.origin, self.shared.target(&waiting.check), waiting);
        if self.bell.try_send(()).is_ok() {
            return None;
        }
        // It will ring as often as may wait, so nobody that stays is forgotten. Who has gone makes room first.
        turns.take_out(|waiting| !waiting.check.is_awaited());
        if turns.len() > WAITING_MAX { turns.evict() } else { None }
    }
}

impl Chore for UnderWay {
    fn run(&self, pace: Pace) {
        let Some(Waiting { check, digest }) = &self.waiting else { return };
        if self.is_answered.load(Ordering::Relaxed) || !check.is_awaited() {
            return;
        }
        let verdict = self.shared.check(check, digest, pace);
        if self.is_answered.swap(true, Ordering::Relaxed) {
            return;
        }
        (self.shared.answer)(check.ticket, verdict);
        // Clients of one mistaken configuration all say the same: the work is done once for all who wait.
        let same = self.shared.turns().take_out(|waiting| waiting.digest == *digest);
        for waiting in same {
            (self.shared.answer)(waiting.check.ticket, verdict);
        }
    }
}

impl Shared {
    fn check(&self, check: &PasswordCheck, digest: &[u8; 32], pace: Pace) -> PasswordVerdict {
        if self.remembers(digest) || matches(check, &mut || pace.rest()) {
            self.remember(*digest);
            PasswordVerdict::Matches
        } else {
            PasswordVerdict::Differs
        }
    }

    fn turns(&self) -> MutexGuard<'_, Turns<Waiting>> {
        // Nothing in there can fail halfway.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
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

    /// Names a password together with the hash that it is to fit.
    fn digest(&self, check: &PasswordCheck) -> [u8; 32] {
        self.keyed(check.hash.reveal(), check.password.reveal())
    }

    /// Names a hash.
    fn target(&self, check: &PasswordCheck) -> [u8; 32] {
        self.keyed(check.hash.reveal(), "")
    }

    fn keyed(&self, hash: &str, password: &str) -> [u8; 32] {
        let mut digest = Sha256::new();
        for word in self.key {
            digest.update(word.to_le_bytes());
        }
        digest.update((hash.len() as u64).to_le_bytes());
        digest.update(hash);
        digest.update(password);
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

    /// A password that takes far longer than handing in all the others.
    const SLOW: &str = "$2b$14$abcdefghijklmnopqrstuu3KWNuWLhBnmgYfnzONPueahDuedC/lu";

    fn check(cid: u64, hash: &str, password: &str, waiting: Weak<()>) -> PasswordCheck {
        from(1, cid, hash, password, waiting)
    }

    /// The same from another address.
    fn from(address: u8, cid: u64, hash: &str, password: &str, waiting: Weak<()>) -> PasswordCheck {
        let ticket = PasswordTicket { core: CoreId(0), session: 0, cid };
        PasswordCheck::new(ticket, [10, 0, 0, address].into(), Secret::new(hash), password, waiting)
    }

    fn checker() -> (PasswordChecker, Receiver<(u64, PasswordVerdict)>) {
        let (sender, answers) = unbounded();
        let answer = move |ticket: PasswordTicket, verdict| {
            let _ = sender.send((ticket.cid, verdict));
        };
        (PasswordChecker::start([1, 2, 3, 4], answer).unwrap(), answers)
    }

    fn next(answers: &Receiver<(u64, PasswordVerdict)>) -> (u64, PasswordVerdict) {
        answers.recv_timeout(Duration::from_secs(120)).expect("an answer")
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

    /// Gives the thread something to do that lasts; its answer is the one of 1.
    fn occupy(checker: &PasswordChecker, connection: &Arc<()>) {
        checker.submit(check(1, SLOW, "x", Arc::downgrade(connection)));
        while checker.shared.turns().len() > 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn who_has_gone_makes_room_and_then_one_of_the_largest_crowd() {
        let (checker, answers) = checker();
        let connection = Arc::new(());
        let here = || Arc::downgrade(&connection);
        checker.submit(check(0, HASH, "s3cret", here()));
        assert_eq!(next(&answers), (0, PasswordVerdict::Matches));
        occupy(&checker, &connection);
        (0..WAITING_MAX as u64).for_each(|cid| checker.submit(check(100 + cid, HASH, "wrong", Weak::new())));
        checker.submit(from(2, 2, HASH, "other", here()));
        assert_eq!(checker.shared.turns().len(), 1);
        let crowd = 3000..3000 + WAITING_MAX as u64 - 1;
        crowd.clone().for_each(|cid| checker.submit(check(cid, HASH, "wrong", here())));
        assert!(answers.is_empty(), "there was room for all of them");
        checker.submit(from(2, 3, HASH, "another", here()));
        let (cid, verdict) = next(&answers);
        assert!(crowd.contains(&cid) && verdict == PasswordVerdict::NotChecked, "{cid} {verdict:?}");
        // What was right before is known without waiting.
        checker.submit(check(4, HASH, "s3cret", here()));
        assert_eq!(next(&answers), (4, PasswordVerdict::Matches));
        let mut wrong: Vec<u64> = (0..WAITING_MAX + 1)
            .map(|_| {
                let (cid, verdict) = next(&answers);
                assert_eq!(verdict, PasswordVerdict::Differs, "{cid}");
                cid
            })
            .collect();
        wrong.sort_unstable();
        assert_eq!(wrong[..3], [1, 2, 3]);
        assert!(answers.recv_timeout(Duration::from_millis(50)).is_err(), "those who had gone get no answer");
    }

    #[test]
    fn the_right_one_waits_for_one_of_a_crowd_of_wrong_ones() {
        let (checker, answers) = checker();
        let connection = Arc::new(());
        let here = || Arc::downgrade(&connection);
        // Another hash of the same password.
        let other = HASH.replace("uuLZ", "uvLZ");
        occupy(&checker, &connection);
        (0..200).for_each(|cid| checker.submit(check(100 + cid, HASH, &format!("wrong {cid}"), here())));
        checker.submit(check(2, &other, "s3cret", here()));
        checker.submit(from(2, 3, HASH, "s3cret", here()));
        let first: Vec<_> = (0..5).map(|_| next(&answers)).collect();
        assert_eq!(first[0], (1, PasswordVerdict::Differs));
        for cid in [2, 3] {
            assert!(first.contains(&(cid, PasswordVerdict::Matches)), "{cid} among {first:?}");
        }
    }

    #[test]
    fn a_mistake_that_many_make_is_found_out_once() {
        const MANY: u64 = 50;
        const OTHERS: u64 = 3;
        let (checker, answers) = checker();
        let connection = Arc::new(());
        // Behind another one, so that all of them wait; those of the other address take turns with them.
        occupy(&checker, &connection);
        let here = || Arc::downgrade(&connection);
        (0..MANY).for_each(|cid| checker.submit(check(100 + cid, HASH, "x", here())));
        (0..OTHERS).for_each(|cid| checker.submit(from(2, 200 + cid, HASH, &format!("y {cid}"), here())));
        assert_eq!(next(&answers), (1, PasswordVerdict::Differs));
        let told = (0..MANY + OTHERS).map(|_| {
            let (cid, verdict) = next(&answers);
            assert_eq!(verdict, PasswordVerdict::Differs, "{cid}");
            cid
        });
        let is_alike: Vec<bool> = told.map(|cid| cid < 200).collect();
        let runs = is_alike.chunk_by(|one, next| one == next).filter(|run| run[0]).count();
        assert_eq!(runs, 1, "{is_alike:?}");
    }
}
