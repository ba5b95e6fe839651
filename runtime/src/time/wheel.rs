//! The timers of one core.

use super::{Monotonic, TimerId, TimerToken};

/// A tick is 2^20 ns, about 1.05 ms.
const TICK_SHIFT: u32 = 20;
/// Each level of the wheel looks at this many bits of a tick's number.
const LEVEL_BITS: u32 = 6;
const LEVEL_SLOTS: usize = 1 << LEVEL_BITS;
/// Enough for every tick that 64 bits of nanoseconds can name: 64 - 20 = 44 bits.
const LEVELS: usize = 8;
/// The list of timers that are due, after the lists of all levels.
const DUE: u32 = (LEVELS * LEVEL_SLOTS) as u32;
/// In place of a list: the entry is not in use.
const FREE: u32 = DUE + 1;
const NONE: u32 = u32::MAX;

/// One timer: 32 bytes. Entries of a list form a ring; the previous of the head is the tail.
#[derive(Clone, Debug)]
struct Entry {
    tick: u64,
    token: u64,
    previous: u32,
    /// The next in the list, or the next free entry.
    next: u32,
    generation: u32,
    list: u32,
}

const _: () = assert!(std::mem::size_of::<Entry>() == 32);

/// A hierarchical timer wheel: setting and cancelling are O(1), whatever the number of timers.
///
/// A timer at level n differs from the current tick in the n-th group of six bits and in none above it. When
/// the current tick enters a slot of a level above 0, the slot's timers move to lower levels. A timer never
/// fires before its deadline, and up to one tick after it.
#[derive(Debug)]
pub(crate) struct TimerWheel {
    entries: Vec<Entry>,
    free: u32,
    heads: [u32; LEVELS * LEVEL_SLOTS + 1],
    /// One bit for each slot that has timers.
    occupied: [u64; LEVELS],
    current_tick: u64,
    /// As of the last call of [`TimerWheel::expire`].
    now: Monotonic,
    due_count: usize,
}

impl TimerWheel {
    /// A wheel without timers.
    pub(crate) fn new(now: Monotonic) -> TimerWheel {
        TimerWheel {
            entries: Vec::new(),
            free: NONE,
            heads: [NONE; LEVELS * LEVEL_SLOTS + 1],
            occupied: [0; LEVELS],
            current_tick: now.0 >> TICK_SHIFT,
            now,
            due_count: 0,
        }
    }

    /// Adds a timer. One whose deadline has passed is due at once, without waiting for the tick to end.
    pub(crate) fn set(&mut self, deadline: Monotonic, token: TimerToken) -> TimerId {
        let tick = if deadline <= self.now {
            self.current_tick
        } else {
            (deadline.0 >> TICK_SHIFT) + u64::from(deadline.0 & ((1 << TICK_SHIFT) - 1) != 0)
        };
        let slot = self.allocate();
        let entry = &mut self.entries[slot as usize];
        entry.tick = tick;
        entry.token = token.0;
        let generation = entry.generation;
        self.place(slot);
        TimerId { slot, generation }
    }

    /// Takes a timer back; false when it is not there any more.
    pub(crate) fn cancel(&mut self, timer: TimerId) -> bool {
        let Some(entry) = self.entries.get(timer.slot as usize) else { return false };
        if entry.generation != timer.generation || entry.list == FREE {
            return false;
        }
        self.unlink(timer.slot);
        self.release(timer.slot);
        true
    }

    /// Moves the current tick to `now` and returns the number of timers that are due.
    pub(crate) fn expire(&mut self, now: Monotonic) -> usize {
        self.now = self.now.max(now);
        let now_tick = now.0 >> TICK_SHIFT;
        while let Some((level, slot, tick)) = self.next_slot() {
            if tick > now_tick {
                break;
            }
            self.current_tick = tick;
            let list = (level * LEVEL_SLOTS + slot) as u32;
            while self.heads[list as usize] != NONE {
                let entry = self.heads[list as usize];
                self.unlink(entry);
                self.place(entry);
            }
        }
        self.current_tick = self.current_tick.max(now_tick);
        self.due_count
    }

    /// Takes the due timer that comes first.
    pub(crate) fn next_due(&mut self) -> Option<TimerToken> {
        let slot = self.heads[DUE as usize];
        if slot == NONE {
            return None;
        }
        let token = self.entries[slot as usize].token;
        self.unlink(slot);
        self.release(slot);
        Some(TimerToken(token))
    }

    /// When [`TimerWheel::expire`] should be called next. It may find no timer due then: timers far ahead
    /// move to a lower level first.
    pub(crate) fn next_deadline(&self) -> Option<Monotonic> {
        if self.due_count > 0 {
            return Some(Monotonic(self.current_tick << TICK_SHIFT));
        }
        let (_, _, tick) = self.next_slot()?;
        // A deadline within the last tick of 64 bits rounds up to a tick beyond them.
        Some(Monotonic(if tick >> (64 - TICK_SHIFT) > 0 { u64::MAX } else { tick << TICK_SHIFT }))
    }

    /// The first slot with timers: its level, its number and the tick at which it begins.
    fn next_slot(&self) -> Option<(usize, usize, u64)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let slot = self.occupied[level].trailing_zeros();
        let shift = level as u32 * LEVEL_BITS;
        // A timer of this level has the current tick's bits above the level.
        let above = self.current_tick >> (shift + LEVEL_BITS) << (shift + LEVEL_BITS);
        Some((level, slot as usize, above | u64::from(slot) << shift))
    }

    fn allocate(&mut self) -> u32 {
        if self.free == NONE {
            let slot = u32::try_from(self.entries.len()).expect("fewer than 2^32 timers");
            let unused = Entry { tick: 0, token: 0, previous: NONE, next: NONE, generation: 0, list: FREE };
            self.entries.push(unused);
            return slot;
        }
        let slot = self.free;
        self.free = self.entries[slot as usize].next;
        slot
    }

    fn release(&mut self, slot: u32) {
        let free = self.free;
        let entry = &mut self.entries[slot as usize];
        entry.generation = entry.generation.wrapping_add(1);
        entry.list = FREE;
        entry.next = free;
        self.free = slot;
    }

    /// Links an entry to the list where its tick belongs as of the current tick.
    fn place(&mut self, slot: u32) {
        let tick = self.entries[slot as usize].tick;
        let list = if tick <= self.current_tick {
            self.due_count += 1;
            DUE
        } else {
            let highest_bit = 63 - (tick ^ self.current_tick).leading_zeros();
            let level = (highest_bit / LEVEL_BITS) as usize;
            let position = (tick >> (level as u32 * LEVEL_BITS)) as usize % LEVEL_SLOTS;
            self.occupied[level] |= 1 << position;
            (level * LEVEL_SLOTS + position) as u32
        };
        let head = self.heads[list as usize];
        let (previous, next) = if head == NONE {
            self.heads[list as usize] = slot;
            (slot, slot)
        } else {
            let tail = self.entries[head as usize].previous;
            self.entries[tail as usize].next = slot;
            self.entries[head as usize].previous = slot;
            (tail, head)
        };
        let entry = &mut self.entries[slot as usize];
        entry.list = list;
        entry.previous = previous;
        entry.next = next;
    }

    fn unlink(&mut self, slot: u32) {
        let Entry { previous, next, list, .. } = self.entries[slot as usize];
        if next == slot {
            self.heads[list as usize] = NONE;
            if list != DUE {
                self.occupied[list as usize / LEVEL_SLOTS] &= !(1 << (list as usize % LEVEL_SLOTS));
            }
        } else {
            self.entries[previous as usize].next = next;
            self.entries[next as usize].previous = previous;
            if self.heads[list as usize] == slot {
                self.heads[list as usize] = next;
            }
        }
        if list == DUE {
            self.due_count -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::RandomStream;
    use std::collections::BTreeMap;

    const TICK: u64 = 1 << TICK_SHIFT;

    fn fire(wheel: &mut TimerWheel, now: u64) -> Vec<u64> {
        wheel.expire(Monotonic(now));
        std::iter::from_fn(|| wheel.next_due()).map(|token| token.0).collect()
    }

    #[test]
    fn fires_at_the_deadline_and_not_before() {
        let mut wheel = TimerWheel::new(Monotonic(5 * TICK));
        wheel.set(Monotonic(7 * TICK + 1), TimerToken(1));
        assert_eq!(wheel.next_deadline(), Some(Monotonic(8 * TICK)));
        assert!(fire(&mut wheel, 8 * TICK - 1).is_empty());
        assert_eq!(fire(&mut wheel, 8 * TICK), [1]);
        assert_eq!(wheel.next_deadline(), None);
    }

    #[test]
    fn a_deadline_in_the_past_is_due_at_once() {
        let mut wheel = TimerWheel::new(Monotonic(100 * TICK));
        wheel.set(Monotonic(3), TimerToken(1));
        assert_eq!(wheel.next_deadline(), Some(Monotonic(100 * TICK)));
        assert_eq!(fire(&mut wheel, 100 * TICK), [1]);
        assert!(fire(&mut wheel, 100 * TICK + 5).is_empty());
        wheel.set(Monotonic(100 * TICK + 5), TimerToken(2));
        wheel.set(Monotonic(100 * TICK + 6), TimerToken(3));
        assert_eq!(fire(&mut wheel, 100 * TICK + 5), [2], "in the middle of a tick as well");
        assert_eq!(fire(&mut wheel, 101 * TICK), [3]);
    }

    #[test]
    fn a_due_timer_can_still_be_cancelled_and_ids_are_not_confused() {
        let mut wheel = TimerWheel::new(Monotonic(0));
        let first = wheel.set(Monotonic(TICK), TimerToken(1));
        wheel.set(Monotonic(TICK), TimerToken(2));
        assert_eq!(wheel.expire(Monotonic(TICK)), 2);
        assert!(wheel.cancel(first));
        assert!(!wheel.cancel(first));
        let reused = wheel.set(Monotonic(2 * TICK), TimerToken(3));
        assert_eq!(reused.slot, first.slot);
        assert!(!wheel.cancel(first), "an id of an earlier user of the slot");
        assert_eq!(fire(&mut wheel, 2 * TICK), [2, 3]);
        assert!(!wheel.cancel(reused));
    }

    #[test]
    fn the_end_of_time_is_a_deadline_too() {
        let mut wheel = TimerWheel::new(Monotonic(12345));
        let last = wheel.set(Monotonic(u64::MAX), TimerToken(1));
        assert!(fire(&mut wheel, u64::MAX >> 1).is_empty());
        assert!(wheel.next_deadline() > Some(Monotonic(u64::MAX >> 1)));
        assert!(wheel.cancel(last));
        assert_eq!(wheel.next_deadline(), None);
    }

    /// Walks a wheel and a sorted map through the same random life.
    fn compare_with_model(seed: u64) {
        let mut random = RandomStream::from_seed(seed);
        let mut now = random.next_u64() % (1 << 50);
        let mut wheel = TimerWheel::new(Monotonic(now));
        let mut model: BTreeMap<u64, (u64, TimerId)> = BTreeMap::new();
        let mut fired_or_cancelled = Vec::new();
        for token in 0..3000 {
            let reach = random.next_u64() % 45;
            match random.next_u64() % 8 {
                0..4 => {
                    let past = random.next_u64().is_multiple_of(4);
                    let reach = random.next_u64() % (1 << reach);
                    let deadline = if past { now.saturating_sub(reach) } else { now + reach };
                    let id = wheel.set(Monotonic(deadline), TimerToken(token));
                    // What is due when it is set does not wait for the end of a tick.
                    let due_tick = if deadline <= now { now / TICK } else { deadline.div_ceil(TICK) };
                    model.insert(token, (due_tick, id));
                }
                4 => {
                    let pick = random.next_u64() % (token + 1);
                    if let Some((&token, &(_, id))) = model.range(pick..).next() {
                        assert!(wheel.cancel(id));
                        model.remove(&token);
                        fired_or_cancelled.push(id);
                    }
                }
                5 => {
                    if let Some(&id) = fired_or_cancelled.last() {
                        assert!(!wheel.cancel(id));
                    }
                }
                6 => now = wheel.next_deadline().map_or(now, |next| next.0.max(now)),
                _ => now += random.next_u64() % (1 << reach),
            }
            let mut fired = fire(&mut wheel, now);
            fired.sort_unstable();
            let expected: Vec<u64> =
                model.iter().filter(|(_, timer)| timer.0 <= now / TICK).map(|it| *it.0).collect();
            assert_eq!(fired, expected, "seed {seed} at {now}");
            for token in fired {
                let (_, id) = model.remove(&token).unwrap();
                fired_or_cancelled.push(id);
            }
            let next = model.values().map(|(due_tick, _)| Monotonic(due_tick * TICK)).min();
            assert_eq!(wheel.next_deadline().is_some(), next.is_some());
            assert!(wheel.next_deadline() <= next, "the wheel would be asked too late");
            assert!(wheel.next_deadline().is_none_or(|next| next.0 > now), "the core would not sleep");
        }
    }

    #[test]
    fn behaves_like_a_sorted_list() {
        for seed in 0..40 {
            compare_with_model(seed);
        }
    }

    #[test]
    fn a_far_timer_wakes_the_core_few_times() {
        let mut wheel = TimerWheel::new(Monotonic(987_654_321));
        wheel.set(Monotonic(987_654_321 + 3_600_000_000_000), TimerToken(1));
        let mut wakes = 0;
        while let Some(next) = wheel.next_deadline() {
            wakes += 1;
            fire(&mut wheel, next.0);
        }
        assert!(wakes <= 5, "{wakes} wakes for one timer of an hour");
    }
}
