//! Where the server listens and on what it runs, decided before anything is bound: a start goes by it, and a
//! [rehearsal](crate::rehearsal) of one says what is wrong with it.

use crate::address::joined;
use crate::descriptors::{self, Demand};
use crate::log::{Destination, Sink};
use crate::settings::{self, Listen, SettingsError};
use petrel_config::{Cores, Options};
use petrel_runtime::LaunchOptions;

/// Where the server listens and on what it runs.
#[derive(Clone, Debug)]
pub struct Placement {
    /// Where clients connect.
    pub clients: Listen,
    /// Where monitoring listens, and whether by https; `None` when it is not asked for.
    pub monitoring: Option<(Listen, bool)>,
    /// How the cores are started.
    pub launch: LaunchOptions,
    /// What had to give way, and what to do about it.
    pub note: Option<String>,
}

impl Placement {
    /// What the options ask for, on a machine where these CPUs may be used, and so many files may be open.
    ///
    /// # Errors
    /// Hosts that do not resolve, ports that are none or the same, CPUs that there are not, too few files. There is one
    /// error at least; the first is what a start says.
    pub fn of(
        options: &Options,
        online: &[usize],
        descriptors_max: Option<u64>,
    ) -> Result<Placement, Vec<SettingsError>> {
        let clients = settings::client_listen(options);
        let launch = settings::launch_options(options, online);
        let monitoring = settings::monitor_listen(options);
        let (clients, mut launch, monitoring) = match (clients, launch, monitoring) {
            (Ok(clients), Ok(launch), Ok(monitoring)) => (clients, launch, monitoring),
            (clients, launch, monitoring) => {
                let errors = [clients.err(), launch.err(), monitoring.err()];
                return Err(errors.into_iter().flatten().collect());
            }
        };
        if monitoring.as_ref().is_some_and(|(monitoring, _)| excludes(monitoring, &clients)) {
            return Err(vec![SettingsError::SamePort(joined(&clients.host, clients.address.port()))]);
        }
        let demand = Demand {
            cores_are_free: options.petrel.cores == Cores::All,
            has_monitoring: monitoring.is_some(),
            has_log: Destination::of(&options.log).sink != Sink::Stderr,
        };
        let note = descriptors::fit(&mut launch, demand, descriptors_max.unwrap_or(u64::MAX))
            .map_err(|error| vec![error.into()])?;
        Ok(Placement { clients, monitoring, launch, note })
    }
}

/// Whether one cannot be bound beside the other. What no host is named for takes all addresses of both families.
fn excludes(one: &Listen, other: &Listen) -> bool {
    let (one, other) = (one.address, other.address);
    let is_for_all = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (is_for_all || one.ip() == other.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(
        port: i64,
        host: &str,
        http_port: i64,
        http_host: &str,
    ) -> Result<Placement, Vec<SettingsError>> {
        let options = Options {
            port: Some(port),
            host: Some(host.to_owned()),
            http_port: Some(http_port),
            http_host: Some(http_host.to_owned()),
            ..Options::default()
        };
        Placement::of(&options, &[0], None)
    }

    #[test]
    fn two_sockets_need_two_ports_unless_their_addresses_differ() {
        for (port, host, http_port, http_host, is_possible) in [
            (4222, "127.0.0.1", 8222, "127.0.0.1", true),
            (4222, "127.0.0.1", 4222, "127.0.0.1", false),
            (4222, "127.0.0.1", 4222, "", false),
            (4222, "127.0.0.1", 4222, "127.0.0.2", true),
            (4222, "0.0.0.0", 4222, "127.0.0.2", false),
            (4222, "127.0.0.1", 4222, "::", false),
            (4222, "127.0.0.1", 4222, "::1", true),
            (0, "127.0.0.1", 4222, "", false),
            (-1, "127.0.0.1", -1, "", true),
        ] {
            let placed = placed(port, host, http_port, http_host);
            assert_eq!(placed.is_ok(), is_possible, "{port} {host} {http_port} {http_host}: {placed:?}");
        }
        let text = placed(4222, "::1", 4222, "").unwrap_err()[0].to_string();
        let expected =
            "Error listening on port: [::1]:4222, \"listen tcp [::1]:4222: bind: address already in use\"";
        assert_eq!(text, expected);
    }
}
