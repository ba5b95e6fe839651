//! What the configuration is read from.

use petrel_config::Source;
use std::fs;
use std::io;

/// The file system and the environment of this process.
pub(crate) struct System;

impl Source for System {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(path).map_err(|error| format!("open {path}: {error}"))
    }

    fn read_if_there(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("open {path}: {error}")),
        }
    }

    fn environment(&mut self, name: &str) -> Option<String> {
        // Rust panics on names that cannot exist.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
    }
}
