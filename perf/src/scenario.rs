//! The scenarios and their targets.

use crate::measurement::Metric;
use crate::target::{Bound, Target};

/// What a scenario does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Load at full speed, with these options of `petrel bench`.
    Load(&'static str),
    /// The load of the scenario with this name on a schedule, at half of upstream's rate.
    HalfRate(&'static str),
    /// A server that has just started.
    Start,
    /// Idle connections: how many in a quick run and in a full one.
    IdleConnections(u32, u32),
    /// Unique literal subscriptions: how many in a quick run and in a full one.
    Subscriptions(u32, u32),
    /// The load of the scenario with this name beside few and beside many held things.
    Growth(&'static str, Beside),
    /// Load at full speed by the public Go client, with these options of its program.
    PublicClient(&'static str),
    /// One publisher and four receivers, one of which stops to read.
    SlowReceiver,
}

/// What is held beside a load: an option of `petrel bench`, and how many in the three cases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The option.
    pub option: &'static str,
    /// Whether each takes an open file of the server.
    pub is_connection: bool,
    /// To compare with.
    pub few: u32,
    /// In a quick run.
    pub many_quick: u32,
    /// In a full one.
    pub many: u32,
}

/// A scenario: a name, what it does, and what petrel must reach.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Name on the command line.
    pub name: &'static str,
    /// Words for tables.
    pub title: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Runs in `--quick` too.
    pub is_quick: bool,
    /// All connections speak TLS.
    pub is_over_tls: bool,
    /// What petrel must reach.
    pub targets: &'static [Target],
}

/// Server CPU for a message, as a multiple of upstream's.
const fn cpu(ratio: f64) -> Target {
    Target::new(Metric::ServerCpu, Bound::RatioAtMost(ratio))
}

/// The rate, as a multiple of upstream's.
const fn rate(ratio: f64) -> Target {
    Target::new(Metric::Rate, Bound::RatioAtLeast(ratio))
}

/// Delays must not exceed upstream's at half of upstream's rate.
const DELAYS: &[Target] = &[
    Target::new(Metric::LatencyP50, Bound::RatioAtMost(1.0)),
    Target::new(Metric::LatencyP99, Bound::RatioAtMost(1.0)),
];

/// Many subjects, wildcards and changing interest, in front of the options of a load.
const MANY_SUBJECTS: &str =
    "fan --size 128 --subjects 10000 --distribution zipf --wildcard-receivers 50 --churn 1000";

/// All scenarios, in the order in which they run: a load stands before its half-rate run.
pub const SCENARIOS: &[Scenario] = &[
    load("pub-16", "publish, 16 B, no subscriber", "pub --size 16", true, &[cpu(0.36)]),
    load("1:1-16", "1:1, 16 B", "fan --size 16", true, &[cpu(0.25), rate(4.5)]),
    half("1:1-16-half", "1:1, 16 B, half rate", "1:1-16", false),
    load("1:1-128", "1:1, 128 B", "fan --size 128", true, &[cpu(0.25), rate(4.0)]),
    half("1:1-128-half", "1:1, 128 B, half rate", "1:1-128", true),
    load("1:1-128-tls", "1:1, 128 B over TLS", "fan --size 128", true, &[cpu(0.40), rate(2.0)]).over_tls(),
    half("1:1-128-tls-half", "1:1, 128 B over TLS, half rate", "1:1-128-tls", false).over_tls(),
    load("1:1-16k", "1:1, 16 KiB", "fan --size 16K", false, &[cpu(0.65), rate(1.25)]),
    half("1:1-16k-half", "1:1, 16 KiB, half rate", "1:1-16k", false),
    load(
        "1:4-128",
        "1:4, 128 B, a delivery",
        "fan --size 128 --subscribers 4",
        true,
        &[cpu(0.333), rate(2.9)],
    ),
    half("1:4-128-half", "1:4, 128 B, half rate", "1:4-128", false),
    load(
        "4:4-128",
        "4:4, 128 B, a delivery",
        "fan --size 128 --publishers 4 --subscribers 4",
        false,
        &[cpu(0.333), rate(2.9)],
    ),
    half("4:4-128-half", "4:4, 128 B, half rate", "4:4-128", false),
    load("request-1", "request-reply, 1 client", "request --size 128", false, &[cpu(0.60), rate(1.3)]),
    half("request-1-half", "request-reply, 1 client, half rate", "request-1", false),
    load(
        "request-50",
        "request-reply, 50 clients",
        "request --size 128 --clients 50",
        true,
        &[cpu(0.333), rate(2.5)],
    ),
    half("request-50-half", "request-reply, 50 clients, half rate", "request-50", true),
    load(
        "1:1-128-zipf",
        "1:1, 128 B, 10,000 Zipf subjects, wildcards, churn",
        MANY_SUBJECTS,
        false,
        &[cpu(0.25)],
    ),
    half("1:1-128-zipf-half", "the same, half rate", "1:1-128-zipf", false),
    Scenario {
        name: "start",
        title: "memory after start",
        kind: Kind::Start,
        is_quick: true,
        is_over_tls: false,
        targets: &[Target::new(Metric::StartMemory, Bound::AtMost(20e6))],
    },
    Scenario {
        name: "idle",
        title: "idle connection",
        kind: Kind::IdleConnections(10_000, 50_000),
        is_quick: true,
        is_over_tls: false,
        targets: &[Target::new(Metric::BytesEach, Bound::AtMost(3_000.0))],
    },
    Scenario {
        name: "idle-tls",
        title: "idle TLS connection",
        kind: Kind::IdleConnections(1_000, 20_000),
        is_quick: true,
        is_over_tls: true,
        targets: &[Target::new(Metric::BytesEach, Bound::AtMost(12_000.0))],
    },
    Scenario {
        name: "subscriptions",
        title: "unique literal subscription",
        kind: Kind::Subscriptions(100_000, 1_000_000),
        is_quick: true,
        is_over_tls: false,
        targets: &[Target::new(Metric::BytesEach, Bound::AtMost(200.0))],
    },
    public("go-1:1-16", "1:1, 16 B", "--size 16", &[cpu(0.24), rate(1.37)]),
    public("go-1:1-128", "1:1, 128 B", "--size 128", &[cpu(0.24), rate(1.38)]),
    public("go-1:1-128-tls", "1:1, 128 B over TLS", "--size 128", &[cpu(0.40), rate(1.2)]).over_tls(),
    public("go-1:4-128", "1:4, 128 B, a delivery", "--size 128 --subscribers 4", &[cpu(0.333), rate(1.33)]),
    public(
        "go-4:4-128",
        "4:4, 128 B, a delivery",
        "--size 128 --publishers 4 --subscribers 4",
        &[cpu(0.333), rate(1.35)],
    ),
    public("go-request-1", "request-reply, 1 client", "--mode request", &[]),
    public("go-request-50", "request-reply, 50 clients", "--mode request --clients 50", &[rate(1.36)]),
    Scenario {
        name: "growth-connections",
        title: "1:1, 128 B, beside idle connections",
        kind: Kind::Growth(
            "1:1-128",
            Beside {
                option: "--beside-connections",
                is_connection: true,
                few: 10,
                many_quick: 2_000,
                many: 50_000,
            },
        ),
        is_quick: false,
        is_over_tls: false,
        targets: &[Target::new(Metric::CostGrowth, Bound::AtMost(FLAT))],
    },
    Scenario {
        name: "growth-subscriptions",
        title: "1:1, 128 B, beside unique literal subscriptions",
        kind: Kind::Growth(
            "1:1-128",
            Beside {
                option: "--beside-subscriptions",
                is_connection: false,
                few: 10,
                many_quick: 100_000,
                many: 1_000_000,
            },
        ),
        is_quick: false,
        is_over_tls: false,
        targets: &[Target::new(Metric::CostGrowth, Bound::AtMost(FLAT))],
    },
    Scenario {
        name: "slow-receiver",
        title: "1:4, 128 B, one receiver stops",
        kind: Kind::SlowReceiver,
        is_quick: true,
        is_over_tls: false,
        targets: &[
            Target::new(Metric::RateKept, Bound::AtLeast(0.9)),
            Target::new(Metric::StoppedClosed, Bound::AtLeast(1.0)),
            Target::new(Metric::PeakMemory, Bound::AtMost(SLOW_RECEIVER_MEMORY_MAX)),
        ],
    },
];

/// A cost that stays below this multiple is flat: the rest is what two runs differ by.
const FLAT: f64 = 1.15;
/// Memory that one stopped receiver may cost: the default `max_pending` of 64 MiB twice, for a copy under way, and
/// as much as a server under this load needs anyway.
const SLOW_RECEIVER_MEMORY_MAX: f64 = 192e6;

const fn load(
    name: &'static str,
    title: &'static str,
    options: &'static str,
    is_quick: bool,
    targets: &'static [Target],
) -> Scenario {
    Scenario { name, title, kind: Kind::Load(options), is_quick, is_over_tls: false, targets }
}

const fn public(
    name: &'static str,
    title: &'static str,
    options: &'static str,
    targets: &'static [Target],
) -> Scenario {
    Scenario { name, title, kind: Kind::PublicClient(options), is_quick: false, is_over_tls: false, targets }
}

const fn half(name: &'static str, title: &'static str, of: &'static str, is_quick: bool) -> Scenario {
    Scenario { name, title, kind: Kind::HalfRate(of), is_quick, is_over_tls: false, targets: DELAYS }
}

impl Scenario {
    /// The same with TLS on all connections.
    const fn over_tls(self) -> Self {
        Self { is_over_tls: true, ..self }
    }

    /// The scenario with this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }

    /// It runs once, with everything on all cores: memory includes what each core holds, and a public client is
    /// one of several programs of a machine.
    pub fn is_shared_only(&self) -> bool {
        matches!(
            self.kind,
            Kind::Start | Kind::IdleConnections(..) | Kind::Subscriptions(..) | Kind::PublicClient(_)
        )
    }

    /// Options of `petrel bench` for its load, where it has one.
    pub fn load_options(&self) -> Option<Vec<String>> {
        match self.kind {
            Kind::Load(options) => Some(options.split(' ').map(str::to_owned).collect()),
            Kind::HalfRate(of) | Kind::Growth(of, _) => Self::find(of)?.load_options(),
            Kind::SlowReceiver => Self::find("1:4-128")?.load_options(),
            Kind::PublicClient(_) | Kind::Start | Kind::IdleConnections(..) | Kind::Subscriptions(..) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_half_rates_follow_their_load() {
        for (index, scenario) in SCENARIOS.iter().enumerate() {
            assert!(SCENARIOS[..index].iter().all(|other| other.name != scenario.name), "{}", scenario.name);
            if let Kind::HalfRate(of) = scenario.kind {
                let load =
                    SCENARIOS[..index].iter().find(|other| other.name == of).expect("a load stands before");
                assert!(load.is_quick || !scenario.is_quick, "{}", scenario.name);
                assert_eq!(load.is_over_tls, scenario.is_over_tls, "{}", scenario.name);
            }
        }
    }

    #[test]
    fn every_load_has_options_that_the_generator_takes() {
        use clap::Parser;
        #[derive(Parser)]
        struct Line {
            #[command(flatten)]
            arguments: petrel_tools::bench::Arguments,
        }
        for scenario in SCENARIOS {
            let Some(options) = scenario.load_options() else { continue };
            let line = Line::try_parse_from(["bench".to_owned()].into_iter().chain(options));
            let line = line.unwrap_or_else(|error| panic!("{}: {error}", scenario.name));
            assert!(line.arguments.check().is_ok(), "{}", scenario.name);
        }
    }
}
