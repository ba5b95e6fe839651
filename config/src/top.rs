//! The keys at top level.

use crate::accounts::{Around, accounts};
use crate::authorization::authorization;
use crate::duration::format_duration;
use crate::feature_flags::FeatureFlags;
use crate::keys;
use crate::listen::listen;
use crate::mappings::mappings;
use crate::options::{Options, WriteTimeout};
use crate::petrel_block::petrel;
use crate::reader::{Entry, Reader};
use crate::tls::tls;
use crate::users::Known;
use crate::value::{Map, Node, Value, in_order};
use std::collections::BTreeMap;
use std::time::Duration;

const LAME_DUCK_DURATION_MIN: Duration = Duration::from_secs(30);

pub(crate) fn options(reader: &mut Reader, map: &Map) -> Options {
    let mut options = Options::default();
    let mut known = Known::default();
    reader.block(map, keys::TOP, |reader, entry| {
        // Each group takes its own keys; the table and the groups are one, see the test of all keys.
        let taken = network(reader, entry, &mut options)
            || monitoring(reader, entry, &mut options)
            || limits(reader, entry, &mut options)
            || timers(reader, entry, &mut options)
            || logging(reader, entry, &mut options)
            || access(reader, entry, &mut options);
        match entry.key {
            "authorization" => {
                options.authorization = authorization(reader, entry.node, &mut known).unwrap_or_default();
            }
            "accounts" => {}
            other => debug_assert!(taken, "top-level key {other} is supported but not read"),
        }
    });
    // Accounts refer to what stands in other blocks, so they come last.
    let is_accounts = |name: &str| keys::find(keys::TOP, name).is_some_and(|key| key.name() == "accounts");
    for (_, node) in in_order(map).into_iter().filter(|(name, _)| is_accounts(name)) {
        let around = Around {
            authorization: &options.authorization,
            no_system_account: options.no_system_account,
            known: std::mem::take(&mut known),
        };
        options.accounts = accounts(reader, node, around);
    }
    options
}

fn network(reader: &mut Reader, entry: &Entry<'_>, options: &mut Options) -> bool {
    let node = entry.node;
    match entry.key {
        "listen" => {
            if let Some((host, port)) = listen(reader, node) {
                (options.host, options.port) = (Some(host), Some(port));
            }
        }
        "host" => options.host = reader.string(node),
        "port" => options.port = reader.integer(node),
        "proxy_protocol" => options.proxy_protocol = reader.boolean(node).unwrap_or_default(),
        "server_name" => options.server_name = server_name(reader, node),
        "client_advertise" => options.client_advertise = reader.string(node),
        "server_tags" => options.server_tags = server_tags(reader, node),
        "server_metadata" => options.server_metadata = server_metadata(reader, node),
        "feature_flags" => options.feature_flags = FeatureFlags::read(reader, node),
        "no_header_support" => options.no_header_support = reader.boolean(node).unwrap_or_default(),
        _ => return false,
    }
    true
}

fn monitoring(reader: &mut Reader, entry: &Entry<'_>, options: &mut Options) -> bool {
    let node = entry.node;
    match entry.key {
        "http" => {
            if let Some((host, port)) = listen(reader, node) {
                (options.http_host, options.http_port) = (Some(host), Some(port));
            }
        }
        "http_port" => options.http_port = reader.integer(node),
        "https" => {
            if let Some((host, port)) = listen(reader, node) {
                (options.https_host, options.https_port) = (Some(host), Some(port));
            }
        }
        "https_port" => options.https_port = reader.integer(node),
        "http_base_path" => options.http_base_path = reader.string(node),
        _ => return false,
    }
    true
}

fn limits(reader: &mut Reader, entry: &Entry<'_>, options: &mut Options) -> bool {
    let node = entry.node;
    match entry.key {
        "max_connections" => options.connections_max = reader.integer(node),
        "max_subscriptions" => options.subscriptions_max = reader.integer(node),
        "max_sub_tokens" => options.subscription_tokens_max = subscription_tokens(reader, entry),
        "max_control_line" => options.control_line_max = reader.integer_32(entry),
        "max_payload" => options.payload_max = reader.integer_32(entry),
        "max_pending" => options.pending_max = reader.integer(node),
        "max_closed_clients" => options.closed_clients_max = reader.integer(node),
        "no_fast_producer_stall" => {
            options.no_fast_producer_stall = reader.boolean(node).unwrap_or_default();
        }
        _ => return false,
    }
    true
}

fn timers(reader: &mut Reader, entry: &Entry<'_>, options: &mut Options) -> bool {
    match entry.key {
        "ping_interval" => options.ping_interval = reader.duration(entry),
        "ping_max" => options.ping_max = reader.integer(entry.node),
        "write_deadline" => options.write_deadline = reader.duration(entry),
        "write_timeout" => options.write_timeout = write_timeout(reader, entry.node),
        "lame_duck_duration" => options.lame_duck_duration = lame_duck_duration(reader, entry),
        "lame_duck_grace_period" => options.lame_duck_grace_period = lame_duck_grace_period(reader, entry),
        _ => return false,
    }
    true
}

fn logging(reader: &mut Reader, entry: &Entry<'_>, options: &mut Options) -> bool {
    let node = entry.node;
    match entry.key {
        "debug" => options.log.debug = reader.boolean(node),
        "trace" => options.log.trace = reader.boolean(node),
        "logtime" => options.log.time = reader.boolean(node),
        "logtime_utc" => options.log.utc = reader.boolean(node),
        "log_file" => options.log.file = reader.string(node),
        "log_size_limit" => options.log.size_limit = reader.integer(node),
        "log_max_num" => options.log.files_max = reader.integer(node),
        "syslog" => options.log.syslog = reader.boolean(node),
        "remote_syslog" => options.log.remote_syslog = reader.string(node),
        "trace_verbose" => options.log.trace_verbose = reader.boolean(node),
        "trace_headers" => options.log.trace_headers = reader.boolean(node),
        "max_traced_msg_len" => options.log.traced_msg_len_max = reader.integer(node),
        "pid_file" => options.pid_file = reader.string(node),
        "ports_file_dir" => options.ports_file_dir = reader.string(node),
        _ => return false,
    }
    true
}

fn access(reader: &mut Reader, entry: &Entry<'_>, options: &mut Options) -> bool {
    let node = entry.node;
    match entry.key {
        "no_auth_user" => options.no_auth_user = reader.string(node).filter(|name| !name.is_empty()),
        "system_account" => options.system_account = system_account(reader, node),
        "no_system_account" => options.no_system_account = reader.boolean(node).unwrap_or_default(),
        "mappings" => options.mappings = mappings(reader, node),
        "tls" => options.tls = tls(reader, node),
        "allow_non_tls" => options.allow_non_tls = reader.boolean(node).unwrap_or_default(),
        "petrel" => petrel(reader, node, options),
        _ => return false,
    }
    true
}

fn system_account(reader: &mut Reader, node: &Node) -> Option<String> {
    let Value::String(name) = &node.value else {
        reader.error(&node.position, "system account name must be a string");
        return None;
    };
    Some(name.clone()).filter(|name| !name.is_empty())
}

/// What is said of a name with blanks, by the file or the command line.
pub(crate) const SERVER_NAME_HAS_SPACES: &str = "server name cannot contain spaces";

fn server_name(reader: &mut Reader, node: &Node) -> Option<String> {
    let name = reader.string(node)?;
    if name.contains(' ') {
        reader.error(&node.position, SERVER_NAME_HAS_SPACES);
        return None;
    }
    Some(name)
}

/// Tags in lower case, each once.
fn server_tags(reader: &mut Reader, node: &Node) -> Vec<String> {
    let texts: Vec<&str> = match &node.value {
        Value::String(text) => vec![text],
        Value::Array(elements) => {
            let mut texts = Vec::new();
            for element in elements {
                let Value::String(text) = &element.value else {
                    let kind = element.value.kind();
                    let text =
                        format!("error parsing tags: unsupported type {kind} where string is expected");
                    reader.error(&node.position, text);
                    return Vec::new();
                };
                texts.push(text.as_str());
            }
            texts
        }
        other => {
            let text = format!("error parsing tags: unsupported type {}", other.kind());
            reader.error(&node.position, text);
            return Vec::new();
        }
    };
    let mut tags: Vec<String> = Vec::new();
    for tag in texts.into_iter().map(|text| text.trim().to_lowercase()) {
        if !tag.is_empty() && !tags.contains(&tag) {
            tags.push(tag);
        }
    }
    tags
}

fn server_metadata(reader: &mut Reader, node: &Node) -> BTreeMap<String, String> {
    let Value::Map(map) = &node.value else {
        let text = format!("error parsing metadata: unsupported type {}", node.value.kind());
        reader.error(&node.position, text);
        return BTreeMap::new();
    };
    map.iter().filter_map(|(key, node)| Some((key.clone(), reader.string(node)?))).collect()
}

fn subscription_tokens(reader: &mut Reader, entry: &Entry<'_>) -> Option<u8> {
    let number = reader.integer(entry.node)?;
    if number <= 0 {
        // Upstream's words, also for 0.
        reader.error(&entry.node.position, format!("{} value can not be negative", entry.written));
        return None;
    }
    let tokens = u8::try_from(number).ok();
    if tokens.is_none() {
        reader.error(&entry.node.position, format!("{} value is too big", entry.written));
    }
    tokens
}

fn write_timeout(reader: &mut Reader, node: &Node) -> WriteTimeout {
    match reader.string(node).as_deref() {
        Some("default") | None => WriteTimeout::Default,
        Some("close") => WriteTimeout::Close,
        Some("retry") => WriteTimeout::Retry,
        Some(_) => {
            reader.error(&node.position, "write_timeout must be 'default', 'close' or 'retry'");
            WriteTimeout::Default
        }
    }
}

fn lame_duck_duration(reader: &mut Reader, entry: &Entry<'_>) -> Option<Duration> {
    let nanoseconds = reader.duration_in_words(entry)?;
    let duration = u64::try_from(nanoseconds).map(Duration::from_nanos);
    if duration.is_ok_and(|duration| duration >= LAME_DUCK_DURATION_MIN) {
        return duration.ok();
    }
    let shown = format_duration(nanoseconds);
    let text = format!("invalid lame_duck_duration of {shown}, minimum is 30 seconds");
    reader.error(&entry.node.position, text);
    None
}

fn lame_duck_grace_period(reader: &mut Reader, entry: &Entry<'_>) -> Option<Duration> {
    let nanoseconds = reader.duration_in_words(entry)?;
    let period = u64::try_from(nanoseconds).map(Duration::from_nanos).ok();
    if period.is_none() {
        let text = "invalid lame_duck_grace_period, needs to be positive";
        reader.error(&entry.node.position, text);
    }
    period
}
