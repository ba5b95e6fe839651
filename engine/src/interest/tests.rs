//! The index against a naive model: after any sequence of changes, a look-up finds what comparing every
//! pattern with the subject finds.

use super::{Interest, InterestChange, Match};
use petrel_protocol::subject;
use proptest::prelude::*;

const KEY: [u64; 4] = [11, 12, 13, 14];
const CORES: usize = 3;
const OWN: usize = 1;

/// One change of the interest that core 1 sees.
#[derive(Clone, Debug)]
enum Step {
    Subscribe { subject: usize, queue: usize },
    Unsubscribe { which: usize },
    Remote { core: bool, subject: usize, queue: usize },
    RemoteGone { which: usize },
    Lookup { literal: usize },
}

const SUBJECTS: [&str; 14] =
    ["a", "b", "a.b", "a.b.c", "a.c.c", "*", ">", "a.*", "a.>", "*.b", "*.*.c", "a.*.c", "b.>", "foo*.b>ar"];
const LITERALS: [&str; 12] =
    ["a", "b", "a.b", "a.b.c", "a.c.c", "b.x", "c", "a.*", "foo*.b>ar", "a..b", "b.x.y.z", "*"];
const QUEUES: [Option<&str>; 4] = [None, None, Some("q1"), Some("q2")];

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..SUBJECTS.len(), 0..QUEUES.len()).prop_map(|(subject, queue)| Step::Subscribe { subject, queue }),
        2 => any::<usize>().prop_map(|which| Step::Unsubscribe { which }),
        2 => (any::<bool>(), 0..SUBJECTS.len(), 0..QUEUES.len())
            .prop_map(|(core, subject, queue)| Step::Remote { core, subject, queue }),
        1 => any::<usize>().prop_map(|which| Step::RemoteGone { which }),
        6 => (0..LITERALS.len()).prop_map(|literal| Step::Lookup { literal }),
    ]
}

/// Plain subscriptions, cores, and queue groups with their members here and their number elsewhere.
type Receivers = (Vec<u32>, u64, Vec<(String, Vec<u32>, usize)>);
/// Subject and queue group.
type Wanted = (String, Option<&'static str>);

#[derive(Default)]
struct Model {
    local: Vec<(u32, Wanted)>,
    remote: Vec<(usize, Wanted)>,
}

impl Model {
    fn expected(&self, literal: &str) -> Receivers {
        let is_wanted = |wanted: &Wanted| {
            let is_literal = !subject::has_wildcard(wanted.0.as_bytes());
            (is_literal && wanted.0 == literal)
                || (!is_literal && subject::matches(wanted.0.as_bytes(), literal.as_bytes()))
        };
        let mut plain: Vec<u32> =
            self.local.iter().filter(|l| is_wanted(&l.1) && l.1.1.is_none()).map(|l| l.0).collect();
        plain.sort_unstable();
        let cores = self
            .remote
            .iter()
            .filter(|r| is_wanted(&r.1) && r.1.1.is_none())
            .fold(0, |mask, r| mask | 1 << r.0);
        let mut queues = Vec::new();
        for name in ["q1", "q2"] {
            let mut members: Vec<u32> =
                self.local.iter().filter(|l| is_wanted(&l.1) && l.1.1 == Some(name)).map(|l| l.0).collect();
            members.sort_unstable();
            let weight = self.remote.iter().filter(|r| is_wanted(&r.1) && r.1.1 == Some(name)).count();
            if !members.is_empty() || weight > 0 {
                queues.push((name.to_owned(), members, weight));
            }
        }
        (plain, cores, queues)
    }
}

fn found(found: &Match) -> Receivers {
    let mut plain = found.plain.to_vec();
    plain.sort_unstable();
    let mut queues: Vec<_> = found
        .queues
        .iter()
        .map(|queue| {
            let mut local = queue.local.clone();
            local.sort_unstable();
            let weight = queue.remote.iter().map(|remote| remote.1 as usize).sum();
            (String::from_utf8(queue.name.to_vec()).unwrap(), local, weight)
        })
        .collect();
    queues.sort();
    (plain, found.cores, queues)
}

/// What core `core` would tell about a subscription of its own.
fn change_of(interest: &Interest, wanted: &Wanted, added: bool) -> InterestChange {
    let subject = wanted.0.as_bytes();
    match wanted.1 {
        Some(queue) => {
            InterestChange::Queue { subject: subject.into(), queue: queue.as_bytes().into(), added }
        }
        None if subject::has_wildcard(subject) => InterestChange::Pattern { pattern: subject.into(), added },
        None => InterestChange::Literal { fingerprint: interest.fingerprint(subject), added },
    }
}

proptest! {
    #[test]
    fn finds_what_a_naive_model_finds(steps in proptest::collection::vec(step(), 1..120)) {
        let mut interest = Interest::new(CORES, OWN, KEY);
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Subscribe { subject, queue } => {
                    let wanted = (SUBJECTS[subject].to_owned(), QUEUES[queue]);
                    let first = !model.local.iter().any(|l| l.1 == wanted);
                    let (key, change) = interest.subscribe(
                        7, wanted.0.as_bytes(), wanted.1.map(str::as_bytes), b"1");
                    // Plain interest is told once, every member of a group counts.
                    prop_assert_eq!(change.is_some(), first || wanted.1.is_some());
                    model.local.push((key, wanted));
                }
                Step::Unsubscribe { which } if !model.local.is_empty() => {
                    let (key, wanted) = model.local.swap_remove(which % model.local.len());
                    let (_, change) = interest.unsubscribe(key).unwrap();
                    let last = !model.local.iter().any(|l| l.1 == wanted);
                    prop_assert_eq!(change.is_some(), last || wanted.1.is_some());
                    if let Some(change) = change {
                        prop_assert_eq!(change, change_of(&interest, &wanted, false));
                    }
                }
                Step::Remote { core, subject, queue } => {
                    let core = if core { 2 } else { 0 };
                    let wanted = (SUBJECTS[subject].to_owned(), QUEUES[queue]);
                    // A core tells plain interest in a subject once.
                    if wanted.1.is_none() && model.remote.iter().any(|r| *r == (core, wanted.clone())) {
                        continue;
                    }
                    interest.apply(core, change_of(&interest, &wanted, true));
                    model.remote.push((core, wanted));
                }
                Step::RemoteGone { which } if !model.remote.is_empty() => {
                    let (core, wanted) = model.remote.swap_remove(which % model.remote.len());
                    interest.apply(core, change_of(&interest, &wanted, false));
                }
                Step::Lookup { literal } => {
                    // Three times: scratch, cached, recent.
                    for _ in 0..3 {
                        let result = interest.lookup(LITERALS[literal].as_bytes());
                        prop_assert_eq!(found(&result), model.expected(LITERALS[literal]));
                    }
                }
                Step::Unsubscribe { .. } | Step::RemoteGone { .. } => {}
            }
        }
    }
}

#[test]
fn churn_of_other_subjects_keeps_results_cached() {
    let mut interest = Interest::new(1, 0, KEY);
    interest.subscribe(1, b"orders.*", None, b"1");
    interest.lookup(b"orders.new");
    let cached = interest.lookup(b"orders.new");
    interest.lookup(b"other");
    for inbox in 0..100 {
        let subject = format!("_INBOX.{inbox}");
        let (key, _) = interest.subscribe(1, subject.as_bytes(), None, b"2");
        let (pattern, _) = interest.subscribe(1, format!("{subject}.*").as_bytes(), None, b"3");
        interest.unsubscribe(key);
        interest.unsubscribe(pattern);
    }
    assert!(std::rc::Rc::ptr_eq(&cached, &interest.lookup(b"orders.new")));
    // A change that concerns the subject drops its result.
    interest.subscribe(1, b"orders.new", None, b"4");
    assert_eq!(interest.lookup(b"orders.new").plain.len(), 2);
    interest.subscribe(1, b">", None, b"5");
    assert_eq!(interest.lookup(b"orders.new").plain.len(), 3);
}

#[test]
fn a_full_cache_makes_room() {
    let mut interest = Interest::new(1, 0, KEY);
    interest.subscribe(1, b">", None, b"1");
    for subject in 0..super::cache::ENTRIES_MAX * 2 {
        let subject = format!("s.{subject}");
        for _ in 0..2 {
            assert_eq!(interest.lookup(subject.as_bytes()).plain.len(), 1);
        }
    }
}

#[test]
fn a_subscription_is_small() {
    assert!(size_of::<super::Subscription>() <= 64, "{}", size_of::<super::Subscription>());
}

/// A pattern of as many tokens as a long control line has took a stack as deep, and the whole server with it.
#[test]
fn a_pattern_of_many_tokens_needs_no_stack() {
    let many = std::thread::Builder::new().stack_size(256 * 1024).spawn(|| {
        let tokens = 100_000;
        let pattern = vec!["*"; tokens].join(".");
        let subject = vec!["a"; tokens].join(".");
        let mut interest = Interest::new(1, 0, KEY);
        let (key, _) = interest.subscribe(1, pattern.as_bytes(), None, b"1");
        let found = interest.lookup(subject.as_bytes()).plain.len();
        interest.unsubscribe(key);
        (found, interest.lookup(subject.as_bytes()).plain.len())
    });
    assert_eq!(many.unwrap().join().unwrap(), (1, 0));
}

/// Each of them was compared with all the others, when they were made and at each look-up.
#[test]
fn a_subject_may_have_any_number_of_queue_groups() {
    const GROUPS: usize = 20_000;
    let mut interest = Interest::new(3, 0, KEY);
    let mut keys = Vec::new();
    for number in 0..GROUPS {
        let name = format!("group.{number}");
        // Every second one has a member at a pattern as well, and every third on other cores.
        keys.push(interest.subscribe(1, b"a.b", Some(name.as_bytes()), b"1").0);
        if number % 2 == 0 {
            keys.push(interest.subscribe(1, b"a.*", Some(name.as_bytes()), b"2").0);
        }
        for core in [1, 2].into_iter().filter(|_| number % 3 == 0) {
            for subject in [b"a.b", b"a.*"] {
                let (subject, queue) = (Box::from(*subject), Box::from(name.as_bytes()));
                interest.apply(core, InterestChange::Queue { subject, queue, added: true });
            }
        }
    }
    let found = interest.lookup(b"a.b");
    assert_eq!(found.queues.len(), GROUPS);
    for number in 0..GROUPS {
        let queue = found.queue(format!("group.{number}").as_bytes()).expect("every group is found");
        assert_eq!(queue.local.len(), 2 - number % 2, "{number}");
        let remote: Vec<_> = if number % 3 == 0 { vec![(1, 2), (2, 2)] } else { Vec::new() };
        let mut seen = queue.remote.to_vec();
        seen.sort_unstable();
        assert_eq!(seen, remote, "{number}");
    }
    assert!(found.queue(b"group.").is_none() && found.queue(b"other").is_none());
    for key in keys {
        interest.unsubscribe(key);
    }
    assert_eq!(interest.lookup(b"a.b").queues.len(), GROUPS.div_ceil(3));
}
