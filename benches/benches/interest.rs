//! The index of subscriptions, as a published message and the inbox of a requester use it. The floor is one map
//! by the same hash.

use ahash::RandomState;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hashbrown::HashMap;
use petrel_benches::{BATCH, inbox, subject, zipf};
use petrel_engine::benchmarks::SubscriptionIndex;
use std::hint::black_box;

/// Subjects whose results all fit the cache of the index.
const CACHED_SUBJECTS: usize = 10_000;
/// Look-ups of one pass over the cached subjects.
const CACHED_LOOKUPS: usize = 16_384;
/// So many that none is still remembered when its turn comes again: the index remembers 4,096 subjects it saw once.
const MISSED_SUBJECTS: usize = 65_536;
const PATTERNS: usize = 1_000;
/// Of the patterns, how many match one missed subject at most.
const PATTERN_MATCHES_MAX: usize = 1;

type Map = HashMap<Box<[u8]>, usize, RandomState>;

fn map() -> Map {
    HashMap::with_hasher(RandomState::with_seeds(1, 2, 3, 4))
}

/// Patterns of four forms below and beside the missed subjects; those of the first, second and last form can match.
fn pattern(number: usize) -> String {
    match number % 4 {
        0 => format!("orders.eu.{number:04}.*"),
        1 => format!("orders.*.{number:04}.>"),
        2 => format!("orders.{number:04}.>"),
        _ => format!("*.eu.{number:04}.*"),
    }
}

fn missed_subject(number: usize) -> Vec<u8> {
    format!("orders.eu.{:04}.{:02}", number % 10_000, number / 10_000).into_bytes()
}

/// Everybody's number of receivers, so that the compiler leaves nothing out.
fn lookup_all(index: &mut SubscriptionIndex, subjects: &[Vec<u8>]) -> usize {
    subjects.iter().map(|subject| index.lookup(black_box(subject))).sum()
}

fn floor_all(map: &Map, subjects: &[Vec<u8>]) -> usize {
    subjects.iter().map(|subject| map.get(black_box(&subject[..])).copied().unwrap_or(0)).sum()
}

/// Measures the look-ups of `subjects` in an index and, as the floor, in a map of the same keys.
fn measure(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    index: &mut SubscriptionIndex,
    subjects: &[Vec<u8>],
) {
    let mut map = map();
    for subject in subjects {
        map.insert(subject.clone().into(), 1);
    }
    group.throughput(Throughput::Elements(subjects.len() as u64));
    group.bench_function(BenchmarkId::new("lookup", name), |bencher| {
        bencher.iter(|| lookup_all(index, subjects));
    });
    group.bench_function(BenchmarkId::new("floor", name), |bencher| {
        bencher.iter(|| floor_all(&map, subjects));
    });
}

fn with_patterns() -> SubscriptionIndex {
    let mut index = SubscriptionIndex::default();
    for number in 0..PATTERNS {
        index.subscribe(pattern(number).as_bytes());
    }
    index
}

fn lookups(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("interest");

    let mut index = with_patterns();
    let known: Vec<Vec<u8>> = (0..CACHED_SUBJECTS).map(|number| subject(number).into_bytes()).collect();
    for subject in &known {
        index.subscribe(subject);
        // The second look-up puts the result into the cache.
        index.lookup(subject);
        assert!(index.lookup(subject) >= 1, "its own subscription at least");
    }
    measure(&mut group, "recent", &mut index, &vec![known[0].clone(); BATCH]);
    let order = zipf(CACHED_SUBJECTS, CACHED_LOOKUPS, 1);
    let used: Vec<Vec<u8>> = order.into_iter().map(|number| known[number].clone()).collect();
    measure(&mut group, "10,000 cached", &mut index, &used);

    let mut index = with_patterns();
    let missed: Vec<Vec<u8>> = (0..MISSED_SUBJECTS).map(missed_subject).collect();
    missed.iter().for_each(|subject| _ = index.subscribe(subject));
    let receivers = lookup_all(&mut index, &missed);
    assert!(receivers > MISSED_SUBJECTS, "some patterns match");
    assert!(receivers <= MISSED_SUBJECTS * (1 + PATTERN_MATCHES_MAX), "and not too many");
    measure(&mut group, "miss with 1,000 patterns", &mut index, &missed);
    group.finish();
}

/// A requester's inbox that comes and goes beside the subscriptions of others.
fn subscriptions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("interest");
    let inboxes: Vec<Vec<u8>> = (0..BATCH).map(|number| inbox(number).into_bytes()).collect();
    let (mut index, mut map) = (with_patterns(), map());
    for number in 0..CACHED_SUBJECTS {
        index.subscribe(subject(number).as_bytes());
        map.insert(subject(number).into_bytes().into(), number);
    }
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(BenchmarkId::new("subscribe and unsubscribe", "inbox"), |bencher| {
        bencher.iter(|| {
            for inbox in &inboxes {
                let key = index.subscribe(black_box(inbox));
                assert!(index.unsubscribe(key), "it was there");
            }
        });
    });
    group.bench_function(BenchmarkId::new("floor", "inbox"), |bencher| {
        bencher.iter(|| {
            for inbox in &inboxes {
                map.insert(black_box(&inbox[..]).into(), 1);
                assert!(map.remove(&inbox[..]).is_some(), "it was there");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, lookups, subscriptions);
criterion_main!(benches);
