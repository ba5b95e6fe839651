//! Upstream's own program, where it is installed.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;
use std::process::Command;

/// The program of the level that is implemented, by `PETREL_UPSTREAM_SERVER` or its name.
pub fn upstream() -> Option<PathBuf> {
    let program = std::env::var_os("PETREL_UPSTREAM_SERVER").unwrap_or_else(|| "nats-server".into());
    let output = Command::new(&program).arg("-v").output().ok()?;
    let is_it = output.stdout == b"nats-server: v2.15.2\n";
    is_it.then(|| program.into())
}

/// The programs that are compared: petrel, and upstream where it is to be had.
pub fn programs() -> Vec<PathBuf> {
    let upstream = upstream();
    if upstream.is_none() {
        eprintln!("petrel alone: there is no nats-server 2.15.2");
    }
    std::iter::once(super::binary().into()).chain(upstream).collect()
}
