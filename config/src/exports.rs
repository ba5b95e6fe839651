//! `exports [ ]` of an account.

use crate::duration::parse_duration;
use crate::keys;
use crate::options::{Export, ExportKind, Latency, ResponseType};
use crate::reader::{Entry, Reader, elements, item};
use crate::value::{Node, Position, Value};
use std::time::Duration;

/// The `sampling` of requests with trace headers only.
const SAMPLING_HEADERS: u8 = 0;
/// The `sampling` of all requests.
const SAMPLING_ALL: u8 = 100;

/// Reads the array. Elements that export nothing are passed over, as upstream does.
pub(crate) fn exports(reader: &mut Reader, node: &Node) -> Vec<Export> {
    elements(reader, node, "Exports").iter().filter_map(|element| export(reader, element)).collect()
}

/// What stands in an element.
#[derive(Default)]
struct Found {
    stream: Option<(String, Position)>,
    service: Option<(String, Position)>,
    accounts: Option<Vec<String>>,
    token_position: Option<i64>,
    response: Option<(ResponseType, Position)>,
    threshold: Option<(Duration, Position)>,
    latency: Option<(Latency, Position)>,
    allow_trace: Option<(bool, Position)>,
}

fn export(reader: &mut Reader, node: &Node) -> Option<Export> {
    let mut found = Found::default();
    let is_right = item(reader, node, "Export", keys::EXPORT, |reader, entry| found.read(reader, entry));
    if is_right { found.finish(reader) } else { None }
}

impl Found {
    fn read(&mut self, reader: &mut Reader, entry: &Entry<'_>) {
        let (node, position) = (entry.node, entry.node.position.clone());
        match entry.key {
            "stream" => self.stream = subject(reader, node, "stream").zip(Some(position)),
            "service" => self.service = subject(reader, node, "service").zip(Some(position)),
            "accounts" => self.accounts = account_names(reader, node),
            "account_token_position" => self.token_position = reader.integer(node),
            "response_type" => self.response = response_type(reader, node).zip(Some(position)),
            "threshold" if self.threshold.is_some() => {
                // By two of its names.
                reader.error(&position, "Duplicate response threshold detected".to_owned());
            }
            "threshold" => self.threshold = threshold(reader, node).zip(Some(position)),
            "latency" => self.latency = latency(reader, node).zip(Some(position)),
            "allow_trace" => self.allow_trace = reader.boolean(node).zip(Some(position)),
            other => unreachable!("export key {other} is supported but not read"),
        }
    }

    fn finish(self, reader: &mut Reader) -> Option<Export> {
        let allow_trace = self.allow_trace.as_ref().is_some_and(|(allow, _)| *allow);
        let (subject, kind) = match (self.stream, self.service) {
            (Some(_), Some((service, position))) => {
                reader.error(&position, format!("Detected service {service:?} but already saw a stream"));
                return None;
            }
            (Some((subject, _)), None) => {
                let misplaced = [
                    ("response", self.response.map(|(_, position)| position)),
                    ("response", self.threshold.map(|(_, position)| position)),
                    ("latency", self.latency.map(|(_, position)| position)),
                    ("allow_trace", self.allow_trace.map(|(_, position)| position)),
                ];
                if let Some((directive, position)) =
                    misplaced.into_iter().find_map(|(directive, position)| Some((directive, position?)))
                {
                    reader.error(&position, format!("Detected {directive} directive on non-service"));
                    return None;
                }
                (subject, ExportKind::Stream)
            }
            (None, Some((subject, _))) => {
                let kind = ExportKind::Service {
                    response: self.response.map(|(response, _)| response).unwrap_or_default(),
                    threshold: self.threshold.map(|(threshold, _)| threshold).filter(|time| !time.is_zero()),
                    latency: self.latency.map(|(latency, _)| latency),
                };
                (subject, kind)
            }
            (None, None) => return None,
        };
        Some(Export {
            subject,
            accounts: self.accounts.filter(|accounts| !accounts.is_empty()),
            account_token_position: self.token_position.map(token_position).unwrap_or_default(),
            allow_trace,
            kind,
        })
    }
}

/// 0 is none; what cannot be a position is refused together with those that hold no `*`.
fn token_position(position: i64) -> Option<usize> {
    (position != 0).then(|| usize::try_from(position).unwrap_or(usize::MAX))
}

fn subject(reader: &mut Reader, node: &Node, noun: &str) -> Option<String> {
    let Value::String(subject) = &node.value else {
        let kind = node.value.kind();
        reader.error(&node.position, format!("Expected {noun} name to be string, got {kind}"));
        return None;
    };
    Some(subject.clone())
}

fn account_names(reader: &mut Reader, node: &Node) -> Option<Vec<String>> {
    let elements = reader.array(node)?;
    elements.iter().map(|element| reader.string(element)).collect()
}

fn response_type(reader: &mut Reader, node: &Node) -> Option<ResponseType> {
    let Value::String(word) = &node.value else {
        let kind = node.value.kind();
        reader.error(&node.position, format!("Expected response type to be string, got {kind}"));
        return None;
    };
    match word.to_lowercase().as_str() {
        "single" | "singleton" => Some(ResponseType::Singleton),
        "stream" => Some(ResponseType::Stream),
        "chunk" | "chunked" => Some(ResponseType::Chunked),
        _ => {
            reader.error(&node.position, format!("Unknown response type: {word:?}"));
            None
        }
    }
}

fn threshold(reader: &mut Reader, node: &Node) -> Option<Duration> {
    let expected = "Expected response threshold to be a parseable time duration, got";
    let text = match &node.value {
        Value::String(text) => match parse_duration(text) {
            // Upstream takes a negative one for none.
            Ok(nanoseconds) => return Some(Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(0))),
            Err(_) => format!("{expected} {text:?}"),
        },
        other => format!("{expected} {}", other.kind()),
    };
    reader.error(&node.position, text);
    None
}

fn latency(reader: &mut Reader, node: &Node) -> Option<Latency> {
    let map = match &node.value {
        Value::String(subject) => {
            return Some(Latency { subject: subject.clone(), sampling_percent: SAMPLING_ALL });
        }
        Value::Map(map) => map,
        other => {
            let kind = other.kind();
            let text = format!("Expected latency entry to be a map/struct or string, got {kind}");
            reader.error(&node.position, text);
            return None;
        }
    };
    let errors_before = reader.problems.errors.len();
    // Unlike elsewhere, case counts here; upstream passes over fields that it does not know.
    let sampling_percent = match map.get("sampling") {
        Some(entry) => sampling(reader, entry),
        None => Some(SAMPLING_ALL),
    };
    let subject = match map.get("subject") {
        Some(Node { value: Value::String(subject), .. }) => Some(subject.clone()),
        Some(entry) => {
            // The words are upstream's.
            reader.error(&entry.position, "Expected latency subject to be a string, got string");
            None
        }
        None => None,
    };
    for (written, entry) in map.iter().filter(|(key, _)| !["sampling", "subject"].contains(&key.as_str())) {
        reader.notice(&entry.position, format!("{written:?} is ignored: latency has no such field"));
    }
    if reader.problems.errors.len() > errors_before {
        return None;
    }
    let Some(subject) = subject else {
        reader.error(&node.position, "Latency subject required, but missing");
        return None;
    };
    Some(Latency { subject, sampling_percent: sampling_percent? })
}

fn sampling(reader: &mut Reader, node: &Node) -> Option<u8> {
    let text = match &node.value {
        Value::Integer(number) => return percent(reader, *number, &node.position),
        Value::String(word) if word.trim().eq_ignore_ascii_case("headers") => return Some(SAMPLING_HEADERS),
        Value::String(word) => {
            let digits = word.strip_suffix('%').unwrap_or(word);
            match digits.parse() {
                Ok(number) => return percent(reader, number, &node.position),
                Err(_) => {
                    format!(
                        "Failed to parse latency sample: strconv.Atoi: parsing {digits:?}: invalid syntax"
                    )
                }
            }
        }
        other => format!("Expected latency sample to be a string or map/struct, got {}", other.kind()),
    };
    reader.error(&node.position, text);
    None
}

fn percent(reader: &mut Reader, number: i64, position: &Position) -> Option<u8> {
    let percent = u8::try_from(number).ok().filter(|percent| (1..=100).contains(percent));
    if percent.is_none() {
        reader.error(position, "bad sampling percentage, should be 1-100");
    }
    percent
}
