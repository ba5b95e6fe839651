//! A simulated core's way to its node's disk, and a test's.

use super::agenda::{Action, Place};
use super::disk::{Answer, Disk};
use super::faults::FaultKind;
use super::network::Network;
use super::sockets::SharedNetwork;
use crate::file::{Handle, Operation, Outcome};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// An open file or folder of a simulated node.
pub(crate) struct SimFile {
    number: u64,
    /// It is a lock on that folder, in this life of the node.
    lock: Option<(SharedNetwork, usize, u64)>,
}

impl SimFile {
    pub(super) fn number(&self) -> u64 {
        self.number
    }
}

impl fmt::Debug for SimFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SimFile({})", self.number)
    }
}

impl Drop for SimFile {
    fn drop(&mut self) {
        if let Some((network, node, life)) = self.lock.take() {
            let mut network = network.lock();
            if network.hosts[node].life == life {
                network.disks[node].unlock(self.number);
            }
        }
    }
}

/// What carries out the file operations of a simulated core.
pub(crate) struct SimFiles {
    network: SharedNetwork,
    place: Place,
    life: u64,
}

impl SimFiles {
    pub(super) fn new(network: SharedNetwork, place: Place, life: u64) -> SimFiles {
        SimFiles { network, place, life }
    }

    pub(crate) fn begin(&mut self, ticket: u64, operation: Operation) {
        let mut network = self.network.lock();
        let (low, high) = network.ground.options.disk.latency;
        let latency = network.ground.dice.skewed(super::dice::nanos(low), super::dice::nanos(high));
        network.disks[self.place.node].begin(self.place.core, ticket, operation);
        let action = Action::File { place: self.place, ticket, life: self.life };
        network.ground.later(latency, action);
    }

    pub(crate) fn has_ended(&self) -> bool {
        !self.network.lock().disks[self.place.node].ended[self.place.core].is_empty()
    }

    pub(crate) fn take_ended(&mut self) -> Vec<(u64, Outcome)> {
        let ended = {
            let mut network = self.network.lock();
            std::mem::take(&mut network.disks[self.place.node].ended[self.place.core])
        };
        // Handles are made without the lock: dropping one may take it.
        ended.into_iter().map(|(ticket, answer)| (ticket, self.outcome(answer))).collect()
    }

    fn outcome(&self, answer: Answer) -> Outcome {
        let handle = |number, lock| Outcome::Opened(Ok(Handle::Sim(Arc::new(SimFile { number, lock }))));
        match answer {
            Answer::Opened(number) => handle(number, None),
            Answer::Locked(number) => {
                handle(number, Some((self.network.clone(), self.place.node, self.life)))
            }
            Answer::Plain(outcome) => outcome,
        }
    }
}

impl Network {
    /// A node's process died.
    pub(super) fn disk_loses_process(&mut self, node: usize) {
        self.disks[node].lose_process(&mut self.ground);
    }

    /// A node's power failed.
    pub(super) fn disk_loses_power(&mut self, node: usize) {
        self.disks[node].lose_process(&mut self.ground);
        self.disks[node].lose_power(node, &mut self.ground);
    }

    /// A file operation of a core ends.
    pub(super) fn file_operation_ends(&mut self, place: Place, ticket: u64, life: u64) {
        if self.hosts[place.node].life == life {
            self.disks[place.node].end(place.core, ticket, &mut self.ground);
            self.wake(place);
        }
    }
}

/// A node's disk as a test sees it, past everything the node does. Paths begin with a slash.
pub struct SimDisk<'a> {
    pub(super) network: &'a mut Network,
    pub(super) node: usize,
}

impl SimDisk<'_> {
    fn disk(&mut self) -> &mut Disk {
        &mut self.network.disks[self.node]
    }

    /// Makes a folder, and those above it, durably.
    pub fn make_directory(&mut self, path: impl AsRef<Path>) {
        self.disk().make_directory(path.as_ref());
    }

    /// The paths of all files, sorted.
    pub fn files(&mut self) -> Vec<String> {
        self.disk().files().into_iter().map(|(path, _)| path).collect()
    }

    /// What a file holds, as reads see it.
    pub fn read(&mut self, path: &str) -> Option<Vec<u8>> {
        let number = self.number(path)?;
        self.disk().content(number).map(|content| content.bytes().to_vec())
    }

    /// Turns a bit over, on the disk for good. False when there is no such byte.
    pub fn flip_bit(&mut self, path: &str, byte: u64, bit: u32) -> bool {
        self.damage(path, byte, move |bytes, at| bytes[at] ^= 1 << (bit % 8))
    }

    /// Cuts a file off at a byte, on the disk for good. False when it is not that long.
    pub fn truncate(&mut self, path: &str, length: u64) -> bool {
        self.damage(path, length, |bytes, at| bytes.truncate(at))
    }

    /// Puts bytes into a file, on the disk for good: an old version of a block, for instance. False when the
    /// file has not all of these places.
    pub fn overwrite(&mut self, path: &str, offset: u64, with: &[u8]) -> bool {
        let last = offset + with.len() as u64;
        let known = self.read(path).is_some_and(|bytes| bytes.len() as u64 >= last);
        known
            && !with.is_empty()
            && self.damage(path, offset, |bytes, at| {
                let end = (at + with.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&with[..end - at]);
            })
    }

    fn number(&mut self, path: &str) -> Option<u64> {
        self.disk().files().into_iter().find(|(known, _)| known == path).map(|(_, number)| number)
    }

    fn damage(&mut self, path: &str, at: u64, change: impl Fn(&mut Vec<u8>, usize)) -> bool {
        let Some(number) = self.number(path) else { return false };
        let node = self.node as u64;
        let Some(content) = self.disk().content(number).filter(|content| at < content.len() as u64) else {
            return false;
        };
        let at = at as usize;
        content.damage(|bytes| {
            if at < bytes.len() {
                change(bytes, at);
            }
        });
        self.network.ground.fault(FaultKind::Damaged, "damage", &[node, number, at as u64]);
        true
    }
}
