//! What a start would say, found out without one: nothing is bound, written or started. `petrel config check` asks.
//!
//! Everything is decided by the code that the start goes through, and said in its words; a start ends with the first
//! error, here all are told. What only a start can show is left out: ports that somebody else has, memory and threads
//! that the system does not give.

use crate::descriptors;
use crate::files;
use crate::identity::Identity;
use crate::log::{Destination, Output};
use crate::placement::Placement;
use crate::ports_file;
use crate::process::PidFileError;
use crate::settings::{self, SettingsError};
use crate::tls::{Tls, TlsError};
use petrel_config::{Inspection, Options, Position, Problem};
use petrel_engine::{Directory, DirectoryError};
use petrel_runtime::{BackendChoice, LaunchError, online_cpus, probe_io_uring};
use std::collections::BTreeSet;
use std::fmt::Display;

/// Who may connect, and what passes between accounts.
const ACCESS: [&str; 6] =
    ["accounts", "authorization", "mappings", "no_auth_user", "system_account", "no_system_account"];
/// Where the log goes.
const LOG: [&str; 5] = ["log_file", "syslog", "remote_syslog", "log_size_limit", "log_max_num"];
/// Where the server listens and on what it runs.
const PLACEMENT: [&str; 9] =
    ["listen", "host", "port", "http", "http_port", "https", "https_port", "petrel", "log_file"];

/// What a start would say.
#[derive(Clone, Debug, Default)]
pub struct Rehearsal {
    /// What keeps the server from starting, in the order in which it would say so.
    pub errors: Vec<Problem>,
    /// What it says and starts all the same.
    pub warnings: Vec<Problem>,
    /// Keys at top level whose values could not be read and without which something else could not be looked at.
    pub unchecked: BTreeSet<&'static str>,
}

/// What the server would say at a start here and now with a file and no flags: as this user, in this folder, on this
/// machine. The errors of reading the file are not told again.
pub fn rehearse(inspection: &Inspection) -> Rehearsal {
    let mut stage = Stage { inspection, rehearsal: Rehearsal::default() };
    let options = &inspection.options;
    stage.accounts(options);
    stage.options(options);
    let tls = stage.tls(options);
    if stage.knows(&["system_account", "accounts"]) {
        stage.add(&["system_account"], options.check_system_account());
    }
    if stage.knows(&LOG) {
        stage.add(&LOG, Output::check(&Destination::of(&options.log).sink));
    }
    stage.place(options, tls.as_ref());
    stage.rehearsal
}

struct Stage<'i> {
    inspection: &'i Inspection,
    rehearsal: Rehearsal,
}

impl Stage<'_> {
    /// Whether what these keys say is known; notes it where not.
    fn knows(&mut self, keys: &[&str]) -> bool {
        let unread = self.inspection.unread.iter().filter(|unread| keys.contains(unread));
        self.rehearsal.unchecked.extend(unread);
        self.inspection.is_read(keys)
    }

    /// Where the first of these keys that the file uses stands.
    fn place_of(&self, keys: &[&str]) -> Option<Position> {
        keys.iter().find_map(|key| self.inspection.place(key)).cloned()
    }

    /// Notes what does not work; it is about the first of these keys that the file uses.
    fn add<T, E: Display>(&mut self, keys: &[&str], outcome: Result<T, E>) -> Option<T> {
        let place = self.place_of(keys);
        let failed = |error: E| self.rehearsal.errors.push(Problem::new(place, error.to_string()));
        outcome.map_err(failed).ok()
    }

    fn accounts(&mut self, options: &Options) {
        if !self.knows(&ACCESS) {
            return;
        }
        for (account, error) in Directory::flaws_between_accounts(options) {
            let position = self.inspection.place_of_account(&account).cloned();
            self.rehearsal.errors.push(Problem::new(position, error.to_string()));
        }
    }

    fn options(&mut self, options: &Options) {
        for flaw in options.flaws() {
            if self.knows(flaw.keys()) {
                self.add::<(), _>(flaw.keys(), Err(flaw));
            }
        }
    }

    fn tls(&mut self, options: &Options) -> Option<Tls> {
        if !self.knows(&["tls"]) {
            return None;
        }
        let flaws = options.tls.as_ref().map(Tls::flaws).unwrap_or_default();
        if flaws.is_empty() {
            return self.add::<_, TlsError>(&["tls"], settings::tls(options)).flatten();
        }
        for (key, error) in flaws {
            self.add::<(), _>(&[key, "tls"], Err(error));
        }
        None
    }

    fn place(&mut self, options: &Options, tls: Option<&Tls>) {
        let path = |path: &Option<String>| path.clone().filter(|path| !path.is_empty());
        let placed = Placement::of(options, &online_cpus(), descriptors::limit());
        let placed = if self.knows(&PLACEMENT) { placed } else { Err(Vec::new()) };
        if let Some(path) = path(&options.pid_file) {
            let written = files::check_writable(path.as_ref());
            self.add(&["pid_file"], written.map_err(|error| PidFileError::new(&path, error)));
        }
        if let Some(folder) = path(&options.ports_file_dir) {
            let position = self.place_of(&["ports_file_dir"]);
            let warning = ports_file::check(&folder).err().map(|text| Problem::new(position, text));
            self.rehearsal.warnings.extend(warning);
        }
        match placed {
            Ok(placement) => self.engine(options, &placement, tls),
            Err(errors) => {
                for error in errors {
                    self.add::<(), _>(error.keys(), Err(error));
                }
            }
        }
    }

    fn engine(&mut self, options: &Options, placement: &Placement, tls: Option<&Tls>) {
        let core_count = placement.launch.cpus.len();
        if let Some(identity) = self.add(&[], Identity::generate())
            && self.knows(&ACCESS)
        {
            let made =
                settings::engine_options(options, &identity, &placement.clients, core_count, None, tls);
            // What passes between accounts, and who stands for anybody, is told by now.
            let is_told = matches!(
                &made,
                Err(SettingsError::Directory(DirectoryError::Edges(_) | DirectoryError::NoAuthUser(_)))
            );
            if let Err(error) = made
                && !is_told
            {
                self.add::<(), _>(error.keys(), Err(error));
            }
        }
        if placement.launch.backend == BackendChoice::Uring {
            self.add(&["petrel.backend"], probe_io_uring().map_err(LaunchError::UringDenied));
        }
    }
}
