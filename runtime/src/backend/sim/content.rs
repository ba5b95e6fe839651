//! The bytes of a simulated file: what reads see, and what would survive.

use super::dice::Dice;
use super::faults::FaultKind;

/// Bytes that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What happened to something that was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    Kept,
    Lost,
    Torn,
}

impl Fate {
    pub(super) fn drawn(dice: &mut Dice) -> Fate {
        match dice.below(3) {
            0 => Fate::Kept,
            1 => Fate::Lost,
            _ => Fate::Torn,
        }
    }
}

/// A write that no sync has covered.
#[derive(Debug)]
struct Unsynced {
    number: u64,
    offset: usize,
    bytes: Vec<u8>,
}

/// The bytes of a file.
#[derive(Debug, Default)]
pub(super) struct Content {
    /// What reads see.
    current: Vec<u8>,
    /// What is on the disk for sure.
    durable: Vec<u8>,
    /// What came after that, in order.
    unsynced: Vec<Unsynced>,
}

impl Content {
    pub(super) fn len(&self) -> usize {
        self.current.len()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.current
    }

    /// Reads into a buffer; the number of bytes read.
    pub(super) fn read(&self, into: &mut [u8], offset: u64) -> usize {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.current.len());
        let count = into.len().min(self.current.len() - start);
        into[..count].copy_from_slice(&self.current[start..start + count]);
        count
    }

    /// Writes; `number` orders it among everything done to the disk.
    pub(super) fn write(&mut self, bytes: &[u8], offset: usize, number: u64) {
        put(&mut self.current, bytes, offset);
        self.unsynced.push(Unsynced { number, offset, bytes: bytes.to_vec() });
    }

    /// Makes writes up to a number durable.
    pub(super) fn sync(&mut self, covered: u64) {
        for write in self.unsynced.extract_if(.., |write| write.number <= covered) {
            put(&mut self.durable, &write.bytes, write.offset);
        }
    }

    /// A sync fails: writes up to a number will not survive. Whether reads still see them is a matter of what
    /// the kernel has in its cache. The number of writes dropped.
    pub(super) fn drop_covered(&mut self, covered: u64, cached: bool) -> usize {
        let before = self.unsynced.len();
        self.unsynced.retain(|write| write.number > covered);
        if !cached {
            let mut current = self.durable.clone();
            for write in &self.unsynced {
                put(&mut current, &write.bytes, write.offset);
            }
            self.current = current;
        }
        before - self.unsynced.len()
    }

    /// The power fails: of each unsynced write, in any order, the sectors are kept or lost. What happened to
    /// each.
    pub(super) fn lose_power(&mut self, dice: &mut Dice) -> Vec<FaultKind> {
        let mut happened = Vec::new();
        while !self.unsynced.is_empty() {
            let write = self.unsynced.swap_remove(dice.index(self.unsynced.len()));
            let fate = Fate::drawn(dice);
            let mut at = 0;
            let mut kept = 0;
            let mut sectors = 0;
            while at < write.bytes.len() {
                // Sectors are those of the file, not of the write.
                let end = (at + SECTOR_BYTES - (write.offset + at) % SECTOR_BYTES).min(write.bytes.len());
                sectors += 1;
                if fate == Fate::Kept || (fate == Fate::Torn && dice.below(2) == 0) {
                    kept += 1;
                    put(&mut self.durable, &write.bytes[at..end], write.offset + at);
                }
                at = end;
            }
            if kept == 0 && dice.below(4) == 0 {
                // The file had grown on the disk before its bytes came.
                let end = write.offset + write.bytes.len();
                self.durable.resize(end.max(self.durable.len()), 0);
            }
            if kept == 0 {
                happened.push(FaultKind::WriteLost);
            } else if kept < sectors {
                happened.push(FaultKind::WriteTorn);
            }
        }
        self.current = self.durable.clone();
        happened
    }

    /// Changes what is on the disk behind everybody's back.
    pub(super) fn damage(&mut self, change: impl Fn(&mut Vec<u8>)) {
        change(&mut self.current);
        change(&mut self.durable);
        let length = self.current.len();
        // What a later sync would cover is damaged as well.
        for write in &mut self.unsynced {
            let end = (write.offset + write.bytes.len()).min(length);
            write.bytes = self.current.get(write.offset..end).unwrap_or_default().to_vec();
        }
    }
}

fn put(into: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    if into.len() < offset {
        into.resize(offset, 0);
    }
    let inside = bytes.len().min(into.len() - offset);
    into[offset..offset + inside].copy_from_slice(&bytes[..inside]);
    into.extend_from_slice(&bytes[inside..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_power_cut_keeps_what_was_synced_and_any_sectors_of_the_rest() {
        let mut seen = BTreeSet::new();
        for seed in 0..200 {
            let mut dice = Dice::new(seed, 0);
            let mut content = Content::default();
            content.write(&[1; 2048], 0, 1);
            content.sync(1);
            content.write(&[2; 2048], 0, 2);
            content.write(&[3; 1024], 1024, 3);
            content.lose_power(&mut dice);
            assert_eq!(content.len(), 2048);
            let sectors: Vec<u8> = content.bytes().chunks(SECTOR_BYTES).map(|sector| sector[0]).collect();
            for sector in content.bytes().chunks(SECTOR_BYTES) {
                assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector was torn");
            }
            seen.insert(sectors);
        }
        // Nothing kept, everything kept in order, the older write over the newer, and single sectors.
        for expected in [[1, 1, 1, 1], [2, 2, 3, 3], [2, 2, 2, 2], [1, 1, 3, 3], [2, 1, 1, 1], [1, 1, 1, 3]] {
            assert!(seen.contains(expected.as_slice()), "{expected:?} never happened");
        }
    }

    #[test]
    fn a_sync_covers_what_came_before_it_only() {
        let mut content = Content::default();
        content.write(&[1; 512], 0, 1);
        content.write(&[2; 512], 512, 2);
        content.sync(1);
        let mut lost = 0;
        for seed in 0..50 {
            let mut other = Content {
                current: content.current.clone(),
                durable: content.durable.clone(),
                unsynced: vec![Unsynced { number: 2, offset: 512, bytes: vec![2; 512] }],
            };
            let happened = other.lose_power(&mut Dice::new(seed, 0));
            assert_eq!(other.bytes()[..512], [1; 512]);
            lost += usize::from(happened.contains(&FaultKind::WriteLost));
        }
        assert!(lost > 10);
    }

    #[test]
    fn a_failed_sync_drops_for_good() {
        for cached in [false, true] {
            let mut content = Content::default();
            content.write(&[1; 512], 0, 1);
            content.sync(1);
            content.write(&[2; 512], 0, 2);
            assert_eq!(content.drop_covered(2, cached), 1);
            assert_eq!(content.bytes()[0], if cached { 2 } else { 1 });
            content.sync(2);
            content.lose_power(&mut Dice::new(1, 1));
            assert_eq!(content.bytes(), [1; 512]);
        }
    }
}
