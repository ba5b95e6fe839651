//! One line of a comparison: a scenario in a layout, both servers' figures, the verdicts.

use serde::Serialize;

use crate::measurement::{Measurement, Metric};
use crate::scenario::{Kind, Scenario};
use crate::target::Verdict;

/// A side's runs and their medians.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Side {
    /// Each run.
    pub runs: Vec<Measurement>,
    /// The median of each figure.
    pub median: Measurement,
    /// Why a run failed, if one did.
    pub failure: Option<String>,
}

/// A target and whether it was met.
#[derive(Clone, Debug, Serialize)]
pub struct Judgement {
    /// The target in words.
    pub target: String,
    /// Whether it was met.
    pub verdict: Verdict,
}

/// A scenario in a layout.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The scenario's name.
    pub scenario: &'static str,
    /// Its title.
    pub title: &'static str,
    /// `pinned` or `shared`.
    pub layout: &'static str,
    /// What was run, in options of the generator.
    pub load: String,
    /// What to know about the figures, mostly empty.
    pub note: String,
    /// Upstream's figures.
    pub upstream: Side,
    /// Petrel's figures.
    pub petrel: Side,
    /// One for each target.
    pub judgements: Vec<Judgement>,
}

impl Side {
    /// A side with these runs.
    pub fn new(runs: Vec<Measurement>, failure: Option<String>) -> Self {
        let median = Measurement::median(&runs);
        Self { runs, median, failure }
    }
}

impl Row {
    /// Compares two sides.
    pub fn new(
        scenario: &Scenario,
        layout: &'static str,
        load: String,
        upstream: Side,
        petrel: Side,
    ) -> Self {
        let judgements = scenario.targets.iter().map(|target| Judgement {
            target: target.describe(),
            verdict: if petrel.failure.is_some() {
                Verdict::Fail
            } else {
                target.judge(&upstream.median, &petrel.median)
            },
        });
        let judgements = judgements.collect();
        Self {
            scenario: scenario.name,
            title: scenario.title,
            layout,
            load,
            note: String::new(),
            upstream,
            petrel,
            judgements,
        }
    }

    /// Whether the public client made the load.
    pub fn is_of_public_client(&self) -> bool {
        Scenario::find(self.scenario).is_some_and(|found| matches!(found.kind, Kind::PublicClient(_)))
    }

    /// Whether its connections spoke TLS.
    pub fn is_over_tls(&self) -> bool {
        Scenario::find(self.scenario).is_some_and(|found| found.is_over_tls)
    }

    /// Petrel's median over upstream's.
    pub fn ratio(&self, metric: Metric) -> Option<f64> {
        let base = self.upstream.median.values.get(&metric).filter(|base| **base > 0.0)?;
        Some(self.petrel.median.values.get(&metric)? / base)
    }

    /// `upstream -> petrel (ratio)` for a figure, or a dash.
    pub fn cell(&self, metric: Metric) -> String {
        let show = |side: &Side| side.median.values.get(&metric).map(|value| metric.show(*value));
        match (show(&self.upstream), show(&self.petrel)) {
            (Some(upstream), Some(petrel)) => {
                let ratio = self.ratio(metric).map_or(String::new(), |ratio| format!(" ({ratio:.2} x)"));
                format!("{upstream} -> {petrel}{ratio}")
            }
            (Some(upstream), None) => format!("{upstream} -> ?"),
            (None, Some(petrel)) => format!("? -> {petrel}"),
            (None, None) => "-".to_owned(),
        }
    }

    /// All verdicts in one word, the failed targets behind it.
    pub fn verdict(&self) -> String {
        for (name, side) in [("petrel", &self.petrel), ("upstream", &self.upstream)] {
            if let Some(failure) = &side.failure {
                return format!("FAIL: {name}: {failure}");
            }
        }
        let failed: Vec<&str> = self.with(Verdict::Fail);
        let void: Vec<&str> = self.with(Verdict::Void);
        match (failed.is_empty(), void.is_empty()) {
            (false, _) => format!("FAIL: {}", failed.join(", ")),
            (true, false) => format!("void: {}", void.join(", ")),
            (true, true) if self.judgements.is_empty() => "reported".to_owned(),
            (true, true) => "pass".to_owned(),
        }
    }

    /// Whether a server or the generator failed, whatever the targets.
    pub fn is_broken(&self) -> bool {
        self.petrel.failure.is_some() || self.upstream.failure.is_some()
    }

    /// Whether a target was missed.
    pub fn misses_target(&self) -> bool {
        !self.with(Verdict::Fail).is_empty()
    }

    fn with(&self, verdict: Verdict) -> Vec<&str> {
        let judgements = self.judgements.iter().filter(|judgement| judgement.verdict == verdict);
        judgements.map(|judgement| judgement.target.as_str()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(cpu: f64) -> Side {
        Side::new(vec![Measurement::of(Metric::ServerCpu, cpu)], None)
    }

    fn row(upstream: Side, petrel: Side) -> Row {
        let scenario = Scenario::find("pub-16").expect("a scenario");
        Row::new(scenario, "pinned", String::new(), upstream, petrel)
    }

    #[test]
    fn a_row_shows_both_and_the_ratio() {
        let row = row(side(0.4), side(0.1));
        assert_eq!(row.cell(Metric::ServerCpu), "0.400 s/M -> 0.100 s/M (0.25 x)");
        assert_eq!(row.cell(Metric::Rate), "-");
        assert_eq!(row.verdict(), "pass");
    }

    #[test]
    fn a_side_that_fails_fails_the_row() {
        let broken = Side::new(Vec::new(), Some("the server closed it".to_owned()));
        let row = row(side(0.4), broken);
        assert_eq!(row.verdict(), "FAIL: petrel: the server closed it");
        assert!(row.is_broken() && row.misses_target());
    }
}
