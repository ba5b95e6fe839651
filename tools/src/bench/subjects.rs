//! The subjects of a run: one, or a space of many with a distribution over them.

use clap::ValueEnum;

/// Subjects in one group, and so under one wildcard.
const SUBJECTS_PER_GROUP: usize = 100;

/// How messages spread over the subjects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Distribution {
    /// Every subject equally often.
    Uniform,
    /// The k-th subject with a weight of 1/k, as traffic of real systems tends to be.
    Zipf,
}

/// A set of subjects with names of equal length, so that every encoded line of a run is equally long.
///
/// One subject is the prefix itself. Several are `PREFIX.GROUP.NUMBER`; neighbours in rank are in different groups.
#[derive(Clone, Debug)]
pub struct SubjectSpace {
    prefix: String,
    count: usize,
    groups: usize,
    group_digits: usize,
    subject_digits: usize,
}

impl SubjectSpace {
    /// A space of `count` (at least 1) subjects below `prefix`.
    pub fn new(prefix: &str, count: usize) -> Self {
        assert!(count > 0, "a run has at least one subject");
        let groups = count.div_ceil(SUBJECTS_PER_GROUP);
        Self {
            prefix: prefix.to_owned(),
            count,
            groups,
            group_digits: (groups - 1).max(1).to_string().len(),
            subject_digits: (count - 1).max(1).to_string().len(),
        }
    }

    /// How many subjects there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Name of the subject with rank `index` (0 is the most frequent one of a Zipf distribution).
    pub fn name(&self, index: usize) -> String {
        if self.count == 1 {
            return self.prefix.clone();
        }
        let group = self.group_name(index % self.groups);
        format!("{group}.{index:0digits$}", digits = self.subject_digits)
    }

    /// The subscriptions with which one receiver gets each message exactly once: wildcards for `wildcard_percent`
    /// of the groups, literal subjects for the others.
    pub fn subscriptions(&self, wildcard_percent: u32) -> Vec<String> {
        if self.count == 1 {
            return vec![self.prefix.clone()];
        }
        let mut subscriptions = Vec::new();
        for group in 0..self.groups {
            if self.is_wildcard_group(group, wildcard_percent) {
                subscriptions.push(format!("{}.*", self.group_name(group)));
            } else {
                subscriptions.extend((group..self.count).step_by(self.groups).map(|index| self.name(index)));
            }
        }
        subscriptions
    }

    /// A subscription for the `step`-th change of interest. It lies in the space's groups, so that it touches what
    /// a server keeps for them, and never matches a message; every second one has a wildcard.
    pub fn passing_subscription(&self, step: u64) -> String {
        let group = self.group_name(step as usize % self.groups);
        if step.is_multiple_of(2) {
            format!("{group}.passing.{step}")
        } else {
            format!("{group}.*.passing{step}")
        }
    }

    fn group_name(&self, group: usize) -> String {
        format!("{}.{group:0digits$}", self.prefix, digits = self.group_digits)
    }

    /// Spreads the wildcard groups evenly between the others.
    fn is_wildcard_group(&self, group: usize, percent: u32) -> bool {
        let below = |group: usize| group * percent as usize / 100;
        below(group + 1) > below(group)
    }
}

/// Draws subjects by a distribution; the same seed draws the same ones.
pub struct Sampler {
    cumulative: Vec<f64>,
    state: u64,
}

impl Sampler {
    /// A sampler over `count` subjects.
    pub fn new(count: usize, distribution: Distribution, seed: u64) -> Self {
        let mut total = 0.0;
        let cumulative = (0..count)
            .map(|rank| {
                total += match distribution {
                    Distribution::Uniform => 1.0,
                    Distribution::Zipf => 1.0 / (rank + 1) as f64,
                };
                total
            })
            .collect();
        Self { cumulative, state: seed | 1 }
    }

    /// The next subject's rank.
    pub fn draw(&mut self) -> usize {
        let total = self.cumulative.last().copied().unwrap_or(1.0);
        let point = (self.random() >> 11) as f64 / (1u64 << 53) as f64 * total;
        self.cumulative.partition_point(|&weight| weight <= point).min(self.cumulative.len() - 1)
    }

    /// Xorshift64*: enough to spread load, and the same on every machine.
    fn random(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, subject: &str) -> bool {
        let (pattern, subject): (Vec<_>, Vec<_>) =
            (pattern.split('.').collect(), subject.split('.').collect());
        pattern.len() == subject.len() && pattern.iter().zip(&subject).all(|(p, s)| *p == "*" || p == s)
    }

    #[test]
    fn one_subject_is_the_prefix() {
        let space = SubjectSpace::new("bench", 1);
        assert_eq!(space.name(0), "bench");
        assert_eq!(space.subscriptions(100), ["bench"]);
    }

    #[test]
    fn names_are_unique_and_equally_long() {
        let space = SubjectSpace::new("bench", 10_000);
        let names: std::collections::HashSet<_> = (0..10_000).map(|index| space.name(index)).collect();
        assert_eq!(names.len(), 10_000);
        assert!(names.iter().all(|name| name.len() == space.name(0).len()));
    }

    #[test]
    fn a_receiver_gets_every_subject_exactly_once() {
        let space = SubjectSpace::new("bench", 1_037);
        for percent in [0, 33, 50, 100] {
            let subscriptions = space.subscriptions(percent);
            for index in (0..1_037).step_by(13) {
                let name = space.name(index);
                let hits = subscriptions.iter().filter(|pattern| matches(pattern, &name)).count();
                assert_eq!(hits, 1, "{name} at {percent} %");
            }
        }
    }

    #[test]
    fn passing_subscriptions_match_no_message() {
        let space = SubjectSpace::new("bench", 500);
        for step in 0..20 {
            let passing = space.passing_subscription(step);
            assert!((0..500).all(|index| !matches(&passing, &space.name(index))), "{passing}");
        }
    }

    #[test]
    fn zipf_prefers_the_first_and_uniform_does_not() {
        let mut zipf = Sampler::new(1_000, Distribution::Zipf, 7);
        let first = (0..100_000).filter(|_| zipf.draw() == 0).count();
        // The weight of the first of 1,000 is 1 / H(1000) = 0.1336.
        assert!((12_500..14_200).contains(&first), "{first}");
        let mut uniform = Sampler::new(1_000, Distribution::Uniform, 7);
        let first = (0..100_000).filter(|_| uniform.draw() == 0).count();
        assert!((50..170).contains(&first), "{first}");
    }
}
