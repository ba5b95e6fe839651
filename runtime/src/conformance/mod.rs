//! What all backends promise, as scenarios.
//!
//! A scenario is a function that takes a [`Backend`], lets programs run on it (the serving side and the
//! asking side both through [`crate::Io`]), and panics when a promise is broken. [`SCENARIOS`] lists them;
//! the package's test `conformance` runs each of them over each backend. In the simulator a scenario is run
//! from many seeds, so that every order the promises leave open is met; on the real ones it meets threads,
//! the kernel's buffers and its clock.

mod actor;
mod closing;
mod crowd;
mod echo;
mod ending;
mod failing;
mod files;
mod handover;
mod listening;
mod mail;
mod mail_room;
mod orders;
mod outgoing;
mod panics;
mod parking;
mod randomness;
mod reading;
mod rig;
mod timers;

pub use rig::Backend;

/// A name, and what to run.
pub type Scenario = (&'static str, fn(Backend));

/// All scenarios.
pub const SCENARIOS: &[Scenario] = &[
    ("echo_of_every_size", echo::echo_of_every_size),
    ("ten_megabytes_both_ways_with_backpressure", echo::ten_megabytes_both_ways_with_backpressure),
    ("one_side_ends_the_other_goes_on", ending::one_side_ends_the_other_goes_on),
    ("the_end_comes_after_all_data", ending::the_end_comes_after_all_data),
    ("nothing_follows_a_close", closing::nothing_follows_a_close),
    ("stale_ids_are_harmless", closing::stale_ids_are_harmless),
    ("unread_bytes_at_close_reset_the_peer", failing::unread_bytes_at_close_reset_the_peer),
    ("a_pending_send_fails_with_its_buffer", failing::a_pending_send_fails_with_its_buffer),
    ("a_closed_port_refuses", failing::a_closed_port_refuses),
    ("connections_change_cores", handover::connections_change_cores),
    ("a_dropped_connection_is_closed", handover::a_dropped_connection_is_closed),
    ("nothing_is_read_while_paused", reading::nothing_is_read_while_paused),
    ("others_can_be_paused_within_a_turn", reading::others_can_be_paused_within_a_turn),
    ("timers_come_in_order_and_never_early", timers::timers_come_in_order_and_never_early),
    ("a_cancelled_timer_is_silent", timers::a_cancelled_timer_is_silent),
    ("mail_keeps_its_order", mail::mail_keeps_its_order),
    ("mail_counts_as_consumed_when_handled", mail::mail_counts_as_consumed_when_handled),
    ("room_is_waited_for_and_told", mail_room::room_is_waited_for_and_told),
    ("room_is_told_after_spilled_mail_has_moved", mail_room::room_is_told_after_spilled_mail_has_moved),
    ("mail_beyond_the_ring_spills_and_arrives", mail_room::mail_beyond_the_ring_spills_and_arrives),
    ("orders_wake_a_parked_core", orders::orders_wake_a_parked_core),
    ("a_stopped_core_closes_its_sockets", orders::a_stopped_core_closes_its_sockets),
    ("a_panic_is_contained", panics::a_panic_is_contained),
    ("a_closed_listener_refuses", listening::a_closed_listener_refuses),
    ("both_families_reach_one_listener", listening::both_families_reach_one_listener),
    ("many_sockets_at_once", crowd::many_sockets_at_once),
    ("cores_draw_different_numbers", randomness::cores_draw_different_numbers),
    ("what_is_written_is_read", files::what_is_written_is_read),
    ("names_are_made_changed_and_removed", files::names_are_made_changed_and_removed),
    ("a_folder_is_locked_once", files::a_folder_is_locked_once),
    ("futures_can_be_dropped", files::futures_can_be_dropped),
    ("a_core_stops_with_files_in_use", files::a_core_stops_with_files_in_use),
    ("no_wake_up_is_lost", parking::no_wake_up_is_lost),
];
