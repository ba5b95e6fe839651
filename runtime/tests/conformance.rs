//! Every scenario of the conformance suite over every backend.

use petrel_runtime::conformance::{Backend, SCENARIOS};
use petrel_runtime::probe_io_uring;
use std::io::Write;
use std::sync::Once;

/// Seeds of the simulator for each scenario. `PETREL_SEEDS=n` asks for another number, `PETREL_SEED=n` for one
/// seed alone.
const SEEDS: u64 = 25;

fn scenario(name: &str) -> fn(Backend) {
    let found = SCENARIOS.iter().find(|(other, _)| *other == name);
    found.unwrap_or_else(|| panic!("{name} is not a scenario")).1
}

fn over_uring(name: &str) {
    static SAID: Once = Once::new();
    match probe_io_uring() {
        Ok(()) => scenario(name)(Backend::Uring),
        Err(reason) => SAID.call_once(|| {
            // Written past the test harness, which swallows what passing tests print.
            let _ = writeln!(
                std::io::stderr(),
                "\n*** SKIPPED: the whole conformance suite over io_uring, because: {reason} ***\n"
            );
        }),
    }
}

fn number_from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

fn over_simulator(name: &str) {
    let seeds = match number_from_environment("PETREL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number_from_environment("PETREL_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        // The seed is what a reader needs when the scenario panics.
        println!("{name} with PETREL_SEED={seed}");
        scenario(name)(Backend::Sim { seed });
    }
}

macro_rules! suite {
    ($($name:ident)*) => {
        mod uring { $(#[test] fn $name() { super::over_uring(stringify!($name)); })* }
        mod epoll {
            use super::{Backend, scenario};
            $(#[test] fn $name() { scenario(stringify!($name))(Backend::Epoll); })*
        }
        mod simulator { $(#[test] fn $name() { super::over_simulator(stringify!($name)); })* }

        #[test]
        fn every_scenario_is_run() {
            let run = [$(stringify!($name)),*];
            let known: Vec<&str> = SCENARIOS.iter().map(|(name, _)| *name).collect();
            assert_eq!(known, run);
        }
    };
}

suite! {
    echo_of_every_size
    ten_megabytes_both_ways_with_backpressure
    one_side_ends_the_other_goes_on
    the_end_comes_after_all_data
    nothing_follows_a_close
    stale_ids_are_harmless
    unread_bytes_at_close_reset_the_peer
    a_pending_send_fails_with_its_buffer
    a_closed_port_refuses
    connections_change_cores
    a_dropped_connection_is_closed
    nothing_is_read_while_paused
    others_can_be_paused_within_a_turn
    timers_come_in_order_and_never_early
    a_cancelled_timer_is_silent
    mail_keeps_its_order
    mail_counts_as_consumed_when_handled
    room_is_waited_for_and_told
    room_is_told_after_spilled_mail_has_moved
    mail_beyond_the_ring_spills_and_arrives
    orders_wake_a_parked_core
    a_stopped_core_closes_its_sockets
    a_panic_is_contained
    a_closed_listener_refuses
    both_families_reach_one_listener
    many_sockets_at_once
    cores_draw_different_numbers
    what_is_written_is_read
    names_are_made_changed_and_removed
    a_folder_is_locked_once
    futures_can_be_dropped
    a_core_stops_with_files_in_use
    no_wake_up_is_lost
}
