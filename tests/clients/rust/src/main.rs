//! What users do with the async-nats library, as checks that run against a server.
//!
//! `petrel-client-async-nats SCENARIO ADDRESS CERTIFICATES` prints a line for each check and ends with code 0 when all
//! of them held. Where a scenario needs something done to the server it prints `ask` and what, and waits for a line on
//! its input that says that it is done. `tests/tests/clients` runs all scenarios.

mod access;
mod accounts;
mod checks;
mod core;
mod encrypted;
mod lifecycle;
mod services;

use std::path::Path;

use checks::Checks;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, address, certificates] = arguments.as_slice() else {
        eprintln!("usage: petrel-client-async-nats SCENARIO ADDRESS CERTIFICATES");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let checks = Checks::default();
    let outcome = runtime.block_on(run(&checks, scenario, address, Path::new(certificates)));
    if let Err(error) = outcome {
        println!("FAILED {error:#}");
        std::process::exit(1);
    }
    println!("{} checks held", checks.count());
    // Connections that a scenario left open are not worth waiting for.
    std::process::exit(0);
}

async fn run(checks: &Checks, scenario: &str, address: &str, certificates: &Path) -> anyhow::Result<()> {
    match scenario {
        "connect" => core::connecting(checks, address).await,
        "publish" => core::publish_and_subscribe(checks, address).await,
        "wildcards" => core::wildcards(checks, address).await,
        "queue_groups" => core::queue_groups(checks, address).await,
        "unsubscribe" => core::unsubscribe(checks, address).await,
        "headers" => core::headers(checks, address).await,
        "requests" => core::requests(checks, address).await,
        "request_many" => core::request_many(checks, address).await,
        "no_responders" => core::no_responders(checks, address).await,
        "payload_limit" => core::payload_limit(checks, address).await,
        "no_echo" => core::no_echo(checks, address).await,
        "invalid_subject" => core::invalid_subject(checks, address).await,
        "drain" => core::drain(checks, address).await,
        "slow_consumer" => core::slow_consumer(checks, address).await,
        "reconnect" => lifecycle::reconnect(checks, address).await,
        "lame_duck" => lifecycle::lame_duck(checks, address).await,
        "services" => services::services(checks, address).await,
        "user_info" => access::user_info(checks, address).await,
        "token" => access::token(checks, address).await,
        "user" => access::user(checks, address).await,
        "nkey" => access::nkey(checks, address).await,
        "no_auth_user" => access::no_auth_user(checks, address).await,
        "permissions" => access::permissions(checks, address).await,
        "allow_responses" => access::allow_responses(checks, address).await,
        "accounts" => accounts::isolation(checks, address).await,
        "account_streams" => accounts::streams(checks, address).await,
        "account_services" => accounts::services(checks, address).await,
        "mappings" => accounts::mappings(checks, address).await,
        "tls" => encrypted::tls(checks, address, certificates).await,
        "tls_optional" => encrypted::optional(checks, address, certificates).await,
        "tls_verify" => encrypted::verify(checks, address, certificates).await,
        "tls_first" => encrypted::first(checks, address, certificates).await,
        "tls_self_signed" => encrypted::self_signed(checks, address, certificates).await,
        "tls_map" => encrypted::map(checks, address, certificates).await,
        other => anyhow::bail!("unknown scenario {other}"),
    }
}
