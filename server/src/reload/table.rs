//! Every option, and whether a running server can go over to another value.

use crate::settings::is_traced;
use petrel_config::{Options, WriteTimeout, defaults, format_duration, or_default};
use std::fmt::Display;
use std::time::Duration;

/// What a reload does with an option.
#[derive(Clone, Copy)]
pub enum Rule {
    /// It is only read at start: a reload that changes it is refused as a whole.
    Fixed,
    /// It is taken over. The line that says so begins like this and ends with the value, or is this alone when the
    /// value is a secret or a list.
    Live(Line),
}

/// What is said of a new value.
#[derive(Clone, Copy)]
pub enum Line {
    /// This text, then the value; ahead of what is said of users and accounts.
    Early(&'static str),
    /// This text, then the value.
    Late(&'static str),
    /// This text, then the value; nothing when there is none any more.
    LateWhenSaid(&'static str),
    /// This text.
    Plain(&'static str),
    /// One of two texts, for true and false.
    Either(&'static str, &'static str),
    /// Nothing.
    Nothing,
}

/// One option.
pub struct Row {
    /// Upstream's name of it.
    pub field: &'static str,
    /// What a reload does with it.
    pub rule: Rule,
    /// The value in force, as upstream shows it; never of a secret.
    pub show: fn(&Options) -> String,
    /// Whether two are the same.
    same: fn(&Options, &Options) -> bool,
    /// Takes the value over.
    pub copy: fn(&Options, &mut Options),
}

impl Row {
    /// Whether the option in force is another.
    pub fn differs(&self, old: &Options, new: &Options) -> bool {
        !(self.same)(old, new)
    }

    /// Whether it is told ahead of users and accounts.
    pub fn is_told_early(&self) -> bool {
        matches!(self.rule, Rule::Live(Line::Early(_)))
    }

    /// What is said of the new value.
    pub fn line(&self, new: &Options) -> Option<String> {
        let Rule::Live(line) = self.rule else { return None };
        match line {
            Line::Early(text) | Line::Late(text) => Some(format!("{text} = {}", (self.show)(new))),
            Line::LateWhenSaid(text) => Some((self.show)(new))
                .filter(|value| !value.is_empty())
                .map(|value| format!("{text} = {value}")),
            Line::Plain(text) => Some(text.to_owned()),
            Line::Either(yes, no) => Some(if (self.show)(new) == "true" { yes } else { no }.to_owned()),
            Line::Nothing => None,
        }
    }
}

/// An option whose value may be shown: it is compared as it is shown, so that what is said in other words is no change.
macro_rules! shown {
    ($field:literal, $rule:expr, $($path:ident).+, $show:expr) => {
        Row {
            field: $field,
            rule: $rule,
            show: $show,
            same: |old, new| {
                let show: fn(&Options) -> String = $show;
                show(old) == show(new)
            },
            copy: |from, to| to.$($path).+.clone_from(&from.$($path).+),
        }
    };
}

/// An option whose value is not shown.
macro_rules! hidden {
    ($field:literal, $rule:expr, $($path:ident).+) => {
        Row {
            field: $field,
            rule: $rule,
            show: |_| "...".to_owned(),
            same: |old, new| old.$($path).+ == new.$($path).+,
            copy: |from, to| to.$($path).+.clone_from(&from.$($path).+),
        }
    };
}

use Line::{Early, Either, Late, LateWhenSaid, Nothing, Plain};
use Rule::{Fixed, Live};

/// Every option of the configuration. Order: those that are only read at start, then those that are taken over.
pub const ROWS: &[Row] = &[
    shown!("Host", Fixed, host, |o| host(&o.host)),
    shown!("Port", Fixed, port, |o| port(o.port)),
    shown!("ServerName", Fixed, server_name, |o| text(&o.server_name)),
    shown!("HTTPHost", Fixed, http_host, |o| text(&o.http_host)),
    shown!("HTTPPort", Fixed, http_port, |o| number(o.http_port)),
    shown!("HTTPSHost", Fixed, https_host, |o| text(&o.https_host)),
    shown!("HTTPSPort", Fixed, https_port, |o| number(o.https_port)),
    shown!("HTTPBasePath", Fixed, http_base_path, |o| text(&o.http_base_path)),
    shown!("MaxSubs", Fixed, subscriptions_max, |o| number(o.subscriptions_max)),
    shown!("MaxSubTokens", Fixed, subscription_tokens_max, |o| number(o.subscription_tokens_max)),
    shown!("MaxPending", Fixed, pending_max, |o| o.pending_max().to_string()),
    shown!("WriteTimeout", Fixed, write_timeout, |o| write_timeout(o)),
    shown!("NoHeaderSupport", Fixed, no_header_support, |o| o.no_header_support.to_string()),
    shown!("LameDuckDuration", Fixed, lame_duck_duration, |o| duration(o.lame_duck_duration())),
    shown!("LameDuckGracePeriod", Fixed, lame_duck_grace_period, |o| duration(o.lame_duck_grace_period())),
    shown!("MaxClosedClients", Fixed, closed_clients_max, |o| {
        or_default(o.closed_clients_max, defaults::CLOSED_CLIENTS_MAX).to_string()
    }),
    shown!("ProxyProtocol", Fixed, proxy_protocol, |o| o.proxy_protocol.to_string()),
    shown!("AllowNonTLS", Fixed, allow_non_tls, |o| o.allow_non_tls.to_string()),
    shown!("SystemAccount", Fixed, system_account, |o| text(&o.system_account)),
    shown!("FeatureFlags", Fixed, feature_flags, |o| {
        let set = o.feature_flags.configured().iter().map(|(name, is_on)| format!("{name}:{is_on}"));
        format!("map[{}]", set.collect::<Vec<_>>().join(" "))
    }),
    shown!("NoSystemAccount", Fixed, no_system_account, |o| o.no_system_account.to_string()),
    shown!("LogSizeLimit", Fixed, log.size_limit, |o| number(o.log.size_limit)),
    shown!("LogMaxFiles", Fixed, log.files_max, |o| number(o.log.files_max)),
    shown!("petrel.cores", Fixed, petrel.cores, |o| format!("{:?}", o.petrel.cores)),
    shown!("petrel.memory", Fixed, petrel.memory_bytes, |o| number(o.petrel.memory_bytes)),
    shown!("petrel.backend", Fixed, petrel.backend, |o| format!("{:?}", o.petrel.backend)),
    // Told in upstream's order: the log first.
    shown!("Trace", Live(Early("Reloaded: trace")), log.trace, |o| is_traced(&o.log).to_string()),
    shown!("TraceVerbose", Live(Early("Reloaded: trace_verbose")), log.trace_verbose, |o| {
        switch(o.log.trace_verbose)
    }),
    shown!("TraceHeaders", Live(Early("Reloaded: trace_headers")), log.trace_headers, |o| {
        switch(o.log.trace_headers)
    }),
    shown!("Debug", Live(Early("Reloaded: debug")), log.debug, |o| switch(o.log.debug)),
    shown!("Logtime", Live(Early("Reloaded: logtime")), log.time, |o| o.log.time.unwrap_or(true).to_string()),
    shown!("LogtimeUTC", Live(Early("Reloaded: logtime_utc")), log.utc, |o| switch(o.log.utc)),
    shown!("petrel.log_format", Live(Early("Reloaded: petrel.log_format")), log.json, |o| {
        if o.log.json { "json".to_owned() } else { "text".to_owned() }
    }),
    shown!("ClientAdvertise", Live(Early("Reload: client_advertise")), client_advertise, |o| {
        text(&o.client_advertise)
    }),
    shown!("MaxConn", Live(Early("Reloaded: max_connections")), connections_max, |o| {
        match o.connections_max.unwrap_or(defaults::CONNECTIONS_MAX) {
            0 => "-1".to_owned(),
            limit => limit.to_string(),
        }
    }),
    shown!("LogFile", Live(Late("Reloaded: log_file")), log.file, |o| text(&o.log.file)),
    shown!("Syslog", Live(Late("Reloaded: syslog")), log.syslog, |o| switch(o.log.syslog)),
    shown!("RemoteSyslog", Live(Late("Reloaded: remote_syslog")), log.remote_syslog, |o| {
        text(&o.log.remote_syslog)
    }),
    shown!("MaxTracedMsgLen", Live(Late("Reloaded: max_traced_msg_len")), log.traced_msg_len_max, |o| {
        number(o.log.traced_msg_len_max)
    }),
    shown!("PidFile", Live(LateWhenSaid("Reloaded: pid_file")), pid_file, |o| text(&o.pid_file)),
    shown!("PortsFileDir", Live(Late("Reloaded: ports_file_dir")), ports_file_dir, |o| text(
        &o.ports_file_dir
    )),
    shown!("MaxControlLine", Live(Late("Reloaded: max_control_line")), control_line_max, |o| {
        or_default(o.control_line_max, defaults::CONTROL_LINE_MAX).to_string()
    }),
    shown!("MaxPayload", Live(Late("Reloaded: max_payload")), payload_max, |o| o.payload_max().to_string()),
    shown!("PingInterval", Live(Late("Reloaded: ping_interval")), ping_interval, |o| {
        duration(or_default(o.ping_interval, defaults::PING_INTERVAL))
    }),
    shown!("MaxPingsOut", Live(Late("Reloaded: ping_max")), ping_max, |o| {
        or_default(o.ping_max, defaults::PING_MAX).to_string()
    }),
    shown!("WriteDeadline", Live(Late("Reloaded: write_deadline")), write_deadline, |o| {
        duration(or_default(o.write_deadline, defaults::WRITE_DEADLINE))
    }),
    shown!(
        "NoFastProducerStall",
        Live(Either(
            "Reloaded: fast producers will not be stalled",
            "Reloaded: fast producers will be stalled"
        )),
        no_fast_producer_stall,
        |o| o.no_fast_producer_stall.to_string()
    ),
    hidden!("Tags", Live(Plain("Reloaded: tags")), server_tags),
    hidden!("Metadata", Live(Plain("Reloaded: metadata")), server_metadata),
    hidden!("Username", Live(Plain("Reloaded: authorization username")), authorization.user),
    hidden!("Password", Live(Plain("Reloaded: authorization password")), authorization.password),
    hidden!("Authorization", Live(Plain("Reloaded: authorization token")), authorization.token),
    shown!("AuthTimeout", Live(Late("Reloaded: authorization timeout")), authorization.timeout, |o| {
        or_default(o.authorization.timeout, defaults::AUTH_TIMEOUT).as_secs_f64().to_string()
    }),
    hidden!("Users", Live(Nothing), authorization.users),
    hidden!("DefaultPermissions", Live(Nothing), authorization.default_permissions),
    hidden!("Accounts", Live(Nothing), accounts),
    hidden!("NoAuthUser", Live(Nothing), no_auth_user),
    hidden!("Mappings", Live(Nothing), mappings),
    Row {
        field: "TLSConfig",
        rule: Live(Late("Reloaded: tls")),
        show: |o| if o.tls.is_some() { "enabled".to_owned() } else { "disabled".to_owned() },
        // The files behind the same names may be others.
        same: |old, new| old.tls.is_none() && new.tls.is_none(),
        copy: |from, to| to.tls.clone_from(&from.tls),
    },
];

fn text(option: &Option<String>) -> String {
    option.clone().unwrap_or_default()
}

fn host(option: &Option<String>) -> String {
    option.clone().filter(|host| !host.is_empty()).unwrap_or_else(|| defaults::HOST.to_owned())
}

fn port(option: Option<i64>) -> String {
    or_default(option, defaults::PORT).to_string()
}

fn number<T: Display>(option: Option<T>) -> String {
    option.map_or_else(|| "0".to_owned(), |number| number.to_string())
}

fn switch(option: Option<bool>) -> String {
    option.unwrap_or(false).to_string()
}

fn duration(duration: Duration) -> String {
    format_duration(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
}

/// The word that was configured; nothing for the default.
fn write_timeout(options: &Options) -> String {
    let word = match options.write_timeout {
        WriteTimeout::Default => "",
        WriteTimeout::Close => "close",
        WriteTimeout::Retry => "retry",
    };
    word.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_stands_once() {
        let mut fields: Vec<&str> = ROWS.iter().map(|row| row.field).collect();
        let count = fields.len();
        fields.sort_unstable();
        fields.dedup();
        assert_eq!(fields.len(), count);
    }
}
