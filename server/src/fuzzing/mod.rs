//! Bodies of the fuzz targets: each takes any bytes and panics when the server contradicts itself or a plain account
//! of the same rules. `fuzz/` runs them under libFuzzer, `fuzz/bounded` on stable.

mod certificate;
mod http;
mod password;
mod system;
mod tls;

pub use certificate::{certificate, client_hello};
pub use http::{http_query, http_request};
pub use password::password_hash;
pub use system::system_request;
pub use tls::tls_channel;

use crate::inquiry::Inquiry;
use crate::monitor::{About, Monitor};
use jiff::Timestamp;
use petrel_config::Options;
use std::sync::Arc;

/// What answers from no core at all, so that every answer comes at once.
fn monitor() -> Arc<Monitor> {
    let about = About {
        options: Options { server_tags: vec!["tag".into()], ..Options::default() },
        config_digest: String::new(),
        config_load_time: Timestamp::UNIX_EPOCH,
        server_id: "NID".into(),
        server_name: "name".into(),
        advertised: ("host".into(), 4222),
        http: ("host".into(), 8222),
        is_https: false,
        tls: None,
        auth_required: false,
        start: Timestamp::UNIX_EPOCH,
        cpus: vec![0],
        backend: "none",
        processor_count: 1,
    };
    Arc::new(Monitor::new(about, Inquiry::new(Vec::new()), Arc::default()))
}
