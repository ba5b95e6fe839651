//! The server and the clients that upstream was recorded with.

use super::Server;
use super::bus::Bus;
use super::shapes::CONFIGURATION;
use std::fs;

/// They stay until this is dropped.
pub struct Rig {
    pub server: Server,
    /// A client of the system account.
    pub system: Bus,
    /// A client of another one, which has subscribed and published.
    pub client: Bus,
    /// The server's id.
    pub id: String,
    _folder: tempfile::TempDir,
}

/// Starts them.
pub fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, CONFIGURATION).unwrap();
    let server = Server::start(&["-c", path.to_str().unwrap()]);
    let system = Bus::connect(&server, Some(("s", "s")), "sys");
    let mut client = Bus::connect(&server, Some(("a", "a")), "ca");
    client.send("SUB foo.* 1\r\nSUB svc.x q 2\r\nUNSUB 2 5\r\nPUB foo.x 5\r\nhello\r\n");
    client.flush();
    let id = system.info["server_id"].as_str().unwrap().to_owned();
    Rig { server, system, client, id, _folder: folder }
}
