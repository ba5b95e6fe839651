//! `/metrics`: the numbers of the endpoints under the names that dashboards know from the exporter for Prometheus
//! (<https://github.com/nats-io/prometheus-nats-exporter>), and the counters of each core under petrel's own.

use super::state::Monitor;
use super::{accstatz, healthz, histograms, json, links, subsz, varz};
use crate::version::{PETREL, UPSTREAM};
use metrics::{Key, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;
use petrel_engine::{ConnectionQuery, CoreStatistics};
use serde::Serialize;
use serde_json::{Map, Value};

const METADATA: Metadata<'static> = Metadata::new("petrel", Level::INFO, None);

/// Words that the exporter shows as a label of a gauge that is always 1.
const WORDS: [&str; 8] =
    ["server_id", "server_name", "version", "domain", "leader", "name", "start", "config_load_time"];

/// Blocks that are not the exporter's: petrel's own, and what it leaves out itself.
const LEFT_OUT: [&str; 2] = ["petrel", "leaf"];

/// Connections that the exporter sees: the first page.
const CONNECTIONS_LIMIT: f64 = 1024.0;

/// A counter or gauge of a core.
struct CoreMetric {
    name: &'static str,
    help: &'static str,
    /// Whether it only rises.
    counts: bool,
    value: fn(&CoreStatistics) -> u64,
}

const fn counter(name: &'static str, help: &'static str, value: fn(&CoreStatistics) -> u64) -> CoreMetric {
    CoreMetric { name, help, counts: true, value }
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&CoreStatistics) -> u64) -> CoreMetric {
    CoreMetric { name, help, counts: false, value }
}

/// All counters of a core; `_total` is added to those that only rise.
const CORE_METRICS: &[CoreMetric] = &[
    gauge("petrel_connections", "Connections open now", |core| core.connections),
    counter("petrel_accepted_connections", "Connections accepted", |core| core.total_connections),
    counter("petrel_refused_connections", "Connections refused: no descriptors, or a limit", |core| {
        core.refused_connections
    }),
    gauge("petrel_subscriptions", "Subscriptions held now", |core| core.subscriptions),
    counter("petrel_in_msgs", "Messages received", |core| core.in_msgs),
    counter("petrel_in_bytes", "Bytes of messages received", |core| core.in_bytes),
    counter("petrel_out_msgs", "Messages sent", |core| core.out_msgs),
    counter("petrel_out_bytes", "Bytes of messages sent", |core| core.out_bytes),
    gauge("petrel_pending_bytes", "Bytes queued for clients now", |core| core.pending_bytes),
    counter("petrel_slow_consumers", "Connections closed because they were slow", |core| core.slow_consumers),
    counter("petrel_stale_connections", "Connections closed because they did not answer", |core| {
        core.stale_connections
    }),
    counter("petrel_stalled_clients", "Publishers held up for a slow receiver", |core| core.stalled_clients),
    counter("petrel_dropped_msgs", "Messages dropped at a limit", |core| core.dropped_msgs),
    counter("petrel_panics", "Panics caught", |core| core.panics),
    counter("petrel_mails_sent", "Envelopes sent to other cores", |core| core.mails_sent),
    counter("petrel_barriers_waited", "PONGs that waited for other cores", |core| core.barriers_waited),
    counter("petrel_publishes_delayed", "Messages that waited for a change of interest", |core| {
        core.publishes_delayed
    }),
    counter("petrel_room_waits", "Reads that waited until other cores had room", |core| core.room_waits),
    counter("petrel_queue_returns", "Queue envelopes that nobody took", |core| core.queue_returns),
    counter("petrel_dropped_system_notices", "System requests and events dropped: too many waited", |core| {
        core.dropped_system_notices
    }),
    counter(
        "petrel_requests_given_up",
        "Requests to services of other accounts given up: too many waited",
        |core| core.requests_given_up,
    ),
    counter("petrel_reports_awaited", "Requests that waited for other cores' reports", |core| {
        core.reports_awaited
    }),
];

/// Present with TLS.
const CERTIFICATE_EXPIRY: &str = "petrel_tls_certificate_not_after_seconds";

/// By why they were lost.
const LOST_LOG_LINES: &str = "petrel_lost_log_lines";

/// Says what petrel's own metrics are.
pub fn describe(recorder: &PrometheusRecorder) {
    let text = |text: &'static str| SharedString::const_str(text);
    for metric in CORE_METRICS {
        if metric.counts {
            recorder.describe_counter(metric.name.into(), Some(Unit::Count), text(metric.help));
        } else {
            recorder.describe_gauge(metric.name.into(), Some(Unit::Count), text(metric.help));
        }
    }
    let up = "Whether the core answered in time";
    recorder.describe_gauge("petrel_core_up".into(), None, text(up));
    let lost = "Lines that never came into the log: too many waited, or it could not be written";
    recorder.describe_counter(LOST_LOG_LINES.into(), Some(Unit::Count), text(lost));
    let build = "Always 1; the labels say what runs";
    recorder.describe_gauge("petrel_build_info".into(), None, text(build));
    let expiry = "When the certificate of the server expires, in seconds since the epoch";
    recorder.describe_gauge(CERTIFICATE_EXPIRY.into(), Some(Unit::Seconds), text(expiry));
}

/// The answer in Prometheus' text format.
pub fn metrics(monitor: &Monitor) -> String {
    let about = monitor.about();
    let inquiry = monitor.inquiry();
    let cores = inquiry.statistics();
    let exporter = Exporter { recorder: monitor.recorder(), server_id: &about.server_id };
    exporter.record_endpoint("varz", &varz::varz(monitor, &about, &cores));
    exporter.record_endpoint("subsz", &subsz::subsz(monitor, &subsz::Request::default()));
    exporter.record_endpoint("routez", &links::routez(monitor));
    let leafz = links::leafz(monitor);
    exporter.record_endpoint("leafz", &leafz);
    // Newer exporters call it so.
    exporter.set("leafz", "conn_nodes_total", leafz.leafnodes as f64);
    exporter.record_connections(monitor);
    exporter.record_accounts(monitor);
    let is_ill = healthz::healthz(monitor, &healthz::Request::default()).code != 200;
    exporter.set("healthz", "status", if is_ill { 1.0 } else { 0.0 });
    for (core, answer) in cores.iter().enumerate() {
        record_core(exporter.recorder, core, answer.as_ref());
    }
    for (reason, lines) in monitor.lost_lines().by_reason() {
        let key = Key::from_parts(LOST_LOG_LINES, vec![Label::from_static_parts("reason", reason)]);
        exporter.recorder.register_counter(&key, &METADATA).absolute(lines);
    }
    let build = vec![
        Label::from_static_parts("version", PETREL),
        Label::from_static_parts("compatible_with", UPSTREAM),
        Label::from_static_parts("backend", about.backend),
    ];
    set(exporter.recorder, Key::from_parts("petrel_build_info", build), 1.0);
    if let Some(not_after) = about.tls.as_ref().and_then(|tls| tls.not_after) {
        set(exporter.recorder, Key::from_name(CERTIFICATE_EXPIRY), not_after as f64);
    }
    let mut text = exporter.recorder.handle().render();
    text.push_str(&histograms::render(monitor, &cores));
    text
}

fn set(recorder: &PrometheusRecorder, key: Key, value: f64) {
    recorder.register_gauge(&key, &METADATA).set(value);
}

/// Says what the exporter would say of this server.
struct Exporter<'a> {
    recorder: &'a PrometheusRecorder,
    server_id: &'a str,
}

impl Exporter<'_> {
    fn set_labelled(&self, endpoint: &str, field: &str, more: Vec<Label>, value: f64) {
        let name = format!("gnatsd_{endpoint}_{field}");
        self.recorder.describe_gauge(name.clone().into(), None, field.to_owned().into());
        let mut labels = vec![Label::new("server_id", self.server_id.to_owned())];
        labels.extend(more);
        set(self.recorder, Key::from_parts(name, labels), value);
    }

    fn set(&self, endpoint: &str, field: &str, value: f64) {
        self.set_labelled(endpoint, field, Vec::new(), value);
    }

    /// The exporter's rule: every number is a gauge, named by its path; some words are labels; the rest is left out.
    fn record_endpoint(&self, endpoint: &str, answer: &impl Serialize) {
        // What was just written can be read.
        let fields: Map<String, Value> = serde_json::from_str(&json::compact(answer)).unwrap_or_default();
        self.record_block(endpoint, "", &fields);
    }

    fn record_block(&self, endpoint: &str, prefix: &str, fields: &Map<String, Value>) {
        for (name, value) in fields {
            let field = joined(prefix, name);
            match value {
                Value::Number(number) => self.set(endpoint, &field, number.as_f64().unwrap_or(0.0)),
                Value::String(word) if WORDS.contains(&name.as_str()) => {
                    self.set_labelled(endpoint, &field, vec![Label::new("value", word.clone())], 1.0);
                }
                Value::Object(block) if !LEFT_OUT.contains(&field.as_str()) => {
                    self.record_block(endpoint, &field, block);
                }
                _ => {}
            }
        }
    }

    /// Sums over the open connections.
    fn record_connections(&self, monitor: &Monitor) {
        let query = ConnectionQuery { open: true, ..ConnectionQuery::default() };
        let mut count = 0u64;
        let mut sums = [0u64; 6];
        monitor.inquiry().for_each_connection(&query, |connection| {
            count += 1;
            let figures = [
                connection.pending_bytes,
                connection.subscription_count,
                connection.in_bytes,
                connection.out_bytes,
                connection.in_msgs,
                connection.out_msgs,
            ];
            for (sum, figure) in sums.iter_mut().zip(figures) {
                *sum += figure;
            }
        });
        let names = ["pending_bytes", "subscriptions", "in_bytes", "out_bytes", "in_msgs", "out_msgs"];
        for (name, sum) in names.into_iter().zip(sums) {
            self.set("connz", name, sum as f64);
        }
        self.set("connz", "num_connections", (count as f64).min(CONNECTIONS_LIMIT));
        self.set("connz", "total", count as f64);
        self.set("connz", "offset", 0.0);
        self.set("connz", "limit", CONNECTIONS_LIMIT);
    }

    fn record_accounts(&self, monitor: &Monitor) {
        for account in monitor.inquiry().accounts(None, false) {
            let shown = accstatz::AccountStatistics::of(&account);
            for (field, value) in [
                ("current_connections", shown.conns),
                ("total_connections", shown.conns),
                ("subscriptions", shown.num_subscriptions),
                ("leaf_nodes", 0),
                ("sent_messages", shown.sent.msgs),
                ("sent_bytes", shown.sent.bytes),
                ("received_messages", shown.received.msgs),
                ("received_bytes", shown.received.bytes),
                ("slow_consumers", shown.slow_consumers),
            ] {
                let labels = ["account", "account_id", "account_name"];
                let labels = labels.into_iter().map(|label| Label::new(label, shown.acc.clone())).collect();
                self.set_labelled("accstatz", field, labels, value as f64);
            }
        }
    }
}

/// A field's path in the exporter's words: slashes become underscores, of which none stand side by side or outside.
fn joined(prefix: &str, name: &str) -> String {
    let path = format!("{prefix}_{}", name.replace('/', "_"));
    path.split('_').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("_")
}

fn record_core(recorder: &PrometheusRecorder, core: usize, answer: Option<&CoreStatistics>) {
    let label = || vec![Label::new("core", core.to_string())];
    let up = if answer.is_some() { 1.0 } else { 0.0 };
    set(recorder, Key::from_parts("petrel_core_up", label()), up);
    let Some(statistics) = answer else { return };
    for metric in CORE_METRICS {
        let key = Key::from_parts(metric.name, label());
        let value = (metric.value)(statistics);
        if metric.counts {
            recorder.register_counter(&key, &METADATA).absolute(value);
        } else {
            set(recorder, key, value as f64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::joined;

    #[test]
    fn paths_are_joined_as_the_exporter_does() {
        assert_eq!(joined("", "cpu"), "cpu");
        assert_eq!(joined("http_req_stats", "/varz"), "http_req_stats_varz");
        assert_eq!(joined("http_req_stats", "/"), "http_req_stats");
        assert_eq!(joined("a", "/b//c/"), "a_b_c");
    }
}
