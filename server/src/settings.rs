//! What the server runs with: the file's options, overruled by the command line, completed by defaults.

use crate::address;
use crate::descriptors::TooFewDescriptors;
use crate::flags::Flags;
use crate::identity::Identity;
use crate::memory;
use crate::tls::{TLS_TIMEOUT_DEFAULT, Tls, TlsError};
use crate::version;
use petrel_config::{
    Backend, CertificateFiles, Cores, LogOptions, Options, TlsOptions, User, WriteTimeout, defaults,
    or_default,
};
use petrel_engine as engine;
use petrel_protocol::client::ServerInfo;
use petrel_runtime::{BackendChoice, LaunchOptions};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Why options cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A port that is none.
    #[error("invalid port {0}: must be -1 (pick a free one) or 0 to 65535")]
    Port(i64),
    /// A port of clients that is none.
    #[error("Error listening on port: {host}:{port}, \"listen tcp: address {port}: invalid port\"")]
    ClientPort {
        /// As configured.
        host: String,
        /// As configured.
        port: i64,
    },
    /// A port of monitoring that is none.
    #[error(
        "Can't start monitoring: can't listen to the monitor port: listen tcp: address {0}: invalid port"
    )]
    MonitorPort(i64),
    /// Clients and monitoring cannot both have it.
    #[error("Error listening on port: {0}, \"listen tcp {0}: bind: address already in use\"")]
    SamePort(String),
    /// The limit of open files.
    #[error(transparent)]
    Descriptors(#[from] TooFewDescriptors),
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

impl SettingsError {
    /// The keys that it is about, by their first names: the first of them that a file uses is where it stands.
    pub fn keys(&self) -> &'static [&'static str] {
        match self {
            SettingsError::ClientPort { .. } => &["port", "listen"],
            SettingsError::MonitorPort(_) => &["http_port", "http", "https_port", "https"],
            SettingsError::SamePort(_) => &["http_port", "http", "https_port", "https", "port", "listen"],
            SettingsError::Address(address::AddressError::Syntax(_)) => &["client_advertise"],
            SettingsError::Address(address::AddressError::Resolve { .. }) => {
                &["host", "listen", "http", "https"]
            }
            SettingsError::Directory(_) => &["no_auth_user", "accounts", "authorization"],
            SettingsError::Cores(_) => &["petrel.cores"],
            SettingsError::Port(_) | SettingsError::Descriptors(_) => &[],
        }
    }
}

fn take<T: Clone>(option: &mut Option<T>, flag: &Option<T>) {
    if flag.is_some() {
        option.clone_from(flag);
    }
}

/// Lets the command line overrule the file.
///
/// # Errors
/// When the flags of TLS lack the certificate or the key.
pub fn overrule(options: &mut Options, flags: &Flags) -> Result<(), FlagsError> {
    take(&mut options.host, &flags.host);
    take(&mut options.port, &flags.port);
    take(&mut options.http_port, &flags.http_port);
    take(&mut options.server_name, &flags.name);
    take(&mut options.client_advertise, &flags.client_advertise);
    take(&mut options.pid_file, &flags.pid_file);
    take(&mut options.ports_file_dir, &flags.ports_file_dir);
    take(&mut options.https_port, &flags.https_port);
    take(&mut options.authorization.user, &flags.user);
    take(&mut options.authorization.password, &flags.password);
    take(&mut options.authorization.token, &flags.token);
    overrule_log(&mut options.log, flags);
    overrule_tls(options, flags)
}

fn overrule_log(log: &mut LogOptions, flags: &Flags) {
    take(&mut log.file, &flags.log_file);
    take(&mut log.size_limit, &flags.log_size_limit);
    take(&mut log.syslog, &flags.syslog);
    take(&mut log.remote_syslog, &flags.remote_syslog);
    take(&mut log.debug, &flags.debug);
    take(&mut log.trace, &flags.trace);
    take(&mut log.time, &flags.logtime);
    take(&mut log.utc, &flags.logtime_utc);
    take(&mut log.traced_msg_len_max, &flags.traced_msg_len_max);
    for (flag, debug, verbose) in [
        (flags.debug_trace, true, false),
        (flags.trace_verbose, false, true),
        (flags.debug_trace_verbose, true, true),
    ] {
        take(&mut log.trace, &flag);
        if debug {
            take(&mut log.debug, &flag);
        }
        if verbose {
            take(&mut log.trace_verbose, &flag);
        }
    }
}

/// Any flag of TLS takes the place of the whole block of the file.
fn overrule_tls(options: &mut Options, flags: &Flags) -> Result<(), FlagsError> {
    let files = [&flags.tls_certificate, &flags.tls_key, &flags.tls_ca];
    let is_said =
        flags.tls.is_some() || flags.tls_verify.is_some() || files.iter().any(|file| file.is_some());
    if !is_said {
        return Ok(());
    }
    if flags.tls == Some(false) {
        options.tls = None;
        return Ok(());
    }
    let said = |file: &Option<String>| file.clone().filter(|path| !path.is_empty());
    let cert_file = said(&flags.tls_certificate).ok_or(FlagsError::Certificate)?;
    let key_file = said(&flags.tls_key).ok_or(FlagsError::Key)?;
    options.tls = Some(TlsOptions {
        certificates: vec![CertificateFiles { cert_file, key_file }],
        ca_file: said(&flags.tls_ca),
        verify: flags.tls_verify == Some(true),
        ..TlsOptions::default()
    });
    Ok(())
}

/// What is wrong with the command line and the file together. The texts are upstream's where it has the error.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagsError {
    /// TLS without a certificate.
    #[error("TLS Server certificate must be present and valid")]
    Certificate,
    /// TLS without a key.
    #[error("TLS Server private key must be present and valid")]
    Key,
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
    let host = host(options);
    Listen::new(host, options.port.unwrap_or(0), defaults::PORT).map_err(|error| match error {
        SettingsError::Port(port) => SettingsError::ClientPort { host: host.to_owned(), port },
        other => other,
    })
}

/// Where monitoring listens, and whether by https; `None` when it is not asked for.
///
/// # Errors
/// When the host does not resolve or the port is none.
pub fn monitor_listen(options: &Options) -> Result<Option<(Listen, bool)>, SettingsError> {
    let (plain, secure) = (options.http_port.unwrap_or(0), options.https_port.unwrap_or(0));
    let (named, port, is_secure) = match (plain, secure) {
        (0, 0) => return Ok(None),
        (0, port) => (&options.https_host, port, true),
        (port, _) => (&options.http_host, port, false),
    };
    let named = named.as_deref().filter(|host| !host.is_empty());
    let listen = Listen::new(named.unwrap_or_else(|| host(options)), port, 0);
    listen.map(|listen| Some((listen, is_secure))).map_err(|error| match error {
        SettingsError::Port(port) => SettingsError::MonitorPort(port),
        other => other,
    })
}

fn host(options: &Options) -> &str {
    options.host.as_deref().filter(|host| !host.is_empty()).unwrap_or(defaults::HOST)
}

/// What the engine is told. INFO shows the port of `listen`, so that must be known. Accounts of `previous` keep
/// their ids, see [`engine::Directory::compile`].
///
/// # Errors
/// When the advertised address cannot be read.
pub fn engine_options(
    options: &Options,
    identity: &Identity,
    listen: &Listen,
    core_count: usize,
    previous: Option<&engine::Directory>,
    tls: Option<&Tls>,
) -> Result<engine::Options, SettingsError> {
    let directory = engine::Directory::compile(options, previous)?;
    let mut info = server_info(options, identity, listen, directory.info_auth_required())?;
    if let (Some(configured), Some(tls)) = (&options.tls, tls) {
        info.tls_required = tls.engine.required;
        info.tls_available = !tls.engine.required;
        info.tls_verify = configured.verify || configured.verify_and_map;
    }
    let core_count = core_count.max(1) as u64;
    let budget = options.petrel.memory_bytes.unwrap_or_else(|| memory::budget_bytes(core_count)) / core_count;
    Ok(engine::Options {
        info,
        listen: listen.address,
        limits: limits(options),
        directory: Arc::new(directory),
        auth_timeout: auth_timeout(options),
        tls: tls.map(|tls| Arc::clone(&tls.engine)),
        proxy_protocol: options.proxy_protocol,
        ping_interval: or_default(options.ping_interval, defaults::PING_INTERVAL),
        ping_max: u32::try_from(or_default(options.ping_max, defaults::PING_MAX)).unwrap_or(u32::MAX),
        write_deadline: or_default(options.write_deadline, defaults::WRITE_DEADLINE),
        write_timeout_retry: options.write_timeout == WriteTimeout::Retry,
        no_fast_producer_stall: options.no_fast_producer_stall,
        headers: !options.no_header_support,
        lame_duck_duration: options.lame_duck_duration(),
        lame_duck_grace_period: options.lame_duck_grace_period(),
        closed_clients_max: size(or_default(options.closed_clients_max, defaults::CLOSED_CLIENTS_MAX)),
        system_services: options.system_account_name().is_some(),
        system_notices_max: petrel_engine::SYSTEM_NOTICES_MAX,
        trace: trace(&options.log),
        memory_budget_bytes: usize::try_from(budget).unwrap_or(usize::MAX),
    })
}

/// Whether protocol lines are logged: the finer switches imply it.
pub fn is_traced(log: &LogOptions) -> bool {
    [log.trace, log.trace_verbose, log.trace_headers].contains(&Some(true))
}

fn trace(log: &LogOptions) -> engine::Trace {
    engine::Trace {
        on: is_traced(log),
        server: log.trace_verbose == Some(true),
        headers_only: log.trace_headers == Some(true),
        message_bytes_max: size(log.traced_msg_len_max.unwrap_or(0)),
    }
}

/// TLS of the server, from its files; `None` when it is not configured.
///
/// # Errors
/// When something of it does not work.
pub fn tls(options: &Options) -> Result<Option<Tls>, TlsError> {
    let Some(configured) = &options.tls else { return Ok(None) };
    let listed = options.authorization.users.iter().flatten();
    let users = listed.chain(options.accounts.iter().flat_map(|account| &account.users)).map(User::name);
    let users = users.chain(options.authorization.user.as_deref());
    Tls::load(configured, !options.allow_non_tls, users).map(Some)
}

/// How long a client may take to log in: with TLS as long as its handshake, and a second.
pub fn auth_timeout(options: &Options) -> Duration {
    let default = match &options.tls {
        Some(tls) => tls.timeout.unwrap_or(TLS_TIMEOUT_DEFAULT) + Duration::from_secs(1),
        None => defaults::AUTH_TIMEOUT,
    };
    or_default(options.authorization.timeout, default)
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
        // The others are for everything else on such a machine.
        Cores::All => online[..online.len().min(engine::CORES_MAX)].to_vec(),
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
    if cpus.len() > engine::CORES_MAX {
        return Err(SettingsError::Cores(format!(
            "petrel.cores asks for {} cores, but a server has {} at most",
            cpus.len(),
            engine::CORES_MAX
        )));
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn cores_of(cores: Cores) -> Result<usize, String> {
        let mut options = Options::default();
        options.petrel.cores = cores;
        let online: Vec<usize> = (0..96).collect();
        launch_options(&options, &online).map(|launch| launch.cpus.len()).map_err(|error| error.to_string())
    }

    /// On a machine with more CPUs the first core did not start, nor then the server.
    #[test]
    fn no_more_cores_are_started_than_there_may_be() {
        assert_eq!(cores_of(Cores::All), Ok(64));
        assert_eq!(cores_of(Cores::Count(64)), Ok(64));
        let refused = Err("petrel.cores asks for 65 cores, but a server has 64 at most".to_owned());
        assert_eq!(cores_of(Cores::Count(65)), refused);
        assert_eq!(cores_of(Cores::List((0..65).collect())), refused);
        assert!(cores_of(Cores::Count(97)).is_err());
    }
}
