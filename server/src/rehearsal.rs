//! What a start would say, found out without one: nothing is bound, written or started. `petrel config check` asks.
//!
//! Everything is decided by the code that the start goes through, and said in its words. What only a start can show is
//! left out: ports that somebody else has, memory and threads that the system does not give.

use crate::configure;
use crate::descriptors;
use crate::files;
use crate::flags::Flags;
use crate::identity::Identity;
use crate::log::{Destination, Output};
use crate::placement::Placement;
use crate::process::PidFileError;
use crate::settings;
use petrel_config::Problem;
use petrel_runtime::{BackendChoice, LaunchError, online_cpus, probe_io_uring};
use std::fmt::Display;

/// What keeps the server from starting here and now with a file and no flags: as this user, in this folder, on this
/// machine. The first is what the start says.
pub fn rehearse(path: &str) -> Vec<Problem> {
    let mut flags = Flags::default();
    flags.config = Some(path.to_owned());
    let configured = match configure::read(&flags) {
        Ok((configured, _)) => configured,
        Err(error) => return vec![error.into_problem()],
    };
    let options = &configured.options;
    let mut found = Found(Vec::new());
    found.add(options.check_system_account());
    found.add(Output::check(&Destination::of(&options.log).sink));
    let placed = Placement::of(options, &online_cpus(), descriptors::limit());
    for error in placed.as_ref().err().into_iter().flatten() {
        found.add::<(), _>(Err(error));
    }
    if let Ok(placement) = placed {
        let core_count = placement.launch.cpus.len();
        let tls = configured.tls.as_ref();
        if let Some(path) = options.pid_file.as_deref().filter(|path| !path.is_empty()) {
            found.add(files::check_writable(path.as_ref()).map_err(|error| PidFileError::new(path, error)));
        }
        if let Some(identity) = found.add(Identity::generate()) {
            let clients = &placement.clients;
            found.add(settings::engine_options(options, &identity, clients, core_count, None, tls));
        }
        if placement.launch.backend == BackendChoice::Uring {
            found.add(probe_io_uring().map_err(LaunchError::UringDenied));
        }
    }
    found.0
}

struct Found(Vec<Problem>);

impl Found {
    /// Notes what does not work.
    fn add<T, E: Display>(&mut self, outcome: Result<T, E>) -> Option<T> {
        outcome.map_err(|error| self.0.push(Problem { position: None, text: error.to_string() })).ok()
    }
}
