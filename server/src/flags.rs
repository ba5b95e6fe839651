//! The command line, with the rules of Go's `flag` package that upstream's users know: `-flag`, `--flag`,
//! `-flag=value`, `-flag value`; a boolean takes a value only with `=`; parsing stops at the first argument
//! that is not a flag (reference: config.md, section 3).

use petrel_protocol::quote::go_quote;

/// What the command line said. `None` where it said nothing: the file or the default then holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// `-a`: host that clients and monitoring bind to.
    pub host: Option<String>,
    /// `-p`: port of clients; -1 picks a free one.
    pub port: Option<i64>,
    /// `-m`: port of monitoring; -1 picks a free one, 0 is none.
    pub http_port: Option<i64>,
    /// `-ms`: port of monitoring by TLS; -1 picks a free one, 0 is none.
    pub https_port: Option<i64>,
    /// `-c`: the configuration file.
    pub config: Option<String>,
    /// `-n`: the server's name.
    pub name: Option<String>,
    /// `--client_advertise`: what INFO shows as host and port.
    pub client_advertise: Option<String>,
    /// `-P`: the pid file.
    pub pid_file: Option<String>,
    /// `--ports_file_dir`: folder of the file with the listeners' addresses.
    pub ports_file_dir: Option<String>,
    /// `-l`: the log file.
    pub log_file: Option<String>,
    /// `-D`.
    pub debug: Option<bool>,
    /// `-V`.
    pub trace: Option<bool>,
    /// `-DV`.
    pub debug_trace: Option<bool>,
    /// `-VV`: protocol lines, those of the system account as well.
    pub trace_verbose: Option<bool>,
    /// `-DVV`.
    pub debug_trace_verbose: Option<bool>,
    /// `--max_traced_msg_len`: bytes of a traced message that are shown; 0 shows all.
    pub traced_msg_len_max: Option<i64>,
    /// `--log_size_limit`: bytes after which the log file is set aside.
    pub log_size_limit: Option<i64>,
    /// `-s`: log to the system log.
    pub syslog: Option<bool>,
    /// `-r`: log to another machine's system log.
    pub remote_syslog: Option<String>,
    /// `-T`: time stamps in the log.
    pub logtime: Option<bool>,
    /// `--logtime_utc`.
    pub logtime_utc: Option<bool>,
    /// `--user`.
    pub user: Option<String>,
    /// `--pass`.
    pub password: Option<String>,
    /// `--auth`.
    pub token: Option<String>,
    /// `--tls`: TLS for clients; `--tls=false` takes it away.
    pub tls: Option<bool>,
    /// `--tlsverify`: TLS, and clients must present a certificate.
    pub tls_verify: Option<bool>,
    /// `--tlscert`: the certificate's file.
    pub tls_certificate: Option<String>,
    /// `--tlskey`: the key's file.
    pub tls_key: Option<String>,
    /// `--tlscacert`: who signs clients' certificates.
    pub tls_ca: Option<String>,
    /// `-t`: check the configuration and exit.
    pub check: Option<bool>,
    signal: Option<String>,
    version: Option<bool>,
    help: Option<bool>,
    help_tls: Option<bool>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Run, or check the configuration.
    Run(Box<Flags>),
    /// Send a signal to a server that runs: `command` or `command=pid`.
    Signal(String),
    /// Print the version.
    Version,
    /// Print the usage.
    Help,
    /// Print what can be said of TLS.
    HelpTls,
}

/// What is wrong with the command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FlagError {
    /// The flags cannot be read: the message goes to stderr, the usage follows, and the exit code is 0 as
    /// upstream's is.
    #[error("{0}")]
    Syntax(String),
    /// A positional argument that is no command; exit code 1.
    #[error("unrecognized command: {0}")]
    UnknownCommand(String),
    /// A flag that upstream knows and petrel does not carry out yet; exit code 1, so that nobody believes it
    /// in force.
    #[error("the flag -{0} is not supported by petrel yet; remove it to start without it")]
    NotSupported(String),
}

type TextField = fn(&mut Flags) -> &mut Option<String>;
type IntegerField = fn(&mut Flags) -> &mut Option<i64>;
type BooleanField = fn(&mut Flags) -> &mut Option<bool>;

/// Where a flag's value goes.
#[derive(Clone, Copy)]
enum Target {
    Text(TextField),
    Integer(IntegerField),
    Boolean(BooleanField),
    /// Known upstream, takes a value.
    LaterValue,
    /// Known upstream, a boolean.
    LaterBoolean,
}

/// Every flag that upstream knows.
const FLAGS: &[(&[&str], Target)] = &[
    (&["a", "addr", "net"], Target::Text(|flags| &mut flags.host)),
    (&["p", "port"], Target::Integer(|flags| &mut flags.port)),
    (&["m", "http_port"], Target::Integer(|flags| &mut flags.http_port)),
    (&["c", "config"], Target::Text(|flags| &mut flags.config)),
    (&["n", "name", "server_name"], Target::Text(|flags| &mut flags.name)),
    (&["client_advertise"], Target::Text(|flags| &mut flags.client_advertise)),
    (&["P", "pid"], Target::Text(|flags| &mut flags.pid_file)),
    (&["l", "log"], Target::Text(|flags| &mut flags.log_file)),
    (&["D", "debug"], Target::Boolean(|flags| &mut flags.debug)),
    (&["V", "trace"], Target::Boolean(|flags| &mut flags.trace)),
    (&["DV"], Target::Boolean(|flags| &mut flags.debug_trace)),
    (&["T", "logtime"], Target::Boolean(|flags| &mut flags.logtime)),
    (&["logtime_utc"], Target::Boolean(|flags| &mut flags.logtime_utc)),
    (&["user"], Target::Text(|flags| &mut flags.user)),
    (&["pass"], Target::Text(|flags| &mut flags.password)),
    (&["auth"], Target::Text(|flags| &mut flags.token)),
    (&["t"], Target::Boolean(|flags| &mut flags.check)),
    (&["v", "version"], Target::Boolean(|flags| &mut flags.version)),
    (&["h", "help"], Target::Boolean(|flags| &mut flags.help)),
    (&["help_tls"], Target::Boolean(|flags| &mut flags.help_tls)),
    (&["VV"], Target::Boolean(|flags| &mut flags.trace_verbose)),
    (&["DVV"], Target::Boolean(|flags| &mut flags.debug_trace_verbose)),
    (&["ms", "https_port"], Target::Integer(|flags| &mut flags.https_port)),
    (&["sl", "signal"], Target::Text(|flags| &mut flags.signal)),
    (&["ports_file_dir"], Target::Text(|flags| &mut flags.ports_file_dir)),
    (&["s", "syslog"], Target::Boolean(|flags| &mut flags.syslog)),
    (&["r", "remote_syslog"], Target::Text(|flags| &mut flags.remote_syslog)),
    (&["log_size_limit"], Target::Integer(|flags| &mut flags.log_size_limit)),
    (&["max_traced_msg_len"], Target::Integer(|flags| &mut flags.traced_msg_len_max)),
    (&["js", "jetstream"], Target::LaterBoolean),
    (&["sd", "store_dir"], Target::LaterValue),
    (&["tls"], Target::Boolean(|flags| &mut flags.tls)),
    (&["tlsverify"], Target::Boolean(|flags| &mut flags.tls_verify)),
    (&["tlscert"], Target::Text(|flags| &mut flags.tls_certificate)),
    (&["tlskey"], Target::Text(|flags| &mut flags.tls_key)),
    (&["tlscacert"], Target::Text(|flags| &mut flags.tls_ca)),
    (&["routes"], Target::LaterValue),
    (&["cluster"], Target::LaterValue),
    (&["cluster_listen"], Target::LaterValue),
    (&["cluster_name"], Target::LaterValue),
    (&["cluster_advertise"], Target::LaterValue),
    (&["no_advertise"], Target::LaterBoolean),
    (&["connect_retries"], Target::LaterValue),
    (&["profile"], Target::LaterValue),
];

/// Reads the arguments that follow the program's name.
///
/// # Errors
/// See [`FlagError`].
pub fn parse(arguments: &[String]) -> Result<Command, FlagError> {
    let mut flags = Flags::default();
    let mut not_supported = None;
    let mut rest = arguments;
    while let Some((name, inline)) = next_flag(&mut rest)? {
        let target =
            find(name).ok_or_else(|| FlagError::Syntax(format!("flag provided but not defined: -{name}")))?;
        if set(&mut flags, target, name, inline, &mut rest)? == Outcome::NotSupported {
            not_supported.get_or_insert_with(|| name.to_owned());
        }
    }
    if flags.version == Some(true) {
        return Ok(Command::Version);
    }
    if flags.help == Some(true) {
        return Ok(Command::Help);
    }
    if flags.help_tls == Some(true) {
        return Ok(Command::HelpTls);
    }
    if let Some(command) = rest.first() {
        return match command.to_lowercase().as_str() {
            "version" => Ok(Command::Version),
            "help" => Ok(Command::Help),
            _ => Err(FlagError::UnknownCommand(go_quote(command.as_bytes()))),
        };
    }
    if let Some(signal) = flags.signal.take().filter(|signal| !signal.is_empty()) {
        return Ok(Command::Signal(signal));
    }
    if let Some(name) = not_supported {
        return Err(FlagError::NotSupported(name));
    }
    Ok(Command::Run(Box::new(flags)))
}

/// Takes the next flag off `rest`: its name without dashes, and the value after `=`. `None` at the end, at
/// `--` (which is taken off) and at the first argument that is no flag.
fn next_flag<'a>(rest: &mut &'a [String]) -> Result<Option<(&'a str, Option<&'a str>)>, FlagError> {
    let Some(argument) = rest.first() else { return Ok(None) };
    if argument.len() < 2 || !argument.starts_with('-') {
        return Ok(None);
    }
    *rest = &rest[1..];
    if argument == "--" {
        return Ok(None);
    }
    let body = argument.strip_prefix("--").unwrap_or(&argument[1..]);
    if body.starts_with(['-', '=']) {
        return Err(FlagError::Syntax(format!("bad flag syntax: {argument}")));
    }
    match body.split_once('=') {
        Some((name, value)) => Ok(Some((name, Some(value)))),
        None => Ok(Some((body, None))),
    }
}

fn find(name: &str) -> Option<Target> {
    FLAGS.iter().find(|(names, _)| names.contains(&name)).map(|(_, target)| *target)
}

#[derive(PartialEq, Eq)]
enum Outcome {
    Taken,
    NotSupported,
}

/// Stores the value of one flag, taking it from `rest` when it stands in its own argument.
fn set(
    flags: &mut Flags,
    target: Target,
    name: &str,
    inline: Option<&str>,
    rest: &mut &[String],
) -> Result<Outcome, FlagError> {
    match target {
        Target::Boolean(field) => *field(flags) = Some(boolean(name, inline)?),
        // Saying no to what is not there changes nothing.
        Target::LaterBoolean if !boolean(name, inline)? => {}
        Target::LaterBoolean => return Ok(Outcome::NotSupported),
        Target::Text(field) => *field(flags) = Some(value(name, inline, rest)?),
        Target::Integer(field) => *field(flags) = Some(integer(name, &value(name, inline, rest)?)?),
        Target::LaterValue => {
            value(name, inline, rest)?;
            return Ok(Outcome::NotSupported);
        }
    }
    Ok(Outcome::Taken)
}

fn value(name: &str, inline: Option<&str>, rest: &mut &[String]) -> Result<String, FlagError> {
    if let Some(inline) = inline {
        return Ok(inline.to_owned());
    }
    let Some((first, others)) = rest.split_first() else {
        return Err(FlagError::Syntax(format!("flag needs an argument: -{name}")));
    };
    *rest = others;
    Ok(first.clone())
}

/// The words of Go's `strconv.ParseBool`.
fn boolean(name: &str, inline: Option<&str>) -> Result<bool, FlagError> {
    match inline {
        None | Some("1" | "t" | "T" | "TRUE" | "true" | "True") => Ok(true),
        Some("0" | "f" | "F" | "FALSE" | "false" | "False") => Ok(false),
        Some(other) => Err(FlagError::Syntax(format!(
            "invalid boolean value {} for -{name}: parse error",
            go_quote(other.as_bytes())
        ))),
    }
}

/// Go's `strconv.ParseInt` with base 0: a sign, then decimal, `0x`, `0b`, `0o` or `0` for octal.
fn integer(name: &str, text: &str) -> Result<i64, FlagError> {
    let error = |why: &str| {
        FlagError::Syntax(format!("invalid value {} for flag -{name}: {why}", go_quote(text.as_bytes())))
    };
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if digits.is_empty() || !digits.chars().all(|digit| digit.is_digit(radix)) {
        return Err(error("parse error"));
    }
    let magnitude = i128::from_str_radix(digits, radix).map_err(|_| error("value out of range"))?;
    let signed = if negative { -magnitude } else { magnitude };
    i64::try_from(signed).map_err(|_| error("value out of range"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_words(line: &str) -> Result<Command, FlagError> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        parse(&words)
    }

    fn flags(line: &str) -> Flags {
        match parse_words(line) {
            Ok(Command::Run(flags)) => *flags,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn one_or_two_dashes_with_or_without_equals() {
        for line in ["-p 4333", "--p 4333", "-p=4333", "--port=4333", "-port 4333", "-p 0x10ed"] {
            assert_eq!(flags(line).port, Some(4333), "{line}");
        }
        assert_eq!(flags("-p -1").port, Some(-1));
        assert_eq!(flags("-a ::1 --addr=::2").host.as_deref(), Some("::2"));
    }

    #[test]
    fn a_boolean_takes_a_value_only_with_equals() {
        assert_eq!(flags("-D=false -V").debug, Some(false));
        assert_eq!(flags("-D=false -V").trace, Some(true));
        assert_eq!(flags("-T=0").logtime, Some(false));
        assert_eq!(parse_words("-D false"), Err(FlagError::UnknownCommand("\"false\"".into())));
    }

    #[test]
    fn syntax_errors_read_as_upstreams() {
        for (line, text) in [
            ("--nope", "flag provided but not defined: -nope"),
            ("-p", "flag needs an argument: -p"),
            ("-p x", "invalid value \"x\" for flag -p: parse error"),
            (
                "-p 99999999999999999999",
                "invalid value \"99999999999999999999\" for flag -p: value out of range",
            ),
            ("-D=foo", "invalid boolean value \"foo\" for -D: parse error"),
            ("---p", "bad flag syntax: ---p"),
        ] {
            assert_eq!(parse_words(line), Err(FlagError::Syntax(text.into())), "{line}");
        }
    }

    #[test]
    fn what_is_not_carried_out_is_refused() {
        for line in
            ["-js", "-sd /data", "--routes nats://x", "--cluster nats://x", "--profile 1", "--no_advertise"]
        {
            assert!(matches!(parse_words(line), Err(FlagError::NotSupported(_))), "{line}");
        }
        assert_eq!(flags("-js=false --no_advertise=false"), Flags::default());
    }

    #[test]
    fn a_signal_is_taken_whole() {
        for line in ["-sl ldm=1", "--signal=ldm=1", "-signal ldm=1", "-js --signal ldm=1"] {
            assert_eq!(parse_words(line), Ok(Command::Signal("ldm=1".into())), "{line}");
        }
        assert_eq!(flags("--signal="), Flags::default());
    }

    #[test]
    fn help_and_version_in_all_spellings() {
        for line in ["-v", "--version", "version", "VERSION", "-js -v"] {
            assert_eq!(parse_words(line), Ok(Command::Version), "{line}");
        }
        for line in ["-h", "--help", "help"] {
            assert_eq!(parse_words(line), Ok(Command::Help), "{line}");
        }
        assert_eq!(parse_words("--help_tls"), Ok(Command::HelpTls));
        assert_eq!(parse_words("-D -- -p"), Err(FlagError::UnknownCommand("\"-p\"".into())));
    }

    #[test]
    fn every_flag_stands_once() {
        let mut names: Vec<&str> = FLAGS.iter().flat_map(|(names, _)| names.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
