//! The simulated world: it carries bytes as TCP does, its faults take effect, and a seed is the whole story.

mod echo_world;

use echo_world::echo_world;
use petrel_runtime::sim::{Crash, FaultKind, FaultOptions, NodeHandle, SimOptions, World};
use petrel_runtime::{CoreId, Event, Io, Monotonic, Program, SocketId, TimerToken, WallTime};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

#[test]
fn bytes_come_back_whole_in_a_healthy_world() {
    for seed in 0..10 {
        let mut echo = echo_world(SimOptions::new(seed), 3, &[1, 1000, 100_000, 1_000_000]);
        let clients = echo.clients.clone();
        let done = echo.world.run_until_done(Duration::from_secs(600), |world| {
            clients.iter().all(|client| world.with_program(*client, 0, |client| client.finished > 0))
        });
        assert!(done, "seed {seed}: some client finished nothing");
        for client in &clients {
            let errors = echo.world.with_program(*client, 0, |client| client.errors);
            assert_eq!(errors, 0, "seed {seed}: {client:?} met errors in a world without faults");
        }
        let counts = echo.world.fault_counts();
        for kind in [FaultKind::SegmentSplit, FaultKind::ShortRead, FaultKind::SendPending] {
            assert!(counts.of(kind) > 0, "seed {seed}: {kind:?} never happened: {counts}");
        }
        for kind in [FaultKind::Reset, FaultKind::Loss, FaultKind::Refused, FaultKind::PartitionHeld] {
            assert_eq!(counts.of(kind), 0, "seed {seed}: {kind:?} in a world without faults");
        }
    }
}

#[test]
fn every_fault_takes_effect_and_programs_recover() {
    let mut sums: BTreeMap<FaultKind, u64> = BTreeMap::new();
    for seed in 0..10 {
        let options = SimOptions::new(seed).with_faults(FaultOptions::heavy());
        let mut echo = echo_world(options, 2, &[1000, 50_000]);
        echo.world.run_for(Duration::from_secs(20));
        echo.world.stall(0, Duration::from_secs(3));
        echo.world.run_for(Duration::from_secs(10));
        echo.world.crash(echo.server, Crash::Process);
        echo.world.run_for(Duration::from_secs(2));
        echo.world.restart(echo.server);
        echo.world.run_for(Duration::from_secs(5));
        echo.world.crash(echo.server, Crash::Power);
        // Longer than retransmissions are tried.
        echo.world.run_for(Duration::from_secs(90));
        echo.world.restart(echo.server);
        echo.world.calm();
        echo.world.run_for(Duration::from_secs(20));
        let before = echo.finished();
        echo.world.run_for(Duration::from_secs(10));
        assert!(echo.finished() > before, "seed {seed}: no progress after the faults ended");
        for (kind, count) in echo.world.fault_counts().all() {
            *sums.entry(kind).or_default() += count;
        }
    }
    println!("{sums:?}");
    // The echo has no occasion for these: it never asks whether a mailbox has room, and has no files.
    sums.remove(&FaultKind::MailboxFull);
    sums.retain(|kind, _| *kind <= FaultKind::Stall);
    let absent: Vec<&FaultKind> =
        sums.iter().filter(|(_, count)| **count == 0).map(|(kind, _)| kind).collect();
    assert!(absent.is_empty(), "never took effect: {absent:?}");
}

fn traced_run(seed: u64) -> (u64, String) {
    let mut options = SimOptions::new(seed).with_faults(FaultOptions::heavy());
    options.trace_text = true;
    let mut echo = echo_world(options, 3, &[100, 20_000]);
    echo.world.run_for(Duration::from_secs(5));
    echo.world.crash(echo.server, Crash::Power);
    echo.world.run_for(Duration::from_secs(1));
    echo.world.restart(echo.server);
    echo.world.run_for(Duration::from_secs(5));
    let trace = echo.world.trace();
    (trace.digest(), trace.text().expect("asked for").to_owned())
}

#[test]
fn a_seed_is_the_whole_story() {
    let mut digests = std::collections::BTreeSet::new();
    for seed in 0..10 {
        let (one, one_text) = traced_run(seed);
        let (other, other_text) = traced_run(seed);
        let differs = one_text.lines().zip(other_text.lines()).enumerate().find(|(_, (a, b))| a != b);
        assert_eq!(differs, None, "seed {seed}: the first line that differs");
        assert_eq!(one, other, "seed {seed}");
        assert!(one_text.lines().count() > 1000);
        digests.insert(one);
    }
    assert_eq!(digests.len(), 10, "different seeds are different stories");
}

#[test]
fn a_partition_holds_bytes_back_and_loses_none() {
    for seed in 0..10 {
        let mut echo = echo_world(SimOptions::new(seed), 1, &[200_000]);
        let client = echo.clients[0];
        assert!(echo.world.run_until_done(Duration::from_secs(60), |world| {
            world.with_program(client, 0, |client| client.returned > 0)
        }));
        echo.world.partition(0, 1);
        let seen =
            |world: &mut World| world.with_program(client, 0, |client| (client.finished, client.returned));
        // What was in the client's kernel already may still be read.
        echo.world.run_for(Duration::from_secs(1));
        let before = seen(&mut echo.world);
        echo.world.run_for(Duration::from_secs(10));
        assert_eq!(seen(&mut echo.world), before, "seed {seed}: something passed a partition");
        assert!(echo.world.fault_counts().of(FaultKind::PartitionHeld) > 0);
        echo.world.heal(0, 1);
        let finished = before.0 + 1;
        assert!(echo.world.run_until_done(Duration::from_secs(120), |world| seen(world).0 >= finished));
        assert_eq!(echo.world.with_program(client, 0, |client| client.errors), 0, "seed {seed}");
    }
}

#[test]
fn nobody_answers_without_power() {
    let mut options = SimOptions::new(3);
    options.connect_give_up = Duration::from_secs(5);
    let mut echo = echo_world(options, 1, &[10]);
    let client = echo.clients[0];
    echo.world.with_program(client, 0, |client| client.gives_up = true);
    echo.world.crash(echo.server, Crash::Power);
    echo.world.run_for(Duration::from_secs(4));
    assert_eq!(echo.world.with_program(client, 0, |client| client.errors), 0);
    assert!(echo.world.run_until_idle(Duration::from_secs(10)));
    assert_eq!(echo.world.with_program(client, 0, |client| client.errors), 1);
    assert!(echo.world.now() < Monotonic(7_000_000_000));
}

#[test]
fn a_killed_process_refuses_and_its_peers_hear_of_it() {
    let mut echo = echo_world(SimOptions::new(4), 2, &[2_000_000]);
    let client = echo.clients[0];
    echo.world.with_program(client, 0, |client| client.gives_up = true);
    let met = echo.world.run_until_done(Duration::from_secs(60), |world| {
        world.with_program(client, 0, |client| client.returned > 1000)
    });
    assert!(met);
    echo.world.crash(echo.server, Crash::Process);
    // Unread bytes make the kernel reset the connection; if there are none it ends in order.
    let heard = echo.world.run_until_done(Duration::from_secs(5), |world| {
        world.with_program(client, 0, |client| client.errors == 1)
    });
    assert!(heard);
    assert_eq!(echo.world.fault_counts().of(FaultKind::ProcessCrash), 1);
    assert!(!echo.world.runs(echo.server, 0));
}

/// Set in the process that `another_process_tells_the_same_story` starts.
const TELL: &str = "PETREL_TEST_TELL_DIGEST";

#[test]
fn another_process_tells_the_same_story() {
    let (digest, _) = traced_run(77);
    if std::env::var_os(TELL).is_some() {
        return println!("digest {digest}");
    }
    // Addresses, hash seeds and clocks differ between processes.
    for _ in 0..2 {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "another_process_tells_the_same_story", "--nocapture"])
            .env(TELL, "1")
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.contains(&format!("digest {digest}\n")), "another story than {digest}:\n{told}");
    }
}

#[test]
fn a_stalled_node_goes_on_where_it_was() {
    for seed in 0..5 {
        let mut echo = echo_world(SimOptions::new(seed), 2, &[400_000]);
        let client = echo.clients[0];
        let returned = |world: &mut World| world.with_program(client, 0, |client| client.returned);
        assert!(echo.world.run_until_done(Duration::from_secs(60), |world| returned(world) > 0));
        echo.world.stall(0, Duration::from_secs(10));
        // What the server had sent before may still be on its way.
        echo.world.run_for(Duration::from_secs(1));
        let before = returned(&mut echo.world);
        echo.world.run_for(Duration::from_secs(8));
        assert_eq!(returned(&mut echo.world), before, "seed {seed}: a stalled node answered");
        let finished = |world: &mut World| world.with_program(client, 0, |client| client.finished);
        assert!(echo.world.run_until_done(Duration::from_secs(120), |world| finished(world) > 0));
        assert_eq!(echo.world.with_program(client, 0, |client| client.errors), 0, "seed {seed}");
        assert_eq!(echo.world.fault_counts().of(FaultKind::Stall), 1);
    }
}

#[test]
fn a_partition_of_one_direction_holds_back_one_direction() {
    for (from, to) in [(0, 1), (1, 0)] {
        let mut echo = echo_world(SimOptions::new(9), 1, &[100_000]);
        let client = echo.clients[0];
        let finished = |world: &mut World| world.with_program(client, 0, |client| client.finished);
        assert!(echo.world.run_until_done(Duration::from_secs(60), |world| finished(world) > 0));
        echo.world.partition_one_way(from, to);
        // Less than the client waits before it asks anew.
        echo.world.run_for(Duration::from_secs(10));
        let accepted = echo.world.with_program(echo.server, 0, |server| server.accepted);
        let before = finished(&mut echo.world);
        // A request gets through from the client's side exactly when that direction is open.
        let expected = if from == 1 { before } else { before + 1 };
        assert_eq!(accepted, expected, "from {from} to {to}");
        echo.world.heal(0, 1);
        assert!(echo.world.run_until_done(Duration::from_secs(60), |world| finished(world) > before));
    }
}

#[test]
fn connections_can_be_reset_by_the_test() {
    let mut echo = echo_world(SimOptions::new(5), 1, &[300_000, 300_000]);
    let clients = echo.clients.clone();
    assert!(echo.world.run_until_done(Duration::from_secs(60), |world| {
        clients.iter().all(|client| world.with_program(*client, 0, |client| client.returned > 0))
    }));
    echo.world.reset_connections(0, clients[0].number());
    echo.world.run_for(Duration::from_secs(60));
    let errors: Vec<u64> =
        clients.iter().map(|client| echo.world.with_program(*client, 0, |client| client.errors)).collect();
    assert_eq!(errors, [1, 0]);
    assert!(echo.finished() > 0);
}

/// Mails the other core as new work, and writes down what its clocks show.
#[derive(Default)]
struct Busy {
    mailed: u64,
    received: u64,
    told_of_room: u64,
    clocks: Vec<(Monotonic, WallTime)>,
}

impl Program for Busy {
    type Mail = u64;
    type Order = u64;

    fn start(&mut self, io: &mut Io<'_, u64>) {
        io.set_timer(io.now(), TimerToken(0));
    }

    fn event(&mut self, event: Event<'_, u64, u64>, io: &mut Io<'_, u64>) {
        match event {
            Event::Timer(_) => {
                self.clocks.push((io.now(), io.wall_clock()));
                io.set_timer(io.now().after(Duration::from_millis(1)), TimerToken(0));
            }
            Event::MailRoom { .. } => self.told_of_room += 1,
            Event::Mail { mail, .. } => {
                self.received += 1;
                assert_eq!(mail, self.received);
            }
            Event::Order(_) | Event::Accepted { .. } => {}
            _ => unreachable!("it has no connections"),
        }
        let other = CoreId(1 - io.core().0);
        while io.core() == CoreId(0) && self.mailed < 5_000 && io.mail_has_room(other) {
            self.mailed += 1;
            io.mail(other, self.mailed);
        }
    }

    fn finish_turn(&mut self, _: &mut Io<'_, u64>) {}

    fn panicked(&mut self, _: Option<SocketId>, message: &str, _: &mut Io<'_, u64>) {
        panic!("{message}");
    }
}

fn busy_world(options: SimOptions) -> (World, NodeHandle<Busy>) {
    let mut world = World::new(options);
    let node = world.add_node(2, IpAddr::from([10, 0, 0, 1]), |_, _| Busy::default());
    (world, node)
}

#[test]
fn small_mailboxes_fill_and_empty() {
    let mut options = SimOptions::new(1);
    options.mailbox_slots = (2, 2);
    let (mut world, node) = busy_world(options);
    assert!(world.run_until_done(Duration::from_secs(600), |world| {
        world.with_program(node, 1, |busy| busy.received == 5_000)
    }));
    assert!(world.fault_counts().of(FaultKind::MailboxFull) > 1_000);
    assert!(world.fault_counts().of(FaultKind::MailSplit) > 0);
    assert!(world.with_program(node, 0, |busy| busy.told_of_room) > 1_000);
}

#[test]
fn wall_clocks_jump_and_monotonic_ones_never() {
    let mut options = SimOptions::new(2);
    options.faults.clock_step_per_million = 10_000;
    options.faults.clock_step_max = Duration::from_secs(60);
    let (mut world, node) = busy_world(options);
    world.run_for(Duration::from_secs(5));
    let clocks = world.with_program(node, 0, |busy| std::mem::take(&mut busy.clocks));
    assert!(clocks.windows(2).all(|pair| pair[0].0 < pair[1].0), "the monotonic clock went back");
    let back = clocks.windows(2).filter(|pair| pair[1].1 < pair[0].1).count();
    let forth = clocks.windows(2).filter(|pair| pair[1].1.0 > pair[0].1.0 + 1_000_000_000).count();
    assert!(back > 0 && forth > 0, "{back} jumps back, {forth} forth");
    assert!(world.fault_counts().of(FaultKind::ClockStep) >= (back + forth) as u64);
}

#[test]
fn orders_to_a_node_that_is_down_are_refused() {
    let (mut world, node) = busy_world(SimOptions::new(3));
    assert!(world.order(node, 0, 1));
    world.crash(node, Crash::Process);
    assert!(!world.order(node, 0, 2));
    assert!(!world.runs(node, 0));
    world.restart(node);
    assert!(world.order(node, 0, 3));
    world.run_for(Duration::from_secs(1));
    assert!(world.with_program(node, 0, |busy| !busy.clocks.is_empty()));
}
