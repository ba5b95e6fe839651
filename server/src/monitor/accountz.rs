//! `/accountz`: which accounts there are, and one of them in detail.

use super::query::{BadParameter, Query};
use super::shape::is_false;
use super::state::{About, Monitor};
use super::subsz::IndexStatistics;
use super::time::rfc3339;
use crate::system::Body;
use jiff::Timestamp;
use petrel_config::{Account, Export, ExportKind, Import, Latency, Mapping, ResponseType};
use petrel_engine::ReplySnapshot;
use serde::Serialize;
use std::collections::BTreeMap;

/// Weights are shown as upstream adds them up; the last one ends here.
const WEIGHT_MAX: u32 = 100;

/// `/accountz`.
#[derive(Serialize)]
pub struct Accountz {
    server_id: String,
    now: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    system_account: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    accounts: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_detail: Option<AccountDetail>,
}

/// One account.
#[derive(Serialize)]
pub struct AccountDetail {
    account_name: String,
    update_time: String,
    #[serde(skip_serializing_if = "is_false")]
    is_system: bool,
    expired: bool,
    complete: bool,
    jetstream_enabled: bool,
    leafnode_connections: u64,
    client_connections: u64,
    subscriptions: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    mappings: BTreeMap<String, Vec<ShownDestination>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    exports: Vec<ShownExport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    imports: Vec<ShownImport>,
    name_tag: String,
    sublist_stats: IndexStatistics,
    /// By where the exporter answers.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    responses: BTreeMap<String, ShownResponse>,
}

#[derive(Serialize)]
struct ShownDestination {
    subject: String,
    weight: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    cluster: String,
}

#[derive(Serialize)]
struct ShownExport {
    subject: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    response_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_latency: Option<ShownLatency>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approved_accounts: Vec<String>,
}

#[derive(Serialize)]
struct ShownLatency {
    sampling: Sampling,
    results: String,
}

/// Of how many in a hundred requests it is told how long they took; 0: of those whose headers ask for it.
#[derive(Clone, Copy)]
struct Sampling(u8);

impl Serialize for Sampling {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => serializer.serialize_str("headers"),
            percent => serializer.serialize_u8(percent),
        }
    }
}

/// A request that waits for an answer of the account, in the shape of an import in the other direction.
#[derive(Serialize)]
struct ShownResponse {
    subject: String,
    account: String,
    to: String,
    local_subject: String,
    /// Upstream's number for a service.
    #[serde(rename = "type")]
    kind: u8,
    invalid: bool,
    share: bool,
    tracking: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    tracking_header: Option<BTreeMap<String, Vec<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<ShownLatency>,
}

#[derive(Serialize)]
struct ShownImport {
    subject: String,
    account: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    local_subject: String,
    #[serde(rename = "type")]
    kind: &'static str,
    invalid: bool,
    share: bool,
    tracking: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<ShownLatency>,
}

/// Reads the account of a request over HTTP; empty: none in particular.
pub fn from_query(query: &Query) -> String {
    query.text("acc").to_owned()
}

/// Reads the account of a request to the system account; empty: none in particular.
pub fn from_body(body: &mut Body) -> String {
    body.text("account")
}

/// The answer.
///
/// # Errors
/// When there is no such account.
pub fn accountz(monitor: &Monitor, account: &str) -> Result<Accountz, BadParameter> {
    let about = monitor.about();
    let mut answer = Accountz {
        server_id: about.server_id.clone(),
        now: rfc3339(Timestamp::now()),
        system_account: about.system_account().to_owned(),
        accounts: Vec::new(),
        account_detail: None,
    };
    if account.is_empty() {
        let accounts = monitor.inquiry().accounts(None, false);
        answer.accounts = accounts.into_iter().map(|account| account.name.to_string()).collect();
    } else {
        answer.account_detail = Some(detail(monitor, account)?);
    }
    Ok(answer)
}

/// One account in detail.
///
/// # Errors
/// When there is no such account.
pub fn detail(monitor: &Monitor, name: &str) -> Result<AccountDetail, BadParameter> {
    let about = monitor.about();
    let found = monitor.inquiry().accounts(Some(name), true);
    let Some(snapshot) = found.first() else {
        return Err(BadParameter(format!("Account {name} does not exist")));
    };
    let options = &about.options;
    let configured = options.accounts.iter().find(|account| account.name == name);
    let is_system = about.system_account() == name;
    let mappings = configured.map_or(&options.mappings, |account| &account.mappings);
    let has_mappings = configured.is_some() || name == "$G";
    Ok(AccountDetail {
        account_name: name.to_owned(),
        update_time: rfc3339(about.config_load_time),
        is_system,
        expired: false,
        complete: true,
        jetstream_enabled: false,
        leafnode_connections: 0,
        client_connections: snapshot.connections,
        subscriptions: snapshot.subscriptions,
        mappings: if has_mappings { shown_mappings(mappings) } else { BTreeMap::new() },
        exports: exports(configured, is_system),
        imports: imports(&about, configured, name, is_system),
        name_tag: name.to_owned(),
        sublist_stats: IndexStatistics::of(&found),
        responses: monitor.inquiry().replies(name).into_iter().map(shown_response).collect(),
    })
}

fn shown_response(reply: ReplySnapshot) -> (String, ShownResponse) {
    let (latency, tracking_header) = match reply.measured {
        Some((latency, header)) => (Some(shown_latency(&latency)), header),
        None => (None, None),
    };
    let shown = ShownResponse {
        subject: reply.reply,
        account: reply.importer.to_string(),
        to: reply.subject.clone(),
        local_subject: reply.subject.clone(),
        kind: 2,
        invalid: false,
        share: reply.share,
        tracking: latency.is_some(),
        tracking_header,
        latency,
    };
    (reply.subject, shown)
}

/// The destinations of each cluster by weight, with what is left for the source, weights added up.
fn shown_mappings(mappings: &[Mapping]) -> BTreeMap<String, Vec<ShownDestination>> {
    let mut shown = BTreeMap::new();
    for mapping in mappings {
        let mut by_cluster: BTreeMap<&str, Vec<(&str, u32)>> = BTreeMap::new();
        for destination in &mapping.destinations {
            let of_cluster = by_cluster.entry(&destination.cluster).or_default();
            of_cluster.push((&destination.subject, u32::from(destination.weight_percent)));
        }
        let list: &mut Vec<ShownDestination> = shown.entry(mapping.source.clone()).or_default();
        for (cluster, mut destinations) in by_cluster {
            destinations.sort_by_key(|(_, weight)| *weight);
            let total: u32 = destinations.iter().map(|(_, weight)| weight).sum();
            if total < WEIGHT_MAX && !destinations.iter().any(|(subject, _)| *subject == mapping.source) {
                destinations.push((&mapping.source, WEIGHT_MAX - total));
            }
            let mut sum = 0;
            for (subject, weight) in destinations {
                sum += weight;
                list.push(ShownDestination {
                    subject: subject.to_owned(),
                    weight: sum,
                    cluster: cluster.to_owned(),
                });
            }
        }
    }
    shown
}

fn response_type(response: ResponseType) -> &'static str {
    match response {
        ResponseType::Singleton => "Singleton",
        ResponseType::Stream => "Streamed",
        ResponseType::Chunked => "Chunked",
    }
}

fn shown_latency(latency: &Latency) -> ShownLatency {
    ShownLatency { sampling: Sampling(latency.sampling_percent), results: latency.subject.clone() }
}

fn shown_export(export: &Export) -> ShownExport {
    let (kind, response, latency) = match &export.kind {
        ExportKind::Stream => ("stream", None, None),
        ExportKind::Service { response, latency, .. } => {
            ("service", Some(response_type(*response)), latency.as_ref().map(shown_latency))
        }
    };
    ShownExport {
        subject: export.subject.clone(),
        kind,
        response_type: response,
        service_latency: latency,
        approved_accounts: export.accounts.clone().unwrap_or_default(),
    }
}

/// What is configured; of the system account also what every other one imports.
fn exports(configured: Option<&Account>, is_system: bool) -> Vec<ShownExport> {
    let service = |subject: &str, response: &'static str| ShownExport {
        subject: subject.to_owned(),
        kind: "service",
        response_type: Some(response),
        service_latency: None,
        approved_accounts: Vec::new(),
    };
    let mut shown: Vec<ShownExport> =
        configured.iter().flat_map(|account| &account.exports).map(shown_export).collect();
    if is_system {
        shown.push(service("$SYS.DEBUG.SUBSCRIBERS", "Singleton"));
        shown.push(service("$SYS.REQ.ACCOUNT.*.CONNZ", "Streamed"));
        shown.push(service("$SYS.REQ.ACCOUNT.*.STATZ", "Streamed"));
        shown.push(service("$SYS.REQ.USER.*.INFO", "Singleton"));
    }
    shown
}

fn shown_import(about: &About, import: &Import) -> ShownImport {
    let to = import.to.clone().unwrap_or_else(|| match &import.prefix {
        Some(prefix) => format!("{prefix}.{}", import.subject),
        None => import.subject.clone(),
    });
    let exporter = about.options.accounts.iter().find(|account| account.name == import.account);
    let latency = exporter.into_iter().flat_map(|account| &account.exports).find_map(|export| match &export
        .kind
    {
        ExportKind::Service { latency: Some(latency), .. }
            if petrel_protocol::subject::matches(export.subject.as_bytes(), import.subject.as_bytes()) =>
        {
            Some(shown_latency(latency))
        }
        _ => None,
    });
    ShownImport {
        subject: import.subject.clone(),
        account: import.account.clone(),
        to: import.is_service.then(|| to.clone()),
        local_subject: to,
        kind: if import.is_service { "service" } else { "stream" },
        invalid: false,
        share: import.share,
        tracking: false,
        latency: latency.filter(|_| import.is_service),
    }
}

/// What is configured, and what every account takes from the system account.
fn imports(about: &About, configured: Option<&Account>, name: &str, is_system: bool) -> Vec<ShownImport> {
    let imports = configured.iter().flat_map(|account| &account.imports);
    let mut shown: Vec<ShownImport> = imports.map(|import| shown_import(about, import)).collect();
    let system = about.system_account();
    if system.is_empty() {
        return shown;
    }
    let implicit = |subject: String, local: &str, share: bool| ShownImport {
        subject,
        account: system.to_owned(),
        to: Some(local.to_owned()),
        local_subject: local.to_owned(),
        kind: "service",
        invalid: false,
        share,
        tracking: false,
        latency: None,
    };
    if !is_system {
        let connections = || format!("$SYS.REQ.ACCOUNT.{name}.CONNZ");
        shown.push(implicit(connections(), "$SYS.REQ.ACCOUNT.PING.CONNZ", false));
        shown.push(implicit(connections(), "$SYS.REQ.SERVER.PING.CONNZ", false));
        let counters = format!("$SYS.REQ.ACCOUNT.{name}.STATZ");
        shown.push(implicit(counters, "$SYS.REQ.ACCOUNT.PING.STATZ", false));
    }
    shown.push(implicit(format!("$SYS.REQ.USER.{name}.INFO"), "$SYS.REQ.USER.INFO", true));
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use petrel_config::MappingDestination;

    #[test]
    fn weights_are_added_up_to_the_source() {
        let destination = |subject: &str, weight_percent, cluster: &str| MappingDestination {
            subject: subject.into(),
            weight_percent,
            cluster: cluster.into(),
        };
        let mapping = Mapping {
            source: "a".into(),
            destinations: vec![
                destination("c", 50, ""),
                destination("b", 30, ""),
                destination("d", 100, "x"),
            ],
        };
        let shown = shown_mappings(&[mapping]);
        let list: Vec<(&str, u32, &str)> =
            shown["a"].iter().map(|one| (one.subject.as_str(), one.weight, one.cluster.as_str())).collect();
        assert_eq!(list, [("b", 30, ""), ("c", 80, ""), ("a", 100, ""), ("d", 100, "x")]);
    }
}
