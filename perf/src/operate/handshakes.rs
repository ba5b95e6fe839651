//! Two thousand TLS handshakes within ten seconds, beside traffic over TLS.

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use petrel_tools::bench::{Credentials, Report, Target, client_config};

use super::{Figure, load};
use crate::certificates::Certificates;
use crate::confinement::on_cores;
use crate::server::Server;

/// Handshakes a second, evenly spread.
const HANDSHAKES_PER_S: u32 = 200;
/// Clients that come by turns: one that waits for its answer holds up no other.
const CLIENTS: usize = 8;
/// Traffic beside them, over TLS too: half of what upstream takes with one publisher and one subscriber over TLS is
/// about this.
const TRAFFIC: &str = "fan --size 128 --rate 400000 --warmup 500ms --duration";
/// Time from the start of the traffic to the first handshake: the warm-up, and a little of the measured time.
const LEAD: Duration = Duration::from_millis(800);
/// A p99 beside them may be twice the usual one, or this.
const P99_US_FLOOR: f64 = 1_000.0;
/// Servers and clients give up a handshake after two seconds by default.
const HANDSHAKE_MS_MAX: f64 = 2_000.0;

/// Measures delays of traffic beside the handshakes, and how long these take.
pub(super) fn measure(binary: &Path, quick: bool) -> Result<Vec<Figure>> {
    let seconds = if quick { 2 } else { 10 };
    let count = HANDSHAKES_PER_S * seconds;
    let certificates = Certificates::make()?;
    let server = Server::start(binary, Some(&[0]), None, Some(&certificates))?;
    // The traffic lasts a little longer than the handshakes.
    let traffic = format!("{TRAFFIC} {}s", seconds + 1);
    let p99 = |report: Report| -> Result<f64> { Ok(report.latency.context("delays of the load")?.p99_us) };
    let usual_us = p99(load(&server, &traffic)?)?;
    let (report, slowest) = thread::scope(|scope| -> Result<_> {
        let beside = scope.spawn(|| load(&server, &traffic));
        thread::sleep(LEAD);
        let slowest = crowd(&server, count);
        let report = beside.join().expect("the load does not panic")?;
        Ok((report, slowest?))
    })?;
    Ok(vec![
        Figure::new(
            format!("p99 of traffic beside {count} TLS handshakes in {seconds} s (usually {usual_us:.0} us)"),
            p99(report)?,
            (2.0 * usual_us).max(P99_US_FLOOR),
            "us",
        ),
        Figure::new("the slowest of these handshakes", slowest.as_secs_f64() * 1e3, HANDSHAKE_MS_MAX, "ms"),
    ])
}

/// Connects and logs in `count` times on the generator's core, each time when it is due. Returns how long after that
/// the slowest had its answer.
fn crowd(server: &Server, count: u32) -> Result<Duration> {
    let authority = server.tls_ca().and_then(Path::to_str).context("a server over TLS")?;
    let config = client_config(authority).context("the authority")?;
    let target = Target::resolve(&server.address(), Credentials::default(), Some(config))?;
    let (next, began) = (AtomicU32::new(0), Instant::now());
    let client = || -> Result<Duration> {
        let mut slowest = Duration::ZERO;
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(slowest);
            }
            let due = began + Duration::from_secs(1) * number / HANDSHAKES_PER_S;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            target.visit("petrel-perf handshake").with_context(|| format!("handshake {number}"))?;
            slowest = slowest.max(due.elapsed());
        }
    };
    thread::scope(|scope| {
        let clients: Vec<_> =
            on_cores(Some(&[1]), || Ok((0..CLIENTS).map(|_| scope.spawn(client)).collect()))?;
        clients
            .into_iter()
            .map(|client| client.join().expect("a client does not panic"))
            .try_fold(Duration::ZERO, |slowest, this: Result<Duration>| this.map(|this| slowest.max(this)))
    })
}
