//! The server as a whole: cores, monitoring, signals.

use crate::address::joined;
use crate::configure::Configured;
use crate::descriptors;
use crate::flags::Flags;
use crate::identity::Identity;
use crate::log::{Levels, Log};
use crate::monitor::{About, Listener, Monitor, plainly};
use crate::node::{Node, StartError, StopError};
use crate::passwords::PasswordChecker;
use crate::placement::Placement;
use crate::ports_file::{Ports, PortsFile, urls};
use crate::process::PidFileError;
use crate::quit::end_at_once;
use crate::reload::{Reloader, Surroundings};
use crate::settings::{self, Listen};
use crate::signals::{self, Signal};
use crate::system::{Reload, Services};
use crate::tls::{self, Tls};
use crate::version::{PETREL, PROGRAM, UPSTREAM};
use crate::{process, tcp};
use crossbeam_channel::{Receiver, select};
use jiff::Timestamp;
use petrel_config::{HandshakeFirst, Options};
use petrel_engine::Notice;
use petrel_runtime::{BackendKind, LaunchOptions, online_cpus};
use std::error::Error;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use tracing::{error, info, warn};

/// How often another free port is tried when somebody was faster.
const FREE_PORT_ATTEMPTS: usize = 10;

/// What can go wrong before the server is ready; told in one line.
pub type StartFailure = Box<dyn Error + Send + Sync>;

/// A server that is ready.
pub struct Server {
    node: Node,
    monitor: Arc<Monitor>,
    services: Services,
    signals: Receiver<Signal>,
    passwords: PasswordChecker,
    reloader: Arc<Reloader>,
    ports_file: Arc<PortsFile>,
    log: Log,
}

impl Server {
    /// Binds, starts the cores and says so.
    ///
    /// # Errors
    /// Whatever keeps the server from being ready, as one line.
    pub fn start(
        flags: &Flags,
        configured: &Configured,
        log: &Log,
        levels: Levels,
    ) -> Result<Server, StartFailure> {
        let start = Timestamp::now();
        let options = &configured.options;
        let identity = Identity::generate().map_err(|error| format!("cannot draw random keys: {error}"))?;
        let server_name = settings::server_name(options, &identity);
        announce_start(configured, &identity, &server_name);
        // Before the cores start, so that none of their threads is interrupted by a signal.
        let quitting = log.clone();
        let signals = signals::listen(move || end_at_once(&quitting))
            .map_err(|error| format!("cannot handle signals: {error}"))?;
        if let Err(error) = process::raise_descriptor_limit() {
            warn!("Cannot raise the limit of open files: {error}");
        }

        let online = online_cpus();
        let placement = Placement::of(options, &online, descriptors::limit())
            .map_err(|errors| errors.into_iter().map(|error| error.to_string()).next().unwrap_or_default())?;
        let Placement { clients: listen, monitoring, launch, note } = placement;
        if let Some(note) = note {
            warn!("{note}");
        }
        let (http, is_https) = match monitoring {
            Some((listen, is_https)) => (Some(Listener::bind(&listen)?), is_https),
            None => (None, false),
        };
        let scheme = if is_https { "https" } else { "http" };
        if let Some(http) = &http {
            info!("Starting {scheme} monitor on {}", joined(&http.shown.0, http.shown.1));
        }

        // Who can connect may rely on it.
        if let Some(path) = options.pid_file.as_deref().filter(|path| !path.is_empty()) {
            process::write_pid_file(Path::new(path)).map_err(|error| PidFileError::new(path, error))?;
        }
        let tls = configured.tls.clone();
        let (node, engine_options) = start_node(options, &identity, listen.clone(), &launch, tls.as_ref())?;
        let info = &engine_options.info;
        let passwords = node
            .start_password_checker(identity.hash_key)
            .map_err(|error| format!("cannot start the thread that checks passwords: {error}"))?;
        announce_ready(&node, &listen);
        announce_clients(options);
        let about = About {
            options: options.clone(),
            config_digest: configured.file.as_ref().map(|file| file.digest.clone()).unwrap_or_default(),
            config_load_time: configured.load_time,
            server_id: identity.id.clone(),
            server_name,
            advertised: (info.host.clone(), info.port),
            http: http.as_ref().map(|http| http.shown.clone()).unwrap_or_default(),
            is_https,
            tls,
            auth_required: engine_options.directory.auth_required(),
            start,
            cpus: node.cpus().to_vec(),
            backend: backend_name(node.backend()),
            processor_count: online.len(),
        };
        let ports_file = Arc::new(PortsFile::new(ports(
            options,
            &listen,
            &node,
            http.as_ref().map(|http| (http, scheme)),
        )));
        let monitor = Arc::new(Monitor::new(about, node.inquiry(), log.lost_lines()));
        if let Some(http) = http {
            let open = if is_https { tls::secured(&monitor) } else { plainly() };
            http.serve(monitor.clone(), open).map_err(|error| format!("Can't start monitoring: {error}"))?;
        }
        ports_file.move_to(options.ports_file_dir.as_deref());
        let surroundings = Surroundings {
            flags: flags.clone(),
            identity,
            listen: Listen { address: SocketAddr::new(listen.address.ip(), node.address.port()), ..listen },
            core_count: node.cpus().len(),
            cores: node.reconfiguration(),
            monitor: monitor.clone(),
            log: log.clone(),
            levels,
            ports_file: ports_file.clone(),
        };
        let reloader = Arc::new(Reloader::new(surroundings, options.clone(), engine_options));
        let services = Services::start(monitor.clone(), reload_by(&reloader))
            .map_err(|error| format!("Can't start the system account's services: {error}"))?;
        info!("Server is ready");
        Ok(Server { node, monitor, services, signals, passwords, reloader, ports_file, log: log.clone() })
    }

    /// Waits for signals until one of them ends the server, then stops it.
    ///
    /// # Errors
    /// When the cores do not stop in order.
    pub fn serve(self) -> Result<(), StopError> {
        let mut lame_duck = false;
        loop {
            let signal = select! {
                // The thread that listens for signals never ends before the process.
                recv(self.signals) -> signal => signal.unwrap_or(Signal::Terminate),
                recv(self.node.notices()) -> notice => match notice {
                    Ok(Notice::LameDuckEnded) => break,
                    Ok(Notice::CheckPassword(check)) => {
                        self.passwords.submit(check);
                        continue;
                    }
                    Ok(Notice::System(core, notice)) => {
                        self.services.take(core, notice);
                        continue;
                    }
                    Ok(notice) => {
                        warn!("Unexpected notice of a core: {notice:?}");
                        continue;
                    }
                    // All cores are gone; stopping says why.
                    Err(_) => break,
                },
            };
            info!("Trapped \"{}\" signal", signal.name());
            match signal {
                Signal::Interrupt => break,
                Signal::Terminate if lame_duck => {}
                Signal::Terminate => break,
                Signal::Reload => {
                    if let Err(failure) = self.reloader.reload() {
                        error!("Failed to reload server configuration: {failure}");
                    }
                }
                Signal::ReopenLog => self.log.reopen(),
                Signal::LameDuck if lame_duck => {}
                Signal::LameDuck => {
                    lame_duck = true;
                    self.enter_lame_duck();
                }
            }
        }
        info!("Initiating Shutdown...");
        self.services.announce_shutdown();
        let stopped = self.node.stop();
        self.ports_file.remove();
        stopped?;
        info!("Server Exiting..");
        Ok(())
    }

    fn enter_lame_duck(&self) {
        info!("Entering lame duck mode, stop accepting new clients");
        self.monitor.stop_accepting();
        self.services.announce_lame_duck();
        self.node.enter_lame_duck();
    }
}

/// What the system request RELOAD does.
fn reload_by(reloader: &Arc<Reloader>) -> Reload {
    let reloader = reloader.clone();
    Arc::new(move || reloader.reload().map_err(|error| error.to_string()))
}

/// What the ports file says.
fn ports(options: &Options, listen: &Listen, node: &Node, http: Option<(&Listener, &str)>) -> Ports {
    let scheme = if options.tls.is_some() { "tls" } else { "nats" };
    let monitoring = http.map(|(http, scheme)| urls(scheme, http.address.ip(), http.address.port()));
    Ports {
        nats: urls(scheme, listen.address.ip(), node.address.port()),
        monitoring: monitoring.unwrap_or_default(),
    }
}

/// Starts the cores; returns them and their options. INFO carries the port before the
/// first client is greeted, so a free one is looked for here, and another one when somebody took it meanwhile.
fn start_node(
    options: &Options,
    identity: &Identity,
    mut listen: Listen,
    launch_options: &LaunchOptions,
    tls: Option<&Tls>,
) -> Result<(Node, Arc<petrel_engine::Options>), StartFailure> {
    let any_port = listen.address.port() == 0;
    let mut attempts = if any_port { FREE_PORT_ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        if any_port {
            listen.address.set_port(tcp::free_port(listen.address)?);
        }
        let core_count = launch_options.cpus.len();
        let engine_options =
            Arc::new(settings::engine_options(options, identity, &listen, core_count, None, tls)?);
        match Node::start(engine_options.clone(), launch_options, &listen, identity.hash_key) {
            Err(StartError::Listen { source, .. })
                if source.kind() == ErrorKind::AddrInUse && attempts > 0 => {}
            result => return Ok((result?, engine_options)),
        }
    }
}

fn announce_start(configured: &Configured, identity: &Identity, server_name: &str) {
    info!("Starting {PROGRAM}");
    info!("  Version:  {UPSTREAM} (petrel {PETREL})");
    info!("  Name:     {server_name}");
    info!("  ID:       {}", identity.id);
    for line in configured.options.feature_flags.lines() {
        info!("{line}");
    }
    for advice in configured.options.advice() {
        warn!("{advice}");
    }
    if let Some(file) = &configured.file {
        info!("Using configuration file: {} ({})", file.path, file.digest);
        if let Some(path) = &file.petrel_path {
            info!("Using petrel settings of {path}");
        }
        for notice in &file.notices {
            warn!("{notice}");
        }
    }
}

/// What clients of the port that was named last have to do.
fn announce_clients(options: &Options) {
    if options.proxy_protocol {
        info!("PROXY protocol enabled for client connections");
    }
    if let Some(tls) = &options.tls {
        let is_optional = options.allow_non_tls && tls.handshake_first != HandshakeFirst::Always;
        info!("TLS {} for client connections", if is_optional { "available" } else { "required" });
    }
}

fn announce_ready(node: &Node, listen: &Listen) {
    let count = node.cpus().len();
    let cores = if count == 1 { "core on CPU" } else { "cores on CPUs" };
    let cpus: Vec<String> = node.cpus().iter().map(usize::to_string).collect();
    info!("Running {count} {cores} {} with {}", cpus.join(", "), backend_name(node.backend()));
    if let Some(note) = node.backend_note() {
        warn!("{note}");
    }
    info!("Listening for client connections on {}", joined(&listen.host, node.address.port()));
}

fn backend_name(backend: BackendKind) -> &'static str {
    match backend {
        BackendKind::Uring => "io_uring",
        BackendKind::Epoll => "epoll",
        BackendKind::Sim => "simulation",
    }
}
