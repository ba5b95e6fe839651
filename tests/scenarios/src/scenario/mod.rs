//! The scenarios. Each says what must hold, what it needs to have happened, and which mutations turn it red.

mod accounts;
mod barrier;
mod causality;
mod chaos;
mod company;
mod handshakes;
mod import_reloads;
mod lame_duck;
mod latency;
mod limits;
mod logins;
mod no_responders;
mod order;
#[cfg(feature = "mutations")]
mod panics;
mod permissions;
mod positions;
mod queue_groups;
#[cfg(feature = "mutations")]
mod reloads;
mod responses;
mod room;
mod stall;
mod system_events;
mod traces;
mod two_accounts;
mod weights;
mod witness;

use crate::run::{Outcome, Settings};

/// A scenario.
#[derive(Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it shows.
    pub about: &'static str,
    /// What must have taken effect in a set of runs, or they have shown nothing.
    pub needs: &'static [&'static str],
    /// Runs it once.
    pub run: fn(u64, &Settings) -> Outcome,
}

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    order::SCENARIO,
    barrier::SCENARIO,
    company::SCENARIO,
    causality::SCENARIO,
    queue_groups::SCENARIO,
    no_responders::SCENARIO,
    chaos::SCENARIO,
    room::SCENARIO,
    stall::SCENARIO,
    lame_duck::SCENARIO,
    logins::SCENARIO,
    permissions::SCENARIO,
    responses::SCENARIO,
    weights::SCENARIO,
    limits::SCENARIO,
    accounts::STREAMS,
    accounts::SERVICES,
    accounts::SERVICE_STREAMS,
    latency::SCENARIO,
    traces::SCENARIO,
    import_reloads::SCENARIO,
    positions::SCENARIO,
    handshakes::SCENARIO,
    system_events::SCENARIO,
    #[cfg(feature = "mutations")]
    reloads::SCENARIO,
    #[cfg(feature = "mutations")]
    panics::SCENARIO,
];

/// The scenario of a name.
pub fn find(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|scenario| scenario.name == name)
}
