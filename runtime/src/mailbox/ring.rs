//! A bounded queue from one thread to one other.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

/// Keeps what one side writes off the cache lines that the other side writes. 128 bytes, because processors
/// fetch lines in pairs.
#[repr(align(128))]
struct Padded<T>(T);

struct Shared<M> {
    /// Number of mails that the receiver has handled to the end; their slots are free.
    consumed: Padded<AtomicU64>,
    /// Number of mails made visible to the receiver.
    published: Padded<AtomicU64>,
    /// The sender waits for room and wants to be woken.
    room_wanted: Padded<AtomicBool>,
    slots: Box<[UnsafeCell<MaybeUninit<M>>]>,
}

// SAFETY: a slot is touched by one side at a time: by the sender between `published` and
// `consumed + slots.len()`, by the receiver between `consumed` and `published`. The indices are moved with
// release stores and read with acquire loads, which hand a slot over together with its content.
unsafe impl<M: Send> Sync for Shared<M> {}
// SAFETY: owning the slots means owning the mails in them, which may be sent.
unsafe impl<M: Send> Send for Shared<M> {}

impl<M> Shared<M> {
    fn slot(&self, number: u64) -> *mut MaybeUninit<M> {
        // The length is a power of two, so the mask picks a slot in bounds.
        self.slots[(number & (self.slots.len() as u64 - 1)) as usize].get()
    }
}

/// The sending side.
pub(super) struct Sender<M> {
    shared: Arc<Shared<M>>,
    /// Mails written to slots, published or not.
    written: u64,
    published: u64,
    /// The last value read of the receiver's index; reading it again costs a cache miss.
    consumed_cached: u64,
}

/// The receiving side.
pub(super) struct Receiver<M> {
    shared: Arc<Shared<M>>,
    /// Mails moved out of their slots; at most one more than `consumed`.
    taken: u64,
    consumed: u64,
}

/// A ring with room for at least `slots` mails.
pub(super) fn ring<M: Send>(slots: usize) -> (Sender<M>, Receiver<M>) {
    let slots = slots.max(1).next_power_of_two();
    let shared = Arc::new(Shared {
        consumed: Padded(AtomicU64::new(0)),
        published: Padded(AtomicU64::new(0)),
        room_wanted: Padded(AtomicBool::new(false)),
        slots: (0..slots).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
    });
    (
        Sender { shared: shared.clone(), written: 0, published: 0, consumed_cached: 0 },
        Receiver { shared, taken: 0, consumed: 0 },
    )
}

impl<M> Sender<M> {
    /// Whether a slot is free.
    pub(super) fn has_room(&mut self) -> bool {
        let capacity = self.shared.slots.len() as u64;
        if self.written - self.consumed_cached < capacity {
            return true;
        }
        self.consumed_cached = self.shared.consumed.0.load(Ordering::Acquire);
        self.written - self.consumed_cached < capacity
    }

    /// Writes a mail to the next slot, not yet visible. Gives it back when no slot is free.
    pub(super) fn write(&mut self, mail: M) -> Result<(), M> {
        if !self.has_room() {
            return Err(mail);
        }
        // SAFETY: `has_room` showed with an acquire load that the receiver is done with this slot, and the
        // slot is not visible to it before `publish`.
        unsafe { (*self.shared.slot(self.written)).write(mail) };
        self.written += 1;
        Ok(())
    }

    /// Makes all written mails visible. False when there were none.
    pub(super) fn publish(&mut self) -> bool {
        if self.published == self.written {
            return false;
        }
        self.published = self.written;
        self.shared.published.0.store(self.published, Ordering::Release);
        true
    }

    /// Mails written so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Mails that the receiver has handled to the end.
    pub(super) fn consumed(&self) -> u64 {
        self.shared.consumed.0.load(Ordering::Acquire)
    }

    /// Asks the receiver to wake this core when it has made room.
    pub(super) fn want_room(&self) {
        if !self.shared.room_wanted.0.load(Ordering::Relaxed) {
            self.shared.room_wanted.0.store(true, Ordering::Relaxed);
        }
    }
}

impl<M> Receiver<M> {
    /// Number of mails that wait.
    pub(super) fn waiting(&self) -> usize {
        (self.shared.published.0.load(Ordering::Acquire) - self.taken) as usize
    }

    /// Takes the next mail, which must be waiting. Its slot stays occupied until [`Receiver::handled`].
    pub(super) fn take(&mut self) -> M {
        debug_assert!(self.waiting() > 0);
        // SAFETY: the caller saw through `waiting`, an acquire load, that this slot was published; it is
        // read once, because `taken` moves past it.
        let mail = unsafe { (*self.shared.slot(self.taken)).assume_init_read() };
        self.taken += 1;
        mail
    }

    /// The mail taken last was handled to the end.
    pub(super) fn handled(&mut self) {
        self.consumed += 1;
        debug_assert!(self.consumed == self.taken);
        self.shared.consumed.0.store(self.consumed, Ordering::Release);
    }

    /// Whether the sender asked to be woken, after some mails were handled. Clears the wish.
    pub(super) fn take_room_wanted(&self) -> bool {
        // Pairs with the fence of the sender's `Wake::prepare_sleep`: either the sender sees the slots freed
        // before this, or its wish is seen here.
        fence(Ordering::SeqCst);
        self.shared.room_wanted.0.load(Ordering::Relaxed)
            && self.shared.room_wanted.0.swap(false, Ordering::Relaxed)
    }
}

impl<M> Drop for Shared<M> {
    fn drop(&mut self) {
        // Both sides are gone. What the receiver took is not dropped here: see `Receiver::drop`.
        let published = *self.published.0.get_mut();
        for number in *self.consumed.0.get_mut()..published {
            // SAFETY: published and never taken, so initialised and owned by the ring.
            unsafe { (*self.slot(number)).assume_init_drop() };
        }
    }
}

impl<M> Drop for Receiver<M> {
    fn drop(&mut self) {
        // A mail that was taken belongs to who took it, handled or not.
        self.shared.consumed.0.store(self.taken, Ordering::Release);
    }
}

impl<M> Drop for Sender<M> {
    fn drop(&mut self) {
        // Written mails become the ring's to drop.
        self.publish();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mails_become_visible_when_published() {
        let (mut sender, mut receiver) = ring(4);
        for number in 0..4 {
            sender.write(number).unwrap();
        }
        assert_eq!(sender.write(4), Err(4));
        assert_eq!(receiver.waiting(), 0);
        assert!(sender.publish());
        assert!(!sender.publish());
        assert_eq!(receiver.waiting(), 4);
        assert_eq!(receiver.take(), 0);
        assert!(!sender.has_room(), "a slot is free only when its mail was handled");
        assert_eq!(sender.consumed(), 0);
        receiver.handled();
        assert_eq!(sender.consumed(), 1);
        sender.write(4).unwrap();
        sender.publish();
        let rest: Vec<i32> = std::iter::from_fn(|| {
            (receiver.waiting() > 0).then(|| {
                let mail = receiver.take();
                receiver.handled();
                mail
            })
        })
        .collect();
        assert_eq!(rest, [1, 2, 3, 4]);
    }

    #[test]
    fn what_is_left_is_dropped_once() {
        let token = Arc::new(());
        let (mut sender, mut receiver) = ring(8);
        for _ in 0..5 {
            sender.write(token.clone()).unwrap();
        }
        sender.publish();
        sender.write(token.clone()).unwrap();
        drop(receiver.take());
        receiver.handled();
        let kept = receiver.take();
        drop(receiver);
        drop(sender);
        assert_eq!(Arc::strong_count(&token), 2);
        drop(kept);
        assert_eq!(Arc::strong_count(&token), 1);
    }

    #[test]
    fn two_threads_keep_order() {
        const COUNT: u64 = 300_000;
        let (mut sender, mut receiver) = ring::<Box<u64>>(64);
        let thread = std::thread::spawn(move || {
            let mut next = 0;
            while next < COUNT {
                while next < COUNT && sender.write(Box::new(next)).is_ok() {
                    next += 1;
                    if next % 7 == 0 {
                        sender.publish();
                    }
                }
                sender.publish();
                std::thread::yield_now();
            }
            while sender.consumed() < COUNT {
                std::thread::yield_now();
            }
        });
        let mut expected = 0;
        while expected < COUNT {
            for _ in 0..receiver.waiting() {
                assert_eq!(*receiver.take(), expected);
                receiver.handled();
                expected += 1;
            }
            std::thread::yield_now();
        }
        thread.join().unwrap();
    }
}
