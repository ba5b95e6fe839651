//! What the server would do with a configuration.

use petrel_config::{
    Backend, Cores, Credential, HandshakeFirst, Options, TlsOptions, User, defaults, is_bcrypt, or_default,
};
use serde::Serialize;

/// What the server would do.
#[derive(Debug, Serialize)]
pub struct Plan {
    /// Where it would listen.
    pub listeners: Vec<Listener>,
    /// How it would encrypt; `None`: not at all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
    /// Who may connect.
    pub accounts: Accounts,
    /// Its limits.
    pub limits: Limits,
    /// Cores and backend in words.
    pub runs_on: String,
    /// Where the log goes.
    pub log: String,
}

/// Something that is listened on.
#[derive(Debug, Serialize)]
pub struct Listener {
    /// `clients`, `monitoring` or `monitoring with TLS`.
    pub purpose: &'static str,
    /// The address.
    pub host: String,
    /// The port; -1: a free one.
    pub port: i64,
}

/// How clients' connections are encrypted.
#[derive(Debug, Serialize)]
pub struct Tls {
    /// How many certificates the server has.
    pub certificates: usize,
    /// Whether clients may do without.
    pub optional: bool,
    /// Whether clients must present a certificate.
    pub verify: bool,
    /// Whether that certificate says which user they are.
    pub maps_users: bool,
    /// The oldest version.
    pub version_min: &'static str,
    /// When it begins.
    pub begins: String,
}

/// Accounts and users, counted.
#[derive(Debug, Default, Serialize)]
pub struct Accounts {
    /// Accounts of the file beside `$G`.
    pub accounts: usize,
    /// The system account; `None`: there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system_account: Option<String>,
    /// Users with a plain password.
    pub users_plain: usize,
    /// Users with a bcrypt hash.
    pub users_bcrypt: usize,
    /// Users with an nkey.
    pub users_nkey: usize,
    /// Users that a certificate alone identifies.
    pub users_without_secret: usize,
    /// Users with permissions of their own.
    pub users_with_permissions: usize,
    /// Whether a token is asked for.
    pub token: bool,
    /// Who clients without credentials are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_auth_user: Option<String>,
    /// Whether everybody is let in.
    pub open: bool,
    /// Exports of all accounts.
    pub exports: usize,
    /// Imports of all accounts.
    pub imports: usize,
    /// Mappings of all accounts.
    pub mappings: usize,
}

/// Limits of the server.
#[derive(Debug, Serialize)]
pub struct Limits {
    /// Connections at once.
    pub connections_max: i64,
    /// Subscriptions of one connection; 0: unlimited.
    pub subscriptions_max: i64,
    /// Bytes of a message.
    pub payload_bytes_max: i64,
    /// Bytes of arguments on a control line.
    pub control_line_bytes_max: i64,
    /// Bytes queued for one client.
    pub pending_bytes_max: i64,
}

impl Plan {
    /// What would be done with these options.
    pub fn new(options: &Options) -> Plan {
        Plan {
            listeners: listeners(options),
            tls: options.tls.as_ref().map(|tls| Tls::new(tls, options.allow_non_tls)),
            accounts: Accounts::new(options),
            limits: Limits {
                connections_max: options.connections_max.unwrap_or(defaults::CONNECTIONS_MAX),
                subscriptions_max: options.subscriptions_max.unwrap_or(0),
                payload_bytes_max: options.payload_max(),
                control_line_bytes_max: or_default(options.control_line_max, defaults::CONTROL_LINE_MAX),
                pending_bytes_max: options.pending_max(),
            },
            runs_on: runs_on(options),
            log: log(options),
        }
    }
}

fn listeners(options: &Options) -> Vec<Listener> {
    let said = |host: &Option<String>| host.clone().filter(|host| !host.is_empty());
    let host = said(&options.host).unwrap_or_else(|| defaults::HOST.to_owned());
    let port = or_default(options.port, defaults::PORT);
    let mut listeners = vec![Listener { purpose: "clients", host: host.clone(), port }];
    for (purpose, own_host, port) in [
        ("monitoring", &options.http_host, options.http_port),
        ("monitoring with TLS", &options.https_host, options.https_port),
    ] {
        if let Some(port) = port.filter(|port| *port != 0) {
            listeners.push(Listener { purpose, host: said(own_host).unwrap_or_else(|| host.clone()), port });
        }
    }
    listeners
}

impl Tls {
    fn new(options: &TlsOptions, optional: bool) -> Tls {
        Tls {
            certificates: options.certificates.len(),
            optional,
            verify: options.verify,
            maps_users: options.verify_and_map,
            version_min: if options.min_version_1_3 { "1.3" } else { "1.2" },
            begins: match options.handshake_first {
                HandshakeFirst::No => "after INFO".to_owned(),
                HandshakeFirst::Always => "before INFO".to_owned(),
                HandshakeFirst::Within(time) => format!("before INFO if within {time:?}"),
            },
        }
    }
}

impl Accounts {
    fn new(options: &Options) -> Accounts {
        let authorization = &options.authorization;
        let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        let mut counted = Accounts {
            accounts: options.accounts.len(),
            system_account: options.system_account_name().map(str::to_owned),
            token: said(&authorization.token),
            no_auth_user: options.no_auth_user.clone(),
            mappings: options.mappings.len(),
            ..Accounts::default()
        };
        if said(&authorization.user) {
            counted.count_secret(authorization.password.as_deref().unwrap_or_default());
        }
        let of_accounts = options.accounts.iter().flat_map(|account| &account.users);
        for user in authorization.users.iter().flatten().chain(of_accounts) {
            counted.count(user);
        }
        for account in &options.accounts {
            counted.exports += account.exports.len();
            counted.imports += account.imports.len();
            counted.mappings += account.mappings.len();
        }
        let has_users = counted.users() > 0 || authorization.users.is_some();
        counted.open = !has_users && !counted.token;
        counted
    }

    /// All users.
    pub fn users(&self) -> usize {
        self.users_plain + self.users_bcrypt + self.users_nkey + self.users_without_secret
    }

    fn count(&mut self, user: &User) {
        match &user.credential {
            Credential::Password { password, .. } => self.count_secret(password),
            Credential::Nkey(_) => self.users_nkey += 1,
        }
        self.users_with_permissions += usize::from(user.permissions.is_some());
    }

    fn count_secret(&mut self, password: &str) {
        if password.is_empty() {
            self.users_without_secret += 1;
        } else if is_bcrypt(password) {
            self.users_bcrypt += 1;
        } else {
            self.users_plain += 1;
        }
    }
}

fn runs_on(options: &Options) -> String {
    let cores = match &options.petrel.cores {
        Cores::All => "every CPU".to_owned(),
        Cores::Count(1) => "one CPU".to_owned(),
        Cores::Count(count) => format!("{count} CPUs"),
        Cores::List(list) => {
            let numbers: Vec<String> = list.iter().map(usize::to_string).collect();
            format!("CPU {}", numbers.join(", "))
        }
    };
    let backend = match options.petrel.backend {
        Backend::Auto => "io_uring where it is allowed, else epoll",
        Backend::Uring => "io_uring",
        Backend::Epoll => "epoll",
    };
    format!("{cores}, by {backend}")
}

fn log(options: &Options) -> String {
    let log = &options.log;
    let said = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    match (said(&log.remote_syslog), log.syslog.unwrap_or(false), said(&log.file)) {
        (Some(remote), _, _) => remote,
        (None, true, _) => "the system log".to_owned(),
        (None, false, Some(file)) => file,
        (None, false, None) => "standard error".to_owned(),
    }
}
