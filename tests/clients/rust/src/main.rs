//! What users do with the async-nats library, as checks that run against a server.
//!
//! `petrel-client-async-nats SCENARIO ADDRESS` prints a line for each check and ends with code 0 when all of them
//! held. Where a scenario needs something done to the server it prints `ask` and what, and waits for a line on its
//! input that says that it is done. `tests/tests/clients.rs` runs all scenarios.

mod checks;
mod core;
mod lifecycle;

use checks::Checks;

/// The token that the scenarios expect where a token is asked for.
const TOKEN: &str = "s3cret";

/// The user and the password that the scenarios expect where these are asked for.
const USER: (&str, &str) = ("alice", "w0nder");

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [scenario, address] = arguments.as_slice() else {
        eprintln!("usage: petrel-client-async-nats SCENARIO ADDRESS");
        std::process::exit(2);
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let checks = Checks::default();
    let outcome = runtime.block_on(async {
        match scenario.as_str() {
            "core" => core::run(&checks, address).await,
            "token" => lifecycle::token(&checks, address).await,
            "user" => lifecycle::user(&checks, address).await,
            "reconnect" => lifecycle::reconnect(&checks, address).await,
            "lame-duck" => lifecycle::lame_duck(&checks, address).await,
            other => anyhow::bail!("unknown scenario {other}"),
        }
    });
    if let Err(error) = outcome {
        println!("FAILED {error:#}");
        std::process::exit(1);
    }
    println!("{} checks held", checks.count());
}
