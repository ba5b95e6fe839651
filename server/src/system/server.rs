//! Requests to a server: its endpoints, and what it is told to do.

use super::Reload;
use super::body::Body;
use super::envelope::Outcome;
use super::reading::{read_filters, read_request};
use super::statistics::statistics;
use crate::monitor::query::BadParameter;
use crate::monitor::{Monitor, accountz, connz, healthz, internals, json, jsz, links, subsz, varz};
use petrel_config::format_duration;
use petrel_engine::Warning;
use petrel_protocol::quote::go_quote;
use serde::Serialize;
use std::time::Duration;

/// Longest profile of the processor that upstream makes.
const PROFILE_MAX: Duration = Duration::from_secs(15);

/// Names of the endpoints as upstream's option types are called after them, and those types.
const OPTIONS: &[(&str, &str, &str)] = &[
    ("STATSZ", "Statsz", "StatszOptions"),
    ("VARZ", "Varz", "VarzOptions"),
    ("SUBSZ", "Subsz", "SubszOptions"),
    ("CONNZ", "Connz", "ConnzOptions"),
    ("ROUTEZ", "Routez", "RoutezOptions"),
    ("GATEWAYZ", "Gatewayz", "GatewayzOptions"),
    ("LEAFZ", "Leafz", "LeafzOptions"),
    ("ACCOUNTZ", "Accountz", "AccountzOptions"),
    ("JSZ", "Jsz", "JSzOptions"),
    ("HEALTHZ", "Healthz", "HealthzOptions"),
    ("PROFILEZ", "Profilez", "ProfilezOptions"),
    ("EXPVARZ", "Expvarz", "ExpvarzOptions"),
    ("IPQUEUESZ", "Ipqueuesz", "IpqueueszOptions"),
    ("RAFTZ", "Raftz", "RaftzOptions"),
];

#[derive(Serialize)]
struct Identity<'a> {
    name: &'a str,
    host: &'a str,
    id: &'a str,
}

#[derive(Serialize)]
struct Profile {
    profile: Option<String>,
    error: String,
}

/// What a request to this server came to.
pub fn server_request(monitor: &Monitor, reload: &Reload, endpoint: &str, body: &[u8]) -> Outcome {
    match endpoint {
        "IDZ" => {
            let about = monitor.about();
            let (name, id) = (&about.server_name, &about.server_id);
            return Outcome::Bare(json::compact(&Identity { name, host: &about.advertised.0, id }));
        }
        "RELOAD" => {
            let reload = || reload().map_or_else(Outcome::Refused, |()| Outcome::Done);
            return read_filters(monitor, body).map_or_else(|outcome| outcome, |()| reload());
        }
        "KICK" | "LDM" => return client_order(monitor, endpoint, body),
        _ => {}
    }
    let Some((_, name, options)) = OPTIONS.iter().find(|(known, ..)| *known == endpoint) else {
        return Outcome::Silent;
    };
    match read_request(monitor, body, (name, options), |body| prepare(body, endpoint)) {
        Ok(Ok(answer)) => answer(monitor),
        Ok(Err(error)) => Outcome::Failed(error.0),
        Err(outcome) => outcome,
    }
}

type Answering = Box<dyn FnOnce(&Monitor) -> Outcome>;

fn data(value: &impl Serialize) -> Outcome {
    Outcome::Data(json::compact(value))
}

/// Reads the options of an endpoint. What is answered is made later, when all of the body is known to be right.
fn prepare(body: &mut Body, endpoint: &str) -> Result<Answering, BadParameter> {
    Ok(match endpoint {
        "STATSZ" => Box::new(|monitor| Outcome::Statistics(statistics(monitor))),
        "VARZ" => {
            Box::new(|monitor| data(&varz::varz(monitor, &monitor.about(), &monitor.inquiry().statistics())))
        }
        "SUBSZ" => {
            let request = subsz::Request::from_body(body)?;
            Box::new(move |monitor| data(&subsz::subsz(monitor, &request)))
        }
        "CONNZ" => {
            let request = connz::Request::from_body(body)?;
            Box::new(move |monitor| data(&connz::connz(monitor, &request)))
        }
        "ROUTEZ" => {
            links::read_routez(body);
            Box::new(|monitor| data(&links::routez(monitor)))
        }
        "GATEWAYZ" => {
            links::read_gatewayz(body);
            Box::new(|monitor| data(&links::gatewayz(monitor)))
        }
        "LEAFZ" => {
            links::read_leafz(body);
            Box::new(|monitor| data(&links::leafz(monitor)))
        }
        "ACCOUNTZ" => {
            let account = accountz::from_body(body);
            Box::new(move |monitor| match accountz::accountz(monitor, &account) {
                Ok(accountz) => data(&accountz),
                Err(error) => Outcome::Failed(error.0),
            })
        }
        "JSZ" => {
            let is_for_us = jsz::is_for_us(body);
            Box::new(move |monitor| match is_for_us {
                true => data(&jsz::jsz(monitor)),
                false => Outcome::Silent,
            })
        }
        "HEALTHZ" => {
            let request = healthz::Request::from_body(body);
            Box::new(move |monitor| data(&healthz::healthz(monitor, &request).with_code()))
        }
        "PROFILEZ" => {
            let error = profile_error(&body.text("name"), body.integer_of("duration", "time.Duration"));
            Box::new(move |_| data(&Profile { profile: None, error }))
        }
        "EXPVARZ" => Box::new(|_| data(&internals::variables())),
        "IPQUEUESZ" => {
            let request = internals::QueueRequest::from_body(body);
            Box::new(move |monitor| data(&internals::ipqueuesz(monitor, &request)))
        }
        // Raft groups, of which there are none.
        _ => {
            body.text("account");
            body.text("group");
            Box::new(|_| Outcome::Data("{}".to_owned()))
        }
    })
}

/// Why there is no profile: those of Go's runtime do not exist here.
fn profile_error(name: &str, duration_ns: i64) -> String {
    let max = i64::try_from(PROFILE_MAX.as_nanos()).unwrap_or(i64::MAX);
    match name {
        "" => "Profile name not specified".to_owned(),
        "cpu" if duration_ns <= 0 || duration_ns > max => {
            format!("Duration {} should be between 0s and 15s", format_duration(duration_ns))
        }
        name => format!("Profile {} not found", go_quote(name.as_bytes())),
    }
}

/// KICK and LDM, each for one client. A body that cannot be read is not answered.
fn client_order(monitor: &Monitor, order: &str, body: &[u8]) -> Outcome {
    let whole = if order == "KICK" { "KickClientReq" } else { "LDMClientReq" };
    let read = Body::parse_plain(body, whole).and_then(|mut body| {
        let cid = body.unsigned("cid");
        body.finish().map(|()| cid)
    });
    let cid = match read {
        Ok(cid) if !body.is_empty() => cid,
        read => {
            // Upstream names the one for both, and itself.
            let error = read.err().unwrap_or_else(|| "unexpected end of JSON input".to_owned());
            tracing::error!("SYSTEM - Error unmarshalling kick client request: {error}");
            return Outcome::Silent;
        }
    };
    if let Err(outcome) = read_filters(monitor, body) {
        return outcome;
    }
    if order == "KICK" {
        return match monitor.inquiry().kick(cid) {
            true => Outcome::Done,
            false => Outcome::Refused("no such client or leafnode id".into()),
        };
    }
    match monitor.inquiry().warn(cid) {
        Warning::Told => Outcome::Done,
        Warning::Unknown => Outcome::Refused("no such client id".into()),
        Warning::NotReady => Outcome::Refused(
            "client does not support Lame Duck Mode or is not ready to receive the notification".into(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::profile_error;

    #[test]
    fn profiles_are_refused_in_upstreams_words() {
        assert_eq!(profile_error("", 0), "Profile name not specified");
        assert_eq!(profile_error("nope", 0), "Profile \"nope\" not found");
        assert_eq!(profile_error("cpu", 0), "Duration 0s should be between 0s and 15s");
        assert_eq!(profile_error("cpu", -1), "Duration -1ns should be between 0s and 15s");
        assert_eq!(
            profile_error("cpu", 99_999_999_999),
            "Duration 1m39.999999999s should be between 0s and 15s"
        );
    }
}
