//! The disk of one simulated node: its folders and files, and the operations under way.

use super::content::Content;
use super::faults::FaultKind;
use super::ground::Ground;
use super::names::Names;
use crate::file::{Entry, FILE_ALIGNMENT, Handle, Open, Operation, Outcome, Space};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Result};
use std::path::{Component, Path};

/// The number of the folder at the top.
const ROOT: u64 = 0;
/// The error of a disk (`EIO` on Linux).
const INPUT_OUTPUT_ERROR: i32 = 5;

/// A file or a folder.
#[derive(Debug)]
pub(super) enum Inode {
    File(Content),
    Directory(Names),
}

/// How an operation ended, without the handles that only a core can make.
#[derive(Debug)]
pub(super) enum Answer {
    Opened(u64),
    Locked(u64),
    Plain(Outcome),
}

/// An operation on its way.
#[derive(Debug)]
struct UnderWay {
    operation: Operation,
    /// The last change of the disk that had ended when it began: what a sync covers.
    covered: u64,
}

/// A node's disk. It outlives the node's crashes.
#[derive(Debug)]
pub(super) struct Disk {
    inodes: BTreeMap<u64, Inode>,
    inodes_made: u64,
    changes: u64,
    /// Counts the starts of the node's kernel.
    boots: u64,
    /// Bytes of all files that have a name.
    used_bytes: u64,
    locks: BTreeSet<u64>,
    /// By core and ticket.
    under_way: BTreeMap<(usize, u64), UnderWay>,
    /// By core.
    pub(super) ended: Vec<Vec<(u64, Answer)>>,
}

impl Disk {
    pub(super) fn new(cores: usize) -> Disk {
        Disk {
            inodes: BTreeMap::from([(ROOT, Inode::Directory(Names::default()))]),
            inodes_made: ROOT,
            changes: 0,
            boots: 0,
            used_bytes: 0,
            locks: BTreeSet::new(),
            under_way: BTreeMap::new(),
            ended: (0..cores).map(|_| Vec::new()).collect(),
        }
    }

    /// Makes folders as an installer would: durable at once.
    pub(super) fn make_directory(&mut self, path: &Path) {
        let mut at = ROOT;
        for name in parts(path) {
            at = match self.names(at).expect("only folders are walked").of(name) {
                Some(child) => child,
                None => {
                    let child = self.add(Inode::Directory(Names::default()));
                    self.changes += 1;
                    let number = self.changes;
                    let names = self.names_mut(at).expect("only folders are walked");
                    names.put(name.to_owned(), child, number);
                    names.sync(number);
                    child
                }
            };
        }
    }

    /// Takes in an operation of a core.
    pub(super) fn begin(&mut self, core: usize, ticket: u64, operation: Operation) {
        self.under_way.insert((core, ticket), UnderWay { operation, covered: self.changes });
    }

    /// An operation ends: its effect takes place, its answer waits for the core.
    pub(super) fn end(&mut self, core: usize, ticket: u64, ground: &mut Ground) {
        if let Some(under_way) = self.under_way.remove(&(core, ticket)) {
            let answer = self.carry_out(under_way, ground);
            self.ended[core].push((ticket, answer));
        }
    }

    /// The node's process dies: what was under way took place or did not; its locks are free.
    pub(super) fn lose_process(&mut self, ground: &mut Ground) {
        for under_way in std::mem::take(&mut self.under_way).into_values() {
            if ground.dice.below(2) == 0 {
                self.carry_out(under_way, ground);
            }
        }
        self.locks.clear();
        for ended in &mut self.ended {
            ended.clear();
        }
    }

    /// The power fails, after [`Disk::lose_process`].
    pub(super) fn lose_power(&mut self, node: usize, ground: &mut Ground) {
        self.boots += 1;
        for (number, inode) in &mut self.inodes {
            let happened = match inode {
                Inode::File(content) => content.lose_power(&mut ground.dice),
                Inode::Directory(names) => names.lose_power(&mut ground.dice),
            };
            for kind in happened {
                ground.fault(kind, "unsynced", &[node as u64, *number, kind as u64]);
            }
        }
        let kept = self.reachable();
        self.inodes.retain(|number, _| kept.contains(number));
        self.count_bytes();
    }

    pub(super) fn unlock(&mut self, directory: u64) {
        self.locks.remove(&directory);
    }

    /// Paths of all files, with their numbers.
    pub(super) fn files(&self) -> Vec<(String, u64)> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), ROOT)];
        while let Some((path, number)) = open.pop() {
            match &self.inodes[&number] {
                Inode::File(_) => found.push((path, number)),
                Inode::Directory(names) => {
                    open.extend(names.iter().map(|(name, child)| (format!("{path}/{name}"), child)));
                }
            }
        }
        found.sort();
        found
    }

    pub(super) fn content(&mut self, number: u64) -> Option<&mut Content> {
        match self.inodes.get_mut(&number) {
            Some(Inode::File(content)) => Some(content),
            _ => None,
        }
    }

    fn reachable(&self) -> BTreeSet<u64> {
        let mut found = BTreeSet::from([ROOT]);
        let mut open = vec![ROOT];
        while let Some(number) = open.pop() {
            if let Some(Inode::Directory(names)) = self.inodes.get(&number) {
                open.extend(names.iter().map(|(_, child)| child).filter(|child| found.insert(*child)));
            }
        }
        found
    }

    /// Counts the bytes of all files that have a name. A file without one that is still open is not counted.
    fn count_bytes(&mut self) {
        let reachable = self.reachable();
        let lengths = reachable.iter().map(|number| match &self.inodes[number] {
            Inode::File(content) => content.len() as u64,
            Inode::Directory(_) => 0,
        });
        self.used_bytes = lengths.sum();
    }

    fn add(&mut self, inode: Inode) -> u64 {
        self.inodes_made += 1;
        self.inodes.insert(self.inodes_made, inode);
        self.inodes_made
    }

    fn names(&self, directory: u64) -> Result<&Names> {
        match self.inodes.get(&directory) {
            Some(Inode::Directory(names)) => Ok(names),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn names_mut(&mut self, directory: u64) -> Result<&mut Names> {
        match self.inodes.get_mut(&directory) {
            Some(Inode::Directory(names)) => Ok(names),
            Some(Inode::File(_)) => Err(ErrorKind::NotADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn carry_out(&mut self, under_way: UnderWay, ground: &mut Ground) -> Answer {
        let UnderWay { operation, covered } = under_way;
        match operation {
            Operation::OpenRoot(path) => opened(self.walk(&path)),
            Operation::OpenChild { directory, name, how } => {
                opened(self.open_child(number(&directory), &name, how))
            }
            Operation::Rename { directory, from, to } => done(self.rename(number(&directory), &from, &to)),
            Operation::Remove { directory, name } => done(self.remove(number(&directory), &name)),
            Operation::List { directory } => Answer::Plain(Outcome::Listed(self.list(number(&directory)))),
            Operation::SyncNames { directory } => done(self.sync_names(number(&directory), covered, ground)),
            Operation::Space { .. } => {
                let total_bytes = ground.options.disk.capacity_bytes;
                let free_bytes = total_bytes.saturating_sub(self.used_bytes);
                Answer::Plain(Outcome::Room(Ok(Space { free_bytes, total_bytes })))
            }
            Operation::Lock { directory } => match self.locks.insert(number(&directory)) {
                true => Answer::Locked(number(&directory)),
                false => Answer::Plain(Outcome::Opened(Err(ErrorKind::WouldBlock.into()))),
            },
            Operation::BootId => Answer::Plain(Outcome::Text(Ok(format!("simulated-boot-{}", self.boots)))),
            Operation::Read { file, mut buffer, offset } => {
                let result = self.read(number(&file), &mut buffer, offset, ground);
                Answer::Plain(Outcome::Moved(result, buffer))
            }
            Operation::Write { file, buffer, offset } => {
                let result = self.write(number(&file), &buffer, offset, ground);
                Answer::Plain(Outcome::Moved(result, buffer))
            }
            Operation::Sync { file } => done(self.sync(number(&file), covered, ground)),
            Operation::Length { file } => Answer::Plain(Outcome::Length(match self.content(number(&file)) {
                Some(content) => Ok(content.len() as u64),
                None => Err(ErrorKind::NotFound.into()),
            })),
        }
    }

    fn walk(&self, path: &Path) -> Result<u64> {
        let mut at = ROOT;
        for name in parts(path) {
            at = self.names(at)?.of(name).ok_or(ErrorKind::NotFound)?;
        }
        self.names(at).map(|_| at)
    }

    fn open_child(&mut self, directory: u64, name: &str, how: Open) -> Result<u64> {
        let found = self.names(directory)?.of(name);
        match (how, found) {
            (Open::File, Some(child)) => {
                self.content(child).map(|_| child).ok_or_else(|| ErrorKind::IsADirectory.into())
            }
            (Open::Directory, Some(child)) => self.names(child).map(|_| child),
            (Open::File | Open::Directory, None) => Err(ErrorKind::NotFound.into()),
            (Open::NewFile | Open::NewDirectory, Some(_)) => Err(ErrorKind::AlreadyExists.into()),
            (Open::NewFile | Open::NewDirectory, None) => {
                let child = self.add(match how {
                    Open::NewFile => Inode::File(Content::default()),
                    _ => Inode::Directory(Names::default()),
                });
                self.changes += 1;
                let change = self.changes;
                self.names_mut(directory)?.put(name.to_owned(), child, change);
                Ok(child)
            }
        }
    }

    fn rename(&mut self, directory: u64, from: &str, to: &str) -> Result<()> {
        let what = self.names(directory)?.of(from).ok_or(ErrorKind::NotFound)?;
        if from != to {
            self.changes += 1;
            let change = self.changes;
            self.names_mut(directory)?.rename(from, to, what, change);
            self.count_bytes();
        }
        Ok(())
    }

    fn remove(&mut self, directory: u64, name: &str) -> Result<()> {
        let what = self.names(directory)?.of(name).ok_or(ErrorKind::NotFound)?;
        if self.names(what).is_ok_and(|names| !names.is_empty()) {
            return Err(ErrorKind::DirectoryNotEmpty.into());
        }
        self.changes += 1;
        let change = self.changes;
        self.names_mut(directory)?.remove(name, what, change);
        self.count_bytes();
        Ok(())
    }

    fn list(&self, directory: u64) -> Result<Vec<Entry>> {
        let names = self.names(directory)?.iter();
        Ok(names
            .map(|(name, what)| Entry { name: name.clone(), is_directory: self.names(what).is_ok() })
            .collect())
    }

    fn sync_names(&mut self, directory: u64, covered: u64, ground: &mut Ground) -> Result<()> {
        let fails = ground.dice.per_million(ground.options.disk.sync_failure_per_million);
        let names = self.names_mut(directory)?;
        if fails {
            let dropped = names.drop_covered(covered);
            ground.fault(FaultKind::SyncFailed, "sync-fails", &[directory, dropped as u64]);
            return Err(disk_error());
        }
        names.sync(covered);
        ground.record("sync-names", &[directory, covered]);
        Ok(())
    }

    fn sync(&mut self, file: u64, covered: u64, ground: &mut Ground) -> Result<()> {
        let fails = ground.dice.per_million(ground.options.disk.sync_failure_per_million);
        let cached = ground.dice.below(2) == 0;
        let content = self.content(file).ok_or(ErrorKind::NotFound)?;
        if fails {
            let dropped = content.drop_covered(covered, cached);
            ground.fault(FaultKind::SyncFailed, "sync-fails", &[file, dropped as u64]);
            return Err(disk_error());
        }
        content.sync(covered);
        ground.record("sync", &[file, covered]);
        Ok(())
    }

    fn read(&mut self, file: u64, into: &mut [u8], offset: u64, ground: &mut Ground) -> Result<usize> {
        if ground.dice.per_million(ground.options.disk.read_failure_per_million) {
            ground.fault(FaultKind::ReadFailed, "read-fails", &[file, offset]);
            return Err(disk_error());
        }
        let rotten = ground.dice.per_million(ground.options.disk.rotten_read_per_million);
        let content = self.content(file).ok_or(ErrorKind::NotFound)?;
        let mut count = content.read(into, offset);
        if rotten && count > 0 {
            let at = offset as usize + ground.dice.index(count);
            let bit = ground.dice.below(8);
            content.damage(|bytes| {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            });
            count = content.read(into, offset);
            ground.fault(FaultKind::Rotten, "rotten", &[file, at as u64]);
        }
        ground.trace.record_bytes(ground.now, "disk-read", &[file, offset], &into[..count]);
        Ok(count)
    }

    fn write(&mut self, file: u64, bytes: &[u8], offset: u64, ground: &mut Ground) -> Result<usize> {
        let options = ground.options.disk.clone();
        let length = self.content(file).ok_or(ErrorKind::NotFound)?.len();
        let mut offset = usize::try_from(offset).map_err(|_| ErrorKind::FileTooLarge)?;
        let grows = (offset + bytes.len()).saturating_sub(length) as u64;
        if grows > 0 && self.used_bytes + grows > options.capacity_bytes {
            ground.fault(FaultKind::DiskFull, "disk-full", &[file, offset as u64]);
            return Err(ErrorKind::StorageFull.into());
        }
        let blocks = bytes.len() / FILE_ALIGNMENT;
        let mut count = bytes.len();
        let mut result = None;
        if ground.dice.per_million(options.write_failure_per_million) {
            count = ground.dice.index(blocks + 1) * FILE_ALIGNMENT;
            result = Some(Err(disk_error()));
            ground.fault(FaultKind::WriteFailed, "write-fails", &[file, offset as u64, count as u64]);
        } else if blocks > 1 && ground.dice.per_million(options.short_write_per_million) {
            count = ground.dice.between(1, blocks as u64 - 1) as usize * FILE_ALIGNMENT;
            result = Some(Ok(count));
            ground.fault(FaultKind::ShortWrite, "short-write", &[file, offset as u64, count as u64]);
        } else if ground.dice.per_million(options.vanished_write_per_million) {
            count = 0;
            ground.fault(FaultKind::WriteVanished, "vanished", &[file, offset as u64]);
        } else if length > bytes.len() && ground.dice.per_million(options.misdirected_write_per_million) {
            let wrong = ground.dice.index((length - bytes.len()) / FILE_ALIGNMENT + 1) * FILE_ALIGNMENT;
            if wrong != offset {
                ground.fault(
                    FaultKind::WriteMisdirected,
                    "misdirected",
                    &[file, offset as u64, wrong as u64],
                );
                offset = wrong;
            }
        }
        ground.trace.record_bytes(ground.now, "disk-write", &[file, offset as u64], &bytes[..count]);
        if count > 0 {
            self.changes += 1;
            let change = self.changes;
            let content = self.content(file).expect("looked up above");
            content.write(&bytes[..count], offset, change);
            let grown = content.len() - length;
            self.used_bytes += grown as u64;
        }
        result.unwrap_or(Ok(bytes.len()))
    }
}

fn parts(path: &Path) -> impl Iterator<Item = &str> {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => name.to_str(),
        _ => None,
    })
}

fn number(handle: &Handle) -> u64 {
    match handle {
        Handle::Sim(file) => file.number(),
        Handle::Real(_) => unreachable!("a file of the kernel on a simulated core"),
    }
}

fn opened(result: Result<u64>) -> Answer {
    match result {
        Ok(number) => Answer::Opened(number),
        Err(error) => Answer::Plain(Outcome::Opened(Err(error))),
    }
}

fn done(result: Result<()>) -> Answer {
    Answer::Plain(Outcome::Done(result))
}

fn disk_error() -> Error {
    Error::from_raw_os_error(INPUT_OUTPUT_ERROR)
}
