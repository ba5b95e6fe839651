//! Reading the configuration again while the server runs (reference: config.md, section 16).
//!
//! Everything is checked and opened before the first thing changes, so a reload that fails leaves all as it was.

mod change;
mod table;

pub use change::{Change, Fixed, changes};

use crate::configure::{self, ConfigureError, Configured};
use crate::files::system_text;
use crate::flags::Flags;
use crate::identity::Identity;
use crate::log::{Destination, Levels, Log, Opened, OutputError};
use crate::monitor::Monitor;
use crate::node::{CoreSilent, Reconfiguration};
use crate::ports_file::PortsFile;
use crate::process;
use crate::settings::{self, Listen, SettingsError};
use petrel_config::Options;
use petrel_engine as engine;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tracing::{error, info, warn};

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// There is no file to read again.
    #[error("can only reload config when a file is provided using -c or --config")]
    NoFile,
    /// The file is wrong.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// An option has changed that is only read at start.
    #[error(transparent)]
    Fixed(#[from] Fixed),
    /// The options cannot be carried out.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The log cannot be written where it should go.
    #[error(transparent)]
    Log(#[from] OutputError),
    /// TLS is new, and there is no thread to be had for handshakes.
    #[error("cannot start the threads for TLS handshakes: {0}")]
    Handshakes(std::io::Error),
    /// A core is stuck. When it was the second step that it did not take, other cores, and later this one, have the
    /// new options, and what is shown and logged stays that of the old ones until a reload succeeds.
    #[error(transparent)]
    Core(#[from] CoreSilent),
}

/// What a reload needs of the running server.
pub struct Surroundings {
    /// The command line: it overrules the file at each reload.
    pub flags: Flags,
    /// Who the server is.
    pub identity: Identity,
    /// Where clients connect, with the port that was bound.
    pub listen: Listen,
    /// Cores of the node.
    pub core_count: usize,
    /// The way to them.
    pub cores: Reconfiguration,
    /// What monitoring shows.
    pub monitor: Arc<Monitor>,
    /// The log.
    pub log: Log,
    /// Which lines it has.
    pub levels: Levels,
    /// The file with the listeners' addresses.
    pub ports_file: Arc<PortsFile>,
}

/// What the server runs with now.
struct Current {
    options: Options,
    engine: Arc<engine::Options>,
}

/// Reads the configuration again on request: SIGHUP, or a request to the system account.
pub struct Reloader {
    surroundings: Surroundings,
    /// Locked during a reload: there is one at a time.
    current: Mutex<Current>,
}

impl Reloader {
    /// A reloader of a server that runs with these options.
    pub fn new(surroundings: Surroundings, options: Options, engine: Arc<engine::Options>) -> Reloader {
        Reloader { surroundings, current: Mutex::new(Current { options, engine }) }
    }

    /// Reads the file again and goes over to what it says. Blocks until all cores have.
    ///
    /// # Errors
    /// See [`ReloadError`]; nothing has changed then, unless a core is stuck.
    pub fn reload(&self) -> Result<(), ReloadError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = &self.surroundings.flags;
        configure::file(flags).ok_or(ReloadError::NoFile)?;
        let (configured, problems) = configure::read(flags)?;
        let changes = changes(&current.options, &configured.options)?;
        let engine_options = Arc::new(settings::engine_options(
            &configured.options,
            &self.surroundings.identity,
            &self.surroundings.listen,
            self.surroundings.core_count,
            Some(&current.engine.directory),
            configured.tls.as_ref(),
        )?);
        let log = self.open_log(&current.options, &configured.options)?;
        if configured.tls.is_some() {
            self.surroundings.cores.start_handshakes().map_err(ReloadError::Handshakes)?;
        }
        self.surroundings.cores.prepare(&engine_options)?;
        self.surroundings.cores.carry_out(&engine_options)?;
        self.surroundings.cores.settle()?;

        self.change_log(log, &configured.options);
        for problem in problems.warnings.iter().chain(&problems.notices) {
            warn!("{problem}");
        }
        self.change_monitor(&configured, &engine_options);
        changes.iter().for_each(Change::announce);
        self.change_files(&current.options, &configured.options);
        *current = Current { options: configured.options, engine: engine_options };
        let digest = configured.file.map(|file| file.digest).unwrap_or_default();
        info!("Reloaded server configuration ({digest})");
        Ok(())
    }

    /// Opens the log's new destination, when it is another.
    fn open_log(&self, old: &Options, new: &Options) -> Result<Option<Opened>, OutputError> {
        if old.log == new.log {
            return Ok(None);
        }
        Opened::open(Destination::of(&new.log)).map(Some)
    }

    fn change_log(&self, opened: Option<Opened>, options: &Options) {
        if let Some(opened) = opened {
            self.surroundings.log.redirect(opened);
            let debug = options.log.debug.unwrap_or(false);
            self.surroundings.levels.change(debug, settings::is_traced(&options.log));
        }
    }

    fn change_monitor(&self, configured: &Configured, engine_options: &engine::Options) {
        self.surroundings.monitor.change(|about| {
            about.options = configured.options.clone();
            about.config_digest =
                configured.file.as_ref().map(|file| file.digest.clone()).unwrap_or_default();
            about.config_load_time = configured.load_time;
            about.tls.clone_from(&configured.tls);
            about.advertised = (engine_options.info.host.clone(), engine_options.info.port);
            about.auth_required = engine_options.directory.auth_required();
        });
    }

    /// A file that cannot be written is told and changes nothing else, as upstream has it.
    fn change_files(&self, old: &Options, new: &Options) {
        if old.pid_file != new.pid_file
            && let Some(path) = new.pid_file.as_deref().filter(|path| !path.is_empty())
            && let Err(failure) = process::write_pid_file(Path::new(path))
        {
            error!("Failed to write pidfile: open {path}: {}", system_text(&failure));
        }
        if old.ports_file_dir != new.ports_file_dir {
            self.surroundings.ports_file.move_to(new.ports_file_dir.as_deref());
        }
    }
}
