//! A comparison's result: as a table for people, as JSON for the record.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::machine::Machine;
use crate::measurement::Metric;
use crate::row::Row;

/// Cores in use by others above which the result says so.
const BACKGROUND_CORES_MAX: f64 = 0.05;

/// Everything a comparison found.
#[derive(Debug, Serialize)]
pub struct Results {
    /// When it began (RFC 3339).
    pub began: String,
    /// What it ran on.
    pub machine: Machine,
    /// Cores that something else kept busy before the first run: above a few hundredths the figures are disturbed.
    pub background_cores: f64,
    /// Version of upstream's server.
    pub upstream_version: String,
    /// Command line of both servers, the binary and the port apart.
    pub server_options: String,
    /// What the configuration file of both servers says where connections speak TLS.
    pub tls_configuration: String,
    /// Turns of each server.
    pub rounds: usize,
    /// Time measured in a turn, in seconds.
    pub duration_s: f64,
    /// A smoke run: figures show that it works, not how fast it is.
    pub is_quick: bool,
    /// Everything that was asked for has run.
    pub is_complete: bool,
    /// One for each scenario and layout.
    pub rows: Vec<Row>,
}

/// A table of rows that share their figures.
struct Table {
    title: &'static str,
    metrics: &'static [(&'static str, Metric)],
    has: Metric,
    /// Only rows of the public client's load, or none of them.
    of_public_client: bool,
}

const TABLES: &[Table] = &[
    Table {
        title: "Full speed and half of upstream's rate",
        metrics: &[
            ("rate", Metric::Rate),
            ("server CPU", Metric::ServerCpu),
            ("machine busy", Metric::MachineCpu),
            ("peak memory", Metric::PeakMemory),
            ("p50", Metric::LatencyP50),
            ("p99", Metric::LatencyP99),
        ],
        has: Metric::Rate,
        of_public_client: false,
    },
    Table {
        title: "Memory",
        metrics: &[
            ("after start", Metric::StartMemory),
            ("each", Metric::BytesEach),
            ("kernel, both ends, each", Metric::KernelBytesEach),
            ("peak", Metric::PeakMemory),
        ],
        has: Metric::StartMemory,
        of_public_client: false,
    },
    Table {
        title: "By the public Go client",
        metrics: &[
            ("rate", Metric::Rate),
            ("server CPU", Metric::ServerCpu),
            ("peak memory", Metric::PeakMemory),
        ],
        has: Metric::Rate,
        of_public_client: true,
    },
    Table {
        title: "Growth",
        metrics: &[
            ("CPU a message, many over few", Metric::CostGrowth),
            ("rate beside many", Metric::Rate),
            ("server CPU beside many", Metric::ServerCpu),
            ("peak memory", Metric::PeakMemory),
        ],
        has: Metric::CostGrowth,
        of_public_client: false,
    },
    Table {
        title: "One receiver stops",
        metrics: &[
            ("rate the others keep", Metric::RateKept),
            ("closed by the server", Metric::StoppedClosed),
            ("peak memory", Metric::PeakMemory),
        ],
        has: Metric::RateKept,
        of_public_client: false,
    },
];

impl Results {
    /// The result as Markdown.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let mut line = |text: String| writeln!(out, "{text}").expect("a string takes everything");
        line(format!("# petrel beside nats-server {}\n", self.upstream_version));
        line(format!("{}. {}.", self.machine.line(), self.began));
        line(format!(
            "Medians of {} turns of {:.1} s each, by turns in an order of chance, a fresh server for each.",
            self.rounds, self.duration_s
        ));
        line(format!("Both servers: `{}`, all else as by default.", self.server_options));
        if self.rows.iter().any(Row::is_over_tls) {
            line(format!("Over TLS: and `-c` with `{}`, one certificate for both.", self.tls_configuration));
        }
        line(
            "Layouts: *pinned* has the server on core 0 and the generator on core 1; *shared* has both on all cores."
                .to_owned(),
        );
        line("Each cell: upstream -> petrel (petrel / upstream).".to_owned());
        if self.background_cores > BACKGROUND_CORES_MAX {
            let cores = self.background_cores;
            line(format!("\n**Something else kept {cores:.2} cores busy: the figures are disturbed.**"));
        }
        if self.is_quick {
            line("\n**A quick run: it shows that everything works; its figures are noisy.**".to_owned());
        }
        if !self.is_complete {
            line("\n**This run was interrupted: it has what was measured until then.**".to_owned());
        }
        for table in TABLES {
            let rows: Vec<&Row> = self.rows.iter().filter(|row| table.takes(row)).collect();
            if !rows.is_empty() {
                line(format!("\n## {}\n", table.title));
                line(table.render(&rows));
            }
        }
        let broken: Vec<&Row> =
            self.rows.iter().filter(|row| TABLES.iter().all(|table| !table.takes(row))).collect();
        for row in broken {
            line(format!("- {} ({}): {}", row.title, row.layout, row.verdict()));
        }
        out
    }

    /// Writes the result as JSON into `folder`, under a name with the time at which it began: what was written there
    /// before is replaced as a whole, so that a run which ends at any moment leaves a record that parses.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn store(&self, folder: &Path) -> Result<PathBuf> {
        fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        let path = folder.join(format!("compare-{}.json", self.began.replace(':', "-")));
        let text = serde_json::to_string_pretty(self).context("the result as JSON")?;
        replace(&path, &(text + "\n"))?;
        Ok(path)
    }
}

/// Writes `text` to `path`: whoever reads it finds what was there before, or all of this.
///
/// # Errors
/// When the folder cannot be written to.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    fs::write(&partial, text).with_context(|| format!("{}", path.display()))?;
    fs::rename(&partial, path).with_context(|| format!("{}", path.display()))
}

impl Table {
    /// Rows whose runs gave this table's figure; held things stand with the memory after start.
    fn takes(&self, row: &Row) -> bool {
        let has = |metric| {
            row.upstream.median.values.contains_key(&metric) || row.petrel.median.values.contains_key(&metric)
        };
        if row.is_of_public_client() != self.of_public_client {
            return false;
        }
        match self.has {
            Metric::Rate => has(Metric::Rate) && !has(Metric::RateKept) && !has(Metric::CostGrowth),
            Metric::StartMemory => has(Metric::StartMemory) || has(Metric::BytesEach),
            other => has(other),
        }
    }

    fn render(&self, rows: &[&Row]) -> String {
        let names: Vec<&str> = self.metrics.iter().map(|(name, _)| *name).collect();
        let mut out = format!("| scenario | layout | {} | verdict |\n", names.join(" | "));
        out += &format!("|{}\n", "---|".repeat(names.len() + 3));
        for row in rows {
            let cells: Vec<String> = self.metrics.iter().map(|(_, metric)| row.cell(*metric)).collect();
            let limited = row.upstream.median.generator_is_limit || row.petrel.median.generator_is_limit;
            let mut notes = if limited { vec!["generator at its limit"] } else { Vec::new() };
            notes.extend(Some(row.note.as_str()).filter(|note| !note.is_empty()));
            let note = if notes.is_empty() { String::new() } else { format!(" ({})", notes.join("; ")) };
            let (title, layout, cells) = (row.title, row.layout, cells.join(" | "));
            out += &format!("| {title} | {layout} | {cells} | {}{note} |\n", row.verdict());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measurement::Measurement;
    use crate::row::Side;
    use crate::scenario::Scenario;

    fn results() -> Results {
        let side = |metric, value| Side::new(vec![Measurement::of(metric, value)], None);
        let row = |name, metric| {
            let scenario = Scenario::find(name).expect("a scenario");
            Row::new(scenario, "shared", "options".to_owned(), side(metric, 4.0), side(metric, 2.0))
        };
        Results {
            began: "2026-01-02T03:04:05Z".to_owned(),
            machine: Machine::describe(),
            background_cores: 0.0,
            upstream_version: "2.15.2".to_owned(),
            server_options: "-a 127.0.0.1 -p PORT".to_owned(),
            tls_configuration: "tls {}".to_owned(),
            rounds: 3,
            duration_s: 3.0,
            is_quick: false,
            is_complete: true,
            rows: vec![
                row("1:1-16", Metric::Rate),
                row("idle", Metric::BytesEach),
                row("growth-connections", Metric::CostGrowth),
                row("slow-receiver", Metric::RateKept),
            ],
        }
    }

    #[test]
    fn each_row_stands_in_one_table() {
        let markdown = results().markdown();
        for title in [
            "1:1, 16 B",
            "idle connection",
            "1:1, 128 B, beside idle connections",
            "1:4, 128 B, one receiver stops",
        ] {
            assert_eq!(markdown.matches(&format!("| {title} | shared |")).count(), 1, "{title}\n{markdown}");
        }
        assert!(markdown.contains("(0.50 x)"), "{markdown}");
    }

    #[test]
    fn the_record_is_json_with_metrics_by_name() {
        let folder = std::env::temp_dir().join(format!("petrel-perf-test-{}", std::process::id()));
        let path = results().store(&folder).expect("a temporary folder");
        let text = fs::read_to_string(&path).expect("just written");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["rows"][0]["petrel"]["median"]["values"]["rate_per_s"], 2.0);
        fs::remove_dir_all(folder).expect("a temporary folder");
    }

    #[test]
    fn each_row_is_recorded_in_the_same_file() {
        let folder = std::env::temp_dir().join(format!("petrel-perf-test-rows-{}", std::process::id()));
        let mut results = results();
        let rows = std::mem::take(&mut results.rows);
        results.is_complete = false;
        let count = rows.len();
        for row in rows {
            results.rows.push(row);
            results.store(&folder).expect("a temporary folder");
        }
        assert!(results.markdown().contains("interrupted"));
        let files: Vec<_> = fs::read_dir(&folder).expect("a folder").flatten().collect();
        assert_eq!(files.len(), 1);
        let text = fs::read_to_string(files[0].path()).expect("just written");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["rows"].as_array().map(Vec::len), Some(count));
        assert_eq!(value["is_complete"], false);
        fs::remove_dir_all(folder).expect("a temporary folder");
    }

    #[test]
    fn rows_over_tls_tell_the_configuration() {
        let mut results = results();
        assert!(!results.markdown().contains("Over TLS"));
        let side = || Side::new(vec![Measurement::of(Metric::Rate, 1.0)], None);
        let scenario = Scenario::find("1:1-128-tls").expect("a scenario");
        results.rows.push(Row::new(scenario, "pinned", String::new(), side(), side()));
        assert!(results.markdown().contains("Over TLS: and `-c` with `tls {}`"));
    }
}
