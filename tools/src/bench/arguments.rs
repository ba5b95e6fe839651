//! The command line of `petrel bench`.

use std::sync::Arc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use rustls::ClientConfig;

use super::connection::Credentials;
use super::error::BenchError;
use super::subjects::Distribution;
use super::wire::client_config;

/// What kind of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Publishers without subscribers.
    Pub,
    /// Subscribers; something else publishes. Measuring begins with the first message.
    Sub,
    /// Publishers and subscribers: 1:1, 1:N, N:M by --publishers and --subscribers.
    Fan,
    /// Requests and replies, one outstanding for each client.
    Request,
}

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// A header line and a line of values.
    Csv,
}

/// Options of `petrel bench`.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// Kind of load
    #[arg(value_enum, required_unless_present_any = ["idle_connections", "hold_subscriptions"])]
    pub mode: Option<Mode>,
    /// Server: HOST or HOST:PORT, an IPv6 address in brackets
    #[arg(long, default_value = "127.0.0.1:4222")]
    pub server: String,
    /// User name
    #[arg(long)]
    pub user: Option<String>,
    /// Password of the user
    #[arg(long, requires = "user")]
    pub password: Option<String>,
    /// Token, in place of user and password
    #[arg(long, conflicts_with = "user")]
    pub token: Option<String>,
    /// Speak TLS, and trust the authorities of this PEM file; the server's certificate is for HOST
    #[arg(long, value_name = "FILE")]
    pub tls_ca: Option<String>,
    /// Bytes of a payload; K and M stand for KiB and MiB
    #[arg(long, default_value = "128", value_parser = parse_bytes)]
    pub size: usize,
    /// Messages (or requests) to send after the warm-up, by all senders together
    #[arg(long, conflicts_with = "duration")]
    pub messages: Option<u64>,
    /// How long to measure after the warm-up, or to wait before memory is read: 500ms, 10s, 2m [default: 5s, 10s]
    #[arg(long, value_parser = parse_duration)]
    pub duration: Option<Duration>,
    /// How long to run before measuring
    #[arg(long, default_value = "1s", value_parser = parse_duration)]
    pub warmup: Duration,
    /// Connections that publish
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub publishers: u32,
    /// Connections that subscribe
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub subscribers: u32,
    /// Connections that request, or that hold subscriptions
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub clients: u32,
    /// Connections that answer requests; 0 when a service elsewhere answers on the subject
    #[arg(long, default_value_t = 1)]
    pub responders: u32,
    /// Subscribers share the messages as this queue group
    #[arg(long)]
    pub queue: Option<String>,
    /// Messages a second on a fixed schedule, by all senders together; delay counts from the scheduled time
    #[arg(long)]
    pub rate: Option<f64>,
    /// Messages of one publisher that are due within this many microseconds are due together
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..))]
    pub quantum_us: u64,
    /// Subject, or the first token of many
    #[arg(long, default_value = "bench")]
    pub subject: String,
    /// Number of subjects
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub subjects: u32,
    /// How messages spread over the subjects
    #[arg(long, value_enum, default_value_t = Distribution::Uniform)]
    pub distribution: Distribution,
    /// Percentage of the subjects that receivers subscribe to by wildcards
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    pub wildcard_receivers: u32,
    /// Subscriptions added and removed per second by one more connection
    #[arg(long)]
    pub churn: Option<f64>,
    /// Idle connections that are held beside the load
    #[arg(long, default_value_t = 0)]
    pub beside_connections: u32,
    /// Unique literal subscriptions that are held beside the load, on connections of their own
    #[arg(long, default_value_t = 0)]
    pub beside_subscriptions: u32,
    /// Subscribers (of --subscribers) that read nothing until the end
    #[arg(long, default_value_t = 0)]
    pub stopped_receivers: u32,
    /// Bytes that may be published and not yet received
    #[arg(long, default_value = "4M", value_parser = parse_bytes)]
    pub window: usize,
    /// How long nothing may move before the run fails, or before what is missing counts as lost
    #[arg(long, default_value = "10s", value_parser = parse_duration)]
    pub patience: Duration,
    /// Threads of the generator
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub threads: u32,
    /// Never sleep but look at the sockets all the time; for delays, where the generator has a core of its own
    #[arg(long)]
    pub spin: bool,
    /// Core to run the generator on
    #[arg(long)]
    pub core: Option<usize>,
    /// Process of the server, for its CPU and memory [default: found by the port on this machine]
    #[arg(long)]
    pub server_pid: Option<i32>,
    /// Hold this many idle connections and report the server's memory for one
    #[arg(long, conflicts_with_all = ["mode", "hold_subscriptions"])]
    pub idle_connections: Option<u32>,
    /// Hold this many subscriptions to different subjects and report the server's memory for one
    #[arg(long, conflicts_with = "mode")]
    pub hold_subscriptions: Option<u32>,
    /// How the result is printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Say once a second how the run goes [default: on a terminal]
    #[arg(long)]
    pub progress: bool,
    /// Say nothing while running
    #[arg(long, conflicts_with = "progress")]
    pub quiet: bool,
}

/// The most bytes of a payload whose size a control line can say.
const SIZE_MAX: usize = 999_999_999;

impl Arguments {
    /// Time to measure where no number of messages is given.
    pub const DURATION_DEFAULT: Duration = Duration::from_secs(5);

    /// How to log in.
    pub fn credentials(&self) -> Credentials {
        Credentials { user: self.user.clone(), password: self.password.clone(), token: self.token.clone() }
    }

    /// How to speak TLS, where that was asked for.
    ///
    /// # Errors
    /// [`BenchError::Usage`] when the file of the authorities has none.
    pub fn tls(&self) -> Result<Option<Arc<ClientConfig>>, BenchError> {
        self.tls_ca.as_deref().map(client_config).transpose()
    }

    /// Whether payloads carry the time at which they were due.
    pub fn is_stamped(&self) -> bool {
        self.rate.is_some() && self.mode != Some(Mode::Request)
    }

    /// Finds what clap cannot: combinations that make no sense.
    ///
    /// # Errors
    /// [`BenchError::Usage`] with what to change.
    pub fn check(&self) -> Result<(), BenchError> {
        let usage = |text: &str| Err(BenchError::Usage(text.to_owned()));
        if self.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0) {
            return usage("--rate must be above 0");
        }
        if self.churn.is_some_and(|rate| rate.is_nan() || rate <= 0.0) {
            return usage("--churn must be above 0");
        }
        if self.messages == Some(0)
            || (self.mode.is_some() && self.duration.is_some_and(|time| time.is_zero()))
        {
            return usage("--messages and --duration must be above 0");
        }
        if self.size > SIZE_MAX {
            return usage("--size must be below 1G: a message's size has nine digits at most");
        }
        if self.queue.is_some() && matches!(self.mode, Some(Mode::Pub | Mode::Request)) {
            return usage("--queue is for subscribers: the modes fan and sub");
        }
        if self.is_stamped() && self.size < 8 {
            return usage("--rate needs --size 8 or more: the scheduled time is in the payload");
        }
        if self.rate.is_some() && self.mode == Some(Mode::Sub) {
            return usage("--rate is for senders; in the mode sub something else publishes");
        }
        if self.stopped_receivers > 0 && (self.mode != Some(Mode::Fan) || self.queue.is_some()) {
            return usage("--stopped-receivers is for the mode fan without --queue");
        }
        if self.stopped_receivers >= self.subscribers && self.stopped_receivers > 0 {
            return usage("--stopped-receivers must leave one of --subscribers");
        }
        if self.mode == Some(Mode::Request) && self.subjects > 1 {
            return usage("--subjects is not for the mode request");
        }
        if self.churn.is_some() && self.mode.is_none() {
            return usage("--churn is for load, not for held connections or subscriptions");
        }
        if self.beside_connections + self.beside_subscriptions > 0 && self.mode.is_none() {
            return usage("--beside-connections and --beside-subscriptions are for load");
        }
        if self.subject.is_empty() || self.subject.contains(|c: char| c.is_whitespace() || "*>".contains(c)) {
            return usage("--subject must be a subject without wildcards");
        }
        if self.window == 0 {
            return usage("--window must be above 0");
        }
        Ok(())
    }
}

fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor: usize = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1024,
        "m" | "mb" | "mib" => 1024 * 1024,
        "g" | "gb" | "gib" => 1024 * 1024 * 1024,
        _ => return Err(format!("{unit:?} is not a unit of bytes (K, M, G)")),
    };
    let number: usize = digits.parse().map_err(|_| "not a number of bytes".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "too large".to_owned())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits_end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits_end);
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        _ => return Err(format!("{unit:?} is not a unit of time (ms, s, m, h)")),
    };
    let number: f64 = digits.parse().map_err(|_| "not a duration like 500ms, 10s or 2m".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(line: &str) -> Result<Arguments, String> {
        let words = ["bench"].into_iter().chain(line.split_whitespace());
        Line::try_parse_from(words).map(|line| line.arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn sizes_and_durations() {
        assert_eq!(parse_bytes("16"), Ok(16));
        assert_eq!(parse_bytes("16KiB"), Ok(16_384));
        assert_eq!(parse_bytes("4M"), Ok(4 << 20));
        assert!(parse_bytes("x").is_err() && parse_bytes("16T").is_err() && parse_bytes("").is_err());
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("1.5"), Ok(Duration::from_millis(1_500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert!(parse_duration("2 weeks").is_err() && parse_duration("").is_err());
    }

    #[test]
    fn a_kind_of_load_is_required() {
        assert!(parse("--size 16").is_err());
        assert!(parse("fan --size 16").is_ok());
        assert!(parse("--idle-connections 10").is_ok());
        assert!(parse("fan --idle-connections 10").is_err());
        assert!(parse("fan --messages 5 --duration 5s").is_err());
        assert!(parse("fan --publishers 0").is_err());
    }

    #[test]
    fn senseless_combinations_are_refused() {
        for bad in [
            "fan --rate 0",
            "fan --rate 10 --size 4",
            "sub --rate 10",
            "pub --stopped-receivers 1",
            "fan --stopped-receivers 1",
            "request --subjects 5",
            "pub --subject a.*",
            "fan --messages 0",
            "fan --duration 0s",
            "pub --size 3G",
            "pub --queue q",
            "request --queue q",
        ] {
            assert!(parse(bad).expect("parses").check().is_err(), "{bad}");
        }
        for good in
            ["fan --rate 10 --size 8", "fan --subscribers 4 --stopped-receivers 1", "request --size 0"]
        {
            assert!(parse(good).expect("parses").check().is_ok(), "{good}");
        }
    }
}
