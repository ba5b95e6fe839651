//! What every request begins with: the options of its kind, and the servers that it is for.

use super::body::Body;
use super::envelope::Outcome;
use super::filter::Filter;
use crate::monitor::Monitor;

/// Reads a request with `read`, which takes the options. `name` and `options` are what upstream calls the request and
/// its options in errors.
///
/// # Errors
/// What the request has come to already: it is wrong, or for other servers.
pub fn read_request<R>(
    monitor: &Monitor,
    body: &[u8],
    (name, options): (&'static str, &'static str),
    read: impl FnOnce(&mut Body) -> R,
) -> Result<R, Outcome> {
    let mut body = Body::parse(body, name, options).map_err(Outcome::BadRequest)?;
    let filter = Filter::from_body(&mut body);
    let request = read(&mut body);
    body.finish().map_err(Outcome::BadRequest)?;
    if filter.fits(&monitor.about()) { Ok(request) } else { Err(Outcome::Silent) }
}

/// Whether a request that is told nothing else is for this server: what is told it may name the servers too.
///
/// # Errors
/// What the request has come to already: it is wrong, or for other servers.
pub fn read_filters(monitor: &Monitor, body: &[u8]) -> Result<(), Outcome> {
    let mut body = Body::parse_plain(body, "EventFilterOptions").map_err(Outcome::BadRequest)?;
    let filter = Filter::from_body(&mut body);
    body.finish().map_err(Outcome::BadRequest)?;
    if filter.fits(&monitor.about()) { Ok(()) } else { Err(Outcome::Silent) }
}
