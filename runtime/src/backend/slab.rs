//! A core's table of sockets.

use crate::net::SocketId;

/// Values in numbered slots. A slot's generation changes when its value is closed, so that an id of an
/// earlier user finds nothing. A closed value may stay in its slot until the kernel has let go of it.
#[derive(Debug)]
pub(super) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    /// The value still answers to its id.
    open: bool,
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Slab<T> {
        Slab { slots: Vec::new(), free: Vec::new() }
    }

    /// Puts a value into a free slot.
    pub(super) fn insert(&mut self, value: T) -> SocketId {
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = u32::try_from(self.slots.len()).expect("fewer than 2^32 sockets");
            self.slots.push(Slot { generation: 0, open: false, value: None });
            slot
        });
        let place = &mut self.slots[slot as usize];
        assert!(place.value.is_none(), "a free slot is empty");
        place.open = true;
        place.value = Some(value);
        SocketId { slot, generation: place.generation }
    }

    /// The open value of an id.
    pub(super) fn get(&self, id: SocketId) -> Option<&T> {
        let slot = self.slots.get(id.slot as usize)?;
        if slot.open && slot.generation == id.generation { slot.value.as_ref() } else { None }
    }

    /// The open value of an id.
    pub(super) fn get_mut(&mut self, id: SocketId) -> Option<&mut T> {
        let slot = self.slots.get_mut(id.slot as usize)?;
        if slot.open && slot.generation == id.generation { slot.value.as_mut() } else { None }
    }

    /// The value in a slot, open or closed, with its id while it is open.
    pub(super) fn slot_mut(&mut self, slot: u32) -> Option<(Option<SocketId>, &mut T)> {
        let place = self.slots.get_mut(slot as usize)?;
        let id = place.open.then_some(SocketId { slot, generation: place.generation });
        place.value.as_mut().map(|value| (id, value))
    }

    /// Ends an id's life; the value stays in its slot until [`Slab::remove`]. False when it was not open.
    pub(super) fn close(&mut self, id: SocketId) -> bool {
        let Some(slot) = self.slots.get_mut(id.slot as usize) else { return false };
        if !slot.open || slot.generation != id.generation {
            return false;
        }
        slot.open = false;
        slot.generation = slot.generation.wrapping_add(1);
        true
    }

    /// Empties a slot whose value was closed, and frees it.
    pub(super) fn remove(&mut self, slot: u32) -> Option<T> {
        let place = self.slots.get_mut(slot as usize)?;
        assert!(!place.open, "a value is closed before it is removed");
        let value = place.value.take()?;
        self.free.push(slot);
        Some(value)
    }

    /// Number of values, closed ones included.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The ids of all open values.
    pub(super) fn open_ids(&self) -> Vec<SocketId> {
        let slots = self.slots.iter().enumerate();
        slots
            .filter(|(_, slot)| slot.open)
            .map(|(number, slot)| SocketId { slot: number as u32, generation: slot.generation })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_a_closed_value_finds_nothing() {
        let mut slab = Slab::new();
        let first = slab.insert("first");
        assert_eq!(slab.get(first), Some(&"first"));
        assert!(slab.close(first));
        assert!(!slab.close(first));
        assert_eq!(slab.get(first), None);
        assert_eq!(slab.slot_mut(first.slot).map(|(id, value)| (id, *value)), Some((None, "first")));
        assert_eq!(slab.insert("second").slot, 1, "the slot is taken until the value is removed");
        assert_eq!(slab.remove(first.slot), Some("first"));
        let third = slab.insert("third");
        assert_eq!(third.slot, first.slot);
        assert_ne!(third, first);
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.len(), 2);
    }
}
