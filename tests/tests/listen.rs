//! Where the server listens, and what it tells clients about it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use petrel_tests::{PATIENCE, Server, Wire, http};
use rustix::process::Signal;

#[test]
fn without_a_host_it_listens_on_both_families_on_every_port() {
    let server = Server::builder().default_host().start();
    let monitor_port = server.monitor_address().port();
    let mut hosts: Vec<IpAddr> = vec![Ipv4Addr::LOCALHOST.into()];
    if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        hosts.push(Ipv6Addr::LOCALHOST.into());
    } else {
        eprintln!("SKIPPED for IPv6: this machine has none");
    }
    for host in hosts {
        let mut wire = Wire::open(SocketAddr::new(host, server.port())).expect("the client port is open");
        let info: serde_json::Value = serde_json::from_str(&wire.take_info()).expect("JSON");
        assert_eq!(info["host"], "0.0.0.0");
        // An IPv4 client of a dual-stack listener is an IPv4 client.
        assert_eq!(info["client_ip"], host.to_string());
        wire.sync();
        let answer = http::get(SocketAddr::new(host, monitor_port), "/healthz").expect("the port is open");
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));
    }
}

#[test]
fn a_server_alone_advertises_no_addresses() {
    let server = Server::start();
    let info = Wire::open(server.address()).expect("the server accepts").take_info();
    assert!(!info.contains("connect_urls"), "{info}");
}

#[test]
fn sigint_and_sigterm_end_it_with_code_0() {
    for signal in [Signal::INT, Signal::TERM] {
        let mut server = Server::start();
        let mut wire = Wire::client(server.address());
        wire.send("SUB foo 1\r\n");
        wire.sync();
        server.signal(signal);
        wire.drain_until_closed(PATIENCE);
        let status = server.wait_until_ended(PATIENCE);
        assert_eq!(status.code(), Some(0));
    }
}

#[test]
fn a_port_in_use_ends_the_start_with_code_1() {
    let server = Server::start();
    let output = std::process::Command::new(petrel_tests::binary_path())
        .args(["-a", "127.0.0.1", "-p", &server.port().to_string()])
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(1));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(log.to_lowercase().contains("address already in use"), "{log}");
    server.assert_serving();
}

#[test]
fn a_restart_takes_the_same_port_at_once() {
    let mut server = Server::start();
    for _ in 0..3 {
        let mut wire = Wire::client(server.address());
        wire.send("SUB foo 1\r\n");
        wire.sync();
        server.restart();
        wire.expect_closed();
        server.assert_serving();
    }
}

#[test]
fn hundreds_of_starts_and_stops_all_succeed() {
    // Several at a time: a start that depends on luck hangs now and then.
    const STARTS_EACH: usize = 40;
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..STARTS_EACH {
                    let mut server = Server::start();
                    Wire::client(server.address()).sync();
                    server.stop();
                }
            });
        }
    });
}
