//! What the server runs with: the file's options, overruled by the command line, completed by defaults.

use crate::address;
use crate::flags::Flags;
use crate::identity::Identity;
use crate::memory;
use crate::version;
use petrel_config::{Backend, Cores, Options, WriteTimeout, defaults, or_default};
use petrel_engine as engine;
use petrel_protocol::client::ServerInfo;
use petrel_runtime::{BackendChoice, LaunchOptions};
use std::net::SocketAddr;
use std::sync::Arc;

/// Why options cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A port that is none.
    #[error("invalid port {0}: must be -1 (pick a free one) or 0 to 65535")]
    Port(i64),
    /// A host that does not resolve, or an advertised address that cannot be read.
    #[error(transparent)]
    Address(#[from] address::AddressError),
    /// Accounts and users that do not fit together.
    #[error(transparent)]
    Directory(#[from] engine::DirectoryError),
    /// More cores than the process may use, or CPUs it may not use.
    #[error("{0}")]
    Cores(String),
}

/// Lets the command line overrule the file.
pub fn overrule(options: &mut Options, flags: &Flags) {
    fn take<T: Clone>(option: &mut Option<T>, flag: &Option<T>) {
        if flag.is_some() {
            option.clone_from(flag);
        }
    }
    take(&mut options.host, &flags.host);
    take(&mut options.port, &flags.port);
    take(&mut options.http_port, &flags.http_port);
    take(&mut options.server_name, &flags.name);
    take(&mut options.client_advertise, &flags.client_advertise);
    take(&mut options.pid_file, &flags.pid_file);
    take(&mut options.log.file, &flags.log_file);
    take(&mut options.log.debug, &flags.debug);
    take(&mut options.log.trace, &flags.trace);
    take(&mut options.log.time, &flags.logtime);
    take(&mut options.log.utc, &flags.logtime_utc);
    if let Some(both) = flags.debug_trace {
        options.log.debug = Some(both);
        options.log.trace = Some(both);
    }
    take(&mut options.authorization.user, &flags.user);
    take(&mut options.authorization.password, &flags.password);
    take(&mut options.authorization.token, &flags.token);
}

/// Where the server listens and what it says of that.
#[derive(Clone, Debug)]
pub struct Listen {
    /// The host as it was configured; log lines and `/varz` show it.
    pub host: String,
    /// What is bound; port 0 picks a free one.
    pub address: SocketAddr,
}

impl Listen {
    /// `port`: -1 picks a free one, 0 means `default_port`.
    fn new(host: &str, port: i64, default_port: i64) -> Result<Listen, SettingsError> {
        let port = match port {
            -1 => 0,
            0 => default_port,
            other => other,
        };
        let port = u16::try_from(port).map_err(|_| SettingsError::Port(port))?;
        Ok(Listen { host: host.to_owned(), address: address::resolve(host, port)? })
    }
}

/// Where clients connect.
///
/// # Errors
/// When the host does not resolve or the port is none.
pub fn client_listen(options: &Options) -> Result<Listen, SettingsError> {
    Listen::new(host(options), options.port.unwrap_or(0), defaults::PORT)
}

/// Where monitoring listens; `None` when it is not asked for.
///
/// # Errors
/// When the host does not resolve or the port is none.
pub fn monitor_listen(options: &Options) -> Result<Option<Listen>, SettingsError> {
    match options.http_port.unwrap_or(0) {
        0 => Ok(None),
        port => {
            let named = options.http_host.as_deref().filter(|host| !host.is_empty());
            Listen::new(named.unwrap_or_else(|| host(options)), port, 0).map(Some)
        }
    }
}

fn host(options: &Options) -> &str {
    options.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(defaults::HOST)
}

/// What the engine is told. INFO shows the port of `listen`, so that must be known.
///
/// # Errors
/// When the advertised address cannot be read.
pub fn engine_options(
    options: &Options,
    identity: &Identity,
    listen: &Listen,
    core_count: usize,
) -> Result<engine::Options, SettingsError> {
    let directory = engine::Directory::compile(options, None)?;
    let info = server_info(options, identity, listen, directory.info_auth_required())?;
    let core_count = core_count.max(1) as u64;
    let budget = options.petrel.memory_bytes.unwrap_or_else(memory::budget_bytes) / core_count;
    Ok(engine::Options {
        info,
        listen: listen.address,
        limits: limits(options),
        directory: Arc::new(directory),
        auth_timeout: or_default(options.authorization.timeout, defaults::AUTH_TIMEOUT),
        ping_interval: or_default(options.ping_interval, defaults::PING_INTERVAL),
        ping_max: u32::try_from(or_default(options.ping_max, defaults::PING_MAX)).unwrap_or(u32::MAX),
        write_deadline: or_default(options.write_deadline, defaults::WRITE_DEADLINE),
        write_timeout_retry: options.write_timeout == WriteTimeout::Retry,
        no_fast_producer_stall: options.no_fast_producer_stall,
        headers: !options.no_header_support,
        lame_duck_duration: options.lame_duck_duration(),
        lame_duck_grace_period: options.lame_duck_grace_period(),
        closed_clients_max: size(or_default(options.closed_clients_max, defaults::CLOSED_CLIENTS_MAX)),
        trace: options.log.trace.unwrap_or(false),
        memory_budget_bytes: usize::try_from(budget).unwrap_or(usize::MAX),
    })
}

fn server_info(
    options: &Options,
    identity: &Identity,
    listen: &Listen,
    auth_required: bool,
) -> Result<ServerInfo, SettingsError> {
    let advertised = options.client_advertise.as_deref().filter(|text| !text.is_empty());
    let (host, port) = match advertised {
        Some(text) => address::advertised(text, listen.address.port())?,
        None => (listen.host.clone(), listen.address.port()),
    };
    Ok(ServerInfo {
        server_id: identity.id.clone(),
        server_name: server_name(options, identity),
        version: version::UPSTREAM.to_owned(),
        proto: 1,
        go: version::TOOLCHAIN.to_owned(),
        host,
        port,
        headers: !options.no_header_support,
        auth_required,
        max_payload: options.payload_max(),
        api_lvl: version::API_LEVEL,
        xkey: identity.curve_key.clone(),
        petrel: version::PETREL.to_owned(),
        ..ServerInfo::default()
    })
}

/// The server's name: as configured, else its id.
pub fn server_name(options: &Options, identity: &Identity) -> String {
    options.server_name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| identity.id.clone())
}

fn limits(options: &Options) -> engine::Limits {
    engine::Limits {
        // Unlike elsewhere a configured 0 is no default here: nobody may connect.
        connections_max: options.connections_max.unwrap_or(defaults::CONNECTIONS_MAX),
        subscriptions_max: size(options.subscriptions_max.unwrap_or(0)),
        subscription_tokens_max: usize::from(options.subscription_tokens_max.unwrap_or(0)),
        control_line_max: size(or_default(options.control_line_max, defaults::CONTROL_LINE_MAX)),
        payload_max: options.payload_max(),
        pending_max: size(options.pending_max()),
    }
}

/// How the cores are started.
///
/// # Errors
/// When CPUs are asked for that the process may not use.
pub fn launch_options(options: &Options, online: &[usize]) -> Result<LaunchOptions, SettingsError> {
    let cpus = match &options.petrel.cores {
        Cores::All => online.to_vec(),
        Cores::Count(count) if *count > online.len() => {
            return Err(SettingsError::Cores(format!(
                "petrel.cores asks for {count} cores, but this process may use only {} CPUs",
                online.len()
            )));
        }
        Cores::Count(count) => online[..*count].to_vec(),
        Cores::List(list) => match list.iter().find(|cpu| !online.contains(cpu)) {
            Some(cpu) => {
                return Err(SettingsError::Cores(format!(
                    "petrel.cores names CPU {cpu}, which this process may not use; it may use {online:?}"
                )));
            }
            None => list.clone(),
        },
    };
    let backend = match options.petrel.backend {
        Backend::Auto => BackendChoice::Auto,
        Backend::Uring => BackendChoice::Uring,
        Backend::Epoll => BackendChoice::Epoll,
    };
    Ok(LaunchOptions { cpus, backend, ..LaunchOptions::default() })
}

fn size(value: i64) -> usize {
    usize::try_from(value).unwrap_or(0)
}
