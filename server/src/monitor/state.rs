//! What all endpoints share.

use crate::inquiry::Inquiry;
use crate::log::LostLines;
use crate::process::ProcessorMeter;
use crate::tls::Tls;
use jiff::Timestamp;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};
use petrel_config::Options;
use petrel_runtime::Histogram;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

/// What is known of the server when it starts, or after a reload.
#[derive(Clone, Debug)]
pub struct About {
    /// The options, file and command line together.
    pub options: Options,
    /// `sha256:...` of the file; empty without one.
    pub config_digest: String,
    /// When the options were read.
    pub config_load_time: Timestamp,
    /// The server's id.
    pub server_id: String,
    /// Its name.
    pub server_name: String,
    /// Host and port as INFO shows them.
    pub advertised: (String, u16),
    /// Host and port of monitoring itself.
    pub http: (String, u16),
    /// Whether that is by https.
    pub is_https: bool,
    /// TLS of the clients and of https.
    pub tls: Option<Tls>,
    /// Whether clients must present something.
    pub auth_required: bool,
    /// When the server started.
    pub start: Timestamp,
    /// The CPU of each core.
    pub cpus: Vec<usize>,
    /// What drives the cores.
    pub backend: &'static str,
    /// Processors that the process may use.
    pub processor_count: usize,
}

impl About {
    /// The system account's name; empty when there is none.
    pub fn system_account(&self) -> &str {
        self.options.system_account_name().unwrap_or_default()
    }
}

/// All that the endpoints answer from.
pub struct Monitor {
    about: RwLock<Arc<About>>,
    inquiry: Inquiry,
    requests: Mutex<BTreeMap<&'static str, u64>>,
    request_times: Mutex<BTreeMap<&'static str, Histogram>>,
    processor: Mutex<ProcessorMeter>,
    accepting: AtomicBool,
    system_requests: AtomicUsize,
    lost_lines: Arc<LostLines>,
    recorder: PrometheusRecorder,
}

impl Monitor {
    /// Answers from the cores behind `inquiry`, and tells of lines that the log has lost.
    pub fn new(about: About, inquiry: Inquiry, lost_lines: Arc<LostLines>) -> Monitor {
        let recorder = PrometheusBuilder::new().with_recommended_naming(true).build_recorder();
        super::prometheus::describe(&recorder);
        Monitor {
            about: RwLock::new(Arc::new(about)),
            inquiry,
            requests: Mutex::default(),
            request_times: Mutex::default(),
            processor: Mutex::new(ProcessorMeter::start()),
            accepting: AtomicBool::new(true),
            system_requests: AtomicUsize::new(0),
            lost_lines,
            recorder,
        }
    }

    /// What is known of the server now.
    pub fn about(&self) -> Arc<About> {
        self.about.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says what a reload has changed.
    pub fn change(&self, change: impl FnOnce(&mut About)) {
        let mut about = self.about.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut about));
    }

    /// The cores.
    pub fn inquiry(&self) -> &Inquiry {
        &self.inquiry
    }

    /// Lines that never came into the log.
    pub fn lost_lines(&self) -> &LostLines {
        &self.lost_lines
    }

    /// What renders `/metrics`.
    pub fn recorder(&self) -> &PrometheusRecorder {
        &self.recorder
    }

    /// Says that no client is accepted any more: probes shall send traffic elsewhere.
    pub fn stop_accepting(&self) {
        self.accepting.store(false, Ordering::Relaxed);
    }

    /// Whether clients are accepted.
    pub fn is_accepting(&self) -> bool {
        self.accepting.load(Ordering::Relaxed)
    }

    /// Says how many requests to the system account wait.
    pub fn set_system_requests(&self, waiting: usize) {
        self.system_requests.store(waiting, Ordering::Relaxed);
    }

    /// How many requests to the system account wait.
    pub fn system_requests(&self) -> usize {
        self.system_requests.load(Ordering::Relaxed)
    }

    /// Counts a request of an endpoint, named without the base path.
    pub fn count_request(&self, path: &'static str) {
        *self.requests.lock().unwrap_or_else(PoisonError::into_inner).entry(path).or_default() += 1;
    }

    /// Requests so far, by endpoint.
    pub fn requests(&self) -> BTreeMap<&'static str, u64> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts how long the answer of an endpoint took to make.
    pub fn time_request(&self, path: &'static str, time: Duration) {
        let mut times = self.request_times.lock().unwrap_or_else(PoisonError::into_inner);
        times.entry(path).or_default().record(time);
    }

    /// How long answers took so far, by endpoint.
    pub fn request_times(&self) -> BTreeMap<&'static str, Histogram> {
        self.request_times.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes a sample of how busy the process is. To be called about once a second.
    pub fn sample_processor(&self) {
        self.processor.lock().unwrap_or_else(PoisonError::into_inner).sample();
    }

    /// How busy the process was in the last second; 100 is one processor.
    pub fn processor_percent(&self) -> f64 {
        self.processor.lock().unwrap_or_else(PoisonError::into_inner).percent()
    }
}
