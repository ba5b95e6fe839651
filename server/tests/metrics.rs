//! `/metrics`: the names that dashboards ask for, and the histograms.

mod support;

use rustls::version::TLS13;
use std::time::{Duration, Instant};
use support::authority::{Authority, TlsClient};
use support::recorded::rig;
use support::{PATIENCE, Server};

/// The values of a metric, one for each set of labels.
fn values(body: &str, name: &str) -> Vec<(String, f64)> {
    let of_name = |line: &str| {
        let rest = line.strip_prefix(name)?;
        let (labels, value) = rest.rsplit_once(' ')?;
        let is_whole = labels.is_empty() || labels.starts_with('{');
        is_whole.then(|| (labels.to_owned(), value.parse().unwrap()))
    };
    body.lines().filter_map(of_name).collect()
}

fn sum(body: &str, name: &str) -> f64 {
    values(body, name).iter().map(|(_, value)| value).sum()
}

#[test]
fn dashboards_find_their_names() {
    let rig = rig();
    let body = rig.server.get("/metrics").body;
    let labels = format!("{{server_id=\"{}\"}}", rig.id);
    // Of the dashboard that comes with the exporter for Prometheus, and of its collectors.
    for name in [
        "gnatsd_varz_cpu",
        "gnatsd_varz_mem",
        "gnatsd_varz_in_bytes",
        "gnatsd_varz_in_msgs",
        "gnatsd_varz_out_bytes",
        "gnatsd_varz_out_msgs",
        "gnatsd_varz_connections",
        "gnatsd_varz_subscriptions",
        "gnatsd_varz_slow_consumers",
        "gnatsd_varz_total_connections",
        "gnatsd_varz_max_connections",
        "gnatsd_varz_max_payload",
        "gnatsd_varz_routes",
        "gnatsd_varz_remotes",
        "gnatsd_varz_leafnodes",
        "gnatsd_varz_cores",
        "gnatsd_connz_num_connections",
        "gnatsd_connz_total",
        "gnatsd_connz_offset",
        "gnatsd_connz_limit",
        "gnatsd_connz_pending_bytes",
        "gnatsd_connz_subscriptions",
        "gnatsd_connz_in_bytes",
        "gnatsd_connz_out_bytes",
        "gnatsd_connz_in_msgs",
        "gnatsd_connz_out_msgs",
        "gnatsd_subsz_num_subscriptions",
        "gnatsd_subsz_num_cache",
        "gnatsd_subsz_num_inserts",
        "gnatsd_subsz_num_matches",
        "gnatsd_subsz_cache_hit_rate",
        "gnatsd_subsz_max_fanout",
        "gnatsd_subsz_avg_fanout",
        "gnatsd_routez_num_routes",
        "gnatsd_leafz_conn_nodes_total",
        "gnatsd_healthz_status",
    ] {
        let found = values(&body, name);
        assert!(found.len() == 1 && found[0].0 == labels, "{name}: {found:?}");
        assert!(body.contains(&format!("# TYPE {name} gauge\n")), "{name}");
    }
    for name in [
        "gnatsd_varz_server_id",
        "gnatsd_varz_server_name",
        "gnatsd_varz_version",
        "gnatsd_routez_server_id",
        "gnatsd_routez_server_name",
    ] {
        let found = values(&body, name);
        let is_word = found.len() == 1 && found[0].0.contains("value=\"") && found[0].1 == 1.0;
        assert!(is_word, "{name}: {found:?}");
    }
}

#[test]
fn histograms_are_whole() {
    let rig = rig();
    rig.server.json("/varz");
    let body = rig.server.get("/metrics").body;
    let cores = values(&body, "petrel_core_up").len();
    for name in [
        "petrel_turn_seconds",
        "petrel_login_seconds",
        "petrel_tls_handshake_seconds",
        "petrel_client_round_trip_seconds",
        "petrel_blocked_write_seconds",
    ] {
        assert!(body.contains(&format!("# TYPE {name} histogram\n")), "{name}");
        let buckets = values(&body, &format!("{name}_bucket"));
        let counts = values(&body, &format!("{name}_count"));
        assert_eq!((counts.len(), buckets.len()), (cores, cores * 23), "{name}");
        assert_eq!(values(&body, &format!("{name}_sum")).len(), cores);
        for (core, (_, count)) in counts.iter().enumerate() {
            let own = &buckets[core * 23..(core + 1) * 23];
            assert!(own.is_sorted_by_key(|(_, up_to)| *up_to), "{own:?}");
            assert!(own[22].0.contains("le=\"+Inf\"") && own[22].1 == *count, "{own:?}");
        }
    }
    assert!(sum(&body, "petrel_turn_seconds_count") > 0.0);
    assert!(sum(&body, "petrel_turn_seconds_sum") > 0.0);
    // The two clients of the rig.
    assert_eq!(sum(&body, "petrel_login_seconds_count"), 2.0);
    assert!(sum(&body, "petrel_login_seconds_sum") > 0.0);
    assert_eq!(sum(&body, "petrel_tls_handshake_seconds_count"), 0.0);
    let requests = values(&body, "petrel_monitor_request_seconds_count");
    assert_eq!(requests, [("{path=\"/varz\"}".to_owned(), 1.0)]);
}

#[test]
fn handshakes_and_round_trips_are_measured() {
    let authority = Authority::new();
    authority.issue("server", &["localhost", "127.0.0.1"]);
    let path = authority.configure(&format!("tls {{\n{}timeout: 60\n}}\n", authority.files("server")));
    let server = Server::start(&["-c", &path]);
    let mut client = TlsClient::connect(server.port, &authority.client(None, &[&TLS13]));
    client.log_in(r#"{"verbose":false}"#);
    // The server's first PING comes some two seconds after CONNECT.
    client.wait_for("PING\r\n");
    client.send("PONG\r\nPING\r\n");
    let end = Instant::now() + PATIENCE;
    let body = loop {
        let body = server.get("/metrics").body;
        if sum(&body, "petrel_client_round_trip_seconds_count") > 0.0 {
            break body;
        }
        assert!(Instant::now() < end, "no round trip was measured");
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(sum(&body, "petrel_client_round_trip_seconds_count"), 1.0);
    assert_eq!(sum(&body, "petrel_tls_handshake_seconds_count"), 1.0);
    let handshake = sum(&body, "petrel_tls_handshake_seconds_sum");
    assert!(handshake > 0.0 && handshake < PATIENCE.as_secs_f64(), "{handshake}");
}

#[test]
fn writes_that_wait_for_the_client_are_measured() {
    let server = Server::start(&[]);
    let mut slow = server.client(r#"{"verbose":false}"#);
    slow.received.clear();
    slow.send("SUB big 1\r\nPING\r\n");
    slow.wait_for("PONG\r\n");
    let mut publisher = server.client(r#"{"verbose":false}"#);
    let payload = "x".repeat(1_000_000);
    // More than the sockets of the loopback hold.
    for _ in 0..24 {
        publisher.send(&format!("PUB big {}\r\n{payload}\r\n", payload.len()));
    }
    publisher.received.clear();
    publisher.send("PING\r\n");
    publisher.wait_for("PONG\r\n");
    std::thread::sleep(Duration::from_millis(200));
    let mut bytes = 0;
    while bytes < 24 * payload.len() {
        slow.received.clear();
        slow.read_more();
        bytes += slow.received.len();
    }
    let end = Instant::now() + PATIENCE;
    while sum(&server.get("/metrics").body, "petrel_blocked_write_seconds_sum") < 0.1 {
        assert!(Instant::now() < end, "no write was seen to wait");
        std::thread::sleep(Duration::from_millis(20));
    }
}
