//! The targets, and how much of each is run.

use petrel_scenarios::boundary;

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As its program, its corpus and its dictionary are called.
    pub name: &'static str,
    /// Takes any bytes; panics when something is wrong.
    pub body: fn(&[u8]),
    /// Inputs besides the corpus: so many that a run takes a few seconds at most without optimisation.
    pub inputs: usize,
    /// Longer inputs are cut.
    pub input_bytes_max: usize,
    /// Words besides those of the dictionary.
    pub further_words: fn() -> Vec<Vec<u8>>,
}

const fn target(name: &'static str, body: fn(&[u8]), inputs: usize, input_bytes_max: usize) -> Target {
    Target { name, body, inputs, input_bytes_max, further_words: Vec::new }
}

/// All of them; a test compares with the programs.
pub const TARGETS: &[Target] = &[
    target("client_parser", petrel_protocol::fuzzing::client_parser, 200_000, 160),
    target("headers", petrel_protocol::fuzzing::headers, 200_000, 160),
    target("connect", petrel_protocol::fuzzing::connect, 200_000, 160),
    target("transform", petrel_protocol::fuzzing::transform, 200_000, 160),
    target("proxy_protocol", petrel_protocol::fuzzing::proxy_protocol, 100_000, 160),
    target("public_key", petrel_protocol::fuzzing::public_key, 50_000, 80),
    // Each costs a multiplication on the curve.
    target("signature", petrel_protocol::fuzzing::signature, 2000, 160),
    Target {
        further_words: configuration_keys,
        ..target("configuration", petrel_config::fuzzing::configuration, 20_000, 400)
    },
    target("permissions", petrel_config::fuzzing::permissions_entry, 20_000, 400),
    target("mappings", petrel_config::fuzzing::mapping_lines, 20_000, 400),
    target("rights", petrel_engine::fuzzing::permissions, 20_000, 400),
    target("login", petrel_engine::fuzzing::login, 5000, 400),
    target("http_query", petrel_server::fuzzing::http_query, 50_000, 200),
    // Each has a connection of its own, and threads that answer when the machine has time for them.
    target("http_request", petrel_server::fuzzing::http_request, 100, 600),
    target("system_request", petrel_server::fuzzing::system_request, 3000, 400),
    // Each fitting one costs a millisecond by design.
    target("password_hash", petrel_server::fuzzing::password_hash, 2000, 200),
    target("client_hello", petrel_server::fuzzing::client_hello, 50_000, 400),
    // Each costs a certificate and its signature.
    target("certificate", petrel_server::fuzzing::certificate, 1000, 1200),
    // Each costs handshakes.
    target("tls_channel", petrel_server::fuzzing::tls_channel, 200, 200),
    // Each costs several simulated worlds.
    target("tls_boundary", boundary::tls_boundary, 5000, 200),
];

/// The keys of the configuration, two levels deep.
fn configuration_keys() -> Vec<Vec<u8>> {
    let keys = petrel_config::keys::TOP.iter().flat_map(|key| key.block.iter().chain([key]));
    keys.map(|key| format!("{} ", key.name()).into_bytes()).collect()
}
