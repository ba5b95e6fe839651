//! From a path to an endpoint. Any method is answered like GET, as upstream's handlers do.

use super::answer::{Answer, Budget};
use super::path::{self, Target};
use super::query::{BadParameter, Query};
use super::state::Monitor;
use super::{
    accountz, accstatz, connz, healthz, index, internals, json, jsz, links, prometheus, subsz, varz,
};
use axum::Router;
use axum::http::header::{CONNECTION, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

type Handler = fn(&Monitor, &Query) -> Result<Answer, BadParameter>;

/// An endpoint.
#[derive(Clone, Copy)]
struct Endpoint {
    path: &'static str,
    /// Under which name `/varz` counts its requests; upstream does not count all.
    counted_as: Option<&'static str>,
    /// Whether its answer can be long, so that only some of its kind are made at a time.
    is_long: bool,
    handler: Handler,
}

const fn short(path: &'static str, handler: Handler) -> Endpoint {
    Endpoint { path, counted_as: Some(path), is_long: false, handler }
}

const fn long(path: &'static str, handler: Handler) -> Endpoint {
    Endpoint { path, counted_as: Some(path), is_long: true, handler }
}

const fn uncounted(path: &'static str, handler: Handler) -> Endpoint {
    Endpoint { path, counted_as: None, is_long: false, handler }
}

const ENDPOINTS: &[Endpoint] = &[
    short("/", |monitor, _| Ok(Answer::html(index::page(&base_of(monitor))))),
    short("/varz", |monitor, _| {
        let cores = monitor.inquiry().statistics();
        Ok(Answer::json(json::pretty(&varz::varz(monitor, &monitor.about(), &cores))))
    }),
    long("/connz", |monitor, query| {
        let request = connz::Request::from_query(query)?;
        Ok(Answer::json(json::pretty(&connz::connz(monitor, &request))))
    }),
    short("/routez", |monitor, query| {
        links::check_routez(query)?;
        Ok(Answer::json(json::pretty(&links::routez(monitor))))
    }),
    short("/gatewayz", |monitor, query| {
        links::check_gatewayz(query)?;
        Ok(Answer::json(json::pretty(&links::gatewayz(monitor))))
    }),
    short("/leafz", |monitor, query| {
        links::check_leafz(query)?;
        Ok(Answer::json(json::pretty(&links::leafz(monitor))))
    }),
    long("/subsz", subsz_endpoint),
    Endpoint { path: "/subscriptionsz", counted_as: Some("/subsz"), is_long: true, handler: subsz_endpoint },
    long("/accountz", |monitor, query| {
        let account = accountz::from_query(query);
        Ok(Answer::json(json::pretty(&accountz::accountz(monitor, &account)?)))
    }),
    long("/accstatz", |monitor, query| {
        let request = accstatz::Request::from_query(query)?;
        Ok(Answer::json(json::pretty(&accstatz::accstatz(monitor, &request))))
    }),
    short("/jsz", |monitor, query| {
        jsz::check_query(query)?;
        Ok(Answer::json(json::pretty(&jsz::jsz(monitor))))
    }),
    short("/healthz", |monitor, query| {
        let request = healthz::Request::from_query(query)?;
        let healthz = healthz::healthz(monitor, &request);
        healthz.tell();
        Ok(Answer::json(json::compact(&healthz)).with_status(healthz.code))
    }),
    uncounted("/raftz", |_, _| Ok(Answer::text("No Raft nodes registered").with_status(404))),
    uncounted("/ipqueuesz", |monitor, query| {
        let request = internals::QueueRequest::from_query(query)?;
        Ok(Answer::json(json::pretty_by_three(&internals::ipqueuesz(monitor, &request))))
    }),
    uncounted("/stacksz", |_, _| Ok(Answer::json(internals::stacksz()))),
    uncounted("/debug/vars", |_, _| Ok(Answer::json_with_charset(json::compact(&internals::variables())))),
    long("/metrics", |monitor, _| Ok(Answer::prometheus(prometheus::metrics(monitor)))),
];

fn subsz_endpoint(monitor: &Monitor, query: &Query) -> Result<Answer, BadParameter> {
    let request = subsz::Request::from_query(query)?;
    Ok(Answer::json(json::pretty(&subsz::subsz(monitor, &request))))
}

/// All endpoints, below the configured base path.
pub fn router(monitor: &Arc<Monitor>, budget: &Arc<Budget>) -> Router {
    let base = base_of(monitor);
    let places = ENDPOINTS.iter().map(|endpoint| (path::parts(&join(&base, endpoint.path)), *endpoint));
    let places: Arc<HashMap<Vec<Vec<u8>>, Endpoint>> = Arc::new(places.collect());
    let (monitor, budget) = (monitor.clone(), budget.clone());
    // Paths are looked up here: the routes of the library know nothing of encoded letters.
    let handler = move |method: Method, uri: Uri| {
        let (monitor, budget, places) = (monitor.clone(), budget.clone(), places.clone());
        async move {
            if uri.path() == "*" {
                return about_all(&method);
            }
            match Target::of(uri.path()) {
                Target::Broken => broken(),
                Target::Moved(to) => moved(&method, &to, uri.query()),
                Target::Parts(parts) => match places.get(&parts) {
                    Some(endpoint) => answer(*endpoint, monitor, &budget, uri.query()).await,
                    None => not_found(),
                },
            }
        }
    };
    Router::new().fallback(handler)
}

async fn answer(endpoint: Endpoint, monitor: Arc<Monitor>, budget: &Budget, query: Option<&str>) -> Response {
    let query = Query::parse(query.unwrap_or(""));
    if let Some(name) = endpoint.counted_as {
        monitor.count_request(name);
    }
    let timer = monitor.clone();
    let make = move || {
        (endpoint.handler)(&monitor, &query)
            .unwrap_or_else(|error| Answer::text(&error.0).with_status(StatusCode::BAD_REQUEST.as_u16()))
    };
    let began = Instant::now();
    let response = budget.answer(endpoint.is_long, Box::new(make)).await;
    timer.time_request(endpoint.path, began.elapsed());
    response
}

fn base_of(monitor: &Monitor) -> String {
    path::clean(monitor.about().options.http_base_path.as_deref().unwrap_or(""))
}

fn join(base: &str, path: &str) -> String {
    match (base, path) {
        ("/", path) => path.to_owned(),
        (base, "/") => base.to_owned(),
        (base, path) => format!("{base}{path}"),
    }
}

fn not_found() -> Response {
    let sniff = [("X-Content-Type-Options", HeaderValue::from_static("nosniff"))];
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], sniff, "404 page not found\n").into_response()
}

/// A path that cannot be decoded: upstream gives up the connection.
fn broken() -> Response {
    let close = [(CONNECTION, HeaderValue::from_static("close"))];
    (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, TEXT)], close, "400 Bad Request").into_response()
}

/// `OPTIONS *` asks whether anybody is there; no other method knows a `*`.
fn about_all(method: &Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    (StatusCode::BAD_REQUEST, [(CONNECTION, HeaderValue::from_static("close"))]).into_response()
}

/// Sends on to where it would be found, with a page for people, as Go does.
fn moved(method: &Method, to: &str, query: Option<&str>) -> Response {
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let to = format!("{to}{query}");
    let Ok(location) = HeaderValue::from_str(&to) else { return not_found() };
    let status = StatusCode::TEMPORARY_REDIRECT;
    if method != Method::GET && method != Method::HEAD {
        return (status, [(LOCATION, location)]).into_response();
    }
    let shown = to.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let shown = shown.replace('"', "&#34;").replace('\'', "&#39;");
    let page = format!("<a href=\"{shown}\">Temporary Redirect</a>.\n\n");
    (status, [(CONTENT_TYPE, HTML), (LOCATION, location)], page).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_paths_are_cleaned_and_joined() {
        for (configured, root, varz) in [
            ("", "/", "/varz"),
            ("/", "/", "/varz"),
            ("nats", "/nats", "/nats/varz"),
            ("/nats/", "/nats", "/nats/varz"),
            ("//a/../b/./c//", "/b/c", "/b/c/varz"),
        ] {
            let base = path::clean(configured);
            assert_eq!(
                (join(&base, "/").as_str(), join(&base, "/varz").as_str()),
                (root, varz),
                "{configured}"
            );
        }
    }
}
