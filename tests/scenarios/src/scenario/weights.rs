//! Mappings by chance: each message goes to exactly one destination, those to each destination stay in order, and in the
//! long run each destination has its share, whichever core draws.

use super::Scenario;
use crate::ledger::Ledger;
use crate::plan::Plan;
use crate::random::Random;
use crate::run::{Outcome, Run, Settings};
use crate::script::{Hand, Judge, Poke, Script};
use crate::subject::matches;
use crate::wire::Received;
use petrel_config::{Mapping, MappingDestination};
use petrel_engine::Directory;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

pub(super) const SCENARIO: Scenario = Scenario {
    name: "weights",
    about: "mapped by chance, each message has one destination, and destinations have their shares, each in order",
    needs: &["mapped messages", "kept messages", "dropped messages by chance", "envelopes"],
    run,
};

const BEGIN: u32 = 1;
const QUEUE_SID: u64 = 9;
/// What is mapped: always the same subject, and subjects that a pattern matches.
const SOURCES: [&str; 2] = ["w.in", "w.any.*"];
/// What is published, each of the source with the same number.
const PUBLISHED: [&str; 2] = ["w.in", "w.any.x"];
/// What receivers subscribe to.
const PATTERNS: [&str; 6] = [">", "out.>", "out.a.*", "out.b.*", "w.in", "w.>"];

/// Where the messages of a source go, each with its percentage. What is left over is dropped when the source itself is
/// among them, and stays as it is otherwise.
#[derive(Clone)]
struct Shares {
    percents: Vec<(String, u8)>,
    stays: u8,
    dropped: u8,
}

impl Shares {
    fn drawn(source: usize, random: &mut Random) -> Shares {
        let name = |letter: &str| format!("out.{letter}.{source}");
        // A pattern is no destination: what it leaves over stays.
        let kinds = if SOURCES[source].contains('*') { 3 } else { 4 };
        let (percents, stays): (&[(&str, u8)], u8) = match random.below(kinds) {
            0 => (&[("a", 70), ("b", 30)], 0),
            1 => (&[("a", 50), ("b", 25), ("c", 25)], 0),
            2 => (&[("a", 20)], 0),
            _ => (&[("a", 40), ("b", 10)], 30),
        };
        let percents: Vec<(String, u8)> =
            percents.iter().map(|(letter, percent)| (name(letter), *percent)).collect();
        let left = 100 - stays - percents.iter().map(|(_, percent)| percent).sum::<u8>();
        let (stays, dropped) = if stays > 0 { (stays, left) } else { (left, 0) };
        Shares { percents, stays, dropped }
    }

    fn mapping(&self, source: &str) -> Mapping {
        let destination = |subject: &str, weight_percent| MappingDestination {
            subject: subject.into(),
            weight_percent,
            cluster: String::new(),
        };
        let mut destinations: Vec<MappingDestination> =
            self.percents.iter().map(|(subject, percent)| destination(subject, *percent)).collect();
        if self.dropped > 0 {
            destinations.push(destination(source, self.stays));
        }
        Mapping { source: source.into(), destinations }
    }
}

struct Sent {
    publisher: usize,
    source: usize,
    /// The subjects that it was received on.
    subjects: BTreeSet<String>,
    /// How often each client got it on each of its plain subscriptions.
    plain: BTreeMap<(usize, u64), u32>,
    queue: u32,
}

struct Weights {
    shares: Vec<Shares>,
    sent: Vec<Sent>,
    left: Vec<usize>,
    /// The last message of a publisher on each subscription of each client.
    last: BTreeMap<(usize, usize, u64), usize>,
    /// What each client subscribes to, by sid.
    patterns: Vec<Vec<&'static str>>,
}

fn is_receiver(client: usize) -> bool {
    client.is_multiple_of(2)
}

impl Weights {
    /// A share is wrong when chance alone would not bring it about in a thousand million runs.
    fn judge_shares(&self, source: usize, counts: &BTreeMap<&str, u64>, ledger: &mut Ledger) {
        let all: u64 = counts.values().sum();
        let Shares { percents, stays, dropped } = &self.shares[source];
        let mut expected: Vec<(&str, u8)> =
            percents.iter().map(|(subject, percent)| (subject.as_str(), *percent)).collect();
        expected.extend([(PUBLISHED[source], *stays), ("", *dropped)]);
        for (subject, percent) in &expected {
            let share = f64::from(*percent) / 100.0;
            let (wanted, found) = (all as f64 * share, counts.get(subject).copied().unwrap_or(0));
            let deviation = (wanted * (1.0 - share)).sqrt();
            if (found as f64 - wanted).abs() > 6.5 * deviation + 1.0 {
                ledger.violate(format!("{found} of {all} went to {subject:?}, which has {percent} percent"));
            }
        }
        if let Some((other, _)) =
            counts.iter().find(|count| !expected.iter().any(|(known, _)| known == count.0))
        {
            ledger.violate(format!("a message to {} went to {other:?}", SOURCES[source]));
        }
    }
}

impl Judge for Weights {
    fn judge(&self, ledger: &mut Ledger) {
        let mut counts: Vec<BTreeMap<&str, u64>> = vec![BTreeMap::new(); SOURCES.len()];
        for (number, sent) in self.sent.iter().enumerate() {
            let subject = sent.subjects.iter().next().map_or("", String::as_str);
            *counts[sent.source].entry(subject).or_default() += 1;
            let mut wanted: BTreeMap<(usize, u64), u32> = BTreeMap::new();
            for (client, patterns) in self.patterns.iter().enumerate() {
                let sids = (0..).zip(patterns).filter(|(_, pattern)| matches(pattern, subject));
                wanted.extend(sids.map(|(sid, _)| ((client, sid), 1)));
            }
            let is_dropped = subject.is_empty();
            let queue = u32::from(!is_dropped);
            if sent.subjects.len() > 1 || sent.queue != queue || (!is_dropped && sent.plain != wanted) {
                let Sent { subjects, plain, queue, .. } = sent;
                ledger.violate(format!(
                    "message {number} came on {subjects:?}, to {plain:?} of {wanted:?} and {queue} of the group"
                ));
            }
            let effect = match subject {
                "" => "dropped messages by chance",
                _ if subject == PUBLISHED[sent.source] => "kept messages",
                _ => "mapped messages",
            };
            ledger.effects.add(effect, 1);
        }
        for (source, counts) in counts.iter().enumerate() {
            self.judge_shares(source, counts, ledger);
        }
    }
}

impl Script for Weights {
    fn opened(&mut self, hand: &mut Hand<'_>) {
        if !is_receiver(hand.client) {
            return;
        }
        // One at least hears everything.
        let patterns = if hand.client == 0 { vec![">"] } else { vec![*hand.random().one_of(&PATTERNS)] };
        for (sid, pattern) in patterns.iter().enumerate() {
            hand.raw(format!("SUB {pattern} {sid}\r\n").as_bytes());
        }
        hand.raw(format!("SUB > red {QUEUE_SID}\r\n").as_bytes());
        self.patterns[hand.client] = patterns;
    }

    fn poked(&mut self, _: u32, hand: &mut Hand<'_>) {
        hand.act_in(Duration::from_micros(1));
    }

    fn act(&mut self, hand: &mut Hand<'_>) {
        let client = hand.client;
        if self.left[client] == 0 {
            return;
        }
        self.left[client] -= 1;
        for _ in 0..hand.random().within(1..=20) {
            let (number, source) = (self.sent.len(), hand.random().below(SOURCES.len()));
            let text = number.to_string();
            hand.raw(format!("PUB {} {}\r\n{text}\r\n", PUBLISHED[source], text.len()).as_bytes());
            self.sent.push(Sent {
                publisher: client,
                source,
                subjects: BTreeSet::new(),
                plain: BTreeMap::new(),
                queue: 0,
            });
        }
        let pause = hand.random().pause(Duration::from_millis(10));
        hand.act_in(pause);
    }

    fn takes(&mut self, received: &Received, hand: &mut Hand<'_>) -> bool {
        let client = hand.client;
        let number = String::from_utf8_lossy(&received.payload).parse::<usize>().ok();
        let Some((number, sent)) = number.and_then(|number| Some((number, self.sent.get_mut(number)?)))
        else {
            hand.stage.ledger.violate(format!("nobody published this to {}", received.subject));
            return true;
        };
        sent.subjects.insert(received.subject.clone());
        if received.sid == QUEUE_SID {
            sent.queue += 1;
            return true;
        }
        *sent.plain.entry((client, received.sid)).or_default() += 1;
        let last = self.last.insert((sent.publisher, client, received.sid), number);
        if last.is_some_and(|last| last >= number) {
            hand.stage.ledger.violate(format!("client {client} got {number} after {last:?}"));
        }
        true
    }
}

fn run(seed: u64, settings: &Settings) -> Outcome {
    let mut random = Random::new(seed, SCENARIO.name);
    let mut plan = Plan::drawn(seed, &mut random, &[1, 2, 3, 4], (4, 10));
    for profile in &mut plan.profiles {
        profile.verbose = false;
    }
    let shares: Vec<Shares> = (0..SOURCES.len()).map(|source| Shares::drawn(source, &mut random)).collect();
    let mappings = SOURCES.iter().zip(&shares).map(|(source, shares)| shares.mapping(source)).collect();
    let configured = petrel_config::Options { mappings, ..petrel_config::Options::default() };
    plan.server.directory = Arc::new(Directory::compile(&configured, None).expect("mappings that fit"));
    let count = plan.profiles.len();
    let writes = random.within(20..=40);
    let script = Weights {
        shares,
        sent: Vec::new(),
        left: (0..count).map(|client| if is_receiver(client) { 0 } else { writes }).collect(),
        last: BTreeMap::new(),
        patterns: vec![Vec::new(); count],
    };
    let mut run = Run::new(plan, script, random, settings);
    if run.open() {
        run.poke_all(Poke::Script(BEGIN));
        let is_written = run.must(Duration::from_secs(60), "all messages", |play| {
            play.script.left.iter().all(|left| *left == 0)
        });
        // One sweep acknowledges what was published, the next one shows that it arrived.
        if is_written {
            run.conclude(2);
        }
    }
    run.finish()
}
