//! What the configuration is read from.

use petrel_config::Source;
use std::fs;
use std::io;

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
    fn impossible_names_are_not_there() {
        for name in ["", "a=b", "a\0b", "SURELY_NOT_SET_ANYWHERE"] {
            assert_eq!(System.environment(name), None);
        }
        assert!(System.environment("PATH").is_some());
    }
}
