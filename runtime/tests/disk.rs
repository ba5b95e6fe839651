//! The simulated disk: what a sync has covered survives, anything else may be lost or torn, and each fault
//! takes effect.

use petrel_runtime::file::{AlignedBuffer, FILE_ALIGNMENT, File, Files};
use petrel_runtime::sim::{Crash, DiskOptions, FaultKind, NodeHandle, SimOptions, World};
use petrel_runtime::{Event, Io, Program, SocketId};
use std::collections::BTreeMap;
use std::io::Result;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

const BLOCK: usize = FILE_ALIGNMENT;
/// Records of a file before the next one is begun.
const RECORDS_PER_FILE: u64 = 20;

/// What the world outside of the node knows.
#[derive(Default)]
struct Oracle {
    /// The highest record that was acknowledged; all before it were as well.
    acknowledged: u64,
    /// Acknowledged records that were not there after a restart.
    lost: u64,
    restarts: u64,
}

#[derive(Clone, Default)]
struct Shared(Arc<Mutex<Oracle>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Oracle> {
        self.0.lock().unwrap()
    }
}

/// What a journal leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Care {
    Full,
    /// Acknowledges without a sync of the file.
    NoSync,
    /// Never syncs the folder.
    NoFolderSync,
    /// Takes the next sync's success for the failed one's.
    TrustsLaterSync,
}

/// Appends numbered records and acknowledges what is durable; reads them all back at each start.
struct Journal {
    care: Care,
    oracle: Shared,
}

fn record(number: u64) -> AlignedBuffer {
    let mut buffer = AlignedBuffer::zeroed(BLOCK);
    buffer.fill(number as u8);
    buffer[..8].copy_from_slice(&number.to_le_bytes());
    buffer
}

fn number_of(bytes: &[u8]) -> Option<u64> {
    let number = u64::from_le_bytes(bytes[..8].try_into().ok()?);
    // A torn record is none.
    (bytes[8..BLOCK] == [number as u8; BLOCK - 8]).then_some(number)
}

async fn read_block(file: &File, block: u64) -> Option<u64> {
    // A read may fail; what is on the disk is still there.
    for _ in 0..20 {
        let (result, buffer) = file.read_at(AlignedBuffer::zeroed(BLOCK), block * BLOCK as u64).await;
        match result {
            Ok(BLOCK) => return number_of(&buffer),
            Ok(_) => return None,
            Err(_) => {}
        }
    }
    None
}

impl Journal {
    async fn recover(files: &Files, oracle: &Shared) -> Result<u64> {
        let folder = files.open_directory("/data").await?;
        let mut found = BTreeMap::new();
        let mut files_seen = 0;
        for entry in folder.list().await? {
            let file = folder.open(&entry.name).await?;
            for block in 0..file.len().await?.div_ceil(BLOCK as u64) {
                if let Some(number) = read_block(&file, block).await.filter(|number| *number > 0) {
                    found.insert(number, ());
                }
            }
            files_seen += 1;
        }
        let mut oracle = oracle.lock();
        oracle.restarts += 1;
        let lost = (1..=oracle.acknowledged).filter(|number| !found.contains_key(number)).count();
        oracle.lost += lost as u64;
        // What is lost is counted once.
        oracle.acknowledged = found.keys().next_back().copied().unwrap_or(0).max(oracle.acknowledged);
        Ok(files_seen)
    }

    /// Appends until something fails; the records that are not acknowledged are `next` and following.
    async fn fill_file(files: &Files, name: String, care: Care, oracle: &Shared) -> Result<()> {
        let folder = files.open_directory("/data").await?;
        let file = folder.create(&name).await?;
        if care != Care::NoFolderSync {
            folder.sync().await?;
        }
        let first = oracle.lock().acknowledged + 1;
        for (block, number) in (first..first + RECORDS_PER_FILE).enumerate() {
            let (result, _) = file.write_at(record(number), (block * BLOCK) as u64).await;
            result?;
            match care {
                Care::NoSync => {}
                Care::TrustsLaterSync => while file.sync().await.is_err() {},
                Care::Full | Care::NoFolderSync => file.sync().await?,
            }
            oracle.lock().acknowledged = number;
        }
        Ok(())
    }
}

impl Program for Journal {
    type Mail = ();
    type Order = ();

    fn start(&mut self, io: &mut Io<'_, ()>) {
        let (files, care, oracle) = (io.files(), self.care, self.oracle.clone());
        io.spawn(async move {
            let mut number = Journal::recover(&files, &oracle).await.expect("only reads and writes fail");
            loop {
                // After any failure only a new file says what is durable. Names of files that were lost are
                // free again.
                number += 1;
                let _ = Journal::fill_file(&files, format!("{number:06}"), care, &oracle).await;
            }
        });
    }

    fn event(&mut self, _: Event<'_, (), ()>, _: &mut Io<'_, ()>) {}
    fn finish_turn(&mut self, _: &mut Io<'_, ()>) {}
    fn panicked(&mut self, _: Option<SocketId>, message: &str, _: &mut Io<'_, ()>) {
        panic!("{message}");
    }
}

fn journal_world(seed: u64, disk: DiskOptions, care: Care) -> (World, NodeHandle<Journal>, Shared) {
    let mut options = SimOptions::new(seed);
    options.disk = disk;
    let mut world = World::new(options);
    let oracle = Shared::default();
    let shared = oracle.clone();
    let make = move |_, _| Journal { care, oracle: shared.clone() };
    let node = world.add_node(1, IpAddr::from([10, 0, 0, 1]), make);
    world.with_disk(node.number(), |disk| disk.make_directory("/data"));
    (world, node, oracle)
}

/// Runs until a journal has read back what is there so many times.
fn recovered(world: &mut World, oracle: &Shared, times: u64) {
    let done = world.run_until_done(Duration::from_secs(60), |_| oracle.lock().restarts >= times);
    assert!(done, "the journal did not recover");
}

/// Runs a journal through crashes; the number of acknowledged records that were lost.
fn lost_over_crashes(
    care: Care,
    disk: &DiskOptions,
    how: Crash,
    counts: &mut BTreeMap<FaultKind, u64>,
) -> u64 {
    let mut lost = 0;
    for seed in 0..15 {
        let (mut world, node, oracle) = journal_world(seed, disk.clone(), care);
        for _ in 0..4 {
            let length = Duration::from_millis(world.random() % 500);
            world.run_for(length);
            world.crash(node, how);
            world.restart(node);
        }
        let before = oracle.lock().restarts;
        recovered(&mut world, &oracle, before + 1);
        world.run_for(Duration::from_millis(200));
        let oracle = oracle.lock();
        assert!(oracle.acknowledged > 5, "seed {seed}: nothing happened");
        lost += oracle.lost;
        for (kind, count) in world.fault_counts().all() {
            *counts.entry(kind).or_default() += count;
        }
    }
    lost
}

#[test]
fn what_was_synced_survives_power_cuts() {
    let mut counts = BTreeMap::new();
    for disk in [DiskOptions::honest(), DiskOptions::failing()] {
        assert_eq!(lost_over_crashes(Care::Full, &disk, Crash::Power, &mut counts), 0);
    }
    for kind in [
        FaultKind::WriteLost,
        FaultKind::WriteTorn,
        FaultKind::NameLost,
        FaultKind::SyncFailed,
        FaultKind::WriteFailed,
        FaultKind::ReadFailed,
    ] {
        assert!(counts[&kind] > 0, "{kind:?} never took effect");
    }
}

#[test]
fn who_leaves_a_sync_out_loses() {
    let mut counts = BTreeMap::new();
    let honest = DiskOptions::honest();
    assert!(lost_over_crashes(Care::NoSync, &honest, Crash::Power, &mut counts) > 0);
    assert!(lost_over_crashes(Care::NoFolderSync, &honest, Crash::Power, &mut counts) > 0);
    let failing = DiskOptions { sync_failure_per_million: 50_000, ..DiskOptions::honest() };
    assert!(lost_over_crashes(Care::TrustsLaterSync, &failing, Crash::Power, &mut counts) > 0);
}

#[test]
fn a_killed_process_loses_nothing_that_was_written() {
    let mut counts = BTreeMap::new();
    for care in [Care::NoSync, Care::NoFolderSync] {
        assert_eq!(lost_over_crashes(care, &DiskOptions::honest(), Crash::Process, &mut counts), 0);
    }
    assert_eq!(counts[&FaultKind::WriteLost], 0);
    // A power cut later may still take it: the same journal, both ways to go down.
    let mut lost = 0;
    for seed in 0..20 {
        let (mut world, node, oracle) = journal_world(seed, DiskOptions::honest(), Care::NoSync);
        world.run_for(Duration::from_millis(300));
        world.crash(node, Crash::Process);
        world.restart(node);
        recovered(&mut world, &oracle, 2);
        assert_eq!(oracle.lock().lost, 0);
        world.crash(node, Crash::Power);
        world.restart(node);
        recovered(&mut world, &oracle, 3);
        lost += oracle.lock().lost;
    }
    assert!(lost > 0);
}

#[test]
fn disk_stories_repeat_themselves() {
    let story = |seed| {
        let (mut world, node, _) = journal_world(seed, DiskOptions::lying(), Care::NoFolderSync);
        for _ in 0..3 {
            world.run_for(Duration::from_millis(400));
            world.crash(node, Crash::Power);
            world.restart(node);
        }
        world.run_for(Duration::from_millis(400));
        let files = world.with_disk(0, |disk| {
            disk.files().into_iter().map(|path| (disk.read(&path), path)).collect::<Vec<_>>()
        });
        (world.trace().digest(), files)
    };
    for seed in 0..10 {
        assert_eq!(story(seed), story(seed), "seed {seed}");
    }
    assert_ne!(story(1).0, story(2).0);
}

/// Runs one task on a node of its own until it has ended.
fn run_task<F>(seed: u64, disk: DiskOptions, task: impl Fn(Files) -> F + Clone + 'static) -> World
where
    F: Future<Output = ()> + 'static,
{
    struct Runner<T> {
        task: T,
        done: Arc<Mutex<bool>>,
    }
    impl<F: Future<Output = ()> + 'static, T: Fn(Files) -> F + Clone + 'static> Program for Runner<T> {
        type Mail = ();
        type Order = ();
        fn start(&mut self, io: &mut Io<'_, ()>) {
            let (files, task, done) = (io.files(), self.task.clone(), self.done.clone());
            io.spawn(async move {
                task(files).await;
                *done.lock().unwrap() = true;
            });
        }
        fn event(&mut self, _: Event<'_, (), ()>, _: &mut Io<'_, ()>) {}
        fn finish_turn(&mut self, _: &mut Io<'_, ()>) {}
        fn panicked(&mut self, _: Option<SocketId>, message: &str, _: &mut Io<'_, ()>) {
            panic!("{message}");
        }
    }
    let mut options = SimOptions::new(seed);
    options.disk = disk;
    let mut world = World::new(options);
    let done = Arc::new(Mutex::new(false));
    let shared = done.clone();
    let node = world.add_node(1, IpAddr::from([10, 0, 0, 1]), move |_, _| Runner {
        task: task.clone(),
        done: shared.clone(),
    });
    world.with_disk(node.number(), |disk| disk.make_directory("/data"));
    let flag = done.clone();
    assert!(world.run_until_done(Duration::from_secs(60), |_| *flag.lock().unwrap()), "the task did not end");
    world
}

#[test]
fn lying_disks_lie_in_every_way() {
    let disk = DiskOptions {
        short_write_per_million: 100_000,
        vanished_write_per_million: 100_000,
        misdirected_write_per_million: 100_000,
        rotten_read_per_million: 100_000,
        ..DiskOptions::honest()
    };
    let world = run_task(1, disk, |files| async move {
        let folder = files.open_directory("/data").await.unwrap();
        let file = folder.create("file").await.unwrap();
        let mut short = 0;
        let mut wrong = 0;
        for round in 0..300u64 {
            let block = round % 30;
            let mut buffer = AlignedBuffer::zeroed(2 * BLOCK);
            buffer.fill(round as u8);
            short += usize::from(file.write_at(buffer, block * BLOCK as u64).await.0.unwrap() < 2 * BLOCK);
            let (result, buffer) = file.read_at(AlignedBuffer::zeroed(BLOCK), block * BLOCK as u64).await;
            wrong += usize::from(result.unwrap() < BLOCK || buffer.iter().any(|byte| *byte != round as u8));
        }
        assert!(short > 10, "{short} writes were short");
        assert!(wrong > 30, "{wrong} blocks were wrong");
    });
    let counts = world.fault_counts();
    for kind in
        [FaultKind::ShortWrite, FaultKind::WriteVanished, FaultKind::WriteMisdirected, FaultKind::Rotten]
    {
        assert!(counts.of(kind) > 0, "{kind:?} never took effect: {counts}");
    }
}

#[test]
fn a_full_disk_says_so_and_takes_more_when_something_goes() {
    let disk = DiskOptions { capacity_bytes: 10 * BLOCK as u64, ..DiskOptions::honest() };
    let world = run_task(1, disk, |files| async move {
        let folder = files.open_directory("/data").await.unwrap();
        let full = folder.create("full").await.unwrap();
        full.write_at(AlignedBuffer::zeroed(8 * BLOCK), 0).await.0.unwrap();
        assert_eq!(folder.free_space().await.unwrap().free_bytes, 2 * BLOCK as u64);
        let more = folder.create("more").await.unwrap();
        let (result, buffer) = more.write_at(AlignedBuffer::zeroed(3 * BLOCK), 0).await;
        assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::StorageFull);
        // What is there can be written again.
        full.write_at(AlignedBuffer::zeroed(8 * BLOCK), 0).await.0.unwrap();
        folder.remove("full").await.unwrap();
        assert_eq!(more.write_at(buffer, 0).await.0.unwrap(), 3 * BLOCK);
    });
    assert_eq!(world.fault_counts().of(FaultKind::DiskFull), 1);
}

#[test]
fn a_torn_rename_leaves_both_names() {
    let mut seen = BTreeMap::new();
    for seed in 0..60 {
        let mut world = run_task(seed, DiskOptions::honest(), move |files| async move {
            let folder = files.open_directory("/data").await.unwrap();
            let file = folder.create("old").await.unwrap();
            file.write_at(record(seed + 1), 0).await.0.unwrap();
            file.sync().await.unwrap();
            folder.sync().await.unwrap();
            folder.rename("old", "new").await.unwrap();
        });
        world.crash_number(0, Crash::Power);
        let files = world.with_disk(0, |disk| disk.files());
        for path in &files {
            let bytes = world.with_disk(0, |disk| disk.read(path)).unwrap();
            assert_eq!(number_of(&bytes), Some(seed + 1), "{path} lost what was synced");
        }
        *seen.entry(files.join(" ")).or_insert(0) += 1;
    }
    let kinds: Vec<&String> = seen.keys().collect();
    assert_eq!(kinds, ["/data/new", "/data/new /data/old", "/data/old"]);
}

#[test]
fn a_sync_covers_only_what_had_ended_before_it_began() {
    let (mut written_first, mut lost) = (0, 0);
    for seed in 0..60 {
        let was_written_first = Arc::new(Mutex::new(false));
        let flag = was_written_first.clone();
        let mut world = run_task(seed, DiskOptions::honest(), move |files| {
            let flag = flag.clone();
            async move {
                let folder = files.open_directory("/data").await.unwrap();
                let file = folder.create("file").await.unwrap();
                folder.sync().await.unwrap();
                file.write_at(record(1), 0).await.0.unwrap();
                let mut sync = pin!(file.sync());
                let mut write = pin!(file.write_at(record(2), BLOCK as u64));
                let (mut synced, mut written) = (false, false);
                std::future::poll_fn(|context| {
                    synced = synced || sync.as_mut().poll(context).is_ready();
                    written = written || write.as_mut().poll(context).is_ready();
                    *flag.lock().unwrap() |= written && !synced;
                    if synced && written { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
            }
        });
        world.crash_number(0, Crash::Power);
        let bytes = world.with_disk(0, |disk| disk.read("/data/file")).unwrap();
        assert_eq!(number_of(&bytes[..BLOCK]), Some(1), "seed {seed}: what was synced is lost");
        if *was_written_first.lock().unwrap() {
            written_first += 1;
            lost += usize::from(bytes.len() < 2 * BLOCK || number_of(&bytes[BLOCK..]) != Some(2));
        }
    }
    assert!(
        lost > 0 && lost < written_first,
        "{lost} lost of {written_first} that ended before the sync did"
    );
}

#[test]
fn tests_can_damage_files() {
    let mut world = run_task(1, DiskOptions::honest(), |files| async move {
        let folder = files.open_directory("/data").await.unwrap();
        let file = folder.create("file").await.unwrap();
        file.write_at(record(1), 0).await.0.unwrap();
        file.write_at(record(2), BLOCK as u64).await.0.unwrap();
        file.sync().await.unwrap();
        folder.sync().await.unwrap();
    });
    let path = "/data/file";
    world.with_disk(0, |disk| {
        assert!(disk.flip_bit(path, 100, 3));
        assert!(!disk.flip_bit(path, 3 * BLOCK as u64, 0));
        assert!(!disk.flip_bit("/data/absent", 0, 0));
        assert!(disk.overwrite(path, 2 * BLOCK as u64 - 4, &[9; 4]));
        assert!(!disk.overwrite(path, 2 * BLOCK as u64 - 4, &[9; 5]));
    });
    world.crash_number(0, Crash::Power);
    let bytes = world.with_disk(0, |disk| disk.read(path)).unwrap();
    assert_eq!((bytes[100], bytes[99], bytes[2 * BLOCK - 5], bytes[2 * BLOCK - 4]), (1 ^ 8, 1, 2, 9));
    world.with_disk(0, |disk| assert!(disk.truncate(path, 1000)));
    assert_eq!(world.with_disk(0, |disk| disk.read(path)).unwrap().len(), 1000);
    assert_eq!(world.fault_counts().of(FaultKind::Damaged), 3);
}
