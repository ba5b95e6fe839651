//! What becomes of a defect: it costs the connections that are not whole after it, and nothing else.

use crate::mail::{Batch, Envelope, Mail, Report, Traced};
use crate::mutation::Mutation;
use crate::route::trace::TracePart;
use crate::session::keepalive::TimerKind;
use crate::shard::{NO_SESSION, Shard};
use petrel_protocol::client::ClosedReason;
use petrel_runtime::{CoreId, Io, SocketId, panic_message};
use std::panic::{AssertUnwindSafe, catch_unwind};

impl Shard {
    /// A panic was caught. What it left half done is put in order, and who may not be whole any more is closed.
    pub(crate) fn contain_panic(&mut self, socket: Option<SocketId>, message: &str, io: &mut Io<'_, Mail>) {
        self.statistics.panics += 1;
        let working = std::mem::replace(&mut self.working, NO_SESSION);
        let key = match working {
            NO_SESSION => socket.and_then(|socket| self.session_of(socket)),
            key => Some(key),
        };
        match key.and_then(|key| self.sessions.get(key)) {
            Some(session) => {
                tracing::error!(
                    "{} - A defect was contained and the connection closed: {message}",
                    session.label()
                );
            }
            None => tracing::error!("A defect was contained on core {}: {message}", self.core.0),
        }
        // The message at hand is given up: what comes next is not followed in its place.
        self.tracing = None;
        self.mapped_from = None;
        // What was noted lies in bytes that are gone: those out-buffers have holes.
        let mut broken: Vec<u32> = self.source.pieces.drain(..).map(|piece| piece.session).collect();
        if self.is_mutated(Mutation::BrokenReceiversStay) {
            broken.clear();
        }
        broken.extend(key);
        // Nothing that comes next lies in those bytes, even where it has their address.
        self.source.open(&[]);
        // Whatever was being counted when it happened.
        self.held_bytes = self.sessions.iter().map(|(_, session)| session.counted_bytes()).sum();
        // Before another connection gets the key of one of them.
        let doomed = std::mem::take(&mut self.doomed);
        for (key, reason) in doomed {
            self.end(key, reason, io);
        }
        for key in broken {
            self.end(key, ClosedReason::InternalClient, io);
        }
        if !self.waiting_for_room.is_empty() || !self.touched.is_empty() {
            // Who waits, and what was not flushed, goes on in the next turn, which comes at once.
            self.set_timer(TimerKind::Room, NO_SESSION, io.now(), io);
        }
    }

    /// Works off another core's messages. One that runs into a defect is lost, those behind it are not; and the batch goes
    /// back whatever happens, for the other core counts what is under way.
    pub(crate) fn take_batch(&mut self, from: CoreId, mut batch: Batch, io: &mut Io<'_, Mail>) {
        let mut next = 0;
        while next < batch.envelopes.len() {
            let deliver = AssertUnwindSafe(|| self.deliver_batch(from, &batch, &mut next, io));
            if let Err(payload) = catch_unwind(deliver) {
                self.give_up(from, &batch.envelopes[next - 1]);
                self.contain_panic(None, &panic_message(payload.as_ref()), io);
                if self.is_mutated(Mutation::BatchesEndInPanics) {
                    return;
                }
            }
        }
        if batch.posted_bytes > 0 {
            batch.clear();
            self.outgoing[from.index()].spent.push(batch);
        }
    }

    /// Answers for a message that was lost here: whoever waits for word of it must not wait for ever. Somebody may have
    /// received it, so it is not said that nobody did.
    fn give_up(&mut self, from: CoreId, envelope: &Envelope) {
        let outgoing = &mut self.outgoing[from.index()];
        if envelope.traced != Traced::No {
            outgoing.traced.push(TracePart { token: envelope.report, events: Vec::new() });
        }
        if envelope.report != 0 {
            outgoing.reports.push(Report { token: envelope.report, delivered: true });
        }
    }

    /// Hands what this turn has written for clients to the kernel. What a defect leaves over goes out with the next turn.
    pub(crate) fn flush_touched(&mut self, io: &mut Io<'_, Mail>) {
        let mut flushed = 0;
        while let Some(key) = self.touched.get(flushed).copied() {
            flushed += 1;
            if let Some(session) = self.sessions.get_mut(key) {
                session.touched = false;
                session.note_deliveries(io.now());
                self.working = key;
                self.flush(key, io);
            }
        }
        self.working = NO_SESSION;
        self.touched.clear();
    }
}

#[cfg(test)]
mod tests {
    use crate::options::Options;
    use crate::order::Order;
    use crate::transport::{
        ChannelError, Handshake, HandshakeJob, SecureChannel, SecureChannels, TlsOptions, TlsPeer,
    };
    use crate::workbench::{Workbench, quick_world};
    use crossbeam_channel::{Receiver, unbounded};
    use petrel_config::HandshakeFirst;
    use std::sync::Arc;
    use std::time::Duration;

    /// What the cipher breaks over.
    const BRITTLE: &str = "brittle";

    /// A cipher that changes nothing, and panics over a word.
    #[derive(Debug)]
    struct BrittleCipher;

    impl SecureChannels for BrittleCipher {
        fn channel(&self) -> Result<Box<dyn SecureChannel>, ChannelError> {
            Ok(Box::new(BrittleCipher))
        }
    }

    impl SecureChannel for BrittleCipher {
        fn handshake(&mut self, _input: &[u8], _output: &mut Vec<u8>) -> Result<Handshake, ChannelError> {
            let certificates = Box::default();
            Ok(Handshake::Complete(TlsPeer {
                version: "1.3",
                cipher_suite: "none",
                certificates,
                names: None,
            }))
        }
        fn open(
            &mut self,
            input: &[u8],
            _scratch: &mut Vec<u8>,
            plain: &mut Vec<u8>,
            _control: &mut Vec<u8>,
        ) -> Result<bool, ChannelError> {
            plain.extend_from_slice(input);
            Ok(false)
        }
        fn seal(&mut self, plain: &[u8], sealed: &mut Vec<u8>) -> Result<(), ChannelError> {
            assert!(memchr::memmem::find(plain, BRITTLE.as_bytes()).is_none(), "provoked");
            sealed.extend_from_slice(plain);
            Ok(())
        }
        fn close(&mut self, _sealed: &mut Vec<u8>) {}
        fn held_bytes(&self) -> usize {
            0
        }
    }

    /// A node of one core with a client behind the cipher, which has subscribed to `x`, its first.
    fn bench() -> (Workbench, usize) {
        let (jobs, queue): (_, Receiver<Box<HandshakeJob>>) = unbounded();
        let tls = TlsOptions {
            channels: Arc::new(BrittleCipher),
            required: false,
            first: HandshakeFirst::No,
            timeout: Duration::from_secs(100),
            maps_certificates: false,
            pinned: None,
            rate: None,
            users_by_subject: Default::default(),
        };
        let options = Options { tls: Some(Arc::new(tls)), ..Options::default() };
        let mut bench =
            Workbench::with(quick_world(1), 1, options, move |shard| shard.with_handshakes(jobs.clone()));
        let brittle = bench.crowd(1);
        // A record of a handshake.
        bench.say_and_wait(brittle, "\u{16}\u{3}\u{3}\0\u{1}\u{1}");
        let job = queue.try_recv().expect("a handshake has begun");
        bench.world.order(bench.server, 0, Order::Handshake(Box::new(job.run())));
        bench.say_and_wait(brittle, "CONNECT {\"verbose\":false}\r\nSUB x 1\r\nPING\r\n");
        assert!(bench.heard(brittle).ends_with("PONG\r\n"));
        (bench, brittle)
    }

    /// A panic while one connection was flushed left all those behind it unflushed, for good.
    #[test]
    fn what_a_defect_leaves_over_goes_out_with_the_next_turn() {
        let (mut bench, brittle) = bench();
        let (whole, publisher) = (bench.client(), bench.client());
        bench.say_and_wait(whole, "SUB x 1\r\nPING\r\n");
        bench.heard(whole);
        bench.say_and_wait(publisher, &format!("PUB x {}\r\n{BRITTLE}\r\n", BRITTLE.len()));
        assert_eq!(bench.heard(whole), format!("MSG x 1 {}\r\n{BRITTLE}\r\n", BRITTLE.len()));
        bench.say_and_wait(publisher, "PUB x 1\r\nm\r\nPING\r\n");
        assert_eq!(bench.heard(whole), "MSG x 1 1\r\nm\r\n");
        assert_eq!((bench.ended(brittle), bench.ended(whole), bench.ended(publisher)), (1, 0, 0));
        assert_eq!(bench.core(0, |shard| shard.statistics.panics), 1);
        for client in [whole, publisher] {
            bench.say_and_wait(client, "-ERR 'over'\r\n");
        }
        bench.world.run_for(Duration::from_secs(1));
        assert_eq!(bench.core(0, |shard| (shard.sessions.len(), shard.held_bytes)), (0, 0));
    }

    /// A panic over a message that was followed had all messages behind it followed in its place.
    #[test]
    fn a_message_is_not_followed_beyond_its_defect() {
        let (mut bench, _) = bench();
        let (whole, publisher) = (bench.client(), bench.client());
        bench.say_and_wait(whole, "SUB x 1\r\nPING\r\n");
        let headers = "NATS/1.0\r\nNats-Trace-Dest: tr\r\n\r\n";
        // So large that it is sealed while it is delivered.
        let payload = format!("{}{BRITTLE}", "m".repeat(70_000));
        let all = headers.len() + payload.len();
        bench.say_and_wait(publisher, &format!("HPUB x {} {all}\r\n{headers}{payload}\r\n", headers.len()));
        assert_eq!(bench.core(0, |shard| (shard.statistics.panics, shard.tracing.is_some())), (1, false));
    }
}
