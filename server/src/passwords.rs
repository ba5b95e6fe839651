//! Checks passwords against bcrypt hashes: tens of milliseconds each, so never on a core.

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use petrel_engine::{PasswordCheck, PasswordTicket, PasswordVerdict};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use tracing::warn;

/// Checks that may wait; a login beyond them is refused as one that came too late.
pub const WAITING_MAX: usize = 1000;
/// Passwords that were right and are remembered, so that a crowd that comes back costs little. What is remembered names
/// the hash as well: one that a reload takes out of the configuration is asked for no more.
const REMEMBERED_MAX: usize = 10_000;
/// How much the thread yields to those that carry messages: where they take all there is, it gets a quarter of a CPU.
const NICENESS: i32 = 5;

/// What answers.
type Answer = Box<dyn Fn(PasswordTicket, PasswordVerdict) + Send + Sync>;

/// The thread that checks, and what it found right.
pub struct PasswordChecker {
    queue: Sender<PasswordCheck>,
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
        let worker = shared.clone();
        thread::Builder::new().name("petrel-passwords".into()).spawn(move || worker.work(&checks))?;
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

impl Shared {
    fn work(&self, checks: &Receiver<PasswordCheck>) {
        if let Err(error) = rustix::process::nice(NICENESS) {
            warn!("The thread that checks passwords runs at full priority: {error}");
        }
        for check in checks {
            if !check.is_awaited() {
                continue;
            }
            let digest = self.digest(&check);
            let verdict = if self.remembers(&digest) || matches(&check) {
                self.remember(digest);
                PasswordVerdict::Matches
            } else {
                PasswordVerdict::Differs
            };
            (self.answer)(check.ticket, verdict);
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

/// Whether the password fits the hash. What is no hash fits nothing.
fn matches(check: &PasswordCheck) -> bool {
    bcrypt::verify(check.password.reveal(), check.hash.reveal()).unwrap_or(false)
}
