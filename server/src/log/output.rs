//! Where the log goes.

use super::file::LogFile;
use super::format::{Format, Stamp};
use super::lost::{Unwritten, write_counted};
use super::syslog::{Address, Syslog, SyslogError};
use crate::files::{check_writable, system_text};
use petrel_config::LogOptions;
use std::io;
use std::path::PathBuf;

/// Where the log goes, and how lines look there.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Where.
    pub sink: Sink,
    /// How.
    pub format: Format,
}

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File {
        /// Its name.
        path: PathBuf,
        /// Bytes after which it is set aside; 0: never.
        size_limit: u64,
        /// Files kept, the current one included; 0: all.
        files_max: usize,
    },
    /// A system log; the address as configured, `None` for that of this machine.
    Syslog(Option<String>),
}

/// Why the log cannot be written there.
#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The file cannot be opened.
    #[error("error opening file: open {}: {}", path.display(), system_text(source))]
    File {
        /// Its name.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The system log cannot be reached.
    #[error(transparent)]
    Syslog(#[from] SyslogError),
    /// The thread cannot be started.
    #[error("cannot start the log: {0}")]
    Thread(io::Error),
}

impl Destination {
    /// What the options ask for: a file goes before another machine's system log, that before this machine's.
    pub fn of(options: &LogOptions) -> Destination {
        let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let sink = if let Some(path) = said(&options.file) {
            Sink::File {
                path: path.into(),
                size_limit: options.size_limit.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0),
                files_max: options.files_max.and_then(|files| usize::try_from(files).ok()).unwrap_or(0),
            }
        } else if let Some(address) = said(&options.remote_syslog) {
            Sink::Syslog(Some(address))
        } else if options.syslog == Some(true) {
            Sink::Syslog(None)
        } else {
            Sink::Stderr
        };
        let format = if options.json {
            Format::Json
        } else {
            Format::Text(Stamp::new(options.time.unwrap_or(true), options.utc.unwrap_or(false)))
        };
        Destination { sink, format }
    }
}

/// The open sink.
pub enum Output {
    /// Standard error.
    Stderr,
    /// A file.
    File(LogFile),
    /// A system log.
    Syslog(Syslog),
}

impl Output {
    /// Opens the sink.
    ///
    /// # Errors
    /// See [`OutputError`].
    pub fn open(sink: &Sink) -> Result<Output, OutputError> {
        match sink {
            Sink::Stderr => Ok(Output::Stderr),
            Sink::File { path, size_limit, files_max } => LogFile::open(path, *size_limit, *files_max)
                .map(Output::File)
                .map_err(|source| OutputError::File { path: path.clone(), source }),
            Sink::Syslog(address) => {
                let address = address.as_deref().map_or(Ok(Address::Local), Address::parse)?;
                Ok(Output::Syslog(Syslog::connect(address, crate::version::PROGRAM)?))
            }
        }
    }

    /// Whether the sink could be opened. A file is neither made nor written.
    ///
    /// # Errors
    /// What opening it would say.
    pub fn check(sink: &Sink) -> Result<(), OutputError> {
        match sink {
            Sink::File { path, .. } => {
                check_writable(path).map_err(|source| OutputError::File { path: path.clone(), source })
            }
            Sink::Stderr | Sink::Syslog(_) => Output::open(sink).map(drop),
        }
    }

    /// Writes whole lines. A system log takes its lines one by one instead.
    ///
    /// # Errors
    /// What the system said, and how far it got.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<(), Unwritten> {
        match self {
            Output::Stderr => write_counted(&mut io::stderr().lock(), bytes),
            Output::File(file) => file.write_all(bytes),
            Output::Syslog(_) => Ok(()),
        }
    }
}
