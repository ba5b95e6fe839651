//! The options, from the file and the command line; and the check of the file (`-t`).

use crate::console;
use crate::files::System;
use crate::flags::Flags;
use crate::settings::{self, FlagsError};
use crate::tls::{Tls, TlsError};
use crate::version::PROGRAM;
use jiff::Timestamp;
use petrel_config::{
    CheckError, Configuration, LoadError, Options, Position, Problem, Problems, SystemAccountMissing, load,
};
use petrel_engine::{Directory, DirectoryError, EdgesError};

/// What the server runs with.
#[derive(Clone, Debug)]
pub struct Configured {
    /// File and command line together.
    pub options: Options,
    /// Name and digest of the file.
    pub file: Option<ConfigFile>,
    /// When it was read.
    pub load_time: Timestamp,
    /// TLS, its files read.
    pub tls: Option<Tls>,
}

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// As it was named.
    pub path: String,
    /// `sha256:...`
    pub digest: String,
    /// The `petrel.conf` beside it, when there is one.
    pub petrel_path: Option<String>,
    /// Keys that are ignored without harm.
    pub notices: Vec<Problem>,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// `-t` without `-c`.
    #[error("must specify [-c, --config] option to check configuration file syntax")]
    NothingToCheck,
    /// The file is wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The file has warnings, which only a check minds.
    #[error("{0}")]
    Warnings(Problems),
    /// What passes between accounts does not fit; in front, where upstream says it is.
    #[error("{}{error}", prefix(position.as_ref()))]
    Edges {
        /// The place of the accounts.
        position: Option<Position>,
        /// What does not fit.
        error: Box<EdgesError>,
    },
    /// The command line asks for what it does not complete, or what is not there.
    #[error(transparent)]
    Flags(#[from] FlagsError),
    /// Certificates, keys or rules of TLS do not work; in front, where the block stands, when it is the file's.
    #[error("{}{error}", prefix(position.as_ref()))]
    Tls {
        /// The place of the block.
        position: Option<Position>,
        /// What does not work.
        error: TlsError,
    },
    /// The options do not go together.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// There is no such system account.
    #[error(transparent)]
    SystemAccount(#[from] SystemAccountMissing),
}

/// A place in front of what is said of it.
fn prefix(position: Option<&Position>) -> String {
    position.map(|position| format!("{position}: ")).unwrap_or_default()
}

/// Reads the file that `-c` names and lets the command line overrule it. `None` when the file was only to be
/// checked, and is valid. Warnings of the file are told on standard error, as there is no log yet.
///
/// # Errors
/// See [`ConfigureError`].
pub fn configure(flags: &Flags) -> Result<Option<Configured>, ConfigureError> {
    if flags.check == Some(true) {
        let path = file(flags).ok_or(ConfigureError::NothingToCheck)?;
        let read = load(path, &mut System)?;
        check_edges(&read)?;
        tls(&read.options, read.tls.as_ref())?;
        let Configuration { digest, problems, .. } = read;
        return report_check(path, &digest, problems).map(|()| None);
    }
    let (configured, problems) = read(flags)?;
    configured.options.check_system_account()?;
    console::complain(&problems.to_string());
    Ok(Some(configured))
}

/// The file that `-c` names.
pub fn file(flags: &Flags) -> Option<&str> {
    flags.config.as_deref().filter(|path| !path.is_empty())
}

/// Reads the file that `-c` names, if any, lets the command line overrule it and checks the whole. Returns warnings
/// and notices as well.
///
/// # Errors
/// See [`ConfigureError`].
pub fn read(flags: &Flags) -> Result<(Configured, Problems), ConfigureError> {
    let load_time = Timestamp::now();
    let mut problems = Problems::default();
    let mut tls_position = None;
    let (mut options, file) = match file(flags) {
        Some(path) => {
            let loaded = load(path, &mut System)?;
            check_edges(&loaded)?;
            problems = loaded.problems;
            tls_position = loaded.tls;
            let file = ConfigFile {
                path: path.to_owned(),
                digest: loaded.digest,
                petrel_path: loaded.petrel_file,
                notices: problems.notices.clone(),
            };
            (loaded.options, Some(file))
        }
        None => (Options::default(), None),
    };
    settings::overrule(&mut options, flags)?;
    options.check()?;
    let tls = tls(&options, tls_position.as_ref())?;
    Ok((Configured { options, file, load_time, tls }, problems))
}

/// Reads the files of TLS.
fn tls(options: &Options, position: Option<&Position>) -> Result<Option<Tls>, ConfigureError> {
    settings::tls(options).map_err(|error| ConfigureError::Tls { position: position.cloned(), error })
}

/// Upstream finds what is wrong between accounts while it reads the file, so that a check of the file tells it.
fn check_edges(read: &Configuration) -> Result<(), ConfigureError> {
    match Directory::compile(&read.options, None) {
        Err(DirectoryError::Edges(error)) => {
            Err(ConfigureError::Edges { position: read.accounts.clone(), error: Box::new(error) })
        }
        _ => Ok(()),
    }
}

fn report_check(path: &str, digest: &str, problems: Problems) -> Result<(), ConfigureError> {
    if !problems.warnings.is_empty() {
        return Err(ConfigureError::Warnings(problems));
    }
    for notice in &problems.notices {
        console::complain(&format!("{notice}\n"));
    }
    console::complain(&format!("{PROGRAM}: configuration file {path} is valid ({digest})\n"));
    Ok(())
}
