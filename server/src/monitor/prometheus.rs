//! `/metrics`: the numbers of `/varz` under the names that dashboards know from the exporter for Prometheus,
//! and the counters of each core under petrel's own.

use super::state::Monitor;
use super::{json, varz};
use crate::version::{PETREL, UPSTREAM};
use metrics::{Key, Label, Level, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;
use petrel_engine::CoreStatistics;

const METADATA: Metadata<'static> = Metadata::new("petrel", Level::INFO, None);

/// Words of `/varz` that the exporter shows as a label of a gauge that is always 1.
const WORDS: [&str; 3] = ["server_id", "server_name", "version"];

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
    counter("petrel_queue_returns", "Queue envelopes that nobody took", |core| core.queue_returns),
    counter("petrel_reports_awaited", "Requests that waited for other cores' reports", |core| {
        core.reports_awaited
    }),
];

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
    let build = "Always 1; the labels say what runs";
    recorder.describe_gauge("petrel_build_info".into(), None, text(build));
}

/// The answer in Prometheus' text format.
pub fn metrics(monitor: &Monitor) -> String {
    let recorder = monitor.recorder();
    let cores = monitor.inquiry().statistics();
    record_varz(monitor, &cores);
    for (core, answer) in cores.iter().enumerate() {
        record_core(recorder, core, answer.as_ref());
    }
    let build = vec![
        Label::from_static_parts("version", PETREL),
        Label::from_static_parts("compatible_with", UPSTREAM),
        Label::from_static_parts("backend", monitor.about().backend),
    ];
    set(recorder, Key::from_parts("petrel_build_info", build), 1.0);
    recorder.handle().render()
}

fn set(recorder: &PrometheusRecorder, key: Key, value: f64) {
    recorder.register_gauge(&key, &METADATA).set(value);
}

/// The exporter's rule: every number at the top of `/varz` is a gauge `gnatsd_varz_<field>`, labelled with the
/// server's id.
fn record_varz(monitor: &Monitor, cores: &[Option<CoreStatistics>]) {
    let recorder = monitor.recorder();
    let server = || Label::new("server_id", monitor.about().server_id.clone());
    let answer = json::compact(&varz::varz(monitor, &monitor.about(), cores));
    // What was just written can be read.
    let fields: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&answer).unwrap_or_default();
    for (field, value) in fields {
        let name = format!("gnatsd_varz_{field}");
        if value.is_number() || WORDS.contains(&field.as_str()) {
            recorder.describe_gauge(name.clone().into(), None, field.clone().into());
        }
        if let Some(number) = value.as_f64() {
            set(recorder, Key::from_parts(name, vec![server()]), number);
        } else if let Some(word) = value.as_str().filter(|_| WORDS.contains(&field.as_str())) {
            let labels = vec![server(), Label::new("value", word.to_owned())];
            set(recorder, Key::from_parts(name, labels), 1.0);
        }
    }
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
