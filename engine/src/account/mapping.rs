//! Mappings of an account: subjects that are changed before a message is matched (reference: security.md, section 9).

use crate::interest::Remembered;
use hashbrown::HashTable;
use petrel_config as config;
use petrel_protocol::transform::{Transform, TransformError};
use std::rc::Rc;

/// Weights are percent.
const ALL: u8 = 100;
/// Subjects whose mapping is remembered, for each account and core.
const REMEMBERED_MAX: usize = 4096;

/// What is wrong with an account's mappings. The texts are upstream's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum MappingError {
    #[error("Error adding mapping for {source_subject:?} to {destination:?} : {error}")]
    Transform { source_subject: String, destination: String, error: TransformError },
    #[error("Error adding mapping for {0:?} : duplicate entry for {1:?}")]
    Duplicate(String, String),
    #[error("Error adding mapping for {0:?} : individual weights need to be <= 100")]
    Weight(String),
    #[error("Error adding mapping for {0:?} : total weight needs to be <= 100")]
    TotalWeight(String),
}

/// The mappings of an account, in the order of the file: the first whose source matches counts.
#[derive(Debug, Default)]
pub(crate) struct Mappings {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// Each takes the numbers below its bound that those before it leave. What is above the last is dropped.
    choices: Vec<Choice>,
    source: Box<[u8]>,
}

#[derive(Debug)]
struct Choice {
    below: u8,
    transform: Transform,
}

/// What became of a subject.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mapped {
    /// Nothing maps it.
    Same,
    /// It is another now.
    Changed,
    /// This share of the messages goes nowhere.
    Dropped,
}

impl Mappings {
    /// Compiles what the configuration says, for a server of the cluster of that name (empty: of none).
    pub(crate) fn compile(mappings: &[config::Mapping], cluster: &str) -> Result<Mappings, MappingError> {
        let entries: Result<_, _> = mappings.iter().map(|mapping| Entry::compile(mapping, cluster)).collect();
        Ok(Mappings { entries: entries? })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Appends what a published subject becomes. The second value says whether it always becomes the same. `random` is
    /// asked for numbers where chance decides.
    pub(crate) fn map(
        &self,
        subject: &[u8],
        into: &mut Vec<u8>,
        mut random: impl FnMut() -> u64,
    ) -> (Mapped, bool) {
        let matches = |entry: &&Entry| petrel_protocol::subject::matches(&entry.source, subject);
        let Some(entry) = self.entries.iter().find(matches) else { return (Mapped::Same, true) };
        if let [Choice { below: ALL, transform }] = entry.choices.as_slice() {
            let is_fixed = transform.is_fixed();
            transform.apply(subject, into, if is_fixed { 0 } else { random() });
            return (Mapped::Changed, is_fixed);
        }
        let drawn = (u128::from(random()) * u128::from(ALL)) >> 64;
        match entry.choices.iter().find(|choice| drawn < u128::from(choice.below)) {
            Some(choice) => {
                choice.transform.apply(subject, into, random());
                (Mapped::Changed, false)
            }
            None => (Mapped::Dropped, false),
        }
    }
}

impl Entry {
    fn compile(mapping: &config::Mapping, cluster: &str) -> Result<Entry, MappingError> {
        let source = &mapping.source;
        let built = |destination: &str| {
            Transform::new(source, destination).map_err(|error| MappingError::Transform {
                source_subject: source.clone(),
                destination: destination.to_owned(),
                error,
            })
        };
        let destinations = &mapping.destinations;
        for (index, destination) in destinations.iter().enumerate() {
            if destinations[..index].iter().any(|other| other.subject == destination.subject) {
                return Err(MappingError::Duplicate(source.clone(), destination.subject.clone()));
            }
            if destination.weight_percent > ALL {
                return Err(MappingError::Weight(source.clone()));
            }
            let scope = destinations.iter().filter(|other| other.cluster == destination.cluster);
            if scope.map(|other| u32::from(other.weight_percent)).sum::<u32>() > u32::from(ALL) {
                return Err(MappingError::TotalWeight(source.clone()));
            }
            built(&destination.subject)?;
        }
        // What is said for this server's cluster goes before what is said for all.
        let is_scoped = !cluster.is_empty() && destinations.iter().any(|other| other.cluster == cluster);
        let scope = if is_scoped { cluster } else { "" };
        let mut below = 0;
        let mut choices = Vec::new();
        for destination in destinations.iter().filter(|other| other.cluster == scope) {
            below += destination.weight_percent;
            choices.push(Choice { below, transform: built(&destination.subject)? });
        }
        let keeps_rest = !destinations.iter().any(|other| other.cluster == scope && other.subject == *source);
        if below < ALL && keeps_rest {
            choices.push(Choice { below: ALL, transform: built(&itself(source))? });
        }
        Ok(Entry { choices, source: source.as_bytes().into() })
    }
}

/// The destination that leaves a source as it is.
fn itself(source: &str) -> String {
    let mut star = 0;
    let tokens = source.split('.').map(|token| match token {
        "*" => {
            star += 1;
            format!("${star}")
        }
        _ => token.to_owned(),
    });
    tokens.collect::<Vec<_>>().join(".")
}

/// A subject that always becomes the same.
#[derive(Debug)]
pub(crate) struct MappedSubject {
    source: Box<[u8]>,
    /// `None`: nothing maps it.
    destination: Option<Box<[u8]>>,
    /// Who wants what it becomes.
    pub(crate) receivers: Remembered,
}

impl MappedSubject {
    /// What it becomes, when that is another.
    #[inline]
    pub(crate) fn destination(&self) -> Option<&[u8]> {
        self.destination.as_deref()
    }
}

/// What a core remembers of an account's mappings: subjects that always become the same.
pub(crate) struct MappedSubjects {
    known: HashTable<Rc<MappedSubject>>,
    hasher: ahash::RandomState,
    /// The last one, so that runs of one subject need no hashing.
    recent: Option<Rc<MappedSubject>>,
}

impl MappedSubjects {
    /// An empty memory. Subjects are chosen by clients: `hasher` is keyed.
    pub(crate) fn new(hasher: ahash::RandomState) -> MappedSubjects {
        MappedSubjects { known: HashTable::new(), hasher, recent: None }
    }

    /// What is remembered of a subject; `None`: ask [`MappedSubjects::map`].
    #[inline]
    pub(crate) fn known(&mut self, subject: &[u8]) -> Option<Rc<MappedSubject>> {
        match &self.recent {
            Some(recent) if petrel_protocol::subject::is_same(&recent.source, subject) => {
                Some(Rc::clone(recent))
            }
            _ => {
                let hash = self.hasher.hash_one(subject);
                let known = self.known.find(hash, |known| *known.source == *subject)?;
                self.recent = Some(Rc::clone(known));
                Some(Rc::clone(known))
            }
        }
    }

    /// As [`Mappings::map`], from memory where it can be.
    pub(crate) fn map(
        &mut self,
        mappings: &Mappings,
        subject: &[u8],
        into: &mut Vec<u8>,
        random: impl FnMut() -> u64,
    ) -> Mapped {
        if let Some(known) = self.known(subject) {
            let Some(destination) = known.destination() else { return Mapped::Same };
            into.extend_from_slice(destination);
            return Mapped::Changed;
        }
        let start = into.len();
        let (outcome, is_fixed) = mappings.map(subject, into, random);
        if is_fixed {
            if self.known.len() >= REMEMBERED_MAX {
                self.known.clear();
            }
            let destination = (outcome == Mapped::Changed).then(|| into[start..].into());
            let mapped =
                MappedSubject { source: subject.into(), destination, receivers: Remembered::default() };
            let hash = self.hasher.hash_one(subject);
            let hasher = &self.hasher;
            self.known.insert_unique(hash, Rc::new(mapped), |known| hasher.hash_one(&*known.source));
        }
        outcome
    }

    /// Forgets everything: the mappings are others now.
    pub(crate) fn clear(&mut self) {
        self.known.clear();
        self.recent = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use petrel_config::{Mapping, MappingDestination};

    fn mapping(source: &str, destinations: &[(&str, u8, &str)]) -> Mapping {
        let destination = |(subject, weight_percent, cluster): &(&str, u8, &str)| MappingDestination {
            subject: (*subject).into(),
            weight_percent: *weight_percent,
            cluster: (*cluster).into(),
        };
        Mapping { source: source.into(), destinations: destinations.iter().map(destination).collect() }
    }

    /// How often each outcome comes when every percent is drawn once.
    fn shares(mapping: &Mapping, cluster: &str, subject: &str) -> Vec<(String, usize)> {
        let mappings = Mappings::compile(std::slice::from_ref(mapping), cluster).unwrap();
        let mut shares: Vec<(String, usize)> = Vec::new();
        for percent in 0..100_u64 {
            let mut made = Vec::new();
            let draw = percent * (u64::MAX / 100) + u64::MAX / 200;
            let outcome = match mappings.map(subject.as_bytes(), &mut made, || draw).0 {
                Mapped::Dropped => "dropped".to_owned(),
                Mapped::Same => "same".to_owned(),
                Mapped::Changed => String::from_utf8(made).unwrap(),
            };
            match shares.iter_mut().find(|share| share.0 == outcome) {
                Some(share) => share.1 += 1,
                None => shares.push((outcome, 1)),
            }
        }
        shares
    }

    fn share(outcome: &str, count: usize) -> (String, usize) {
        (outcome.into(), count)
    }

    #[test]
    fn weights_are_kept_and_the_rest_stays_or_is_dropped() {
        let weighted = mapping("w", &[("w1", 30, ""), ("w2", 20, "")]);
        assert_eq!(shares(&weighted, "", "w"), [share("w1", 30), share("w2", 20), share("w", 50)]);
        let half = mapping("src", &[("src", 50, "")]);
        assert_eq!(shares(&half, "", "src"), [share("src", 50), share("dropped", 50)]);
        let none = mapping("z", &[("z1", 0, "")]);
        assert_eq!(shares(&none, "", "z"), [share("z", 100)]);
        let wild = mapping("a.*.b.*", &[("c.$2", 40, "")]);
        assert_eq!(shares(&wild, "", "a.x.b.y"), [share("c.y", 40), share("a.x.b.y", 60)]);
    }

    #[test]
    fn a_clusters_own_destinations_go_before_those_of_all() {
        let scoped = mapping("c", &[("east", 100, "EAST"), ("any", 40, "")]);
        assert_eq!(shares(&scoped, "EAST", "c"), [share("east", 100)]);
        assert_eq!(shares(&scoped, "WEST", "c"), [share("any", 40), share("c", 60)]);
        assert_eq!(shares(&mapping("c", &[("east", 100, "EAST")]), "", "c"), [share("c", 100)]);
    }

    #[test]
    fn the_first_source_that_matches_counts() {
        let both = [mapping("a.*", &[("b.$1", 100, "")]), mapping("a.x", &[("c", 100, "")])];
        let mappings = Mappings::compile(&both, "").unwrap();
        let mut made = Vec::new();
        assert_eq!(mappings.map(b"a.x", &mut made, || 0), (Mapped::Changed, true));
        assert_eq!(made, b"b.x");
        assert_eq!(mappings.map(b"b.x", &mut made, || 0), (Mapped::Same, true));
    }

    #[test]
    fn wrong_weights_are_refused() {
        let text = |mapping: Mapping| Mappings::compile(&[mapping], "").unwrap_err().to_string();
        let twice = mapping("a", &[("b", 60, ""), ("b", 60, "x")]);
        assert_eq!(text(twice), r#"Error adding mapping for "a" : duplicate entry for "b""#);
        let much = mapping("a", &[("b", 60, "x"), ("c", 60, "x")]);
        assert_eq!(text(much), r#"Error adding mapping for "a" : total weight needs to be <= 100"#);
        let wrong = mapping("a.*", &[("b.$2", 100, "")]);
        let wanted = "wildcard index out of range in $2: [2]";
        assert_eq!(
            text(wrong),
            format!(r#"Error adding mapping for "a.*" to "b.$2" : invalid mapping destination: {wanted}"#)
        );
    }

    #[test]
    fn memory_holds_what_is_fixed_and_is_bounded() {
        let both = [mapping("a.>", &[("b.>", 100, "")]), mapping("r", &[("s.{{random(9)}}", 100, "")])];
        let mappings = Mappings::compile(&both, "").unwrap();
        let mut memory = MappedSubjects::new(ahash::RandomState::with_seeds(1, 2, 3, 4));
        for index in 0..REMEMBERED_MAX + 10 {
            for _ in 0..2 {
                let mut made = Vec::new();
                let subject = format!("a.{index}");
                assert_eq!(memory.map(&mappings, subject.as_bytes(), &mut made, || 0), Mapped::Changed);
                assert_eq!(made, format!("b.{index}").into_bytes());
            }
        }
        assert!(memory.known.len() <= REMEMBERED_MAX);
        let last = format!("a.{}", REMEMBERED_MAX + 9);
        for _ in 0..2 {
            let known = memory.known(last.as_bytes()).expect("seen last");
            assert_eq!(known.destination(), Some(last.replace('a', "b").as_bytes()));
        }
        assert!(memory.known(b"a.never").is_none());
        memory.clear();
        assert!(memory.known(last.as_bytes()).is_none());
        let mut made = Vec::new();
        assert_eq!(memory.map(&mappings, b"other", &mut made, || 0), Mapped::Same);
        assert_eq!(memory.map(&mappings, b"r", &mut made, || u64::MAX), Mapped::Changed);
        assert_eq!(made, b"s.8");
        assert!(memory.known(b"other").is_some() && memory.known(b"r").is_none());
    }
}
