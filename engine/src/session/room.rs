//! Clients that wait until other cores have room for what they may cause there.

use super::client::Holds;
use super::keepalive::TimerKind;
use crate::mail::Mail;
use crate::mutation::Mutation;
use crate::shard::{NO_SESSION, Shard};
use petrel_runtime::Io;
use std::collections::VecDeque;

/// Sessions that are held until there is room, the first first. Some may have ended since.
#[derive(Default)]
pub(crate) struct WaitingForRoom {
    queue: VecDeque<u32>,
    /// How many have been added since the start.
    count: u64,
}

impl WaitingForRoom {
    /// Adds one.
    pub(crate) fn push(&mut self, key: u32) {
        self.queue.push_back(key);
        self.count += 1;
    }

    /// How many have been added since the start.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// Whether nobody waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }
}

impl Shard {
    /// There may be room again: those who waited go on, the first first, as long as there is. All at once they would
    /// bring what each of them has read, however many they are.
    pub(crate) fn room_came(&mut self, io: &mut Io<'_, Mail>) {
        while !self.waiting_for_room.is_empty() && self.has_room_everywhere(io) {
            // One by one: should one of them run into a defect, the others still wait.
            let Some(key) = self.waiting_for_room.queue.pop_front() else { return };
            if self.sessions.get(key).is_some_and(|session| session.holds.has(Holds::MAILBOX)) {
                self.lift(key, Holds::MAILBOX, io);
            }
        }
    }

    /// Everything that this turn has gathered for other cores is mailed. A small batch does not come back: when it was
    /// what left no room, nobody else will say that there is some.
    pub(crate) fn room_after_posting(&mut self, io: &mut Io<'_, Mail>) {
        if !self.waiting_for_room.is_empty()
            && self.has_room_everywhere(io)
            && !self.is_mutated(Mutation::RoomNotSeenAfterPosting)
        {
            self.set_timer(TimerKind::Room, NO_SESSION, io.now(), io);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::options::{Limits, Options};
    use crate::workbench::{Workbench, quick_world};
    use std::time::Duration;

    fn options(pending_max: usize, payload_max: i64) -> Options {
        Options { limits: Limits { pending_max, payload_max, ..Limits::default() }, ..Options::default() }
    }

    /// A batch that was too small to come back held a client for ever, when `max_pending` was so small that it left no
    /// room for anybody else's read.
    #[test]
    fn a_batch_that_does_not_come_back_holds_nobody() {
        let mut waited = 0;
        for seed in 0..60 {
            let mut bench = Workbench::new(quick_world(seed), 2, options(64 * 1024, 64 * 1024));
            let first = bench.client();
            let receiver = bench.client();
            let second = bench.client();
            bench.say_and_wait(receiver, "SUB x 1\r\nPING\r\n");
            // What both say is there when the core looks.
            let server = bench.server.number();
            bench.world.stall(server, Duration::from_millis(3));
            bench.say(first, &format!("PUB x 9000\r\n{}\r\n", "m".repeat(9000)));
            bench.say(second, "PUB x 1\r\nm\r\nPING\r\n");
            let has_waited = bench.world.run_until_done(Duration::from_millis(50), |world| {
                world.with_program(bench.server, 0, |shard| !shard.waiting_for_room.is_empty())
            });
            waited += u32::from(has_waited);
            bench.world.run_for(Duration::from_secs(1));
            assert!(bench.heard(second).ends_with("PONG\r\n"), "seed {seed}");
            assert_eq!(bench.heard(receiver).matches("MSG x 1 ").count(), 2, "seed {seed}");
        }
        assert!(waited > 0, "nobody ever had to wait");
    }

    /// All who waited went on as soon as there was room for one.
    #[test]
    fn who_waited_goes_on_while_there_is_room() {
        const CLIENTS: usize = 80;
        const MESSAGE_BYTES: usize = 60_000;
        const UNDER_WAY_MAX: usize = 1024 * 1024;
        let mut world = quick_world(1);
        world.mail_delay_max = Duration::from_millis(5);
        let mut bench = Workbench::new(world, 2, options(64 * 1024 * 1024, 1024 * 1024));
        let receiver = bench.client();
        bench.say_and_wait(receiver, "SUB x 1\r\nPING\r\n");
        // The receiver is on core 0, and so is every second one of these.
        let crowd = bench.crowd(2 * CLIENTS + 1);
        bench.say_and_wait(crowd, "CONNECT {\"verbose\":false}\r\n");
        let server = bench.server.number();
        bench.world.stall(server, Duration::from_millis(3));
        bench.say(crowd, &format!("PUB x {MESSAGE_BYTES}\r\n{}\r\n", "m".repeat(MESSAGE_BYTES)));
        let (mut most, mut waited) = (0, 0);
        let server = bench.server;
        bench.world.run_until_done(Duration::from_secs(20), |world| {
            world.with_program(server, 1, |shard| {
                most = most.max(shard.outgoing[0].in_transit_bytes());
                waited = waited.max(shard.waiting_for_room.queue.len());
            });
            false
        });
        let count = bench.heard(receiver).matches("MSG x 1 ").count();
        assert_eq!(count, 2 * CLIENTS + 1, "all arrive");
        assert!(waited > CLIENTS / 4, "{waited} waited");
        // One read beyond, and the message that it completes.
        assert!(most <= UNDER_WAY_MAX + 2 * 64 * 1024, "{most} bytes under way");
    }
}
