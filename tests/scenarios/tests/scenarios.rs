//! Each scenario holds for a set of seeds, and its adversities took effect in it.
//!
//! `PETREL_SCENARIO_SEEDS` sets the seeds that each scenario is run for: their number, or FROM..TO, without TO, so that a
//! long run need not begin with those of the last one.

use petrel_scenarios::campaign;
use petrel_scenarios::run::Settings;
use petrel_scenarios::scenario::find;
use std::ops::Range;

const SEEDS: u64 = 40;

fn seeds(text: Option<&str>) -> Range<u64> {
    let Some(text) = text else { return 0..SEEDS };
    let number = |text: &str| text.parse::<u64>().expect("PETREL_SCENARIO_SEEDS is a number, or FROM..TO");
    text.split_once("..").map_or_else(|| 0..number(text), |(from, to)| number(from)..number(to))
}

#[test]
fn seeds_are_counted_from_0_or_named() {
    assert_eq!((seeds(None), seeds(Some("7")), seeds(Some("100..250"))), (0..SEEDS, 0..7, 100..250));
}

fn holds(name: &str) {
    let seeds = seeds(std::env::var("PETREL_SCENARIO_SEEDS").ok().as_deref());
    let scenario = find(name).expect("the scenario exists");
    // One thread: the other scenarios run beside it.
    let summary = campaign::run(scenario, seeds, 1, &Settings::default(), false);
    println!("{name}: {} runs: {}", summary.runs, summary.effects);
    for (seed, violations) in &summary.failures {
        println!("petrel-sim {name} --seed {seed}: {}", violations.join("\n    "));
    }
    let failed: Vec<u64> = summary.failures.iter().map(|(seed, _)| *seed).collect();
    assert!(failed.is_empty(), "{name} broke rules with the seeds {failed:?}");
    assert_eq!(summary.absent(scenario), Vec::<&str>::new(), "{name}: never took effect");
}

#[test]
fn messages_of_a_publisher_stay_in_order() {
    holds("order");
}

#[test]
fn a_pong_is_a_barrier() {
    holds("barrier");
}

#[test]
fn a_pong_confirms_what_others_have_just_subscribed_to() {
    holds("company");
}

#[test]
fn answers_find_the_inbox_of_their_request() {
    holds("causality");
}

#[test]
fn queue_groups_get_each_message_once() {
    holds("queue-groups");
}

#[test]
fn a_notice_comes_exactly_when_nobody_received_the_request() {
    holds("no-responders");
}

#[test]
fn nothing_panics_or_is_left_behind_in_chaos() {
    holds("chaos");
}

#[test]
fn who_waits_for_room_goes_on() {
    holds("room");
}

#[test]
fn a_dead_receiver_is_closed_and_slows_nobody_for_long() {
    holds("stall");
}

#[test]
fn the_server_goes_away_in_order() {
    holds("lame-duck");
}

/// Seeds that have found a fault, and what it was.
const FOUND: [(&str, u64, &str); 8] = [
    ("order", 0, "a client that closed its side lost what was being written to it"),
    (
        "order",
        15,
        "a core that waited for room in a mailbox was not woken once spilled mail had taken the room",
    ),
    ("no-responders", 168, "the same"),
    ("causality", 267, "the same"),
    ("no-responders", 22, "a PONG did not wait for reports on their way back"),
    (
        "no-responders",
        311,
        "a PONG did not wait for a queue envelope that came back and went to a third core",
    ),
    (
        "panics",
        44,
        "a PONG did not wait for interest that was under way already, because of another client of the core",
    ),
    ("chaos", 40, "the simulator lost a reset in a partition, and the connection hung for ever"),
];

#[test]
fn seeds_that_found_a_fault_stay_good() {
    for (name, seed, what) in FOUND {
        let outcome = (find(name).expect("the scenario exists").run)(seed, &Settings::default());
        assert_eq!(outcome.violations, Vec::<String>::new(), "petrel-sim {name} --seed {seed}: {what}");
    }
}

#[test]
fn who_may_get_in_gets_in_and_nobody_else() {
    holds("logins");
}

#[test]
fn what_is_denied_is_neither_published_nor_delivered() {
    holds("permissions");
}

#[test]
fn a_panic_costs_the_connection_that_caused_it_and_no_other() {
    holds("panics");
}

#[test]
fn handshakes_elsewhere_lose_nothing() {
    holds("handshakes");
}

#[test]
fn nobody_keeps_rights_when_a_reload_is_told_as_done() {
    holds("reloads");
}

#[test]
fn streams_of_other_accounts_arrive_as_if_published_here() {
    holds("stream-imports");
}

#[test]
fn requests_to_other_accounts_are_answered_once() {
    holds("service-imports");
}

#[test]
fn measured_requests_are_told_of_once() {
    holds("latency");
}

#[test]
fn followed_messages_have_one_event() {
    holds("traces");
}

#[test]
fn imports_come_and_go_for_all_or_for_nobody() {
    holds("import-reloads");
}

#[test]
fn each_of_several_answers_arrives() {
    holds("service-streams");
}

#[test]
fn leave_to_answer_ends_by_number_and_by_time() {
    holds("responses");
}

#[test]
fn destinations_have_their_shares() {
    holds("weights");
}

#[test]
fn accounts_stay_within_their_limits() {
    holds("account-limits");
}

#[test]
fn what_is_meant_for_one_account_reaches_that_one() {
    holds("token-positions");
}

#[test]
fn the_system_account_is_told_of_what_happens() {
    holds("system-events");
}
