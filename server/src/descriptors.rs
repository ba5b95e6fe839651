//! Open files: each connection is one, and the server's own come first. Where few are allowed, a server that leaves some
//! for connections is better than none.

use petrel_runtime::{BackendChoice, LaunchOptions};
use rustix::process::{Resource, getrlimit};

/// Files that a core on io_uring keeps open: its ring, three of its executor, and what wakes them.
const URING_CORE: u64 = 6;
/// Files that a core on epoll keeps open: what it waits on, and what wakes it.
const EPOLL_CORE: u64 = 2;
/// Standard input, output and error, two for signals, and the listener of clients.
const SERVER: u64 = 6;
/// A log that goes to a file or a system log.
const LOG: u64 = 1;
/// The listener of monitoring, three for its thread, and a connection.
const MONITORING: u64 = 5;
/// Connections that are worth more than speed: io_uring and further cores have to leave so many.
const CONNECTIONS_WISH: u64 = 16;
/// Connections that are worth a start.
const CONNECTIONS_MIN: u64 = 1;

const REMEDY: &str =
    "raise the limit (ulimit -n, LimitNOFILE= in the unit, --ulimit nofile= for a container)";

/// Too few files may be open for any client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("only {limit} files may be open and the server needs {needed} to serve a client: {REMEDY}")]
pub struct TooFewDescriptors {
    limit: u64,
    needed: u64,
}

/// How many files the server may have open: it raises its own limit as far as it may. `None`: any number.
pub fn limit() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}

/// What the configuration asks for and what is left to the server.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    /// No number of cores was asked for.
    pub cores_are_free: bool,
    /// Monitoring listens.
    pub has_monitoring: bool,
    /// The log goes elsewhere than to standard error.
    pub has_log: bool,
}

/// Makes do with what may be open: epoll takes fewer than io_uring, and so do fewer cores, where both are left to the
/// server. Returns what is to be said of it, if anything was changed.
///
/// # Errors
/// When not even that leaves room for clients.
pub fn fit(
    launch: &mut LaunchOptions,
    demand: Demand,
    limit: u64,
) -> Result<Option<String>, TooFewDescriptors> {
    let aside =
        if demand.has_monitoring { MONITORING } else { 0 } + if demand.has_log { LOG } else { 0 } + SERVER;
    let left = limit.saturating_sub(aside);
    let wanted = (launch.cpus.len(), launch.backend);
    let of_core = |backend| if backend == BackendChoice::Epoll { EPOLL_CORE } else { URING_CORE };
    if left < of_core(launch.backend) * wanted.0 as u64 + CONNECTIONS_WISH {
        if launch.backend == BackendChoice::Auto {
            launch.backend = BackendChoice::Epoll;
        }
        if demand.cores_are_free {
            let affordable = left.saturating_sub(CONNECTIONS_WISH) / of_core(launch.backend);
            launch.cpus.truncate(usize::try_from(affordable).unwrap_or(usize::MAX).max(1));
        }
    }
    let count = launch.cpus.len();
    let needed = aside + of_core(launch.backend) * count as u64 + CONNECTIONS_MIN;
    if limit < needed {
        return Err(TooFewDescriptors { limit, needed });
    }
    let cores = (count < wanted.0).then(|| format!("{count} of {} cores", wanted.0));
    let backend = (launch.backend != wanted.1).then(|| "on epoll".to_owned());
    let changes: Vec<String> = cores.into_iter().chain(backend).collect();
    let changed = changes.join(" ");
    let note =
        format!("Only {limit} files may be open: running {changed} to leave some for clients; {REMEDY}");
    Ok((!changes.is_empty()).then_some(note))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fitted(
        backend: BackendChoice,
        cores: usize,
        cores_are_free: bool,
        limit: u64,
    ) -> Result<(BackendChoice, usize, bool), TooFewDescriptors> {
        let mut launch = LaunchOptions { cpus: (0..cores).collect(), backend, ..LaunchOptions::default() };
        let note = fit(&mut launch, Demand { cores_are_free, ..Demand::default() }, limit)?;
        Ok((launch.backend, launch.cpus.len(), note.is_some()))
    }

    #[test]
    fn what_is_left_to_the_server_gives_way_before_the_start_does() {
        use BackendChoice::{Auto, Epoll, Uring};
        let roomy = SERVER + CONNECTIONS_WISH;
        let (rings, polls) = (roomy + 2 * URING_CORE, roomy + 2 * EPOLL_CORE);
        let least = SERVER + EPOLL_CORE + CONNECTIONS_MIN;
        for (backend, cores, cores_are_free, limit, expected) in [
            (Auto, 2, true, rings, (Auto, 2, false)),
            (Auto, 2, true, rings - 1, (Epoll, 2, true)),
            (Auto, 2, true, polls, (Epoll, 2, true)),
            (Auto, 2, true, polls - 1, (Epoll, 1, true)),
            (Auto, 64, true, least, (Epoll, 1, true)),
            (Auto, 1, true, least, (Epoll, 1, true)),
            (Epoll, 1, true, least, (Epoll, 1, false)),
            (Uring, 2, true, rings - 1, (Uring, 1, true)),
            (Uring, 2, false, rings - 1, (Uring, 2, false)),
            (Auto, 2, false, least + EPOLL_CORE, (Epoll, 2, true)),
        ] {
            let found = fitted(backend, cores, cores_are_free, limit);
            assert_eq!(found, Ok(expected), "{backend:?} {cores} {cores_are_free} {limit}");
        }
        let too_few = |limit, needed| Err(TooFewDescriptors { limit, needed });
        assert_eq!(fitted(Auto, 64, true, least - 1), too_few(least - 1, least));
        assert_eq!(fitted(Auto, 2, false, least), too_few(least, least + EPOLL_CORE));
        let rings = SERVER + URING_CORE + CONNECTIONS_MIN;
        assert_eq!(fitted(Uring, 2, true, rings - 1), too_few(rings - 1, rings));
    }

    #[test]
    fn monitoring_and_the_log_need_their_own() {
        let needed = |has_monitoring, has_log| {
            let mut launch = LaunchOptions { cpus: vec![0], ..LaunchOptions::default() };
            let demand = Demand { has_monitoring, has_log, cores_are_free: true };
            fit(&mut launch, demand, 0).unwrap_err().needed
        };
        assert_eq!(needed(true, true), needed(false, false) + MONITORING + LOG);
    }
}
