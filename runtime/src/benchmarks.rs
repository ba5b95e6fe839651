//! What `benches/` measures inside of this crate, and nothing else: no promise to other users.

use crate::mailbox::{MailPort, connect_cores};
use crate::wake::Wake;
use std::sync::Arc;

/// One core's end of the mailboxes between two cores, used as a core's turn uses it.
pub struct MailboxEnd<M>(MailPort<M>);

/// The mailboxes between two cores that never sleep, with room for at least `slots` mails in each direction.
///
/// # Errors
///
/// What the system says when it has no eventfd left.
pub fn connect<M: Send>(slots: usize) -> std::io::Result<[MailboxEnd<M>; 2]> {
    let wakes = [Arc::new(Wake::new()?), Arc::new(Wake::new()?)];
    let mut rows = connect_cores(&wakes, slots).into_iter();
    // The row of each core has a place for the core itself, which is empty, and one for the other.
    let mut end = || MailboxEnd(rows.next().into_iter().flatten().flatten().next().into());
    Ok([end(), end()])
}

impl<M: Send> MailboxEnd<M> {
    /// Whether a mail would go into a free slot.
    #[inline]
    pub fn has_room(&mut self) -> bool {
        self.0.has_room()
    }

    /// Queues a mail; the other end sees it after [`MailboxEnd::publish`].
    #[inline]
    pub fn push(&mut self, mail: M) {
        self.0.push(mail);
    }

    /// The end of the sender's turn: what was pushed becomes visible.
    #[inline]
    pub fn publish(&mut self) {
        self.0.publish();
    }

    /// Hands all mails that wait to `handle`. Returns how many there were.
    #[inline]
    pub fn receive(&mut self, mut handle: impl FnMut(M)) -> usize {
        let waiting = self.0.waiting();
        for _ in 0..waiting {
            handle(self.0.take());
            self.0.handled();
        }
        if waiting > 0 {
            self.0.drained();
        }
        waiting
    }
}
