//! Peers that are gone without a word: their cable is pulled, in network namespaces that the test makes itself. That
//! takes root and the `ip` program; where the machine does not allow it the test says loudly that it did not run.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use petrel_tests::{PATIENCE, Server, Wire};

/// Connections that are cut off.
const CUT_OFF: usize = 100;
/// Where the server's namespace and the clients' meet.
const SERVER_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 213, 77, 1);
const CLIENT_ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 213, 77, 2);
/// How long a message may take while the dead are held, on a machine that is busy. They are held for nine seconds.
const LONGEST_MAX: Duration = Duration::from_secs(6);
/// Names of the namespaces, for the programs inside.
const NAMESPACES: &str = "PETREL_TEST_NAMESPACES";
/// The server's address, for the clients.
const TARGET: &str = "PETREL_TEST_TARGET";

/// Runs `ip` with these words; true when it succeeded.
fn ip(words: &str) -> bool {
    Command::new("ip")
        .args(words.split(' '))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Two namespaces with a cable between them. They are gone when this is dropped.
struct Cable {
    server: String,
    client: String,
}

impl Cable {
    fn lay() -> Option<Cable> {
        let number = std::process::id();
        let cable = Cable { server: format!("petrel-s{number}"), client: format!("petrel-c{number}") };
        let Cable { server, client } = &cable;
        let steps = [
            format!("netns add {server}"),
            format!("netns add {client}"),
            format!("-n {server} link set lo up"),
            format!("-n {server} link add cable0 type veth peer name cable1 netns {client}"),
            format!("-n {server} addr add {SERVER_ADDRESS}/24 dev cable0"),
            format!("-n {client} addr add {CLIENT_ADDRESS}/24 dev cable1"),
            format!("-n {server} link set cable0 up"),
            format!("-n {client} link set cable1 up"),
        ];
        steps.iter().all(|step| ip(step)).then_some(cable)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        ip(&format!("netns del {}", self.server));
        ip(&format!("netns del {}", self.client));
    }
}

/// This program again, in a namespace, as one of the parts below.
fn part(namespace: &str, name: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace]).arg(std::env::current_exe().expect("this program's path"));
    command.args(["--exact", name, "--ignored", "--nocapture"]);
    command
}

#[test]
fn peers_whose_cable_was_pulled_are_closed_and_slow_nobody() {
    let Some(cable) = Cable::lay() else {
        eprintln!("NOT RUN: network namespaces cannot be made; root and `ip` are needed");
        return;
    };
    let status = part(&cable.server, "part_server")
        .env(NAMESPACES, format!("{} {}", cable.server, cable.client))
        .status()
        .expect("the part with the server starts");
    assert!(status.success(), "{status}");
}

/// The clients that will be cut off: they subscribe and wait.
#[test]
#[ignore = "a part of the test above, which calls it"]
fn part_clients() {
    let target: SocketAddr =
        std::env::var(TARGET).expect("called by the server's part").parse().expect("an address");
    let clients: Vec<Wire> = (0..CUT_OFF)
        .map(|_| {
            let mut client = Wire::client(target);
            client.send("SUB cut.off 1\r\n");
            client.sync();
            client
        })
        .collect();
    // Until the other part ends this process.
    thread::sleep(PATIENCE * 5);
    drop(clients);
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The server, and a publisher and a receiver on its own side of the cable.
#[test]
#[ignore = "a part of the test above, which calls it"]
fn part_server() {
    let namespaces = std::env::var(NAMESPACES).expect("called by the test above");
    let (_, client_namespace) = namespaces.split_once(' ').expect("two names");
    let server = Server::builder().default_host().config("ping_interval: \"3s\"\nping_max: 2").start();
    let target = SocketAddr::from((SERVER_ADDRESS, server.port()));
    let mut command = part(client_namespace, "part_clients");
    let clients = Ended(command.env(TARGET, target.to_string()).spawn().expect("the clients start"));
    server.monitor_until("/connz?subs=1&limit=1", |body| body["total"].as_u64() >= Some(CUT_OFF as u64));
    server.monitor_until("/varz", |body| body["subscriptions"].as_u64() >= Some(CUT_OFF as u64));
    let before = server.resident_bytes();

    let mut receiver = Wire::client(server.address());
    receiver.send("SUB cut.off 1\r\n");
    receiver.sync();
    let mut publisher = Wire::client(server.address());
    assert!(ip(&format!("-n {client_namespace} link set cable1 down")), "the cable is pulled");

    // Whoever publishes to the dead, and whoever listens beside them, goes on as before.
    let mut longest = Duration::ZERO;
    let pulled = Instant::now();
    let mut closed = false;
    while !closed && pulled.elapsed() < PATIENCE {
        for _ in 0..50 {
            let asked = Instant::now();
            publisher.send("PUB cut.off 5\r\nhello\r\n");
            publisher.sync();
            receiver.expect("MSG cut.off 1 5\r\nhello\r\n");
            longest = longest.max(asked.elapsed());
        }
        thread::sleep(Duration::from_millis(50));
        closed = server.monitor_json("/connz?limit=1")["total"].as_u64() == Some(2);
    }
    println!("closed after {:?}; longest publish and receipt {longest:?}", pulled.elapsed());
    assert!(closed, "peers that are gone are still held");
    // Whoever waited for the dead would wait for as long as they are held.
    assert!(longest < LONGEST_MAX, "{longest:?}");
    let records = server.monitor_json("/connz?state=closed&limit=200");
    let reasons: Vec<&str> = records["connections"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|record| record["reason"].as_str())
        .collect();
    assert_eq!(reasons.len(), CUT_OFF);
    assert!(reasons.iter().all(|reason| *reason == "Stale Connection"), "{reasons:?}");
    assert!(server.resident_bytes().saturating_sub(before) < 32 * 1024 * 1024);
    drop(clients);
}
