//! The peers' pinned versions, from `perf/peers.toml`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

const PEERS: &str = include_str!("../peers.toml");

/// A peer and its pinned version.
#[derive(Clone, Debug, Deserialize)]
pub struct Peer {
    /// The version to compare with.
    pub version: String,
    /// Where it is built from.
    pub module: String,
}

#[derive(Deserialize)]
struct Peers {
    #[serde(rename = "nats-server")]
    nats_server: Peer,
}

impl Peer {
    /// Upstream's server.
    ///
    /// # Errors
    /// When `perf/peers.toml` does not parse.
    pub fn nats_server() -> Result<Self> {
        let peers: Peers = toml::from_str(PEERS).context("perf/peers.toml")?;
        Ok(peers.nats_server)
    }

    /// The binary of this peer, checked for its version: `given`, or the one on PATH.
    ///
    /// # Errors
    /// When there is none, or it is another version.
    pub fn locate(&self, given: Option<&Path>) -> Result<PathBuf> {
        let path = given.map_or_else(|| on_path("nats-server"), |path| Some(path.to_owned()));
        let Some(path) = path else {
            bail!(
                "nats-server is not on PATH: install it (go install {}@v{}) or name it by --upstream",
                self.module,
                self.version
            );
        };
        let output = Command::new(&path)
            .arg("--version")
            .output()
            .with_context(|| format!("{} does not start", path.display()))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if !text.ends_with(&format!("v{}", self.version)) {
            bail!("{} is {text:?}, and perf/peers.toml pins {}", path.display(), self.version);
        }
        Ok(path)
    }
}

fn on_path(name: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|folder| folder.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pinned_versions_parse() {
        let peer = Peer::nats_server().expect("perf/peers.toml parses");
        assert_eq!(peer.version.split('.').count(), 3);
    }

    #[test]
    fn a_missing_or_wrong_binary_is_told_plainly() {
        let peer = Peer::nats_server().expect("perf/peers.toml parses");
        let missing = peer.locate(Some(Path::new("/nonexistent/nats-server"))).expect_err("does not exist");
        assert!(missing.to_string().contains("does not start"), "{missing}");
        let wrong = peer.locate(Some(Path::new("/bin/true"))).expect_err("has no version");
        assert!(wrong.to_string().contains(&format!("pins {}", peer.version)), "{wrong}");
    }
}
