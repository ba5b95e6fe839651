//! From a path to an endpoint. Any method is answered like GET, as upstream's handlers do.

use super::query::{BadParameter, Query};
use super::state::Monitor;
use super::{connz, healthz, index, json, prometheus, varz};
use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use std::sync::Arc;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// All endpoints, below the configured base path.
pub fn router(monitor: Arc<Monitor>) -> Router {
    let base = base_path(monitor.about().options.http_base_path.as_deref().unwrap_or(""));
    // Braces would be parameters of a route.
    let route = |path: &str| join(&base, path).replace('{', "{{").replace('}', "}}");
    Router::new()
        .route(&route("/"), any(root))
        .route(&route("/varz"), any(varz_endpoint))
        .route(&route("/connz"), any(connz_endpoint))
        .route(&route("/healthz"), any(healthz_endpoint))
        .route(&route("/metrics"), any(metrics_endpoint))
        .fallback(elsewhere)
        .with_state(monitor)
}

/// A path from the root without empty parts and dots: `/` or `/a/b`.
fn base_path(configured: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in configured.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn join(base: &str, path: &str) -> String {
    match (base, path) {
        ("/", path) => path.to_owned(),
        (base, "/") => base.to_owned(),
        (base, path) => format!("{base}{path}"),
    }
}

async fn root(State(monitor): State<Arc<Monitor>>) -> Response {
    monitor.count_request("/");
    let base = base_path(monitor.about().options.http_base_path.as_deref().unwrap_or(""));
    ([(CONTENT_TYPE, HTML)], index::page(&base)).into_response()
}

async fn varz_endpoint(State(monitor): State<Arc<Monitor>>) -> Response {
    monitor.count_request("/varz");
    let cores = monitor.inquiry().statistics();
    answer(StatusCode::OK, json::pretty(&varz::varz(&monitor, &monitor.about(), &cores)))
}

async fn connz_endpoint(State(monitor): State<Arc<Monitor>>, RawQuery(query): RawQuery) -> Response {
    monitor.count_request("/connz");
    match connz::connz(&monitor, &Query::parse(query.as_deref().unwrap_or(""))) {
        Ok(connz) => answer(StatusCode::OK, json::pretty(&connz)),
        Err(error) => bad_request(error),
    }
}

async fn healthz_endpoint(State(monitor): State<Arc<Monitor>>, RawQuery(query): RawQuery) -> Response {
    monitor.count_request("/healthz");
    match healthz::healthz(&monitor, &Query::parse(query.as_deref().unwrap_or(""))) {
        Ok(healthz) => {
            let status = StatusCode::from_u16(healthz.status_code);
            answer(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), json::compact(&healthz))
        }
        Err(error) => bad_request(error),
    }
}

async fn metrics_endpoint(State(monitor): State<Arc<Monitor>>) -> Response {
    monitor.count_request("/metrics");
    ([(CONTENT_TYPE, PROMETHEUS)], prometheus::metrics(&monitor)).into_response()
}

fn answer(status: StatusCode, body: String) -> Response {
    (status, [("Access-Control-Allow-Origin", HeaderValue::from_static("*"))], [(CONTENT_TYPE, JSON)], body)
        .into_response()
}

fn bad_request(error: BadParameter) -> Response {
    (StatusCode::BAD_REQUEST, [(CONTENT_TYPE, TEXT)], error.0).into_response()
}

/// Not found; or, for a path with empty parts or dots, where it would be found, as Go's router does. People
/// join addresses that end with a slash to paths that begin with one.
async fn elsewhere(uri: Uri) -> Response {
    let path = uri.path();
    let mut clean = base_path(path);
    if path.ends_with('/') && clean != "/" {
        clean.push('/');
    }
    if clean != path && path.starts_with('/') {
        let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        if let Ok(location) = HeaderValue::from_str(&format!("{clean}{query}")) {
            return (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, location)]).into_response();
        }
    }
    let sniff = [("X-Content-Type-Options", HeaderValue::from_static("nosniff"))];
    (StatusCode::NOT_FOUND, [(CONTENT_TYPE, TEXT)], sniff, "404 page not found\n").into_response()
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
            let base = base_path(configured);
            assert_eq!(
                (join(&base, "/").as_str(), join(&base, "/varz").as_str()),
                (root, varz),
                "{configured}"
            );
        }
    }
}
