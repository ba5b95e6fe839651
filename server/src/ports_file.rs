//! The file that says where the server listens, for whoever started it with a port of -1 (reference: config.md,
//! section 5).

use crate::files::{check_writable, system_text};
use serde::Serialize;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use tracing::error;

/// Where the server listens, as URLs: one for each address of the machine where it listens on all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ports {
    /// For clients.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub nats: Vec<String>,
    /// For monitoring.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub monitoring: Vec<String>,
}

/// The file of this process.
pub struct PortsFile {
    name: String,
    ports: Ports,
    /// Where it was written, or should have been.
    path: Mutex<Option<PathBuf>>,
}

/// What a start would say of a folder for the file. The server starts all the same.
///
/// # Errors
/// That the file cannot be written there, as the log would have it but for the file's name: that is the server's and its
/// process's.
pub fn check(folder: &str) -> Result<(), String> {
    let path = Path::new(folder).join(format!("{}_PID.ports", crate::version::PROGRAM));
    check_writable(&path).map_err(|failure| unwritten(&path, &failure))
}

fn unwritten(path: &Path, failure: &io::Error) -> String {
    let shown = path.display();
    format!("Error writing ports file ({shown}): open {shown}: {}", system_text(failure))
}

impl PortsFile {
    /// Not written yet. It is called after the name that the process was started by.
    pub fn new(ports: Ports) -> PortsFile {
        let program = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
        let program = program.file_name().map(|name| name.to_string_lossy().into_owned());
        let program = program.unwrap_or_else(|| crate::version::PROGRAM.to_owned());
        PortsFile { name: format!("{program}_{}.ports", std::process::id()), ports, path: Mutex::new(None) }
    }

    /// Removes the file where it is and writes it into another folder, if there is one. What fails is told and
    /// keeps nothing from running.
    pub fn move_to(&self, folder: Option<&str>) {
        self.remove();
        let Some(folder) = folder.filter(|folder| !folder.is_empty()) else { return };
        let path = Path::new(folder).join(&self.name);
        if let Err(failure) = self.write(&path) {
            error!("{}", unwritten(&path, &failure));
        }
        *self.path.lock().unwrap_or_else(PoisonError::into_inner) = Some(path);
    }

    /// Removes the file, if it was written.
    pub fn remove(&self) {
        let Some(path) = self.path.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        if let Err(failure) = fs::remove_file(&path) {
            let shown = path.display();
            error!("Error cleaning up ports file {shown}: remove {shown}: {}", system_text(&failure));
        }
    }

    /// Under another name first: whoever waits for the file must not read half of it.
    fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_string(&self.ports)?;
        let unfinished = path.with_extension("ports.new");
        fs::write(&unfinished, text)?;
        fs::rename(&unfinished, path)
    }
}

/// `scheme://address:port`, for each address of the machine when the host is none in particular.
pub fn urls(scheme: &str, address: IpAddr, port: u16) -> Vec<String> {
    let addresses = if address.is_unspecified() { machine_addresses() } else { vec![address] };
    let shown = addresses.iter().map(|address| match address {
        IpAddr::V4(address) => format!("{scheme}://{address}:{port}"),
        IpAddr::V6(address) => format!("{scheme}://[{address}]:{port}"),
    });
    shown.collect()
}

/// The addresses of this machine, interface by interface, IPv4 first.
fn machine_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let mut names: Vec<String> = Vec::new();
    let mut found: Vec<(usize, bool, IpAddr)> = Vec::new();
    for interface in interfaces {
        let place = names.iter().position(|name| *name == interface.interface_name).unwrap_or_else(|| {
            names.push(interface.interface_name.clone());
            names.len() - 1
        });
        let address = interface.address.as_ref().and_then(|address| {
            let version_4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
            version_4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
        });
        found.extend(address.map(|address| (place, address.is_ipv6(), address)));
    }
    found.sort_by_key(|(place, is_ipv6, _)| (*place, *is_ipv6));
    found.into_iter().map(|(_, _, address)| address).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_gives_one_url_and_all_hosts_one_for_each_address() {
        assert_eq!(urls("nats", "127.0.0.1".parse().unwrap(), 1), ["nats://127.0.0.1:1"]);
        assert_eq!(urls("tls", "::1".parse().unwrap(), 1), ["tls://[::1]:1"]);
        let all = urls("nats", "0.0.0.0".parse().unwrap(), 1);
        assert!(all.contains(&"nats://127.0.0.1:1".to_owned()), "{all:?}");
    }

    #[test]
    fn the_file_comes_moves_and_goes() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let ports = Ports { nats: vec!["nats://127.0.0.1:4222".into()], monitoring: vec![] };
        let file = PortsFile::new(ports);
        let entries = |folder: &tempfile::TempDir| fs::read_dir(folder.path()).unwrap().count();
        file.move_to(first.path().to_str());
        let path = first.path().join(&file.name);
        assert_eq!(fs::read_to_string(path).unwrap(), "{\"nats\":[\"nats://127.0.0.1:4222\"]}");
        assert!(file.name.ends_with(&format!("_{}.ports", std::process::id())));
        file.move_to(second.path().to_str());
        assert_eq!((entries(&first), entries(&second)), (0, 1));
        file.remove();
        file.remove();
        assert_eq!(entries(&second), 0);
        file.move_to(Some("/nonexistent"));
        file.move_to(None);
    }
}
