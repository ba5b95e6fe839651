//! A thousand logins at once whose passwords are bcrypt hashes of cost 11, beside traffic.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::{Figure, lag_us, load};
use crate::server::Server;
use petrel_tools::bench::Report;

/// Logins at once.
const LOGINS: usize = 1_000;
const COST: u32 = 11;
/// Traffic beside it: half of what upstream takes with one publisher and one subscriber is more than this, so that the
/// measurement is of the logins' effect and not of saturation.
const TRAFFIC: &str = "fan --size 128 --rate 200000 --user quick --password plain --warmup 500ms --duration";
const HEALTH_MS_MAX: f64 = 100.0;
/// A p99 beside the crowd may be twice the usual one, or this.
const P99_US_FLOOR: f64 = 1_000.0;

/// Measures delays of traffic and of `/healthz` beside the crowd.
pub(super) fn measure(binary: &Path, quick: bool) -> Result<Vec<Figure>> {
    let crowd = if quick { LOGINS / 10 } else { LOGINS };
    let seconds = if quick { 2 } else { 8 };
    // A password of its own for each of ten users: a cache of verdicts must not answer for all.
    let mut users = String::new();
    for user in 0..10 {
        let hash = bcrypt::hash(format!("password {user}"), COST).context("a bcrypt hash")?;
        users += &format!("  {{ user: u{user}, password: \"{hash}\" }}\n");
    }
    let config = format!(
        "authorization {{ timeout: 60\n users [\n  {{ user: quick, password: plain }}\n{users} ] }}\n"
    );
    let server = Server::configured(binary, Some(&[0]), &config)?;
    let traffic = format!("{TRAFFIC} {seconds}s");
    let p99 = |report: &Report| -> Result<f64> {
        Ok(report.latency.as_ref().context("delays of the load")?.p99_us)
    };
    let usual = load(&server, &traffic)?;
    let usual_us = p99(&usual)?;
    let (report, health_ms, answered) = thread::scope(|scope| -> Result<_> {
        let beside = scope.spawn(|| load(&server, &traffic));
        thread::sleep(Duration::from_millis(800));
        let logins: Vec<_> = (0..crowd).map(|number| begin_login(&server, number)).collect::<Result<_>>()?;
        let mut slowest_ms: f64 = 0.0;
        let until = Instant::now() + Duration::from_secs(seconds - 1);
        while Instant::now() < until {
            let asked = Instant::now();
            server.page("/healthz")?;
            slowest_ms = slowest_ms.max(asked.elapsed().as_secs_f64() * 1e3);
            thread::sleep(Duration::from_millis(20));
        }
        let report = beside.join().expect("the load does not panic")?;
        let answered = logins.into_iter().map(is_answered).filter(|answered| *answered).count();
        Ok((report, slowest_ms, answered))
    })?;
    let beside_us = p99(&report)?;
    if answered < crowd {
        bail!("{answered} of {crowd} logins were answered:\n{}", server.log_end());
    }
    Ok(vec![
        Figure::new(
            format!(
                "p99 of traffic beside {crowd} bcrypt logins (usually {usual_us:.0} us; generator late by {:.0} us and \
                 usually {:.0} us)",
                lag_us(&report, |lag| lag.p99_us),
                lag_us(&usual, |lag| lag.p99_us)
            ),
            beside_us,
            (2.0 * usual_us).max(P99_US_FLOOR),
            "us",
        ),
        Figure::new(format!("/healthz beside {crowd} bcrypt logins"), health_ms, HEALTH_MS_MAX, "ms"),
    ])
}

/// Sends a CONNECT whose password is right or wrong by turns, and a PING.
fn begin_login(server: &Server, number: usize) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(server.address()).context("a login")?;
    stream.set_read_timeout(Some(Duration::from_secs(120)))?;
    let (user, wrong) = (number % 10, if number.is_multiple_of(2) { "" } else { "wrong " });
    let text = format!(
        "CONNECT {{\"verbose\":false,\"user\":\"u{user}\",\"pass\":\"{wrong}password {user}{number}\"}}\r\nPING\r\n"
    );
    stream.write_all(text.as_bytes()).context("a login")?;
    Ok(stream)
}

/// Whether the server let it in or refused it.
fn is_answered(mut stream: TcpStream) -> bool {
    let mut all = Vec::new();
    let mut some = [0; 4096];
    while let Ok(count) = stream.read(&mut some) {
        all.extend_from_slice(&some[..count]);
        let said = String::from_utf8_lossy(&all);
        if said.contains("PONG") || said.contains("-ERR") {
            return true;
        }
        if count == 0 {
            return false;
        }
    }
    false
}
