//! Pages of monitoring beside traffic: what a large `/connz` does to messages, and what a scrape each second costs.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use petrel_tools::bench::{HoldReport, ProcessMeter};

use super::{Figure, lag_us, load};
use crate::generator;
use crate::machine::Machine;
use crate::server::Server;

/// Connections that `/connz?subs=1` lists, as far as files allow.
const CONNECTIONS: u64 = 50_000;
/// Files that a server needs beside its connections.
const OTHER_FILES: u64 = 512;
const DELAY_MS_MAX: f64 = 5.0;
const SCRAPE_PERCENT_MAX: f64 = 0.5;
const TRAFFIC: &str = "request --size 128 --rate 2000 --warmup 1s --duration";

/// Measures both.
pub(super) fn measure(binary: &Path, quick: bool) -> Result<Vec<Figure>> {
    let mut figures = scrape(binary, quick)?;
    figures.extend(list(binary, quick)?);
    Ok(figures)
}

/// The longest delay of a request while `/connz?subs=1&limit=...` is asked again and again, less that without.
fn list(binary: &Path, quick: bool) -> Result<Vec<Figure>> {
    let wanted = if quick { 2_000 } else { CONNECTIONS };
    let connections = wanted.min(Machine::describe().open_files_max.saturating_sub(OTHER_FILES));
    let server = Server::configured(binary, Some(&[0]), "")?;
    let seconds = if quick { 2 } else { 5 };
    let traffic = format!("{TRAFFIC} {seconds}s");
    // Held until well after the measurement.
    let hold = format!("--idle-connections {connections} --duration {}s", 4 * seconds + 20);
    let options: Vec<String> = hold.split(' ').map(str::to_owned).collect();
    thread::scope(|scope| -> Result<_> {
        let holder = scope.spawn(|| generator::run::<HoldReport>(&server, &options, Some(1)));
        wait_for(&server, connections)?;
        let usual = load(&server, &traffic)?;
        let usual_us = usual.latency.as_ref().context("delays")?.p999_us;
        let beside = scope.spawn(|| load(&server, &traffic));
        let until = Instant::now() + Duration::from_secs(seconds);
        let (mut pages, mut bytes) = (0, 0);
        while Instant::now() < until {
            (pages, bytes) = (pages + 1, server.page_bytes(&format!("/connz?subs=1&limit={connections}"))?);
        }
        let report = beside.join().expect("the load does not panic")?;
        let beside_us = report.latency.as_ref().context("delays")?.p999_us;
        let _ = holder.join();
        if bytes < usize::try_from(connections).unwrap_or(0) * 200 {
            bail!("/connz listed too little: {bytes} bytes for {connections} connections");
        }
        let name = format!(
            "p99.9 of requests while {pages} x /connz?subs=1 lists {connections} connections (usually {usual_us:.0} us; \
             generator late by {:.0} us and usually {:.0} us)",
            lag_us(&report, |lag| lag.p999_us),
            lag_us(&usual, |lag| lag.p999_us)
        );
        Ok(vec![Figure::new(name, (beside_us - usual_us) / 1e3, DELAY_MS_MAX, "ms more")])
    })
}

fn wait_for(server: &Server, connections: u64) -> Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let page: serde_json::Value = serde_json::from_str(&server.page("/varz")?)?;
        if page["connections"].as_u64() >= Some(connections) {
            // Each new connection is asked once for its round-trip time, within 2.4 s.
            thread::sleep(Duration::from_secs(3));
            return Ok(());
        }
        if Instant::now() > until {
            bail!("{connections} connections are not established: {}", page["connections"]);
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// CPU of the server while `/metrics` is asked each second, less that of an idle one.
fn scrape(binary: &Path, quick: bool) -> Result<Vec<Figure>> {
    let seconds = if quick { 3 } else { 20 };
    let server = Server::configured(binary, None, "")?;
    let meter = ProcessMeter::new(server.pid()).context("the server has ended")?;
    let cpu = || meter.cpu_ns().context("the server has ended");
    server.page("/metrics")?;
    let mut spent = [0; 2];
    for (place, asks) in [false, true].into_iter().enumerate() {
        let before = cpu()?;
        for _ in 0..seconds {
            if asks {
                server.page("/metrics")?;
            }
            thread::sleep(Duration::from_secs(1));
        }
        spent[place] = cpu()? - before;
    }
    let percent = spent[1].saturating_sub(spent[0]) as f64 / (seconds as f64 * 1e9) * 100.0;
    Ok(vec![Figure::new("/metrics asked each second", percent, SCRAPE_PERCENT_MAX, "% of a core")])
}
