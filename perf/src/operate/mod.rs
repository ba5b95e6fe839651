//! What operators wait for: starts and reloads of large configurations, crowds that log in, pages of monitoring. Each
//! is measured on petrel alone, against a bound that does not depend on upstream.

mod configuration;
mod handshakes;
mod logins;
mod monitoring;
mod overhead;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::generator;
use crate::server::Server;
use petrel_tools::bench::{LatencySummary, Report};

/// A figure and its bound.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// What was measured.
    pub name: String,
    /// The value.
    pub value: f64,
    /// It must not exceed this.
    pub bound: f64,
    /// The unit of both.
    pub unit: &'static str,
}

impl Figure {
    fn new(name: impl Into<String>, value: f64, bound: f64, unit: &'static str) -> Figure {
        Figure { name: name.into(), value, bound, unit }
    }

    /// Whether the bound holds.
    pub fn is_met(&self) -> bool {
        self.value <= self.bound
    }
}

/// A measurement by name.
pub type Measure = fn(&Path, bool) -> Result<Vec<Figure>>;

/// All measurements, in the order in which they run. Each gets the server's binary and whether the run is a quick one.
pub const MEASURES: &[(&str, Measure)] = &[
    ("configuration", configuration::measure),
    ("overhead", overhead::measure),
    ("logins", logins::measure),
    ("handshakes", handshakes::measure),
    ("monitoring", monitoring::measure),
];

/// Runs `petrel bench` on the second core against a server on the first.
fn load(server: &Server, options: &str) -> Result<Report> {
    let options: Vec<String> = options.split(' ').map(str::to_owned).collect();
    generator::run(server, &options, Some(1))
}

/// How late the generator itself wrote what was due, which is a part of every delay; 0 where it keeps no schedule.
fn lag_us(report: &Report, quantile: impl Fn(&LatencySummary) -> f64) -> f64 {
    report.schedule_lag.as_ref().map_or(0.0, quantile)
}
