//! What a seed makes of a run: cores, delays, buffers, clients.

use crate::ledger::Profile;
use crate::random::Random;
use petrel_engine::{Limits, Options};
use petrel_protocol::client::ServerInfo;
use petrel_runtime::sim::SimOptions;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Where the server is.
pub const SERVER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
/// Where clients connect.
pub const PORT: u16 = 4222;

/// How a run is set up.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Cores of the server.
    pub core_count: usize,
    /// The world.
    pub world: SimOptions,
    /// The server's options.
    pub server: Options,
    /// The clients.
    pub profiles: Vec<Profile>,
    /// Whether clients connect by themselves as soon as they run.
    pub connects: bool,
    /// How long the answers of those who do handshakes may take.
    pub handshake_delay_max: Duration,
    /// Whether a message on `provoke.panic` panics in the server.
    pub provokes_panics: bool,
    /// Sessions that the server looks at in a turn after a reload; `None`: as many as always.
    pub reviewed_a_turn: Option<usize>,
}

impl Plan {
    /// A plan with everything drawn: cores from `cores`, clients from `clients`; slow and tiny as often as quick
    /// and roomy.
    pub fn drawn(seed: u64, random: &mut Random, cores: &[usize], clients: (usize, usize)) -> Plan {
        let mut world = SimOptions::new(seed);
        let micros = Duration::from_micros;
        world.mailbox_slots = *random.one_of(&[(1, 1), (1, 3), (2, 8), (64, 64)]);
        world.latency = (micros(10), micros(*random.one_of(&[50, 500, 3000])));
        world.jitter_max = micros(*random.one_of(&[20, 300, 2000]));
        world.socket_buffer_bytes = *random.one_of(&[(300, 4096), (1024, 65_536), (65_536, 262_144)]);
        world.turn = (micros(1), micros(*random.one_of(&[10, 100, 500])));
        world.notice_max = micros(*random.one_of(&[20, 200]));
        world.mail_delay_max = micros(*random.one_of(&[20, 500, 5000, 20_000]));
        world.faults.loss_per_million = *random.one_of(&[0, 0, 3000]);
        world.faults.slow_turn_per_million = *random.one_of(&[0, 5000]);
        world.faults.slow_turn_max = Duration::from_millis(5);
        let (fewest, most) = clients;
        // Few clients as often as many.
        let most = fewest + (most - fewest) / *random.one_of(&[1, 3, 6]);
        let client_count = random.within(fewest..=most);
        let mut profiles = vec![Profile::default(); client_count];
        for profile in &mut profiles {
            profile.verbose = random.chance(1, 6);
            profile.headers = random.chance(5, 6);
        }
        Plan {
            core_count: *random.one_of(cores),
            world,
            server: server_options(),
            profiles,
            connects: true,
            handshake_delay_max: Duration::ZERO,
            provokes_panics: false,
            reviewed_a_turn: None,
        }
    }
}

/// Has a client ask: it takes headers, and wants to be told when nobody receives its requests.
pub fn let_ask(profile: &mut Profile) {
    (profile.headers, profile.no_responders) = (true, true);
}

/// Options of a server that listens where clients connect, with upstream's defaults where nothing is said.
pub(crate) fn server_options() -> Options {
    let limits = Limits::default();
    let info = ServerInfo {
        server_id: "SIMULATED".into(),
        server_name: "simulated".into(),
        version: "2.15.2".into(),
        proto: 1,
        host: SERVER.to_string(),
        port: PORT,
        headers: true,
        max_payload: limits.payload_max,
        ..ServerInfo::default()
    };
    Options {
        info,
        listen: SocketAddr::new(SERVER, PORT),
        limits,
        // The first PING comes soon all the same. Those who do not answer are a scenario of their own.
        ping_interval: Duration::from_secs(600),
        closed_clients_max: 1000,
        memory_budget_bytes: 64 * 1024 * 1024,
        ..Options::default()
    }
}
