//! What the configuration is read from.

use nix::unistd::{AccessFlags, access};
use petrel_config::Source;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file system and the environment of this process.
pub struct System;

impl Source for System {
    fn read(&mut self, path: &str) -> Result<Vec<u8>, String> {
        fs::read(path).map_err(|error| {
            // Go reads a folder in two steps, of which the second fails.
            let step = if error.kind() == io::ErrorKind::IsADirectory { "read" } else { "open" };
            format!("{step} {path}: {}", system_text(&error))
        })
    }

    fn read_if_there(&mut self, path: &str) -> Result<Option<Vec<u8>>, String> {
        match fs::read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(format!("open {path}: {}", system_text(&error))),
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

/// Whether a file can be written, or made where it is not there yet; neither is done.
///
/// # Errors
/// What the system would say.
pub fn check_writable(path: &Path) -> io::Result<()> {
    // A pipe that nobody reads yet must not hold this up.
    let opened = OpenOptions::new().append(true).custom_flags(nix::libc::O_NONBLOCK).open(path);
    match opened.map_err(|error| (error.raw_os_error(), error)) {
        Ok(_) | Err((Some(nix::libc::ENXIO), _)) => Ok(()),
        Err((_, error)) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            // The dot asks for a folder: a file in its place is another error.
            let folder = folder.unwrap_or(Path::new(".")).join(".");
            Ok(access(&folder, AccessFlags::W_OK | AccessFlags::X_OK)?)
        }
        Err((_, error)) => Err(error),
    }
}

/// What the system said, without Rust's error number and in lower case, as Go prints it.
pub fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut letters = text.chars();
    letters
        .next()
        .map(|first| first.to_lowercase().collect::<String>() + letters.as_str())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_read_as_gos() {
        assert_eq!(System.read("/nonexistent").unwrap_err(), "open /nonexistent: no such file or directory");
        assert_eq!(System.read("/").unwrap_err(), "read /: is a directory");
    }

    #[test]
    fn whether_a_file_can_be_written_shows_without_writing() {
        let folder = tempfile::tempdir().unwrap();
        let new = folder.path().join("new");
        let old = folder.path().join("old");
        fs::write(&old, "kept").unwrap();
        assert!(check_writable(&new).is_ok() && !new.exists());
        assert!(check_writable(&old).is_ok());
        assert_eq!(fs::read_to_string(&old).unwrap(), "kept");
        assert!(check_writable(Path::new("surely_not_there")).is_ok());
        let said = |path: &Path| system_text(&check_writable(path).unwrap_err());
        assert_eq!(said(folder.path()), "is a directory");
        assert_eq!(said(&folder.path().join("not/there")), "no such file or directory");
        assert_eq!(said(&old.join("below")), "not a directory");
    }

    #[test]
    fn impossible_names_are_not_there() {
        for name in ["", "a=b", "a\0b", "SURELY_NOT_SET_ANYWHERE"] {
            assert_eq!(System.environment(name), None);
        }
        assert!(System.environment("PATH").is_some());
    }
}
